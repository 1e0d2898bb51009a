"""What is lost on the way is noticed, whatever was to bring it (faults F12 and F18)."""

from __future__ import annotations

import shutil
import signal

import pytest
from tests.support.group import Group
from tests.support.history import History
from tests.support.inventory import rows
from tests.support.namespaces import Network
from tests.support.server import HTTP_PORT, HTTPS_PORT, STORAGE_PORT, Server
from tests.support.waiting import eventually
from tests.support.writers import Writers

pytestmark = pytest.mark.cluster

PEER_PORTS = [HTTPS_PORT, HTTP_PORT]


def lose_hints(server: Server) -> None:
    """Kill its node, and delete what that had kept for nodes that were away."""
    killed = server.signal_jvm(signal.SIGKILL)
    shutil.rmtree(server.storage_dir / "hints", ignore_errors=True)
    eventually(lambda: server.jvm_pid not in (None, killed), within_s=30)


@pytest.mark.feature("R8")
@pytest.mark.feature("R10")
def test_the_nudge_and_the_hint_of_the_last_change_are_lost(group: Group, hosts: Network, master: Server) -> None:
    lost = group.slaves[0]
    here, there = hosts.host(master.name), hosts.host(lost.name)
    others = [h for h in hosts.hosts if h is not there]
    hosts.rule([here], [there], cut=True, ports=[*PEER_PORTS, STORAGE_PORT])  # no nudge, nor a row of the log, ...
    hosts.rule([there], others, cut=True, ports=[STORAGE_PORT])
    hosts.rule([h for h in others if h is not here], [there], cut=True, ports=[STORAGE_PORT])
    made = master.api.post("sessions", {**rows(1)[0], "name": "The last change"})
    for server in (master, group.slaves[1]):
        lose_hints(server)  # ... nor a hint of it
    hosts.rule([there], others)
    hosts.rule([h for h in others if h is not here], [there])
    hosts.rule([here], [there], cut=True, ports=PEER_PORTS)

    def arrived() -> bool:
        code, answer = lost.api.health("in-sync")
        there_now = lost.api.status()["revision"] >= made["revision"]
        if code == 200 and not there_now:
            pytest.fail(f"in sync without the last change: {answer}")
        return bool(there_now)

    eventually(arrived, within_s=30, every_s=0.05)
    assert lost.api.get(f"sessions/{made['session']['id']}") == made["session"]
    hosts.heal()
    group.wait_settled(90)


@pytest.mark.feature("R8")
def test_a_slave_that_was_away_for_longer_than_hints_are_kept(
    group: Group, hosts: Network, master: Server, history: History
) -> None:
    away = group.slaves[1]
    writers = Writers(master.api, history, count=2, seed=41, prefix="Before the hints were lost", changes=20)
    writers.start()
    writers.join(60)
    hosts.cut_off(hosts.host(away.name))
    writers = Writers(master.api, history, count=4, seed=42, prefix="Hints lost", changes=60)
    writers.start()
    writers.join(120)
    assert any(fields is None for w in history.acknowledged for fields in w.names.values()), "nothing was deleted"
    for server in (master, group.slaves[0]):
        lose_hints(server)
    hosts.heal()
    group.wait_settled(120)
