"""What is lost on the way is noticed, whatever was to bring it: a Slave is away for longer than hints are kept (fault
F12), and isn't told of the last change either (fault F18)."""

from __future__ import annotations

import shutil
import signal

import pytest
from tests.support.group import Group
from tests.support.history import History
from tests.support.namespaces import Network
from tests.support.server import HTTP_PORT, HTTPS_PORT, Server
from tests.support.waiting import eventually
from tests.support.writers import Writers

pytestmark = pytest.mark.cluster


def lose_hints(server: Server) -> None:
    """Kill its node, and delete what that had kept for nodes that were away."""
    killed = server.signal_jvm(signal.SIGKILL)
    shutil.rmtree(server.storage_dir / "hints", ignore_errors=True)
    eventually(lambda: server.jvm_pid not in (None, killed), within_s=30)


@pytest.mark.feature("R8")
@pytest.mark.feature("R10")
def test_a_slave_was_away_and_hints_and_nudges_are_lost(
    group: Group, hosts: Network, master: Server, history: History
) -> None:
    away, other = group.slaves
    here, there = hosts.host(master.name), hosts.host(away.name)
    write(master, history, seed=41, changes=20)
    hosts.cut_off(there)
    write(master, history, seed=42, changes=60)
    assert any(fields is None for w in history.acknowledged for fields in w.names.values()), "nothing was deleted"
    last = max(w.revision or 0 for w in history.acknowledged)
    for server in (master, other):
        lose_hints(server)
    hosts.heal()
    hosts.rule([here], [there], cut=True, ports=[HTTPS_PORT, HTTP_PORT])  # the Master can't tell it anything: it asks

    def arrived() -> bool:
        code, answer = away.api.health("in-sync")
        has_it = away.api.status()["revision"] >= last
        if code == 200 and not has_it:
            pytest.fail(f"in sync without the last change: {answer}")
        return bool(has_it)

    eventually(arrived, within_s=60, every_s=0.05)
    hosts.heal()
    group.wait_settled(120)


def write(master: Server, history: History, *, seed: int, changes: int) -> None:
    writers = Writers(master.api, history, count=4, seed=seed, prefix=f"Lost messages {seed}", changes=changes)
    writers.start()
    writers.join(120)
