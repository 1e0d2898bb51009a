"""What a group does while a part of it is away, and how it comes back."""

from __future__ import annotations

import signal
import time
from typing import Any

import pytest
from tests.support.group import Group
from tests.support.history import History
from tests.support.inventory import rows
from tests.support.registry_file import alter_session
from tests.support.server import Server
from tests.support.waiting import eventually
from tests.support.writers import Writers

pytestmark = pytest.mark.cluster

AWAY_CHANGES = 10_000
AWAY_CLIENTS = 32


def create(server: Server, name: str) -> dict[str, Any]:
    answer: dict[str, Any] = server.api.post("sessions", {**rows(1)[0], "name": name})
    return answer


def has(server: Server, session: dict[str, Any]) -> bool:
    return bool(server.api.get(f"sessions/{session['id']}") == session)


def row_of(shown_on: Server, server: Server) -> dict[str, Any]:
    return next(n for n in shown_on.api.nodes() if n["server_name"] == server.name)


@pytest.mark.feature("R8")
@pytest.mark.feature("R10")
def test_a_halted_slave_does_not_count_while_its_node_is_up(group: Group, master: Server) -> None:
    halted, other = group.slaves
    halted.sigstop()
    assert create(master, "Without one")["replicated"] == {"have": 2, "of": 3, "confirmed": True}
    node = row_of(master, halted)
    assert (node["status"], node["state"], node["in_sync"]) == ("UP", "NORMAL", False)
    other.sigstop()
    began = time.monotonic()
    alone = create(master, "Alone")
    assert alone["replicated"] == {"have": 1, "of": 3, "confirmed": False}
    assert time.monotonic() - began < 3
    assert {n["status"] for n in master.api.nodes()} == {"UP"}
    revision = alone["revision"]
    for slave in (halted, other):
        slave.sigcont()
    # From its first answer on, a Slave never says that it is in sync before it is.
    for slave in (halted, other):
        code, answer = slave.api.health("in-sync")
        assert code == 503 or slave.api.status()["revision"] >= revision, answer
        eventually(lambda slave=slave: slave.api.health("in-sync")[0] == 200, within_s=20)  # type: ignore[misc]
        assert has(slave, alone["session"])
    group.wait_equal()
    assert create(master, "With all")["replicated"]["confirmed"] is True


@pytest.mark.feature("R8")
def test_with_the_servers_cut_off_from_each_other_changes_come_through_the_database(
    group: Group, master: Server
) -> None:
    first, second = group.slaves
    killed = first.signal_jvm(signal.SIGKILL)  # from its own node also after that was started again, ...
    second.restart()  # ... or the server itself
    eventually(lambda: first.jvm_pid not in (None, killed), within_s=30)
    group.wait_settled(90)
    for server in group.servers:
        assert server.gate is not None
        server.gate.shut()
    made = create(master, "Through the database")
    assert made["replicated"] == {"have": 1, "of": 3, "confirmed": False}
    for slave in group.slaves:
        eventually(lambda slave=slave: has(slave, made["session"]), within_s=15)  # type: ignore[misc]
        assert slave.api.health("in-sync")[0] == 503
    gone = master.api.delete(f"sessions/{made['session']['id']}")
    for slave in group.slaves:
        eventually(
            lambda slave=slave: slave.api.status()["revision"] >= gone["revision"],  # type: ignore[misc]
            within_s=15,
        )
    group.mend()
    group.wait_settled(60)


@pytest.mark.feature("R8")
@pytest.mark.feature("R9")
def test_with_a_slaves_node_halted_or_killed_changes_come_from_the_other_servers(
    group: Group, master: Server, slave: Server
) -> None:
    halted = slave.signal_jvm(signal.SIGSTOP)
    made = [create(master, f"Node halted {n}") for n in range(5)]
    assert all(m["replicated"]["confirmed"] for m in made)
    eventually(lambda: has(slave, made[-1]["session"]), within_s=10)
    slave.signal_jvm(signal.SIGKILL)
    made += [create(master, f"Node killed {n}") for n in range(5)]
    eventually(lambda: has(slave, made[-1]["session"]), within_s=10)
    assert slave.api.total() == master.api.total()
    eventually(lambda: slave.jvm_pid not in (None, halted), within_s=30)
    group.wait_settled(90)


@pytest.mark.feature("R9")
def test_the_masters_node_is_started_again_and_what_was_written_meanwhile_is_published(
    group: Group, master: Server, history: History
) -> None:
    killed = master.signal_jvm(signal.SIGKILL)
    writers = Writers(master.api, history, count=2, seed=4, prefix="Node away", changes=50)
    writers.start()
    writers.join(60)
    assert all(w.replicated["confirmed"] for w in history.acknowledged)
    eventually(lambda: master.jvm_pid not in (None, killed), within_s=30)
    group.wait_settled(90)


@pytest.mark.feature("R10")
@pytest.mark.parametrize("role", ["slave", "master"])
def test_a_row_altered_by_hand_is_seen_and_healed(group: Group, master: Server, role: str) -> None:
    altered = master if role == "master" else group.slaves[1]
    session = create(master, f"Altered on the {role}")["session"]
    group.wait_settled(60)
    for server in group.servers:  # nobody can heal it for now, so that it is seen
        assert server.gate is not None
        server.gate.shut()
    alter_session(altered.group_file, session["id"], "altered by hand")

    def found_out() -> bool:
        code, answer = altered.api.health("in-sync")
        return code == 503 and "altered" in answer["reason"]

    eventually(found_out, within_s=60)
    assert row_of(altered, altered)["in_sync"] is False
    assert altered.api.status()["database_status"] != "Up"
    group.mend()
    eventually(lambda: has(altered, session), within_s=60)
    group.wait_settled(60)
    assert len({str(s.api.export()) for s in group.servers}) == 1


@pytest.mark.feature("R8")
@pytest.mark.feature("R10")
def test_a_slave_that_was_away_during_ten_thousand_changes_catches_up(
    group: Group, master: Server, history: History
) -> None:
    away = group.slaves[1]
    away.kill()
    each = AWAY_CHANGES // AWAY_CLIENTS + 1
    writers = Writers(master.api, history, count=AWAY_CLIENTS, seed=6, prefix="Away", changes=each)
    writers.start()
    writers.join(240)
    assert len(history.acknowledged) >= AWAY_CHANGES
    away.start()
    group.wait_settled(120)


@pytest.mark.feature("R1")
@pytest.mark.feature("R9")
@pytest.mark.parametrize("how", ["servers stopped", "servers running"])
def test_a_ring_that_lost_all_its_data_is_made_again_from_the_registries(
    group: Group, master: Server, history: History, how: str
) -> None:
    writers = Writers(master.api, history, count=2, seed=7, prefix=f"Wiped, {how}", changes=20)
    writers.start()
    writers.join(30)
    before = master.api.export()
    if how == "servers stopped":
        for server in group.servers:
            server.kill()
            server.wipe_database()
        for server in group.servers:
            server.start()
    else:
        for server in group.servers:
            server.signal_jvm(signal.SIGKILL)
            server.wipe_database()
    assert master.api.export() == before
    group.wait_settled(180)
    assert [server.api.export() for server in group.servers] == [before] * 3
    assert create(master, f"After the wipe, {how}")["replicated"]["confirmed"] is True
