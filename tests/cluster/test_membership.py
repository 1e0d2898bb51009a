"""Servers that are removed, return, are replaced, or join at the same time; on real Cassandra, by the API alone.

Each walk leaves the shared group of three as it found it.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.api import Refused
from tests.support.command import hostward
from tests.support.group import Group, trust, trust_anew
from tests.support.inventory import rows
from tests.support.server import Server
from tests.support.waiting import always, eventually

pytestmark = pytest.mark.cluster

CUT_OFF_WITHIN_S = 120.0


def host_id_of(group: Group, server: Server) -> str:
    return next(str(n["host_id"]) for n in group.master.api.nodes() if n["server_name"] == server.name)


def remove(group: Group, server: Server, *, within_s: float = 60.0) -> dict[str, Any]:
    """Details > Remove, Yes, and the job to its end."""
    job = group.master.api.delete(f"replication/nodes/{host_id_of(group, server)}", confirm=True)["job"]
    return group.master.follow(job, within_s=within_s)


def add_again(group: Group) -> None:
    """All Slaves in the Master's table again; the group is then whole."""
    group.list_slaves()
    group.wait_settled()


def is_up_without(group: Group, server: Server) -> Callable[[], bool]:
    """Whether all others are Up, and see only each other."""
    others = [s for s in group.servers if s is not server]
    names = {s.name for s in others}

    def look() -> bool:
        for s in others:
            status = s.api.status()
            assert status["database_status"] == "Up", f"{s.name}: {status['reason']}"
            told = [(n["server_name"], n["status"], n["owns_percent"]) for n in s.api.nodes()]
            assert sorted(told) == sorted((n, "UP", 100.0) for n in names), f"{s.name}: {told}"
        return True

    return look


def says_it_was_removed(server: Server) -> bool:
    status = server.api.status()
    assert status["removed"], status["reason"]
    assert "removed from the group" in status["reason"]
    assert "Slave table" in status["reason"]
    assert "Standalone" in status["reason"]
    assert server.api.health("in-sync")[0] == 503
    assert server.jvm_pid is None, "its database node runs"
    return True


@pytest.mark.feature("R12")
@pytest.mark.feature("R13")
def test_a_running_slave_removed_on_the_master_by_one_action(group: Group, tmp_path: Path) -> None:
    master, leaving = group.master, group.slaves[1]
    group.master.api.post("sessions", rows(1, prefix="Before a removal")[0])
    group.wait_equal()
    kept = leaving.api.export()
    with pytest.raises(Refused) as refused:
        master.api.delete(f"replication/nodes/{host_id_of(group, leaving)}")
    assert refused.value.code == "confirmation-required"
    assert leaving.name in refused.value.problem["detail"], "what is removed is named"
    assert any("keeps its data" in c for c in refused.value.problem["consequences"])
    host_id = host_id_of(group, leaving)
    done = remove(group, leaving)
    assert done["notices"] == []
    eventually(lambda: says_it_was_removed(leaving), within_s=20)
    eventually(is_up_without(group, leaving), within_s=30)
    assert [s["host"] for s in master.api.status()["slaves"]] == [group.slaves[0].host]
    assert leaving.api.export() == kept
    # Once more changes nothing, and who was never there is named.
    master.follow(master.api.delete(f"replication/nodes/{host_id}", confirm=True)["job"])
    with pytest.raises(Refused) as refused:
        master.api.delete("replication/nodes/no-such-id", confirm=True)
    assert refused.value.status == 404
    # Neither a restart nor its own Apply brings it back; the Master shows that it asks.
    leaving.restart()
    eventually(lambda: says_it_was_removed(leaving), within_s=20)
    leaving.api.put("replication", {"role": "slave", "master": master.target(), "confirm": True})
    eventually(lambda: any(leaving.name in w for w in master.api.status()["warnings"]), within_s=20)
    always(is_up_without(group, leaving), for_s=3, every_s=1)
    said = hostward("replication", "status", on=leaving, home=tmp_path)
    assert "Slave table" in " ".join(said.stdout.split()), said.stdout
    add_again(group)
    assert leaving.api.status()["removed"] == ""
    assert not any(leaving.name in w for w in master.api.status()["warnings"])
    assert leaving.api.export() == kept


@pytest.mark.feature("R13")
def test_a_down_slave_is_removed_and_fenced_when_it_starts_again(group: Group) -> None:
    master, down = group.master, group.slaves[0]
    kept = down.api.export()
    down.kill()
    done = remove(group, down)
    assert any(down.name in n and "could not be updated" in n and "expected" in n for n in done["notices"]), done
    eventually(is_up_without(group, down), within_s=60)
    made = master.api.post("sessions", rows(1, prefix="While one is removed")[0])
    assert made["replicated"]["confirmed"] is True
    down.start()
    eventually(lambda: says_it_was_removed(down), within_s=30)
    always(is_up_without(group, down), for_s=3, every_s=1)
    assert down.api.export() == kept
    down.apply(role="standalone")
    assert [n["address"] for n in down.api.nodes()] == ["127.0.0.1"]
    assert down.api.export() == kept
    group.list_slaves()
    group.make_slave(down)
    group.wait_settled()


@pytest.mark.feature("R13")
def test_a_removed_server_that_cant_be_reached_while_its_node_runs_is_cut_off(group: Group) -> None:
    halted = group.slaves[1]
    halted.sigstop()
    node = halted.jvm_pid
    done = remove(group, halted, within_s=CUT_OFF_WITHIN_S)
    assert any(halted.name in n for n in done["notices"]), done
    assert halted.jvm_pid == node, "the test is of a node that runs on"
    eventually(is_up_without(group, halted), within_s=60)
    made = group.master.api.post("sessions", rows(1, prefix="With a node cut off")[0])
    assert made["replicated"]["confirmed"] is True
    halted.sigcont()
    eventually(lambda: says_it_was_removed(halted), within_s=30)
    always(is_up_without(group, halted), for_s=3, every_s=1)
    add_again(group)


@pytest.mark.feature("R13")
@pytest.mark.feature("R18")
def test_a_slave_that_was_away_forgets_a_node_that_the_group_has_removed_and_forgotten(group: Group) -> None:
    master, (away, leaving) = group.master, group.slaves
    away.kill()
    leaving.kill()
    remove(group, leaving, within_s=CUT_OFF_WITHIN_S)
    eventually(lambda: len(master.api.nodes()) == 2 and master.wait_up(), within_s=60)
    # What its node tells of a removal, it tells only until it is started again.
    node = master.signal_jvm(signal.SIGKILL)
    eventually(lambda: master.jvm_pid not in (None, node) and master.wait_up(), within_s=60)
    away.start()
    eventually(is_up_without(group, leaving), within_s=120)
    leaving.start()
    add_again(group)


@pytest.mark.feature("R13")
def test_a_wiped_server_at_the_same_address_replaces_the_old_one_by_one_action(group: Group) -> None:
    master, wiped, other = group.master, group.slaves[1], group.slaves[0]
    old = host_id_of(group, wiped)
    kept = wiped.api.export()
    wiped.renew()
    wiped.start()
    for here in (master, other):
        trust_anew(here, wiped)
        trust(wiped, here)
    job = wiped.api.put(
        "replication", {"role": "slave", "adapter": wiped.address, "master": master.target(), "confirm": True}
    )["job"]
    eventually(lambda: "another identity" in wiped.api.status()["reason"], within_s=30)
    assert "click Remove" in wiped.api.status()["reason"]
    assert any("another identity" in w for w in master.api.status()["warnings"])
    master.follow(master.api.delete(f"replication/nodes/{old}", confirm=True)["job"])
    wiped.follow(job, within_s=120)
    group.wait_settled()
    assert wiped.api.export() == kept
    assert len(master.api.status()["slaves"]) == 2


@pytest.mark.feature("R9")
def test_two_join_at_once_and_one_dies_in_the_middle(group: Group) -> None:
    master, (first, second) = group.master, group.slaves
    for leaving in (first, second):
        leaving.apply(role="standalone")
    eventually(lambda: len(master.api.nodes()) == 1, within_s=60)
    master.wait_up()
    wanted = [
        {"role": "slave", "adapter": s.address, "master": master.target(), "confirm": True} for s in (first, second)
    ]
    jobs = [s.api.put("replication", w)["job"] for s, w in zip((first, second), wanted, strict=True)]

    def one_waits() -> tuple[Server, Server]:
        reasons = [s.api.status()["reason"] for s in (first, second)]
        waiting = [n for n, r in enumerate(reasons) if "one server joins at a time" in r]
        assert len(waiting) == 1, reasons
        assert "is joining, since" in reasons[waiting[0]]
        return ((first, second), (second, first))[1 - waiting[0]]

    joining, _ = eventually(one_waits, within_s=30)
    # Its node is killed while it joins, and then the server too: it begins anew, with an empty node.
    eventually(lambda: joining.jvm_pid is not None, within_s=30)
    joining.signal_jvm(signal.SIGKILL)
    eventually(lambda: joining.jvm_pid is not None, within_s=30)
    joining.kill()
    joining.start()
    for server, job in zip((first, second), jobs, strict=True):
        server.follow(job, within_s=180)
    group.wait_settled()


@pytest.mark.feature("R9")
def test_a_join_is_ended_by_the_master_and_by_the_joiner(group: Group) -> None:
    master, joining = group.master, group.slaves[0]
    joining.apply(role="standalone")
    eventually(lambda: len(master.api.nodes()) == 2, within_s=60)
    master.wait_up()
    joining.api.put("replication", {"role": "slave", "master": master.target(), "confirm": True})

    def row() -> dict[str, Any]:
        return next(n for n in master.api.nodes() if n["server_name"] == joining.name and n["state"] == "JOINING")

    server_id = eventually(row, within_s=30)["server"]
    master.follow(master.api.delete(f"replication/nodes/{server_id}", confirm=True)["job"])
    eventually(lambda: says_it_was_removed(joining), within_s=30)
    eventually(is_up_without(group, joining), within_s=60)
    master.apply(role="master")  # any Apply there lets it try anew
    eventually(row, within_s=30)
    joining.apply(role="standalone")
    eventually(is_up_without(group, joining), within_s=60)
    group.list_slaves()
    group.make_slave(joining)
    group.wait_settled()
