"""Reports through the API: launches, last use, logins, who may use what; as pages and as CSV."""

from __future__ import annotations

import csv
import io
from contextlib import AsyncExitStack
from typing import Any

import pytest
from tests.unit.http.conftest import Server
from tests.unit.http.test_access_api import assign, sessions
from tests.unit.http.test_people_api import as_user, code, created, group, stack

__all__ = ["stack"]

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R24")]


async def report(server: Server, path: str) -> Any:
    answer = await server.api.get(f"/reports/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def lines(server: Server, path: str) -> list[list[str]]:
    answer = await server.api.get(f"/reports/{path}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(answer.text)))


async def every(server: Server, path: str, **wanted: str) -> list[dict[str, Any]]:
    """All items, page by page of two."""
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        answer = await server.api.get(f"/reports/{path}", params={**wanted, "limit": "2", "after": after})
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        after = answer.json()["next"]
        if not after:
            return found


async def test_a_launch_is_in_the_reports_and_what_nobody_used_is_told(server: Server, stack: AsyncExitStack) -> None:
    await created(server, "anna")
    ids = await sessions(server, "one", "two", "three")
    await assign(server, "one", "two", to=[{"kind": "everyone"}])
    anna = await as_user(server, stack, "anna")
    for name in ("one", "one", "three"):  # three isn't hers
        await anna.get(f"/me/sessions/{ids[name]}/launch")
    await server.services.auditor.flush(everything=True)  # a minute later
    found = await report(server, "launches")
    assert (found["total"], len(found["spans"]), found["spans"][-1]["launches"]) == (2, 30, 2)
    assert found["sessions"] == [{"id": ids["one"], "name": "one", "launches": 2}]
    assert found["users"] == [{"user": "anna", "launches": 2}]
    assert len(found["reach"]) == 1
    used = {s["name"]: s for s in await every(server, "last-use")}
    assert list(used) == ["one", "three", "two"]
    assert (used["one"]["by"], used["one"]["times"], used["one"]["users"]) == ("anna", 2, 1)
    assert used["three"]["last"] == ""
    assert [s["name"] for s in await every(server, "last-use", days="1")] == ["three", "two"]
    assert (await lines(server, "last-use/csv?days=1"))[1:] == [
        [name, "", "", "0", "0", ids[name]] for name in ("three", "two")
    ]


async def test_who_never_logged_in_is_told(server: Server, stack: AsyncExitStack) -> None:
    await created(server, "anna", full_name="=1+1")
    await created(server, "bob", role="auditor")
    await as_user(server, stack, "bob")
    found = {u["name"]: u for u in await every(server, "logins")}
    assert (found["anna"]["last"], found["bob"]["times"]) == ("", 1)
    assert [u["name"] for u in await every(server, "logins", days="30")] == ["anna"]
    assert (await lines(server, "logins/csv"))[1][:2] == ["anna", "'=1+1"], "no spreadsheet runs it"


async def test_who_may_use_what_is_the_same_by_user_group_and_session(server: Server) -> None:
    await group(server, "Nordics")
    await group(server, "Oslo", "Nordics")
    await created(server, "anna", groups=["Oslo"])
    await created(server, "bob")
    await sessions(server, "a & b", "two", "three")
    await assign(server, "a & b", "two", "three", to=[{"kind": "user-group", "name": "Nordics"}])
    await assign(server, "two", to=[{"kind": "user", "name": "bob"}])
    await assign(server, "three", to=[{"kind": "everyone"}], effect="deny")
    pairs = [("anna", "a & b"), ("anna", "two"), ("bob", "two")]

    async def found(**wanted: str) -> list[tuple[str, str]]:
        return [(r["user"], r["session"]) for r in await every(server, "who-may", **wanted)]

    assert await found() == pairs
    assert await found(user="anna") == pairs[:2]
    assert await found(group="Nordics") == pairs[:2]
    assert await found(session="two") == pairs[1:]
    assert await found(user="bob", session="a & b") == []
    assert [tuple(row[::3][:2]) for row in (await lines(server, "who-may/csv"))[1:]] == pairs
    assert code(await server.api.get("/reports/who-may?user=nobody"), 422) == "assignment-unknown"


async def test_reports_of_peoples_acts_are_for_auditors_and_who_may_use_what_for_all_who_read(
    server: Server, stack: AsyncExitStack
) -> None:
    for name, role in (("ann", "auditor"), ("sam", "sessions"), ("una", "")):
        await created(server, name, role=role)
    allowed = {"ann": (200, 200), "sam": (403, 200), "una": (403, 403)}
    for name, expected in allowed.items():
        who = await as_user(server, stack, name)
        for path in ("launches", "launches/csv", "last-use", "last-use/csv", "logins", "logins/csv"):
            assert (await who.get(f"/reports/{path}")).status_code == expected[0], (name, path)
        for path in ("who-may", "who-may/csv"):
            assert (await who.get(f"/reports/{path}")).status_code == expected[1], (name, path)


async def test_a_time_that_cannot_be_is_refused_with_what_to_do(server: Server) -> None:
    for query in ("from=2026-02-01&to=2026-01-01", "from=1900-01-01", "from=x"):
        assert (await server.api.get(f"/reports/launches?{query}")).status_code == 422, query
    months = await report(server, "launches?from=2025-01-01&to=2025-12-31")
    assert [s["span"] for s in months["spans"]] == [f"2025-{n:02}" for n in range(1, 13)]
