"""A cassandra.yaml that was edited by hand: which changes are kept, and why not the others. Pure: documents in,
documents out.

Hostward renders the file at each start, and keeps what it rendered beside it. What differs between the two was changed
by hand. Changes of HONOURED keys are carried into every later rendering until they are taken back; all others are
named, with the reason, and left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HONOURED: frozenset[str] = frozenset(
    {
        "batch_size_fail_threshold", "batch_size_warn_threshold", "cas_contention_timeout", "column_index_size",
        "commitlog_total_space", "compaction_throughput", "concurrent_compactors", "concurrent_reads",
        "concurrent_writes", "counter_cache_size", "disk_access_mode", "disk_optimization_strategy",
        "file_cache_size", "hinted_handoff_throttle", "hints_flush_period", "inter_dc_tcp_nodelay",
        "internode_compression", "key_cache_size", "max_hint_window", "max_hints_delivery_threads",
        "max_hints_file_size", "memtable_allocation_type", "memtable_cleanup_threshold", "memtable_flush_writers",
        "memtable_heap_space", "memtable_offheap_space", "native_transport_max_threads", "networking_cache_size",
        "phi_convict_threshold", "range_request_timeout", "read_request_timeout", "request_timeout",
        "row_cache_size", "slow_query_log_timeout", "stream_throughput_outbound", "trickle_fsync",
        "trickle_fsync_interval", "truncate_request_timeout", "write_request_timeout",
        "server_encryption_options.algorithm", "client_encryption_options.algorithm",
    }
)  # fmt: skip
"""Keys, with their section, that an administrator may set in cassandra.yaml; docs/guide.md lists them."""

_WHY: tuple[tuple[str, str], ...] = (
    ("seed_provider", "the seeds are written at each start from the group's servers; no edit is needed"),
    ("cluster_name", "it names the group and its ring, so that the rings of two groups can't merge"),
    ("listen_", "choose the Database Network Adapter in Configure Settings - Replication instead"),
    ("broadcast_", "choose the Database Network Adapter in Configure Settings - Replication instead"),
    ("storage_port", "set storage_port under [database] in the configuration file instead"),
    ("ssl_storage_port", "set storage_port under [database] in the configuration file instead"),
    ("native_transport_port", "set cql_port under [database] in the configuration file instead"),
    ("rpc_", "the database answers its own server only; set loopback under [database] instead"),
    ("server_encryption_options", "the servers' databases speak to each other by pinned certificates only"),
    ("client_encryption_options", "the database answers its own server's certificate only"),
    ("commitlog_", "what is acknowledged must be on disk, in the data directory"),
    ("commit_failure_policy", "a node that can't write must end, so that it is healed"),
    ("disk_failure_policy", "a node that can't read or write must end, so that it is healed"),
    ("data_file_directories", "the files are in the data directory; mount a disk there instead"),
    ("num_tokens", "a ring with data can't change it"),
    ("initial_token", "a ring with data can't change it"),
    ("partitioner", "a ring with data can't change it"),
    ("endpoint_snitch", "a ring with data can't change it"),
)
_WITHOUT_KEYS = "PKIX"
_WHY_WITHOUT_KEYS = "with PKIX the database would find no certificate of its own; SunX509 is the one that works"
_UNKNOWN = "it isn't one of the keys that may be changed here"


@dataclass(frozen=True, slots=True)
class Refused:
    """A change by hand that isn't used. Its value isn't kept: it might be a secret."""

    key: str
    why: str


@dataclass(frozen=True, slots=True)
class Edits:
    """What was changed by hand. `honoured` has the value of each kept key, None where the key was taken out."""

    honoured: Mapping[str, Any]
    refused: tuple[Refused, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.honoured or self.refused)


NO_EDITS = Edits({})


def find_edits(found: Mapping[str, Any], rendered: Mapping[str, Any]) -> Edits:
    """What `found` (the file as it is) changes against `rendered` (as Hostward last wrote it, without any edits)."""
    here, before = _leaves(found), _leaves(rendered)
    honoured: dict[str, Any] = {}
    refused = []
    for key in sorted(here.keys() | before.keys()):
        if key in here and key in before and here[key] == before[key]:
            continue
        if key.endswith(".algorithm") and here.get(key) == _WITHOUT_KEYS:
            refused.append(Refused(key, _WHY_WITHOUT_KEYS))
        elif key in HONOURED:
            honoured[key] = here.get(key)
        else:
            refused.append(Refused(key, why_not(key)))
    return Edits(honoured, tuple(refused))


def apply_edits(rendered: Mapping[str, Any], edits: Edits) -> dict[str, Any]:
    """The document with the honoured edits in it."""
    result = {key: dict(value) if isinstance(value, dict) else value for key, value in rendered.items()}
    for key, value in edits.honoured.items():
        section, _, name = key.rpartition(".")
        place = result[section] if section else result
        if value is None:
            place.pop(name, None)
        else:
            place[name] = value
    return result


def why_not(key: str) -> str:
    """Why a key isn't the administrator's to change in this file, as the end of a sentence."""
    return next((why for prefix, why in _WHY if key.startswith(prefix)), _UNKNOWN)


def _leaves(document: Mapping[str, Any]) -> dict[str, Any]:
    """Values by key; those of a section by "section.key". Lists are values."""
    found: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, dict):
            found.update({f"{key}.{name}": inner for name, inner in value.items()})
        else:
            found[str(key)] = value
    return found
