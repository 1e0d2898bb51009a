"""Directories whose users log in for the first time, as far as no directory has to answer."""

from __future__ import annotations

import gc

import pytest
from tests.unit.commands.servers import PASSWORD
from tests.unit.http.conftest import Server, client

from hostward.access.throttle import LIMITS
from hostward.domain.changes import Put, canonical
from hostward.domain.directories import KIND

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R23")]

DIRECTORY = {"servers": ["127.0.0.1:1"], "user_base": "dc=x"}


async def test_a_directory_from_before_there_were_first_logins_goes_on_without_them_and_a_new_one_has_them(
    server: Server,
) -> None:
    assert (await server.api.put("/directories/New", json=DIRECTORY)).json()["directory"]["first_login"] is True
    body = (await server.api.get("/directories/New")).json()
    kept = {k: v for k, v in body.items() if k not in ("etag", "revision", "first_login")}
    put = Put(KIND, "old", canonical({**kept, "name": "Old"}))
    await server.services.group.commit("an older server", lambda _: [put])
    assert (await server.api.get("/directories/Old")).json()["first_login"] is False
    assert [d.name for d in server.services.directories.of_new_users()] == ["New"]


async def test_a_directory_that_is_not_reached_leaves_no_socket_open(server: Server) -> None:
    assert (await server.api.put("/directories/Away", json=DIRECTORY)).status_code == 200
    tested = await server.api.post("/directories/Away/test", json={"user": "dora"})
    assert "isn't reached" in tested.json()["steps"][-1]["said"]
    gc.collect()  # what is left open is told here, and fails the test


@pytest.fixture
async def away(server: Server) -> Server:
    """With a directory that nothing answers for, a user of it, and a user with a password of the group's own."""
    assert (await server.api.put("/directories/Away", json=DIRECTORY)).status_code == 200
    assert (await server.api.post("/users", json={"name": "anna", "password": PASSWORD})).status_code == 201
    assert (await server.api.post("/users", json={"name": "dora", "directory": "Away"})).status_code == 201
    return server


@pytest.mark.feature("A10")
async def test_while_a_directory_is_away_no_answer_tells_whether_there_is_such_a_user(away: Server) -> None:
    said = []
    for user in ("admin", "anna", "dora", "nobody", "no name"):
        refused = await away.anyone.post("/login", json={"user": user, "password": "wrong password"})
        said.append((refused.status_code, refused.json()))
    assert said == [said[0]] * 5
    assert said[0][0] == 401
    assert "a directory" in said[0][1]["remedy"], "whose directory is away learns what to do"
    assert "Away" not in str(said)
    (entry,) = (await away.api.get("/audit", params={"act": "logged-in", "user": "dora"})).json()["items"]
    assert "Away" in entry["about"]["directory"], "who looks after it finds what it was"


@pytest.mark.feature("A10")
async def test_made_up_names_are_counted_while_a_directory_is_away_and_its_users_do_not_wait_for_that(
    away: Server,
) -> None:
    for user, address, after in (("nobody", "198.51.100.1", 429), ("dora", "198.51.100.2", 401)):
        async with client(away.app, address=address) as guesser:
            given = {"user": user, "password": "wrong password"}
            statuses = [(await guesser.post("/login", json=given)).status_code for _ in range(LIMITS["pair"].free + 1)]
        assert statuses == [401] * LIMITS["pair"].free + [after], user
