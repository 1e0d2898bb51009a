"""Search everything: what is found by which words, in which order, and how much."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.http.conftest import Server

from hostward.domain.panels import PANELS
from hostward.domain.settings import SETTINGS

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R24")]


async def found(server: Server, q: str, **params: Any) -> list[tuple[str, str]]:
    answer = await server.api.get("/search", params={"q": q, **params})
    assert answer.status_code == 200, answer.text
    return [(hit["kind"], hit["title"]) for hit in answer.json()["items"]]


async def test_everything_is_found_by_its_names_hosts_and_labels(server: Server) -> None:
    made = (await server.create("Payroll Dublin", host="tso7.example.com", comment="ask Finance")).json()["session"]
    for q in ("payroll", "DUBLIN pay", "tso7", "finance payroll"):
        assert ("session", "Payroll Dublin") in await found(server, q)
    assert await found(server, "payroll nowhere") == []
    hits = (await server.api.get("/search", params={"q": "payroll"})).json()["items"]
    assert hits == [
        {
            "kind": "session",
            "id": made["id"],
            "title": "Payroll Dublin",
            "detail": f"VT, tso7.example.com:{made['port']}",
            "path": f"/manage/sessions/{made['id']}",
        }
    ]
    for setting in SETTINGS.values():
        for q in (setting.name, setting.label, setting.help[:60]):
            assert ("setting", setting.label) in await found(server, q), q
    for panel in PANELS:
        assert ("panel", panel.label) in await found(server, panel.label)
    assert ("panel", "Join codes") in await found(server, "join code")
    assert ("certificate", "this server") in await found(server, server.services.identity.fingerprint[:20])
    assert (await server.api.post("/users", json={"name": "anna", "full_name": "Anna Berg"})).status_code == 201
    assert (await server.api.post("/user-groups", json={"name": "Anna's friends"})).status_code == 201
    assert {("user", "anna"), ("user group", "Anna's friends")} <= set(await found(server, "anna"))
    assert await found(server, "berg ann") == [("user", "anna")]
    assert ("server", "server.example.com") in await found(server, "this server")


async def test_a_name_that_begins_so_comes_first_and_each_kind_is_bounded(server: Server) -> None:
    for n in range(30):
        await server.create(f"A lock {n:02}")
    await server.create("Lock of the vault")
    hits = await found(server, "lock", each=3)
    assert [title for kind, title in hits if kind == "session"] == ["Lock of the vault", "A lock 00", "A lock 01"]
    assert ("setting", "Concurrency Lock Timeout") in hits
    answer = await server.api.get("/search", params={"q": "lock", "each": 3})
    assert answer.json()["more"] == ["session"]
    assert await found(server, " ") == [("panel", panel.label) for panel in PANELS]


async def test_odd_words_find_nothing_or_what_has_them(server: Server) -> None:
    await server.create("100 % [test] *")
    for q in ("%", "[test]", "*", "100 * %"):
        assert ("session", "100 % [test] *") in await found(server, q)
    for q in ("[a-z]est]", "1?0", "t*t", "\0", "'; DROP TABLE element; --", "\u202e", "\U0010ffff"):
        assert await found(server, q) == []
    refused: list[dict[str, str | int]] = [
        {"q": "x" * 501},
        {"q": "x", "each": 51},
        {"q": "x", "each": 0},
        {},
        {"q": "x", "kind": "session"},
    ]
    for wrong in refused:
        assert (await server.api.get("/search", params=wrong)).status_code == 422
    assert len(await found(server, "e " * 200)) > 5
