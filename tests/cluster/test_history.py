"""Restoring in a group: made on the Master it is on every server; on a Slave it is submitted."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from tests.support.api import Refused
from tests.support.light import LightGroup
from tests.support.server import Server
from tests.support.waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.feature("R30")]

WITHIN_S = 60.0


def names(server: Server, word: str) -> list[str]:
    return [item["name"] for item in server.api.get("sessions", q=word)["items"]]


def restored(server: Server, revision: int) -> Any:
    """All to that revision, by a Yes to what the server says it would do."""
    with pytest.raises(Refused) as asked:
        server.api.post("restore", {"revision": revision})
    plan = asked.value.problem["plan"]
    return server.api.post("restore", {"revision": revision, "confirm": True, "plan": plan})


def test_a_restore_reaches_all_servers_and_one_on_a_slave_waits_for_the_master(light: LightGroup) -> None:
    word = uuid.uuid4().hex[:8]
    master, slave = light.master, light.slaves[0]
    one = master.api.post("sessions", {"name": f"{word} one", "type": "VT", "host": "a.example.com"})
    master.api.delete(f"sessions/{one['session']['id']}")
    master.api.post("sessions", {"name": f"{word} two", "type": "VT", "host": "a.example.com"})
    before = restored(master, one["revision"])["revision"] - 1
    for server in light.servers:
        eventually(lambda s=server: names(s, word) == [f"{word} one"], within_s=WITHIN_S)  # type: ignore[misc]
    light.wait_equal(WITHIN_S)

    # The Slave has a history of its own, by what it has followed.
    past = slave.api.get(f"sessions/{one['session']['id']}/history")
    assert [item["act"] for item in past["items"]] == ["create", "delete", "create"]
    request = restored(slave, before)["request"]
    assert names(slave, word) == [f"{word} one"]
    path = f"change-requests/{request['id']}"
    eventually(
        lambda: [r["id"] for r in master.api.get("change-requests", state="waiting")["items"]] == [request["id"]],
        within_s=WITHIN_S,
    )
    master.api.post(f"{path}/implement", {})
    for server in light.servers:
        eventually(lambda s=server: names(s, word) == [f"{word} two"], within_s=WITHIN_S)  # type: ignore[misc]
    light.wait_equal(WITHIN_S)
