"""Processes that die (fault F1), and what of a server outlives it."""

from __future__ import annotations

import signal

import pytest
from tests.support.group import Group
from tests.support.history import History
from tests.support.server import Server
from tests.support.waiting import eventually
from tests.support.writers import Writers

pytestmark = pytest.mark.cluster

GONE_WITHIN_S = 15.0
BACK_WITHIN_S = 60.0


def check_no_node(server: Server) -> bool:
    assert not server.jvm_pids(), f"{server.name} is dead, and its node runs: {server.jvm_pids()}"
    return True


def check_one_node(server: Server, *, killed: int | None = None) -> bool:
    """Exactly one JVM works on its data, and that is the one it knows."""
    pids = server.jvm_pids()
    assert pids == [server.jvm_pid], f"{server.name} knows of {server.jvm_pid}, there are {pids}"
    assert pids != [killed]
    return True


@pytest.mark.feature("R1")
@pytest.mark.feature("R9")
def test_a_server_its_node_and_both_are_killed_also_on_two_at_once(
    group: Group, master: Server, history: History
) -> None:
    first, second = group.slaves
    writers = Writers(master.api, history, count=2, seed=61, prefix="Deaths")
    writers.start()
    killed = second.signal_jvm(signal.SIGKILL)
    first.kill()
    eventually(lambda: check_no_node(first), within_s=GONE_WITHIN_S)
    first.start()
    eventually(lambda: check_one_node(second, killed=killed), within_s=BACK_WITHIN_S)
    for server in (master, second):
        server.signal_jvm(signal.SIGKILL)
        server.kill()
    for server in (master, second):
        eventually(lambda server=server: check_no_node(server), within_s=GONE_WITHIN_S)  # type: ignore[misc]
        server.start()
    writers.stop()
    group.wait_settled(120)
    for server in group.servers:
        check_one_node(server)
