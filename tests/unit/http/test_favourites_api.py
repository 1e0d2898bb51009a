"""Favourites through the API: the user's own, of every kind of account."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from tests.unit.http.conftest import Server
from tests.unit.http.test_access_api import assign, sessions
from tests.unit.http.test_people_api import as_user, code, created, stack

from hostward.access import favourites as turns
from hostward.access.own_pace import CODE as TOO_OFTEN
from hostward.access.own_pace import USER_AT_ONCE, USER_EVERY_S
from hostward.commands.favourites import change_users_favourites
from hostward.domain import favourites
from hostward.domain.favourites import KIND, MAX_FAVOURITES, Marking
from hostward.domain.sessions import validate_fields

__all__ = ["stack"]

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R23")]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "EVERY_S", 0.0)


async def test_favourites_are_marked_come_first_or_alone_and_are_taken_away_again(
    server: Server, stack: AsyncExitStack
) -> None:
    await created(server, "anna")
    ids = await sessions(server, "one", "three", "two")
    await assign(server, "one", "two", "three", to=[{"kind": "user", "name": "anna"}])
    anna = await as_user(server, stack, "anna")
    changed = (await anna.patch("/me/favourites", json={"add": ["TWO", ids["three"]]})).json()
    assert [s["name"] for s in changed["items"]] == ["three", "two"]
    assert changed["ignored"] == []
    listed = (await anna.get("/me/sessions")).json()["items"]
    assert [(s["name"], s["favourite"]) for s in listed] == [("one", False), ("three", True), ("two", True)]
    first = (await anna.get("/me/sessions?favourites=first&per_page=2&page=2")).json()
    assert ([s["name"] for s in first["items"]], first["total"]) == (["one"], 3)
    only = (await anna.get("/me/sessions?favourites=only&q=tw")).json()
    assert ([s["name"] for s in only["items"]], only["total"]) == (["two"], 1)
    left = (await anna.patch("/me/favourites", json={"remove": ["two"]})).json()
    assert [s["name"] for s in left["items"]] == ["three"]
    assert (await anna.get("/me/favourites")).json() == left


@pytest.mark.feature("A12")
async def test_what_is_not_the_users_is_ignored_and_nothing_tells_whether_it_is_there(
    server: Server, stack: AsyncExitStack
) -> None:
    user = await created(server, "anna")
    ids = await sessions(server, "one", "secret")
    await assign(server, "one", to=[{"kind": "user", "name": "anna"}])
    anna = await as_user(server, stack, "anna")
    asked = [ids["secret"], "secret", "no such thing", "one"]
    answer = (await anna.patch("/me/favourites", json={"add": asked})).json()
    assert answer["ignored"] == asked[:3]
    assert [s["name"] for s in answer["items"]] == ["one"]
    await assign(server, "one", to=[{"kind": "user", "name": "anna"}], effect="deny")
    assert (await anna.get("/me/favourites")).json()["items"] == []
    assert (await anna.get("/me/sessions?favourites=first")).json()["total"] == 0
    with server.services.group.read() as reader:
        kept = reader.get(KIND, user["id"])
        assert kept is not None, "it comes back with the session"


async def test_a_deleted_session_is_no_favourite_and_a_deleted_user_leaves_none(
    server: Server, stack: AsyncExitStack
) -> None:
    user = await created(server, "anna")
    ids = await sessions(server, "one", "two")
    await assign(server, "one", "two", to=[{"kind": "everyone"}])
    anna = await as_user(server, stack, "anna")
    await anna.patch("/me/favourites", json={"add": ["one", "two"]})
    await server.api.delete(f"/sessions/{ids['two']}")
    assert [s["name"] for s in (await anna.get("/me/favourites")).json()["items"]] == ["one"]
    await anna.patch("/me/favourites", json={"add": ["one"]})
    with server.services.group.read() as reader:
        kept = reader.get(KIND, user["id"])
        assert kept is not None
        assert kept.json() == {"sessions": [ids["one"]]}, "what is gone is forgotten with the next change"
    assert (await server.api.delete(f"/users/{user['id']}")).status_code == 200
    with server.services.group.read() as reader:
        assert reader.list(KIND) == []


async def test_no_more_are_kept_than_can_be_shown(server: Server, stack: AsyncExitStack) -> None:
    await created(server, "anna")
    names = [f"s{n}" for n in range(MAX_FAVOURITES + 1)]
    like = validate_fields({"name": "s", "type": "VT", "host": "a.example.com"})
    imported = await server.api.post("/sessions/import", json=[{**like, "name": n} for n in names])
    assert imported.status_code == 200, imported.text[:500]
    await assign(server, *names, to=[{"kind": "everyone"}])
    anna = await as_user(server, stack, "anna")
    assert len((await anna.patch("/me/favourites", json={"add": names[1:]})).json()["items"]) == MAX_FAVOURITES
    assert code(await anna.patch("/me/favourites", json={"add": names[:1]}), 422) == "too-many-favourites"
    swapped = await anna.patch("/me/favourites", json={"add": names[:1], "remove": names[1:2]})
    assert len(swapped.json()["items"]) == MAX_FAVOURITES


@pytest.mark.feature("R26")
async def test_favourites_are_in_no_list_of_changes_and_no_undo_touches_them(
    server: Server, stack: AsyncExitStack
) -> None:
    await created(server, "anna")
    await sessions(server, "one")
    await assign(server, "one", to=[{"kind": "everyone"}])
    before = (await server.api.get("/changes")).json()["items"]
    anna = await as_user(server, stack, "anna")
    assert (await anna.patch("/me/favourites", json={"add": ["one"]})).json()["items"]
    assert (await server.api.get("/changes")).json()["items"] == before
    (own,) = (await server.api.get(f"/changes?kind={KIND}")).json()["items"]
    assert own["author"] == "anna"
    assert "one" not in str(await server.api.get(f"/changes/{own['revision']}"))
    await sessions(server, "two")
    wanted = {"revision": own["revision"] - 1}
    asked = await server.api.post("/restore", json=wanted)
    assert code(asked, 409) == "confirmation-required"
    assert asked.json()["consequences"][0] == "1 session is deleted: “two”."
    assert "favourites" not in str(asked.json())
    restored = await server.api.post("/restore", json={**wanted, "confirm": True, "plan": asked.json()["plan"]})
    assert restored.status_code == 200, restored.text
    assert [s["name"] for s in (await anna.get("/me/favourites")).json()["items"]] == ["one"]


async def test_the_administrator_of_a_server_has_favourites_there(server: Server) -> None:
    await sessions(server, "one", "two")
    revision = server.services.group.position.revision
    answer = await server.api.patch("/me/favourites", json={"add": ["two"]})
    assert [s["name"] for s in answer.json()["items"]] == ["two"]
    first = (await server.api.get("/me/sessions?favourites=first")).json()["items"]
    assert [(s["name"], s["favourite"]) for s in first] == [("two", True), ("one", False)]
    assert server.services.group.position.revision == revision, "an account of a server replicates nothing"


async def test_sessions_that_are_gone_take_no_room_of_an_account_of_a_server(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(favourites, "MAX_FAVOURITES", 2)
    ids = await sessions(server, "one", "two", "three")
    assert (await server.api.patch("/me/favourites", json={"add": ["one", "two"]})).status_code == 200
    for name in ("one", "two"):
        assert (await server.api.delete(f"/sessions/{ids[name]}")).status_code == 200
    answer = await server.api.patch("/me/favourites", json={"add": ["three"]})
    assert answer.status_code == 200, answer.text
    assert [s["name"] for s in answer.json()["items"]] == ["three"]


@pytest.mark.feature("R11")
async def test_while_the_master_is_away_nothing_is_changed_and_everything_is_still_shown(
    server: Server, stack: AsyncExitStack
) -> None:
    await created(server, "anna")
    await sessions(server, "one", "two")
    await assign(server, "one", "two", to=[{"kind": "everyone"}])
    anna = await as_user(server, stack, "anna")
    await anna.patch("/me/favourites", json={"add": ["one"]})
    server.replication.master_url = "https://master.example.com/mss"
    assert code(await anna.patch("/me/favourites", json={"add": ["two"]}), 503) == "master-away"
    assert [s["name"] for s in (await anna.get("/me/favourites")).json()["items"]] == ["one"]


@pytest.mark.feature("R12")
async def test_a_request_to_delete_a_user_is_not_held_up_by_a_star_set_since(
    server: Server, stack: AsyncExitStack
) -> None:
    user = await created(server, "anna")
    await sessions(server, "one", "two")
    await assign(server, "one", "two", to=[{"kind": "everyone"}])
    anna = await as_user(server, stack, "anna")
    await anna.patch("/me/favourites", json={"add": ["one"]})
    server.replication.master_url = "https://master.example.com/mss"
    asked = await server.api.delete(f"/users/{user['id']}")
    assert asked.status_code == 202, asked.text
    shown = (await server.api.get(f"/change-requests/{asked.json()['request']['id']}")).json()
    assert not any("favourites" in change["label"] for change in shown["changes"]), shown["changes"]


async def test_a_slave_that_asks_without_end_makes_two_changes_of_it(server: Server) -> None:
    """One that was taken over would fill the change log."""
    user = await created(server, "anna")
    await sessions(server, "one", "two")
    await assign(server, "one", "two", to=[{"kind": "everyone"}])
    ids = [s["id"] for s in (await server.api.get("/sessions")).json()["items"]]
    before = server.services.group.position.revision
    asked = [Marking(frozenset({ids[n % 2]}), frozenset({ids[1 - n % 2]})) for n in range(300)]
    answered = await asyncio.gather(
        *(change_users_favourites(server.services, user["id"], m, "a-slave") for m in asked)
    )
    assert set(answered) <= {before + 1, before + 2}
    assert server.services.group.position.revision <= before + 2


async def test_who_changes_them_without_end_is_told_when_to_try_again(server: Server, stack: AsyncExitStack) -> None:
    await created(server, "anna")
    await sessions(server, "one")
    await assign(server, "one", to=[{"kind": "everyone"}])
    anna = await as_user(server, stack, "anna")
    before = server.services.group.position.revision
    answers = [
        await anna.patch("/me/favourites", json={("remove" if n % 2 else "add"): ["one"]})
        for n in range(2 * USER_AT_ONCE)
    ]
    assert [a.status_code for a in answers] == [200] * USER_AT_ONCE + [429] * USER_AT_ONCE
    assert server.services.group.position.revision == before + USER_AT_ONCE
    assert code(answers[-1], 429) == TOO_OFTEN
    assert 0 < int(answers[-1].headers["Retry-After"]) <= USER_EVERY_S
