"""Directories whose users log in for the first time, as far as no directory has to answer."""

from __future__ import annotations

import gc

import pytest
from tests.unit.http.conftest import Server

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
