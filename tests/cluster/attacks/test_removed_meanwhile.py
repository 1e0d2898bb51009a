"""A server removed while a Slave was away, which still has its key: the Slave gives it nothing before it knows."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cluster.attacks.test_messages import id_of, member
from tests.support.light import LightGroup
from tests.support.peer import Peer
from tests.support.server import Server
from tests.support.waiting import eventually

from hostward.replication.peers.messages import Message

pytestmark = [pytest.mark.cluster, pytest.mark.feature("F16"), pytest.mark.feature("A1")]

WITHIN_S = 60.0
ACTS = (
    Message("snapshot"),
    Message("packages"),
    Message("audit", {"points": []}),
    Message("unlock", {"user": "anna", "forget": True}),
)


def test_a_slave_that_was_away_gives_a_removed_server_nothing_before_it_knows(tmp_path: Path) -> None:
    group = LightGroup(tmp_path, count=3)
    try:
        group.form()
        master, (away, gone) = group.master, group.slaves
        # However slow the machine is, nothing but the Master's word makes the Slave sure.
        master.api.patch("settings", {"logins-without-confirmation": 0})
        group.wait_equal()
        evil, server_id = member(gone, group), id_of(gone)
        assert answers(evil, away) == ["ok", "ok", "role", "ok"], "as a member it is answered"
        gone.stop()
        away.kill()
        master.api.delete(f"replication/nodes/{server_id}", confirm=True)  # its job waits for the database
        eventually(lambda: group_of(master) == {master.name, away.name}, within_s=WITHIN_S)
        gates = [server.gate for server in (master, away) if server.gate is not None]
        for gate in gates:  # they don't reach each other; whoever has the other one's key reaches both
            gate.shut()
        away.start(wait=False)
        away.wait_live()
        assert answers(evil, away) == ["busy"] * len(ACTS)
        assert evil.ask(away, Message("status")).act == "ok", "how members find out together where they are"
        for gate in gates:
            gate.open()
        eventually(lambda: answers(evil, away) == ["removed"] * len(ACTS), within_s=WITHIN_S)
        assert group_of(away) == {master.name, away.name}
    finally:
        group.destroy()


def answers(evil: Peer, there: Server) -> list[str]:
    """What comes of each act: ok, or why it is refused."""
    found = [evil.ask(there, message) for message in ACTS]
    return [answer.act if answer.act == "ok" else str(answer.data["code"]) for answer in found]


def group_of(server: Server) -> set[str]:
    return {n["server_name"] for n in server.api.nodes()}
