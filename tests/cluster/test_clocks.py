"""Servers whose clocks are an hour apart, or set back while they run, without a JVM: named on both sides, nothing lost,
and all well again once they are right."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.clocks import Clock
from tests.support.light import LightGroup
from tests.support.server import Server
from tests.support.waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.feature("F6")]

SEEN_WITHIN_S = 30.0
WELL_WITHIN_S = 60.0


@pytest.fixture
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LightGroup]:
    """Three servers; of the first two the clocks can be set."""
    group = LightGroup(tmp_path_factory.mktemp("clocks"), count=3)
    try:
        group.form()
        yield group
    finally:
        group.destroy()


def with_clock(server: Server) -> Clock:
    clock = Clock(server.data_dir.parent)
    server.stop()
    clock.start(server)
    return clock


def says(server: Server, other: Server, *words: str) -> bool:
    """Whether Details of `server` name what is wrong with `other`."""
    node = next(n for n in server.api.nodes() if n["server_name"] == other.name)
    text = str(node)
    return all(word in text for word in words)


def found_by_doctor(server: Server, code: str) -> bool:
    return any(f["code"] == code for f in server.api.get("doctor")["findings"])


def test_a_slave_an_hour_ahead_and_one_behind_is_named_loses_nothing_and_comes_back(group: LightGroup) -> None:
    master, slave, other = group.master, *group.slaves
    clock = with_clock(slave)
    group.wait_equal(WELL_WITHIN_S)
    for by in ("+1h", "-1h"):
        clock.set(by)
        eventually(lambda: says(master, slave, "clock"), within_s=SEEN_WITHIN_S)
        eventually(lambda: says(slave, master, "clock"), within_s=SEEN_WITHIN_S)
        made = [
            master.api.post("sessions", {"name": f"{by} {n}", "type": "VT", "host": "a.example.com"}) for n in range(5)
        ]
        assert all(m["replicated"]["confirmed"] for m in made), "the third server has them"
        assert slave.api.get("sessions", q=by)["total"] == 0, "it isn't believed, and believes nobody"
        assert slave.api.health("in-sync")[0] == 503
        assert other.api.get("sessions", q=by)["total"] == 5
        clock.set("+0")
        group.wait_equal(WELL_WITHIN_S)
        assert slave.api.get("sessions", q=by)["total"] == 5
        eventually(lambda: slave.api.health("in-sync")[0] == 200, within_s=WELL_WITHIN_S)
    revisions = [c["revision"] for c in slave.api.get("changes", limit=10)["items"]]
    assert revisions == sorted(revisions, reverse=True)


def test_a_masters_clock_that_is_set_back_changes_no_order(group: LightGroup) -> None:
    master = group.master
    clock = with_clock(master)
    group.wait_writable(WELL_WITHIN_S)
    session = master.api.post("sessions", {"name": "one", "type": "VT", "host": "first.example.com"})["session"]
    path = f"sessions/{session['id']}"
    # Less than what messages may differ by: the Slaves go on following, by revisions and not by times.
    clock.set("-4m")
    later = master.api.patch(path, {"host": "second.example.com"})
    assert later["replicated"]["confirmed"]
    group.wait_equal(WELL_WITHIN_S)
    for server in group.servers:
        assert server.api.get(path)["host"] == "second.example.com"
    eventually(lambda: found_by_doctor(group.slaves[0], "clock-skew"), within_s=SEEN_WITHIN_S)
    # An hour: nobody believes the Master any more. It says so, keeps what is made meanwhile, and is well again after.
    clock.set("-1h")
    eventually(lambda: says(master, group.slaves[0], "clock"), within_s=SEEN_WITHIN_S)
    alone = master.api.patch(path, {"host": "third.example.com"})
    assert not alone["replicated"]["confirmed"]
    clock.set("+0")
    group.wait_equal(WELL_WITHIN_S)
    for server in group.servers:
        assert server.api.get(path)["host"] == "third.example.com"
        hosts = [c["fields"] for c in server.api.get(f"{path}/history")["items"]]
        assert "third" in str(hosts[0])
        assert "second" in str(hosts[1])
