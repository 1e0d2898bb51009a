"""The audit log by the API: what is recorded, what isn't, filters, pages, exports."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import sqlite3
from typing import Any

import httpx
import pytest
from tests.unit.commands.servers import PASSWORD
from tests.unit.http.conftest import Server, client

from hostward.access.auditing import MAX_DIFFERENT
from hostward.domain.audit import ACTS, COLUMNS

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R24")]

VT = {"type": "VT", "host": "a.example.com"}


async def entries(asked: Server, **wanted: Any) -> list[dict[str, Any]]:
    answer = await asked.api.get("/audit", params=wanted)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def wrong_logins(server: Server, count: int, address: str = "192.0.2.1", user: str = "admin") -> None:
    async with client(server.app, address=address) as guesser:
        for _ in range(count):
            answer = await guesser.post("/login", json={"user": user, "password": "not that one"})
            assert answer.status_code in (401, 429)


async def test_an_answered_change_has_its_entry_with_who_where_and_revision(server: Server) -> None:
    made = (await server.create("one")).json()
    (entry,) = await entries(server, act="session-created")
    assert (entry["user"], entry["address"], entry["outcome"]) == ("admin", "192.0.2.1", "done")
    assert entry["revision"] == made["revision"] == 1
    assert entry["about"]["session"] == made["session"]["id"]
    assert entry["server"] == server.services.identity.server_id
    assert entry["what"] == "Created a session"
    deleted = await server.api.delete(f"/sessions/{made['session']['id']}")
    (entry,) = await entries(server, act="session-deleted")
    assert entry["request"] == deleted.headers["x-request-id"]


async def test_what_is_refused_is_recorded_with_the_reason_and_a_question_is_not(server: Server) -> None:
    await server.create("one")
    assert (await server.create("One")).status_code == 409
    (entry,) = await entries(server, outcome="refused")
    assert entry["act"] == "session-created"
    assert "session named" in entry["reason"]
    assert entry["revision"] is None
    asked = await server.api.put("/replication", json={"role": "master"})
    assert asked.json()["code"] == "confirmation-required"
    assert await entries(server, act="replication-applied") == []
    done = await server.api.put(
        "/replication", json={"role": "master", "passphrase": "a passphrase of ours", "confirm": True}
    )
    assert done.status_code == 202, done.text
    (entry,) = await entries(server, act="replication-applied")
    assert (entry["about"]["role"], entry["about"]["passphrase"]) == ("master", "given")


async def test_turning_back_and_acts_on_many_are_recorded(server: Server) -> None:
    one = (await server.create("one")).json()["session"]["id"]
    two = (await server.create("two")).json()["session"]["id"]
    yes = {"confirm": True}
    for method, path, body, act, about in (
        (
            "POST",
            "/sessions/edit",
            {"ids": [one, two], "fields": {"comment": "x"}, **yes},
            "sessions-edited",
            "sessions",
        ),
        ("POST", "/changes/3/undo", yes, "change-undone", "turned_back"),
        ("POST", "/sessions/delete", {"ids": [one, two], **yes}, "sessions-deleted", "sessions"),
        ("POST", f"/sessions/{one}/restore", {"revision": 1}, "session-restored", "session"),
        ("POST", "/restore", {"revision": 2, **yes}, "configuration-restored", "turned_back"),
    ):
        asked = await server.api.request(method, path, json=body)
        assert asked.status_code in (200, 201), asked.text
        (entry,) = await entries(server, act=act)
        assert (entry["outcome"], entry["user"], entry["revision"]) == ("done", "admin", asked.json()["revision"]), act
        assert entry["about"][about]
    # What wasn't confirmed is no act; what was refused is one.
    assert (await server.api.post("/changes/1/undo", json={})).json()["code"] == "confirmation-required"
    assert len(await entries(server, act="change-undone")) == 1
    assert (await server.api.post("/changes/99/undo", json=yes)).status_code == 404
    assert (await server.api.post("/restore", json={"revision": 2, **yes})).json()["code"] == "nothing-to-undo"


async def test_a_change_request_that_is_edited_and_sent_anew_is_recorded(server: Server) -> None:
    server.replication.master_url = "https://master.example.com/mss"
    request = (await server.create("one")).json()["request"]
    edited = await server.api.put(f"/change-requests/{request['id']}", json={})
    assert edited.status_code in (200, 202), edited.text
    (entry,) = await entries(server, act="change-request-edited")
    assert (entry["outcome"], entry["about"]["change_request"]) == ("submitted", edited.json()["request"]["id"])


async def test_what_is_kept_is_set_and_holds_within_seconds(server: Server) -> None:
    listed = {s["name"]: s for s in (await server.api.get("/settings")).json()["items"]}
    assert [(listed[n]["value"], listed[n]["scope"]) for n in ("audit-days", "audit-size")] == [
        (365, "this server"),
        (200, "this server"),
    ]
    for wrong in ({"audit-days": 0}, {"audit-size": 9}, {"audit-days": "ever"}):
        assert (await server.api.patch("/settings", json=wrong)).status_code == 422
    auditor = server.services.auditor
    with sqlite3.connect(auditor.path) as db:  # as if they were old: by their column, which pruning goes by
        db.execute("UPDATE entry SET at = '2020-01-01T00:00:00.000Z' WHERE number = 1")
    before = await entries(server)
    assert before[-1]["number"] == 1
    assert (await server.api.patch("/settings", json={"audit-days": 30})).status_code == 200
    await auditor.prune()
    after = await entries(server)
    assert 1 not in {e["number"] for e in after}
    assert after[0]["act"] == "audit-pruned"
    assert (await server.api.get("/audit/verify")).json()["ok"]
    (entry,) = await entries(server, act="settings-changed", outcome="done")
    assert entry["about"]["settings"] == "audit-days=30"


async def test_on_a_slave_the_entry_names_the_request_that_the_change_became(server: Server) -> None:
    server.replication.master_url = "https://master.example.com/mss"
    request = (await server.create("one")).json()["request"]
    (entry,) = await entries(server, act="session-created")
    assert (entry["outcome"], entry["about"]["change_request"]) == ("submitted", request["id"])


async def test_no_entry_and_no_export_holds_a_secret(server: Server) -> None:
    token = (await server.api.post("/tokens", json={"name": "backup job"})).json()["token"]
    new = "some other words of mine"
    assert (await server.api.put("/me/password", json={"current": PASSWORD, "new": new})).status_code == 200
    assert (await server.anyone.post("/login", json={"user": new, "password": "x" * 20})).status_code == 401
    await server.api.put("/replication", json={"role": "master", "passphrase": "quite secret words", "confirm": True})
    kept = server.services.auditor.path.read_bytes()
    kept += server.services.auditor.path.with_name("audit.db-wal").read_bytes()
    exported = (await server.api.get("/audit/export", params={"format": "jsonl"})).content
    for secret in (token, new, PASSWORD, "quite secret words", server.token):
        assert secret.encode() not in kept
        assert secret.encode() not in exported
    acts = [e["act"] for e in await entries(server)]
    assert {"token-made", "password-changed", "logged-in", "replication-applied"} <= set(acts)
    assert set(acts) <= set(ACTS)


async def test_a_flood_of_wrong_logins_is_counted_not_kept(server: Server) -> None:
    before = len(await entries(server))
    await asyncio.gather(*(wrong_logins(server, 4, f"198.51.100.{n}", f"guess{n}") for n in range(15)))
    auditor = server.services.auditor
    assert len(await entries(server)) - before <= 2 * MAX_DIFFERENT
    await auditor.flush(everything=True)
    found = [e for e in await entries(server) if e["outcome"] == "refused"]
    assert len(found) <= 3 * MAX_DIFFERENT + 2
    assert sum(e["times"] for e in found) == 60, "every one of them is counted"
    assert not any("guess" in str(e) for e in found), "a name that nobody has may be a password"
    assert (await server.api.get("/audit/verify")).json()["ok"]


async def test_pages_and_filters(server: Server) -> None:
    for n in range(7):
        await server.create(f"s{n}")
    first = (await server.api.get("/audit", params={"limit": 3})).json()
    rest = (await server.api.get("/audit", params={"limit": 500, "before": first["next"]})).json()
    assert rest["next"] == ""
    numbers = [e["number"] for e in first["items"] + rest["items"]]
    assert numbers == sorted(numbers, reverse=True)
    assert len(set(numbers)) == len(numbers) >= 9
    assert await entries(server, **{"from": "2099-01-01"}) == []
    assert await entries(server, to="2020-01-01") == []
    assert (
        len(await entries(server, act="session-created", user="admin", to="2099-12-31", server="server.example.com"))
        == 7
    )
    wrong: tuple[tuple[dict[str, str], int], ...] = (
        ({"act": "session-created "}, 422), ({"outcome": "perhaps"}, 422), ({"from": "yesterday"}, 422),
        ({"server": "nobody"}, 404), ({"before": "x"}, 422), ({"limit": "0"}, 422), ({"usr": "a"}, 422),
    )  # fmt: skip
    for query, status in wrong:
        answer = await server.api.get("/audit", params=query)
        assert answer.status_code == status, (query, answer.text)
        assert answer.json()["remedy"]


async def test_exports_hold_everything_and_no_formula(server: Server) -> None:
    (await server.api.post("/tokens", json={"name": "=HYPERLINK(1)"})).raise_for_status()
    await server.create("one")
    answer = await server.api.get("/audit/export", params={"format": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert tuple(rows[0]) == COLUMNS
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
    lines = [
        json.loads(line)
        for line in (await server.api.get("/audit/export", params={"format": "jsonl"})).text.splitlines()
    ]
    assert len(lines) == len(rows) - 1 >= 3
    assert [line["number"] for line in lines] == list(range(len(lines), 0, -1))
    assert [line["previous"] for line in lines[:-1]] == [line["hash"] for line in lines[1:]]


async def test_an_altered_file_is_named_by_verify(server: Server) -> None:
    await server.create("one")
    with sqlite3.connect(server.services.auditor.path) as db:
        db.execute("DELETE FROM entry WHERE number = 2")
    found = (await server.api.get("/audit/verify")).json()
    assert not found["ok"]
    assert (found["troubles"][0]["number"], found["troubles"][0]["code"]) == (2, "cut")


async def test_the_end_is_signed_and_remembered_outside_the_log(server: Server) -> None:
    auditor = server.services.auditor
    running = asyncio.create_task(auditor.run())
    await server.create("one")
    for _ in range(200):
        remembered = server.services.server.get("audit") or [0, 0]
        if remembered[1] == auditor.log.head.number:
            break
        await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await auditor.flush()
    auditor._seal()
    assert (await auditor.verify()).troubles == []
    with sqlite3.connect(auditor.path) as db:
        db.execute("DELETE FROM entry WHERE number = (SELECT max(number) FROM entry)")
    (trouble,) = (await auditor.verify()).troubles
    assert trouble.code == "cut"
    with sqlite3.connect(auditor.path) as db:
        db.execute("UPDATE chain SET seal = replace(CAST(seal AS TEXT), '\"30', '\"31')")
    server.services.server.delete("audit")
    (trouble,) = (await auditor.verify()).troubles
    assert trouble.code in ("seal", "cut")


async def test_logging_in_and_out_is_recorded(server: Server) -> None:
    async with client(server.app, address="203.0.113.9") as other:
        answer: httpx.Response = await other.post("/login", json={"user": "admin", "password": PASSWORD})
        token = answer.json()["token"]
        async with client(server.app, token, address="203.0.113.9") as their:
            assert (await their.post("/logout")).status_code == 204
    acts = [(e["act"], e["address"], e["outcome"]) for e in await entries(server)][:2]
    assert acts == [("logged-out", "203.0.113.9", "done"), ("logged-in", "203.0.113.9", "done")]
