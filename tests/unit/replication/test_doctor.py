"""The doctor's checks over pictures: each trouble has its own code, cause and remedy, and a well group has none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostward.domain.audit import Trouble
from hostward.domain.findings import CODES, Finding, Severity, in_order
from hostward.domain.replication import Role
from hostward.replication.doctor.examination import Disk, Other, Paper, Picture, Problem, examine
from hostward.trust.listed import BROWSERS, BY_HAND, OWN

ROOT = Path(__file__).parents[3]
GIB = 1 << 30


def row(name: str, **changed: Any) -> dict[str, Any]:
    return {
        "server": f"id-{name}", "server_name": name, "address": "10.0.0.1", "status": "UP", "state": "NORMAL",
        "owns_percent": 100.0, "host_id": f"host-{name}", "local_instance": name == "north", "in_sync": True,
        "revision": 7, "lag_changes": 0, "detail": "", **changed,
    }  # fmt: skip


WELL = Picture(
    name="north", role=Role.MASTER, database_status="Up", reason="Everything is as it should be.", problem=None,
    removed="", nodes=[row("north"), row("south")], others=[Other("south", "host-south", "", True, 0.2, "1.0")],
    unjoined=[], content_problem="", log_problem="", passphrase_is_default=False,
    papers=[Paper("north", OWN, 700, False), Paper("south", BY_HAND, 7, False)],
    disks=[Disk("the registry", "/data", 50 * GIB, 100 * GIB)], memory_free_bytes=2 * GIB, yaml_path="cassandra.yaml",
    yaml_honoured=[], yaml_refused={}, yaml_set_aside="", yaml_problem="", healed="", healed_ago_s=None, version="1.0",
)  # fmt: skip

TROUBLES: list[tuple[str, dict[str, Any]]] = [
    ("database-down", {"problem": Problem("damaged", "The database's files are damaged.", "Make it anew.")}),
    ("address-gone", {"problem": Problem("address-missing", "10.0.0.9 is gone.", "Choose another.")}),
    ("waiting", {"database_status": "Initializing", "reason": "Asking the Master for admission."}),
    ("removed-from-group", {"removed": "This server was removed.", "role": Role.SLAVE}),
    ("content-altered", {"content_problem": "The registry was altered."}),
    ("not-in-sync", {"nodes": [row("south", in_sync=False, lag_changes=3)]}),
    ("log-not-written", {"log_problem": "Not enough database nodes answered."}),
    ("node-down", {"nodes": [row("south", status="DOWN")]}),
    ("node-missing", {"nodes": [row("south", status="UNKNOWN", state="UNKNOWN")]}),
    ("node-leaving", {"nodes": [row("south", status="DOWN", state="LEAVING")]}),
    ("owns-below-100", {"nodes": [row("south", owns_percent=66.7)]}),
    ("stranger-in-ring", {"nodes": [row("not a member", server="", in_sync=False)]}),
    ("member-unreachable", {"others": [Other("south", "h", "It doesn't answer.", True, None, "1.0")]}),
    ("slave-not-joined", {"unjoined": ["south:443/mss"]}),
    ("trust-missing", {"others": [Other("south", "h", "", False, 0.0, "1.0")]}),
    ("certificate-expired", {"papers": [Paper("north", OWN, -2, False)]}),
    ("certificate-expiring", {"papers": [Paper("south", BY_HAND, 120, True)]}),
    ("certificate-expiring", {"papers": [Paper("Browsers", BROWSERS, 20, True)]}),
    ("passphrase-default", {"passphrase_is_default": True}),
    ("clock-skew", {"others": [Other("south", "h", "", True, -3600.0, "1.0")]}),
    ("versions-differ", {"others": [Other("south", "h", "", True, 0.0, "0.9")]}),
    ("disk-nearly-full", {"disks": [Disk("the registry", "/data", 40 << 20, 100 * GIB)]}),
    ("memory-low", {"memory_free_bytes": 50 << 20}),
    ("yaml-edited", {"yaml_honoured": ["concurrent_reads"]}),
    ("yaml-refused", {"yaml_refused": {"listen_address": "choose the adapter instead"}}),
    ("yaml-unreadable", {"yaml_set_aside": "cassandra.yaml.unreadable-1", "yaml_problem": "a tab"}),
    ("healed", {"healed": "The files were removed.", "healed_ago_s": 60.0}),
    (
        "audit-log-broken",
        {"audit_troubles": [Trouble("id-south", "south", "cut", 4, "The entries 4 to 5 are missing.")]},
    ),
    ("audit-not-written", {"audit_problem": "The disk is full."}),
    ("alone", {"others": [], "nodes": [row("north")]}),
]
OFFLINE = {
    "server-not-running", "data-dir-unusable", "configuration-wrong", "port-in-use", "registry-damaged",
    "identity-damaged", "java-unusable", "database-ended",
}  # fmt: skip


@pytest.mark.feature("R31")
def test_a_group_that_is_well_has_no_findings() -> None:
    assert examine(WELL) == []


@pytest.mark.feature("R31")
@pytest.mark.parametrize(("code", "trouble"), TROUBLES, ids=[code for code, _ in TROUBLES])
def test_each_trouble_has_its_code_cause_and_remedy(code: str, trouble: dict[str, Any]) -> None:
    found = examine(replace(WELL, **trouble))
    assert code in {f.code for f in found}
    for finding in found:
        assert finding.cause.rstrip().endswith(".")
        assert finding.remedy.endswith(".")
        assert finding.subject


def test_every_code_is_found_by_some_test_here_or_without_a_server() -> None:
    assert {code for code, _ in TROUBLES} | OFFLINE == set(CODES)


@pytest.mark.feature("R31")
def test_the_guide_lists_every_code_with_its_meaning() -> None:
    guide = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
    missing = [code for code, (severity, means) in CODES.items() if f"| `{code}` | {severity} | {means} |" not in guide]
    assert not missing


def test_a_dead_server_may_be_removed_by_a_button_on_the_master_alone() -> None:
    dead = replace(WELL, nodes=[row("north"), row("south", status="DOWN", host_id="a/b")])
    act = next(f.act for f in examine(dead) if f.code == "node-down")
    assert act is not None
    assert (act.method, act.path) == ("DELETE", "replication/nodes/a%2Fb")
    assert act.command == "hostward replication remove a/b"
    assert all(f.act is None for f in examine(replace(dead, role=Role.SLAVE)))


def test_a_damaged_node_may_be_made_anew_by_a_button() -> None:
    damaged = replace(WELL, problem=Problem("damaged", "The files are damaged.", "Make it anew."))
    (found,) = examine(damaged)
    assert found.act is not None
    assert found.act.path == "replication/database/rebuild"
    full = replace(WELL, problem=Problem("disk-full", "There is no room.", "Free some."))
    (found,) = examine(full)
    assert found.act is None  # with an empty directory it would be no better


def test_the_worst_comes_first() -> None:
    everything: dict[str, Any] = {}
    for _, trouble in TROUBLES:
        everything.update(trouble)
    severities = [f.severity for f in examine(replace(WELL, **everything))]
    assert severities == sorted(severities, key=list(Severity).index)
    assert len(set(severities)) == 3


def test_what_was_healed_long_ago_is_no_news() -> None:
    assert examine(replace(WELL, healed="It was.", healed_ago_s=90_000.0)) == []


@given(st.lists(st.sampled_from(list(CODES)), max_size=30))
def test_ordering_loses_nothing(codes: list[str]) -> None:
    given_ = [Finding(code, "s", "c.", "r.") for code in codes]
    assert sorted(f.code for f in in_order(given_)) == sorted(codes)
