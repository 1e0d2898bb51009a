"""Role changes, killed at every step that their jobs list, and resumed; by the way, a group over HTTP.

The tests follow one another: the pair that they form is taken apart again at the end.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
import pytest
from tests.support.group import Group
from tests.support.history import History, assert_kept
from tests.support.inventory import as_csv, rows
from tests.support.server import Server
from tests.support.waiting import eventually
from tests.support.writers import Writers

from hostward.replication.goals import Goal

pytestmark = pytest.mark.cluster

STEP_WITHIN_S = 90.0
DONE_WITHIN_S = 120.0
SESSIONS = 100
# Nothing is left to do at these steps on a server that has just become a Master or Slave.
PASSED_OVER = {Goal.EPOCH, Goal.ADOPTED, Goal.RING, Goal.CLEAN_NODE, Goal.ADDRESS, Goal.OWNS}


@pytest.fixture(scope="module")
def formed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    """Two servers that trust each other, both Standalone; they speak HTTP."""
    group = Group(tmp_path_factory.mktemp("pair"), count=2, protocol="http")
    for server in group.servers:
        server.start()
    group.exchange_certificates()
    group.master.api.import_(as_csv(rows(SESSIONS, prefix="Of the Master")))
    group.slaves[0].api.import_(as_csv(rows(3, prefix="Of the Slave")))
    yield group
    group.destroy()


@pytest.fixture
def pair(formed: Group) -> Group:
    """Both run, whatever became of the test before."""
    formed.mend()
    return formed


def killed_at_every_step(
    server: Server, goals: Sequence[Goal], *, just_before: Callable[[], None] | None = None, **wanted: Any
) -> dict[str, Any]:
    """Apply; the server kills itself when it begins each of the goals, and is started again; then its job, done.
    `just_before` is called when the server is Up, before Apply."""
    server.restart(env={"HOSTWARD_FAILPOINT": goals[0].name})
    server.wait_up()
    if just_before is not None:
        just_before()
    with contextlib.suppress(httpx.TransportError):  # it may be killed before it has answered
        server.api.put("replication", {**wanted, "confirm": True})
    for n, goal in enumerate(goals):
        try:
            returncode = server.wait_ended(STEP_WITHIN_S)
        except subprocess.TimeoutExpired:
            pytest.fail(f"not killed at the step “{goal}”: {server.api.status()['reason']}")
        assert returncode == -signal.SIGKILL
        following = goals[n + 1 : n + 2]
        # It may be killed again before it answers.
        server.start(env={"HOSTWARD_FAILPOINT": following[0].name} if following else {}, wait=not following)
    done = server.follow(server.api.get("jobs")["items"][-1], within_s=DONE_WITHIN_S)
    server.wait_up()
    assert {step["state"] for step in done["steps"]} == {"done"}
    listed = [step["name"] for step in done["steps"]]
    assert [g for g in listed if g in goals] == list(goals)
    return done


def listed_goals(done: dict[str, Any]) -> set[str]:
    return {step["name"] for step in done["steps"]}


@pytest.mark.feature("R2")
def test_becoming_master(pair: Group) -> None:
    before = pair.master.api.export()
    goals = [Goal.CAUGHT_UP, Goal.OWN_MEMBER, Goal.RUNTIME, Goal.GENERATION, Goal.NODE, Goal.KEYSPACES, Goal.LOG]
    done = killed_at_every_step(pair.master, goals, role="master", adapter=pair.master.address, protocol=pair.protocol)
    assert listed_goals(done) - set(goals) <= PASSED_OVER
    assert pair.master.api.export() == before
    assert pair.master.api.health("master")[0] == 200
    pair.list_slaves()


@pytest.mark.feature("R2")
@pytest.mark.feature("R14")
def test_becoming_slave_in_the_middle_of_a_stream_of_changes(pair: Group) -> None:
    slave, history = pair.slaves[0], History()
    writers = Writers(pair.master.api, history, count=2, seed=11, prefix="While it joins")
    writers.start()
    goals = [Goal.ADMISSION, Goal.BACKUP, Goal.RUNTIME, Goal.NODE, Goal.CONTENT, Goal.CONFIRMED]
    target = pair.master.target(pair.protocol)
    done = killed_at_every_step(
        slave, goals, role="slave", adapter=slave.address, protocol=pair.protocol, master=target
    )
    writers.stop()
    assert listed_goals(done) - set(goals) <= PASSED_OVER | {Goal.IN_STEP}
    pair.wait_settled()
    assert_kept(history, pair.servers)
    assert len([b for b in slave.api.get("backups")["items"] if b["name"].startswith("before-joining")]) >= 1
    assert [s.api.status()["protocol"] for s in pair.servers] == ["http", "http"]


@pytest.mark.feature("R4")
def test_a_slave_leaves_while_both_it_and_its_master_are_killed(pair: Group) -> None:
    master, slave = pair.master, pair.slaves[0]
    kept = master.api.export()
    master.restart(env={"HOSTWARD_FAILPOINT": Goal.RING.name})
    master.wait_up()
    killed_at_every_step(slave, [Goal.FAREWELL], role="standalone")
    assert master.wait_ended(STEP_WITHIN_S) == -9
    master.start()
    master.wait_up()
    eventually(lambda: len(master.api.nodes()) == 1, within_s=60)
    assert master.api.nodes()[0]["owns_percent"] == 100.0
    assert [s.api.export() for s in pair.servers] == [kept, kept]
    pair.list_slaves()
    pair.make_slave(slave)
    pair.wait_settled()


@pytest.mark.feature("R4")
@pytest.mark.parametrize("which", ["slave", "master"])
def test_returning_to_standalone_with_every_other_server_dead(pair: Group, which: str) -> None:
    leaving, other = (pair.slaves[0], pair.master) if which == "slave" else (pair.master, pair.slaves[0])
    kept = leaving.api.export()
    assert len(kept) > SESSIONS / 2
    # FAREWELL comes before STOPPED, and no node runs after a kill: that step has its kill in the test above.
    goals = [Goal.STOPPED, Goal.WIPED, Goal.OWN_HISTORY]
    killed_at_every_step(leaving, goals, just_before=other.kill, role="standalone")
    assert leaving.api.export() == kept
    node = leaving.api.nodes()
    assert [(n["server_name"], n["address"], n["status"], n["owns_percent"]) for n in node] == [
        (leaving.name, "127.0.0.1", "UP", 100.0)
    ]
    assert node[0]["host_id"] == leaving.api.status()["server"]
    assert leaving.jvm_pid is None
    assert not leaving.storage_dir.exists()
    leaving.api.post("sessions", rows(1, prefix=f"Its own again, once {which}")[0])
