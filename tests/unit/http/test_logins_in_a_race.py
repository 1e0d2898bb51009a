"""What was decided before a password was hashed still holds when it has been: others act meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import httpx
import pytest
from tests.unit.commands.servers import PASSWORD
from tests.unit.http.conftest import Server
from tests.unit.http.test_people_api import SECRET, as_user, code, created, stack

from hostward.domain.errors import InvalidInput
from hostward.domain.people import check_password

__all__ = ["stack"]

pytestmark = [pytest.mark.anyio, pytest.mark.feature("A10"), pytest.mark.feature("R23")]


def many_logins(server: Server, user: str, password: str, count: int) -> list[asyncio.Task[httpx.Response]]:
    """They wait for one another: two are hashed at a time."""
    body = {"user": user, "password": password}
    return [asyncio.create_task(server.anyone.post("/login", json=body)) for _ in range(count)]


async def good(server: Server, answer: httpx.Response) -> bool:
    if answer.status_code != 200:
        return False
    headers = {"Authorization": f"Bearer {answer.json()['token']}"}
    return (await server.anyone.get("/me", headers=headers)).status_code == 200


async def test_no_login_with_the_old_password_outlives_its_change(server: Server) -> None:
    user = await created(server, "anna")
    logins = many_logins(server, "anna", SECRET, 9)
    await asyncio.sleep(0)
    changed = await server.api.put(f"/users/{user['id']}/password", json={"password": "another one of hers"})
    assert changed.status_code == 200
    answers = await asyncio.gather(*logins)
    assert not any([await good(server, a) for a in answers])
    later = await server.anyone.post("/login", json={"user": "anna", "password": "another one of hers"})
    assert await good(server, later)


async def test_no_login_of_the_administrators_old_password_outlives_its_change(server: Server) -> None:
    old = PASSWORD
    logins = many_logins(server, "admin", old, 9)
    await asyncio.sleep(0)
    changed = await server.api.put("/me/password", json={"current": old, "new": "quite another long one"})
    assert changed.status_code == 200, changed.text
    assert not any([await good(server, a) for a in await asyncio.gather(*logins)])


async def test_the_help_desk_sets_no_password_of_who_gets_a_role_meanwhile(
    server: Server, stack: AsyncExitStack
) -> None:
    await created(server, "helper", role="help desk")
    victim = await created(server, "victim")
    helper = await as_user(server, stack, "helper")
    busy = many_logins(server, "nobody", "wrong", 8)
    await asyncio.sleep(0)
    setting = asyncio.create_task(helper.put(f"/users/{victim['id']}/password", json={"password": "mine from now on"}))
    await asyncio.sleep(0.01)
    given = await server.api.patch(f"/users/{victim['id']}", json={"role": "administrator"})
    assert given.status_code == 200
    assert code(await setting, 403) == "role"
    await asyncio.gather(*busy)
    taken = await server.anyone.post("/login", json={"user": "victim", "password": "mine from now on"})
    assert taken.status_code in (401, 429)


async def test_a_generation_never_comes_again(server: Server) -> None:
    user = await created(server, "anna")
    seen = set()
    for n in range(4):
        await server.api.put(f"/users/{user['id']}/password", json={"password": f"the word number {n}"})
        found = server.services.users.get(user["id"])
        assert found is not None
        seen.add(found.generation)
    assert len(seen) == 4
    assert max(seen) > 1 << 32, "else a promotion that left changes behind counts to the same number"


@pytest.mark.parametrize(
    "hashed",
    [
        "$argon2id$v=19$m=19456,t=4000000,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g",
        "$argon2id$v=19$m=99999999,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g",
        "$argon2id$v=19$m=19456,t=2,p=900$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g",
        "$argon2i$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g",
    ],
)
async def test_a_hash_that_would_hold_up_every_login_is_none(server: Server, hashed: str) -> None:
    with pytest.raises(InvalidInput):
        check_password({"hash": hashed})
    await created(server, "anna")
    found = server.services.users.named("anna")
    assert found is not None
    assert check_password({"hash": found.hash})["hash"] == found.hash, "those that are made here are good"


async def test_the_audit_log_says_whom_and_to_what(server: Server) -> None:
    user = await created(server, "anna")
    await server.api.patch(f"/users/{user['id']}", json={"role": "administrator", "disabled": True})
    await server.api.delete(f"/users/{user['id']}")
    entries = {e["act"]: e["about"] for e in (await server.api.get("/audit")).json()["items"]}
    assert entries["user-deleted"]["name"] == "anna"
    edited = entries["user-edited"]
    assert (edited["name"], edited["new_role"], edited["new_disabled"]) == ("anna", "administrator", "True")


async def test_numbers_and_moments_that_nothing_can_hold_are_refused_or_the_first_page(
    server: Server, stack: AsyncExitStack
) -> None:
    await created(server, "anna")
    until = {"to": [{"kind": "everyone"}], "sessions": ["x"], "until": "9999-12-31T23:59:59-12:00"}
    assert (await server.api.post("/assignments", json=until)).status_code == 422
    to = {"to": [{"kind": "everyone"}], "sessions": ["x"], "until": "0001-01-01T00:00:00+12:00"}
    assert (await server.api.post("/assignments", json=to)).status_code == 422


async def test_one_user_cannot_take_all_tokens_for_programs(server: Server, stack: AsyncExitStack) -> None:
    await created(server, "greedy", role="auditor")
    greedy = await as_user(server, stack, "greedy")
    for n in range(200):
        assert (await greedy.post("/tokens", json={"name": f"t{n}"})).status_code == 201
    assert code(await greedy.post("/tokens", json={"name": "one more"}), 409) == "too-many-tokens"
    assert (await server.api.post("/tokens", json={"name": "the administrator's"})).status_code == 201
