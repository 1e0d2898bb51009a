"""Concurrency Locks in a group, without a JVM: an administrator on the Master, one on a Slave; servers that die."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.api import Api, Refused
from tests.support.light import LightGroup
from tests.support.waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.feature("R22")]

TOLD_WITHIN_S = 20.0


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LightGroup]:
    group = LightGroup(tmp_path_factory.mktemp("locks"), count=2)
    try:
        group.form()
        yield group
    finally:
        group.destroy()


def session(group: LightGroup, name: str) -> str:
    """A new one's path, once the Slave has it too."""
    made = group.master.api.post("sessions", {"name": name, "type": "VT", "host": "a.example.com"})
    path = f"sessions/{made['session']['id']}"
    eventually(lambda: group.slaves[0].api.get(path)["name"] == name, within_s=TOLD_WITHIN_S)
    return path


def holder(api: Api, path: str) -> str:
    """Where whoever edits the session is logged in; empty for nobody."""
    lock: dict[str, Any] | None = api.get(f"{path}/lock")["lock"]
    return str(lock["server_name"]) if lock else ""


def refused(api: Api, path: str) -> str:
    """Why the session can't be edited there."""
    with pytest.raises(Refused) as error:
        api.patch(path, {"comment": "in between"})
    assert error.value.code == "session-locked", error.value
    return str(error.value.problem["detail"])


def test_who_edits_a_session_is_known_on_every_server_and_may_be_taken_over(pair: LightGroup) -> None:
    master, slave = pair.master.api, pair.slaves[0].api
    path = session(pair, "both")
    assert slave.post(f"{path}/lock")["lock"]["yours"] is True
    for api, yours in ((master, False), (slave, True)):
        assert holder(api, path) == pair.slaves[0].name
        assert api.get(f"{path}/lock")["lock"]["yours"] is yours
    assert f"admin on {pair.slaves[0].name}" in refused(master, path)
    assert master.post(f"{path}/lock", {"take_over": True})["lock"]["server_name"] == pair.master.name
    assert f"admin on {pair.master.name}" in refused(slave, path)  # no change request came of it
    assert slave.get("change-requests")["items"] == []
    slave.delete(f"{path}/lock")  # not theirs any more
    assert holder(slave, path) == pair.master.name
    master.delete(f"{path}/lock")
    assert holder(slave, path) == ""
    assert slave.send("PATCH", path, json={"comment": "free"}).status_code == 202


def test_a_lock_ends_with_the_login_on_its_slave(pair: LightGroup) -> None:
    master, slave = pair.master.api, pair.slaves[0].api
    path = session(pair, "login")
    slave.post(f"{path}/lock")
    assert holder(master, path) == pair.slaves[0].name
    slave.post("logout")
    eventually(lambda: holder(master, path) == "", within_s=TOLD_WITHIN_S)


def test_what_dies_frees_no_more_than_it_should_and_blocks_nobody_for_ever(pair: LightGroup) -> None:
    master, slave = pair.master, pair.slaves[0]
    path = session(pair, "dies")
    master.api.patch("settings", {"concurrency-lock-timeout": 1})
    slave.api.post(f"{path}/lock")
    slave.kill()
    # Its holder may come back: until the time is over it is theirs, unless somebody takes it over.
    assert holder(master.api, path) == slave.name
    assert master.api.send("PATCH", path, json={"comment": "on"}, params={"take_over": "true"}).status_code == 200
    slave.restart()
    eventually(lambda: slave.api.get(path)["comment"] == "on", within_s=60.0)
    eventually(lambda: holder(slave.api, path) == slave.name, within_s=TOLD_WITHIN_S)
    # With the Master its locks are gone, and while it is away work goes on without them.
    master.kill()
    with pytest.raises(Refused) as away:
        slave.api.post(f"{path}/lock")
    assert away.value.status in (502, 503), away.value
    assert slave.api.send("PATCH", path, json={"comment": "submitted"}).status_code == 202
    master.restart()
    pair.wait_writable()
    assert holder(master.api, path) == ""
    eventually(lambda: slave.api.post(f"{path}/lock")["lock"]["yours"], within_s=TOLD_WITHIN_S)
    assert holder(master.api, path) == slave.name
    # The setting holds for the next renewal, so a holder that died for good keeps nobody out for longer.
    left = datetime.fromisoformat(master.api.get(f"{path}/lock")["lock"]["times_out"]) - datetime.now(UTC)
    assert left.total_seconds() <= 60


def test_a_promotion_frees_all(pair: LightGroup) -> None:
    master, slave = pair.master, pair.slaves[0]
    mine, other = session(pair, "mine"), session(pair, "other")
    slave.api.post(f"{mine}/lock")
    master.api.post(f"{other}/lock")
    master.kill()
    slave.api.post("replication/promote", {"confirm": True})
    eventually(lambda: slave.api.health("master")[0] == 200, within_s=90.0)
    assert slave.api.get("sessions/locks")["items"] == []
    assert slave.api.patch(other, {"comment": "on"})["session"]["comment"] == "on"
    assert slave.api.post(f"{mine}/lock")["lock"]["yours"] is True
