"""Concurrency Locks through the API: who holds one, and what others may do meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from tests.unit.commands.servers import PASSWORD, OwnLocks
from tests.unit.http.conftest import Server, client

from hostward.domain.sessions import FIELDS

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R22")]


@dataclass(slots=True)
class Two:
    """Two logins of one server, and a session that the first has locked."""

    server: Server
    first: httpx.AsyncClient
    second: httpx.AsyncClient
    session: dict[str, Any]

    @property
    def path(self) -> str:
        return f"/sessions/{self.session['id']}"

    @property
    def locks(self) -> OwnLocks:
        found = self.server.services.locks
        assert isinstance(found, OwnLocks)
        return found

    async def now(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.first.get(self.path)).json()
        return found


@pytest.fixture
async def two(server: Server) -> AsyncIterator[Two]:
    answer = await server.anyone.post("/login", json={"user": "admin", "password": PASSWORD})
    async with client(server.app, answer.json()["token"]) as second:
        session = (await server.create("locked")).json()["session"]
        found = Two(server, server.api, second, session)
        held = await server.api.post(f"{found.path}/lock")
        assert held.status_code == 200, held.text
        yield found


def refused(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 409, answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == "session-locked"
    assert "take_over" in problem["remedy"]
    assert problem["holders"] == ["“locked” has been edited by admin on server.example.com for less than a minute."]
    return problem


async def test_a_lock_says_who_holds_it_since_when_and_until_when(two: Two) -> None:
    for who, yours in ((two.first, True), (two.second, False)):
        lock = (await who.get(f"{two.path}/lock")).json()["lock"]
        assert (lock["holder"], lock["server_name"], lock["yours"]) == ("admin", "server.example.com", yours)
        assert lock["since"] < lock["times_out"]
        assert [k["session"] for k in (await who.get("/sessions/locks")).json()["items"]] == [two.session["id"]]
    refused(await two.second.post(f"{two.path}/lock"))
    assert (await two.second.delete(f"{two.path}/lock")).status_code == 204  # releases nothing of another's
    refused(await two.second.post(f"{two.path}/lock"))
    assert (await two.first.delete(f"{two.path}/lock")).status_code == 204
    assert (await two.second.get(f"{two.path}/lock")).json() == {"lock": None}
    for method in ("GET", "POST"):
        assert (await two.second.request(method, "/sessions/nothing/lock")).status_code == 404


async def test_nobody_else_writes_a_locked_session_by_any_way_unless_they_take_over(two: Two) -> None:
    id_, before = two.session["id"], await two.now()
    other: dict[str, Any] = {"ids": [id_], "confirm": True}
    body = {"name": "locked", "type": "VT", "host": "theirs.example.com"}
    file: dict[str, Any] = {"json": [{k: before[k] for k in FIELDS} | {"host": "i.example.com"}]}
    ways: list[tuple[str, str, dict[str, Any]]] = [
        ("PUT", two.path, {"json": body}),
        ("PATCH", two.path, {"json": {"host": "x.example.com"}}),
        ("DELETE", two.path, {}),
        ("POST", "/sessions/edit", {"json": other | {"fields": {"host": "y.example.com"}}}),
        ("POST", "/sessions/delete", {"json": other}),
        ("POST", "/sessions/import", file),
        ("POST", "/changes/1/undo", {"json": {"confirm": True}}),
        ("POST", "/restore", {"json": {"revision": 0, "confirm": True}}),
    ]
    for method, path, sent in ways:
        refused(await two.second.request(method, path, **sent))
        assert await two.now() == before, (method, path)
    # The holder isn't in their own way, nor is anybody who doesn't touch it.
    assert (await two.first.patch(two.path, json={"comment": "mine"})).status_code == 200
    refused(await two.second.post(f"{two.path}/restore", json={"revision": 1}))
    assert (await two.second.post("/sessions", json=body | {"name": "another"})).status_code == 201
    for path in (two.path, "/sessions/edit"):
        sent = {"host": "z.example.com"} if path == two.path else other | {"fields": {"port": 2323}}
        method = "PATCH" if path == two.path else "POST"
        assert (await two.second.request(method, path, json=sent, params={"take_over": True})).status_code == 200
    imported = await two.second.post("/sessions/import", params={"take_over": True}, **file)
    assert imported.json()["updated"] == 1
    gone = await two.second.request("DELETE", two.path, params={"take_over": True})
    assert gone.status_code == 200


async def test_a_lock_ends_with_its_login_with_its_time_and_when_it_is_taken_over(two: Two) -> None:
    two.locks.now_s += 59
    assert (await two.first.post(f"{two.path}/lock")).status_code == 200  # renewed
    two.locks.now_s += 59
    refused_now = await two.second.post(f"{two.path}/lock")
    assert "for a minute" in refused_now.json()["holders"][0]
    two.locks.now_s += 2
    assert (await two.second.post(f"{two.path}/lock")).status_code == 200
    taken = await two.first.post(f"{two.path}/lock", json={"take_over": True})
    assert taken.json()["lock"]["yours"] is True
    assert (await two.second.get(f"{two.path}/lock")).json()["lock"]["yours"] is False
    assert (await two.first.post("/logout")).status_code == 204
    assert (await two.second.get(f"{two.path}/lock")).json() == {"lock": None}


async def test_while_the_master_is_away_there_are_no_locks_and_work_goes_on(two: Two) -> None:
    two.locks.away = True
    answer = await two.second.post(f"{two.path}/lock")
    assert (answer.status_code, answer.json()["code"]) == (503, "master-away")
    assert (await two.second.patch(two.path, json={"comment": "on"})).status_code == 200
    stale = await two.first.patch(two.path, json={"comment": "off"}, headers={"If-Match": two.session["etag"]})
    assert stale.status_code == 412  # the second guard


async def test_the_last_of_several_pages_ends_it(two: Two) -> None:
    assert (await two.first.post(f"{two.path}/lock", json={"page": "b"})).status_code == 200
    assert (await two.first.delete(f"{two.path}/lock")).status_code == 204
    assert (await two.second.get(f"{two.path}/lock")).json() == {"lock": None}
    too_long = await two.first.post(f"{two.path}/lock", json={"page": "x" * 65})
    assert too_long.status_code == 422
