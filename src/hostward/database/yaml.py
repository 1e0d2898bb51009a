"""The files that a node is started with: cassandra.yaml, logback.xml, rack, PEM stores, management access."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import yaml

from hostward.database.edits import NO_EDITS, Edits, apply_edits, find_edits
from hostward.database.identity import write_private
from hostward.database.settings import NodeSettings
from hostward.domain.errors import DatabaseError

DATACENTER = "dc1"
MANAGEMENT_USER = "hostward"
LOG_FILE_MB = 10
LOG_FILES = 3
MAX_YAML_BYTES = 1 << 20

_HEADER = """\
# Written by Hostward at each start of the database. The administrator's guide (cassandra.yaml) lists the keys that may
# be changed here: they are kept. A change of any other key is named in Database Status and left out.
#
# Java's trust manager is chosen from what this Java offers. To name another, add to both *_encryption_options:
#   algorithm: SunX509
"""

_FIRST_AND_LAST = ("cluster_name", "client_encryption_options")

_LOGBACK = """<configuration>
  <appender name="FILE" class="ch.qos.logback.core.rolling.RollingFileAppender">
    <file>{path}</file>
    <rollingPolicy class="ch.qos.logback.core.rolling.FixedWindowRollingPolicy">
      <fileNamePattern>{path}.%i</fileNamePattern><minIndex>1</minIndex><maxIndex>{files}</maxIndex>
    </rollingPolicy>
    <triggeringPolicy class="ch.qos.logback.core.rolling.SizeBasedTriggeringPolicy">
      <maxFileSize>{size_mb}MB</maxFileSize>
    </triggeringPolicy>
    <encoder><pattern>%date{{ISO8601}} %-5level [%thread] %logger{{0}}: %msg%n</pattern></encoder>
  </appender>
  <logger name="org.apache.cassandra.utils.SigarLibrary" level="OFF"/>
  <root level="INFO"><appender-ref ref="FILE"/></root>
</configuration>
"""

_LOGBACK_TOOLS = """<configuration>
  <appender name="STDERR" class="ch.qos.logback.core.ConsoleAppender">
    <target>System.err</target>
    <encoder><pattern>%-5level %msg%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="STDERR"/></root>
</configuration>
"""


def cassandra_yaml(settings: NodeSettings) -> dict[str, Any]:
    """The content of cassandra.yaml. The values are measured ones; the comments say what they are for."""
    return {
        "cluster_name": settings.cluster_name,
        "num_tokens": 1,
        "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
        "endpoint_snitch": "GossipingPropertyFileSnitch",
        "dynamic_snitch": False,  # reads at ONE stay at the local node
        "seed_provider": [
            {
                "class_name": "org.apache.cassandra.locator.SimpleSeedProvider",
                "parameters": [{"seeds": ",".join(settings.seeds)}],
            }
        ],
        "listen_address": settings.listen_address,
        "storage_port": settings.storage_port,
        "ssl_storage_port": settings.storage_port,  # a legacy port that is never opened
        "rpc_address": settings.loopback,
        "native_transport_port": settings.cql_port,
        "native_transport_max_threads": 16,
        # What is acknowledged is on disk: 0.3 ms more for a write than with `periodic`, which may lose a second's.
        "commitlog_sync": "batch",
        "commitlog_segment_size": "4MiB",
        "commitlog_total_space": "64MiB",
        "memtable_heap_space": "32MiB",
        "memtable_offheap_space": "32MiB",
        "memtable_allocation_type": "offheap_objects",
        "key_cache_size": "0MiB",
        "counter_cache_size": "0MiB",
        "file_cache_size": "32MiB",
        "networking_cache_size": "16MiB",
        "concurrent_reads": 8,
        "concurrent_writes": 8,
        "concurrent_compactors": 1,
        "disk_access_mode": "standard",
        "inter_dc_tcp_nodelay": True,
        "hinted_handoff_enabled": True,
        "max_hint_window": "24d",  # 30d is refused
        "hints_flush_period": "1000ms",
        "hinted_handoff_throttle": "65536KiB",
        "phi_convict_threshold": 6,
        "auto_snapshot": False,
        # A node that can't read or write its files ends, with the reason in its log: it would go on without a voice.
        "disk_failure_policy": "die",
        "commit_failure_policy": "die",
        "block_for_peers_timeout_in_secs": -1,  # a Master starts without its Slaves, which wait for it
        "server_encryption_options": {
            "internode_encryption": "all",
            "optional": False,  # otherwise plaintext is let in
            "require_client_auth": True,
            "require_endpoint_verification": False,  # certificates are pinned; addresses may change
            **_pem_stores(settings, "truststore.pem"),
        },
        "client_encryption_options": {
            "enabled": True,
            "optional": False,
            "require_client_auth": True,
            **_pem_stores(settings, "client-truststore.pem"),
        },
    }


def _pem_stores(settings: NodeSettings, truststore: str) -> dict[str, Any]:
    return {
        "ssl_context_factory": {"class_name": "org.apache.cassandra.security.PEMBasedSslContextFactory"},
        "keystore": str(settings.conf_dir / "keystore.pem"),
        "truststore": str(settings.conf_dir / truststore),
        **({"algorithm": settings.trust_algorithm} if settings.trust_algorithm else {}),
    }


@dataclass(frozen=True, slots=True)
class Hand:
    """What was found to have been done to cassandra.yaml by hand. `set_aside` is where a file is that could not be read
    as YAML, with `problem` as the reason."""

    edits: Edits = NO_EDITS
    set_aside: Path | None = None
    problem: str = ""


def look_for_edits(settings: NodeSettings) -> Hand:
    """Compare cassandra.yaml with what Hostward last rendered; changes nothing. `set_aside` is where the file would
    go."""
    try:
        rendered = yaml.safe_load(settings.rendered_path.read_text(encoding="utf-8"))
        found = _read_yaml(settings.yaml_path)
    except FileNotFoundError:
        return Hand()
    except (yaml.YAMLError, ValueError) as error:
        where = settings.yaml_path.with_name(f"cassandra.yaml.unreadable-{time.strftime('%Y%m%dT%H%M%S')}")
        return Hand(set_aside=where, problem=" ".join(str(error).split()))
    return Hand(find_edits(found, rendered))


def _read_yaml(path: Path) -> dict[str, Any]:
    """Raises YAMLError, or ValueError where it isn't a document of keys and values."""
    with path.open("rb") as file:
        data = file.read(MAX_YAML_BYTES + 1)
    if len(data) > MAX_YAML_BYTES:
        raise ValueError("it is larger than 1 MiB")
    found = yaml.safe_load(data.decode("utf-8"))
    if not isinstance(found, dict):
        raise ValueError("it has no keys")
    if missing := [key for key in _FIRST_AND_LAST if key not in found]:
        raise ValueError(f"it isn't whole, {missing[0]} is missing")
    return found


def _write_yaml(settings: NodeSettings) -> Hand:
    """Render cassandra.yaml with the honoured edits of the one that is there; an unreadable one is set aside."""
    hand = look_for_edits(settings)
    if hand.set_aside is not None:
        settings.yaml_path.replace(hand.set_aside)
    rendered = cassandra_yaml(settings)
    edited = apply_edits(rendered, hand.edits)
    write_private(settings.rendered_path, yaml.safe_dump(rendered, sort_keys=False).encode())
    write_private(settings.yaml_path, (_HEADER + yaml.safe_dump(edited, sort_keys=False)).encode())
    return hand


def write_configuration(settings: NodeSettings) -> Hand:
    """Write all files for a start into `settings.conf_dir` (0700, files 0600); answers what was found to have been
    changed by hand. Raises DatabaseError."""
    try:
        for directory in (settings.data_dir, settings.conf_dir, settings.storage_dir, settings.log_dir):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        own = settings.certificate_path.read_bytes()
        hand = _write_yaml(settings)
        write_private(settings.conf_dir / "rackdc.properties", f"dc={DATACENTER}\nrack=rack1\n".encode())
        write_private(settings.conf_dir / "logback.xml", logback_xml(settings).encode())
        write_private(settings.conf_dir / "logback-tools.xml", _LOGBACK_TOOLS.encode())
        write_private(settings.conf_dir / "keystore.pem", settings.key_path.read_bytes() + own)
        # Only the server itself is a client of CQL.
        write_private(settings.conf_dir / "client-truststore.pem", own)
        write_trust(settings)
        _write_management(settings)
        return hand
    except OSError as error:
        raise DatabaseError(
            f"The database's files can't be written: {error}",
            remedy=f"Check that {settings.data_dir} is writable for this user and that its disk has room.",
            code="disk-full" if error.errno == 28 else "unwritable",
        ) from error


def write_trust(settings: NodeSettings) -> None:
    """Write the internode truststore alone. A running node takes it with `Ring.reload_certificates`."""
    own = settings.certificate_path.read_text().strip()
    members = dict.fromkeys([own, *(pem.strip() for pem in settings.trusted_certificates)])
    write_private(settings.truststore_path, ("\n".join(members) + "\n").encode())


def logback_xml(settings: NodeSettings) -> str:
    """Logging to `settings.log_path`, at most LOG_FILES older files of LOG_FILE_MB beside it."""
    escaped = quoteattr(str(settings.log_path))[1:-1]
    return _LOGBACK.format(path=escaped, files=LOG_FILES, size_mb=LOG_FILE_MB)


def management_password(settings: NodeSettings) -> str:
    """The password of the node's management ports, made on the first call. Never log it."""
    if not settings.password_path.exists():
        settings.conf_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(settings.password_path, secrets.token_urlsafe(24).encode())
    return settings.password_path.read_text()


def _write_management(settings: NodeSettings) -> None:
    password = management_password(settings)
    jolokia = {
        "host": settings.loopback,
        "port": settings.management_port,
        "user": MANAGEMENT_USER,
        "password": password,
        "discoveryEnabled": "false",
    }
    content = "".join(f"{key}={value}\n" for key, value in jolokia.items())
    write_private(settings.conf_dir / "jolokia.properties", content.encode())
    write_private(settings.jmx_password_path, f"{MANAGEMENT_USER} {password}\n".encode())
