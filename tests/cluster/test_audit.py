"""The audit logs of a group: each server's own, and a copy of all with whoever is the Master."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.light import LightGroup
from tests.support.server import Server
from tests.support.waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.feature("R24")]

PROMOTED_WITHIN_S = 90.0


@pytest.fixture
def three(tmp_path: Path) -> Iterator[LightGroup]:
    group = LightGroup(tmp_path, count=3)
    try:
        group.form()
        yield group
    finally:
        group.destroy()


def entries(at: Server, **wanted: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = at.api.get("audit", limit=500, **wanted)["items"]
    return found


def has(at: Server, mark: str) -> bool:
    return any(mark in e["about"].get("name", "") for e in entries(at, act="token-made"))


def leave_a_mark(on: Server, mark: str) -> None:
    on.api.post("tokens", {"name": mark, "days": 1})


def test_every_server_is_on_the_masters_page_and_whoever_is_promoted_has_all(three: LightGroup) -> None:
    old, new, third = three.servers
    for server in three.servers:
        leave_a_mark(server, f"on {server.name}")
    for server in three.servers:
        eventually(lambda s=server: has(old, f"on {s.name}"), within_s=30)  # type: ignore[misc]
    assert {e["server_name"] for e in entries(old)} == {"server1", "server2", "server3"}
    assert not has(new, "on server3"), "a Slave's log is for its Master alone"
    eventually(lambda: has(new, "on server1"), within_s=30)
    assert old.api.get("audit/verify")["ok"]

    third.kill()
    leave_a_mark(new, "while the third is away")
    eventually(lambda: has(old, "while the third is away"), within_s=30)
    third.start()
    leave_a_mark(third, "after its return")
    eventually(lambda: has(old, "after its return"), within_s=30)

    # The Master dies for good. What it did is known, and whoever takes its place asks the others anew.
    old.kill()
    new.api.post("replication/promote", {"confirm": True})
    eventually(lambda: new.api.health("master")[0] == 200, within_s=PROMOTED_WITHIN_S)
    eventually(lambda: third.api.status()["claim"], within_s=PROMOTED_WITHIN_S)
    third.api.post("replication/follow", {"server": new.name, "confirm": True})
    leave_a_mark(third, "under the new Master")
    for mark in ("on server1", "on server2", "on server3", "after its return", "under the new Master"):
        eventually(lambda m=mark: has(new, m), within_s=60)  # type: ignore[misc]
    assert entries(new, server=new.name, act="promoted")[0]["user"] == "admin"
    assert entries(new, server=third.name, act="followed")[0]["user"] == "admin"
    assert new.api.get("audit/verify")["ok"]

    # A Slave whose file was altered, in order to hide what it did, changes nothing of what it has sent.
    third.kill()
    with sqlite3.connect(third.data_dir / "audit.db") as db:
        at = db.execute("SELECT number FROM entry WHERE act = 'token-made' ORDER BY number LIMIT 1").fetchone()[0]
        own = "SELECT min(id) FROM chain WHERE server_name = 'server3'"
        db.execute(f"DELETE FROM entry WHERE number >= ? AND chain = ({own})", (at,))
        db.execute("UPDATE chain SET seal = x''")
    third.start()
    eventually(lambda: not new.api.get("audit/verify")["ok"], within_s=60)
    assert has(new, "on server3")
    troubles = new.api.get("audit/verify")["troubles"]
    assert {(t["server_name"], t["code"]) for t in troubles} <= {("server3", "fork"), ("server3", "cut")}
    leave_a_mark(third, "after it had been altered")
    eventually(lambda: has(new, "after it had been altered"), within_s=60)
    findings = third.api.get("doctor")["findings"]
    assert "audit-log-broken" in {f["code"] for f in findings}
