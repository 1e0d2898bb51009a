"""A GET or HEAD is safe on every route there is: another site's link or picture can cause one."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.routing import Route
from tests.unit.http.conftest import Server
from tests.unit.http.console.conftest import Browser, browser, stranger
from tests.unit.http.test_packages_api import made
from tests.unit.http.test_people_api import created, group

from hostward.access.tokens import EACH

__all__ = ["browser", "stranger"]

pytestmark = [pytest.mark.anyio, pytest.mark.feature("A9")]

ENDLESS = "/mss/events"
"""The event stream: test_attacks of the browser watches it."""
QUERIES = ("", "?confirm=true", "?confirm=yes&plan=x", "?q=one&per_page=10")


def paths(app: FastAPI) -> set[str]:
    """Of all routes that answer GET, of the console and of the API."""
    console = {r.path for r in app.routes if isinstance(r, Route) and r.methods and "GET" in r.methods}
    api = {path for path, methods in app.openapi()["paths"].items() if "get" in methods}
    return (console | api) - {ENDLESS}


def filled(path: str, known: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """The path with each value that its first parameter may have; it fails for a parameter that nobody thought of."""
    before, brace, rest = path.partition("{")
    if not brace:
        yield path
        return
    name, _, after = rest.partition("}")
    assert name in known, f"{path}: give the parameter {name} a value here"
    for value in known[name]:
        yield from filled(f"{before}{value}{after}", known)


def rows(file: Path) -> dict[str, str]:
    """Each table's digest; of logins, not when they were last used."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        names = [n for (n,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {n: _digest(map(_without_use, connection.execute(f"SELECT * FROM {n}"))) for n in names}


def _digest(found: Iterator[Any]) -> str:
    return hashlib.sha256("\n".join(sorted(repr(row) for row in found)).encode()).hexdigest()


def _without_use(row: tuple[Any, ...]) -> tuple[Any, ...]:
    if not str(row[0]).startswith(EACH):
        return row
    return row[0], {k: v for k, v in json.loads(row[1]).items() if k not in ("last_used", "expires")}


async def test_a_get_or_a_head_changes_nothing_whatever_it_asks_for(server: Server, browser: Browser) -> None:
    session = (await server.create("one", comment="first", groups=["Oslo"])).json()["session"]["id"]
    await server.api.patch(f"/sessions/{session}", json={"comment": "second"})
    user, oslo = await created(server, "anna"), await group(server, "Oslo")
    await server.api.post("/assignments", json={"sessions": ["one"], "to": [{"kind": "user", "name": "anna"}]})
    package = await made(server, "Claims")
    token = (await server.api.post("/tokens", json={"name": "job"})).json()["id"]
    server.replication.master_url = "https://master.example.com/mss"
    asked = (await server.create("two")).json()["request"]["id"]
    server.replication.master_url = ""
    known = {
        "kind": ("user-groups", "x"),
        "session_id": (session, "x"), "package_id": (package["id"], "x"), "user_id": (user["id"], "x"),
        "group_id": (oslo["id"], "x"), "token_id": (token,),
        "request_id": (asked, "x"), "revision": ("1", "2", "99"), "store": ("mss", "x"),
        "name": ("hw.js", "one", "console-idle-timeout"), "format": ("csv", "json"), "program": ("putty", "x"),
        "job_id": ("job1", "x"), "server_id": (server.services.identity.server_id, "x"), "host_id": ("there",),
        "invite_id": ("x",),
    }  # fmt: skip
    files = server.services.data_dir / "group.db", server.services.data_dir / "server.db"
    before, asked_for, answered = [rows(f) for f in files], 0, 0
    for path in sorted(paths(server.app)):
        for url in filled(path, known):
            for query in QUERIES:
                for method in ("GET", "HEAD"):
                    address = f"https://server.example.com{url}{query}"
                    client = server.api if "/api/" in path else browser.http
                    answer = await client.request(method, address)
                    asked_for, answered = asked_for + 1, answered + (answer.status_code == 200)
                    assert answer.status_code < 500 or "/health/" in path, (method, address, answer.text)
        assert [rows(f) for f in files] == before, path
    assert (await server.api.get("/me")).status_code == 200
    assert asked_for > 400
    assert answered > 150, "too few of these requests were plausible"
    assert not server.replication.applied
    assert not server.replication.promoted
    assert not server.replication.rebuilt
    assert not server.replication.removed
