"""The logs by the API: who may read them, filters, pages, what comes later, the download."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.http.conftest import Server, client

from hostward.domain.people import Role
from hostward.logs.reading import DATABASE, OWN

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R24")]

SECRET = "a password of theirs 1"


def write(server: Server, *events: str, level: str = "info", **about: Any) -> None:
    path = OWN.path(server.services.data_dir)
    with path.open("a", encoding="utf-8") as file:
        for event in events:
            made = {"event": event, "level": level, "timestamp": "2026-03-01T00:00:00Z", **about}
            file.write(json.dumps(made) + "\n")


async def read(server: Server, **query: Any) -> dict[str, Any]:
    answer = await server.api.get("/logs", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_log_is_read_filtered_paged_and_followed(server: Server) -> None:
    write(server, *(f"e{n}" for n in range(8)))
    write(server, "broken", level="error", peer="north")
    page = await read(server, limit=5)
    assert [e["event"] for e in page["items"]] == ["broken", "e7", "e6", "e5", "e4"]
    assert page["items"][0] == {
        "at": "2026-03-01T00:00:00.000Z", "level": "error", "event": "broken", "about": {"peer": "north"}, "trace": ""
    }  # fmt: skip
    older = await read(server, before=page["next"])
    assert [e["event"] for e in older["items"]] == ["e3", "e2", "e1", "e0"]
    assert older["next"] == ""
    assert [e["event"] for e in (await read(server, level="warning"))["items"]] == ["broken"]
    assert [e["event"] for e in (await read(server, text="NORTH broken"))["items"]] == ["broken"]
    write(server, "later")
    assert [e["event"] for e in (await read(server, after=page["since"]))["items"]] == ["later"]


async def test_what_cannot_be_is_refused(server: Server) -> None:
    write(server, "e1")
    for query, status in (
        ({"log": "audit"}, 404), ({"log": "../server.db"}, 404), ({"level": "grave"}, 422), ({"before": "x"}, 422),
        ({"after": "x"}, 422), ({"before": "1-1", "after": "1-1"}, 422), ({"limit": "501"}, 422), ({"lines": "1"}, 422),
    ):  # fmt: skip
        answer = await server.api.get("/logs", params=query)
        assert answer.status_code == status, (query, answer.text)
        assert answer.json()["remedy"]
    assert (await server.api.get("/logs/download", params={"log": "../server.db"})).status_code == 404


async def test_the_databases_log_is_another_and_a_download_is_the_file(server: Server) -> None:
    write(server, "own")
    assert (await read(server, log="database"))["items"] == []
    DATABASE.path(server.services.data_dir).write_text("2026-03-01 10:00:00,123 WARN  [main] A: b\n")
    (entry,) = (await read(server, log="database"))["items"]
    assert (entry["event"], entry["level"], entry["about"]) == ("A: b", "warning", {"thread": "main"})
    for log, name, text in (("hostward", "hostward.log", '"own"'), ("database", "cassandra.log", "A: b")):
        answer = await server.api.get("/logs/download", params={"log": log})
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert f'filename="{name}"' in answer.headers["content-disposition"]
        assert text in answer.text


@pytest.mark.feature("R23")
async def test_full_administrators_and_auditors_read_it_and_nobody_else(server: Server) -> None:
    write(server, "own")
    for role in Role:
        name = f"as-{role.name.lower()}"
        made = await server.api.post("/users", json={"name": name, "role": role.value, "password": SECRET})
        assert made.status_code == 201, made.text
        token = (await server.anyone.post("/login", json={"user": name, "password": SECRET})).json()["token"]
        may = role in (Role.ADMINISTRATOR, Role.AUDITOR)
        async with client(server.app, token) as their:
            for path in ("/logs", "/logs/download"):
                assert (await their.get(path)).status_code == (200 if may else 403), (role, path)
            changed = await their.patch("/settings", json={"log-level": "debug"})
            assert changed.status_code == (200 if role is Role.ADMINISTRATOR else 403)


async def test_what_is_logged_is_set_within_bounds(server: Server) -> None:
    listed = {s["name"]: s for s in (await server.api.get("/settings")).json()["items"]}
    found = {name: (listed[name]["value"], listed[name]["scope"]) for name in ("log-level", "log-size", "log-files")}
    assert found == {
        "log-level": ("info", "this server"), "log-size": (10, "this server"), "log-files": (5, "this server")
    }  # fmt: skip
    for wrong in ({"log-level": "chatty"}, {"log-size": 0}, {"log-files": 101}):
        assert (await server.api.patch("/settings", json=wrong)).status_code == 422
    answer = await server.api.patch("/settings", json={"log-level": "warning", "log-files": 2})
    assert answer.status_code == 200, answer.text
    assert (await server.api.patch("/settings", json={"log-level": None})).status_code == 200
    again = {s["name"]: s["value"] for s in (await server.api.get("/settings")).json()["items"]}
    assert (again["log-level"], again["log-files"]) == ("info", 2)
