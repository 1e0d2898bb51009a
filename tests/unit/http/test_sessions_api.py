"""Sessions through the REST API."""

from __future__ import annotations

import csv
import io
from typing import Any

import orjson
import pytest
from tests.support.inventory import rows
from tests.unit.http.conftest import Server

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R26")]

FULL: dict[str, Any] = {
    "name": "TSO PROD Dublin",
    "type": "IBM 3270",
    "host": "tso1.dublin.example.com",
    "port": 992,
    "tls": True,
    "lu": "LU3538",
    "model": "3279-4-E",
    "code_page": "1147",
    "groups": ["Dublin Claims", "Dublin Operations"],
    "comment": "Übergabe nötig",
}


async def test_what_is_created_can_be_read_found_and_deleted(server: Server) -> None:
    made = await server.api.post("/sessions", json=FULL)
    assert made.status_code == 201
    answer = made.json()
    session = answer["session"]
    assert {k: session[k] for k in FULL} == FULL
    assert answer["revision"] == session["revision"] == 1
    assert answer["replicated"] == {"have": 1, "of": 1, "confirmed": False}
    assert made.headers["etag"] == f'"{session["etag"]}"'
    read = await server.api.get(f"/sessions/{session['id']}")
    assert read.json() == session
    assert read.headers["etag"] == made.headers["etag"]
    unchanged = await server.api.get(f"/sessions/{session['id']}", headers={"If-None-Match": read.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    page = (await server.api.get("/sessions", params={"q": "dublin über"})).json()
    assert page == {"items": [session], "total": 1, "page": 1, "per_page": 50}
    gone = await server.api.delete(f"/sessions/{session['id']}")
    assert (gone.status_code, gone.json()["revision"], gone.json()["id"]) == (200, 2, session["id"])
    missing = await server.api.get(f"/sessions/{session['id']}")
    assert (missing.status_code, missing.json()["code"]) == (404, "not-found")


async def test_lists_come_in_pages_and_in_the_order_asked_for(server: Server) -> None:
    for name in ("b", "C", "a", "d"):
        await server.create(name)

    async def names(**params: Any) -> list[str]:
        return [s["name"] for s in (await server.api.get("/sessions", params=params)).json()["items"]]

    assert await names() == ["a", "b", "C", "d"]
    assert await names(sort="-name", per_page=3) == ["d", "C", "b"]
    assert await names(page=2, per_page=3) == ["d"]
    assert await names(q="nothing like it") == []
    assert await names(q="\0\"' % _ *") == []
    refused = await server.api.get("/sessions", params={"sort": "colour"})
    assert (refused.status_code, "name" in refused.json()["remedy"]) == (422, True)
    for wrong in ({"page": 0}, {"per_page": 100_000}, {"page": "x"}):
        assert (await server.api.get("/sessions", params=wrong)).status_code == 422


async def test_a_write_with_the_etag_of_an_older_state_changes_nothing(server: Server) -> None:
    session = (await server.create("one")).json()["session"]
    path, old = f"/sessions/{session['id']}", {"If-Match": f'"{session["etag"]}"'}
    edited = await server.api.patch(path, json={"comment": "first"}, headers=old)
    assert edited.status_code == 200
    now = edited.json()["session"]
    for method, body in (("PATCH", {"comment": "second"}), ("PUT", {**FULL}), ("DELETE", None)):
        refused = await server.api.request(method, path, json=body, headers=old)
        problem = refused.json()
        assert (refused.status_code, problem["code"], problem["current"]) == (412, "precondition-failed", now["etag"])
    assert (await server.api.get(path)).json() == now
    weak = await server.api.delete(path, headers={"If-Match": f'W/"{now["etag"]}"'})
    assert weak.status_code == 412
    assert (await server.api.delete(path, headers={"If-Match": f'"other", "{now["etag"]}"'})).status_code == 200


async def test_an_edit_changes_only_the_fields_given(server: Server) -> None:
    session = (await server.api.post("/sessions", json=FULL)).json()["session"]
    path = f"/sessions/{session['id']}"
    renamed = (await server.api.patch(path, json={"name": "tso prod DUBLIN", "port": 2023})).json()
    assert renamed["revision"] == 2
    assert {k: renamed["session"][k] for k in FULL} == {**FULL, "name": "tso prod DUBLIN", "port": 2023}
    same = (await server.api.patch(path, json={"port": 2023})).json()
    assert (same["revision"], same["session"]["etag"]) == (2, renamed["session"]["etag"])
    emptied = (await server.api.patch(path, json={"comment": None, "groups": []})).json()["session"]
    assert (emptied["comment"], emptied["groups"]) == ("", [])
    replaced = (await server.api.put(path, json={"name": "x", "type": "SSH", "host": "10.0.0.1"})).json()["session"]
    assert replaced["port"] == 22
    assert replaced["lu"] == replaced["model"] == ""


async def test_names_are_unique_whatever_the_case(server: Server) -> None:
    one = (await server.create("Straße")).json()["session"]
    two = (await server.create("two")).json()["session"]
    for refused in (
        await server.create("STRASSE"),
        await server.api.patch(f"/sessions/{two['id']}", json={"name": "straße"}),
        await server.api.post(f"/sessions/{two['id']}/copy", json={"name": "Straße"}),
    ):
        assert (refused.status_code, refused.json()["code"]) == (409, "name-taken")
        assert "Straße" in refused.json()["detail"]
    copy = await server.api.post(f"/sessions/{one['id']}/copy", json={"name": "three"})
    assert copy.status_code == 201
    assert copy.json()["session"]["id"] not in (one["id"], two["id"])
    assert server.services.group.position.revision == 3


async def test_each_mistake_is_named_with_what_would_be_right(server: Server) -> None:
    wrong = {"name": "a/b", "type": "IBM 3720", "hots": "x", "host": "a b", "port": 70000}
    refused = await server.api.post("/sessions", json=wrong)
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (422, "session-invalid")
    assert {m["field"]: m["row"] for m in problem["mistakes"]} == {"hots": None}
    assert "“host”" in problem["mistakes"][0]["remedy"]
    del wrong["hots"]
    problem = (await server.api.post("/sessions", json=wrong)).json()
    mistakes = {m["field"]: m["remedy"] for m in problem["mistakes"]}
    assert mistakes.keys() == {"name", "type", "host", "port"}
    assert "IBM 3270" in mistakes["type"]
    assert server.services.group.position.revision == 0


async def test_the_same_request_with_the_same_key_acts_once(server: Server) -> None:
    key = {"Idempotency-Key": "k1"}
    body = {"name": "one", "type": "VT", "host": "a.example.com"}
    first = await server.api.post("/sessions", json=body, headers=key)
    await server.api.patch(f"/sessions/{first.json()['session']['id']}", json={"comment": "later"})
    again = await server.api.post("/sessions", json=body, headers=key)
    assert again.status_code == 201
    assert again.json()["session"] == first.json()["session"]
    assert again.json()["revision"] == 1
    other = await server.api.post("/sessions", json={**body, "name": "two"}, headers=key)
    assert other.json()["session"]["name"] == "two"
    without = await server.api.post("/sessions", json=body)
    assert without.status_code == 409
    path = f"/sessions/{first.json()['session']['id']}/copy"
    copies = [(await server.api.post(path, json={"name": "c"}, headers=key)).json() for _ in range(2)]
    assert copies[0] == copies[1]
    assert (await server.api.get("/sessions")).json()["total"] == 3
    bad = await server.api.post("/sessions", json=body, headers={"Idempotency-Key": "x" * 300})
    assert bad.status_code == 422


CSV = (
    "name,type,host,port,tls,lu,model,code_page,groups,comment\r\n"
    "TSO PROD Oslo 1,IBM 3270,tso1.oslo.example.com,992,yes,LU1,3279-4-E,1147,Oslo Claims;Oslo IT,\r\n"
    'Ledger Kraków 2,VT,ledger2.example.com,23,no,,,,Kraków Finance,"Übergabe ""nötig"", =1+1"\r\n'
    "Stock 3,IBM 5250,10.1.2.3,992,yes,DSP01,3477-FC,273,,-\r\n"
    "Build 4,SSH,build.example.com,22,no,,,,,\r\n"
)
HEADER = CSV.partition("\r\n")[0]


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def import_(server: Server, data: bytes, content_type: str = "text/csv", **params: Any) -> Any:
    return await server.api.post(
        "/sessions/import", content=data, headers={"Content-Type": content_type}, params=params
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
async def test_what_is_imported_is_exported_exactly(server: Server, encoding: str, separator: str) -> None:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, HEADER.split(","), delimiter=separator)
    writer.writeheader()
    writer.writerows(rows_of(CSV))
    answer = await import_(server, out.getvalue().encode(encoding))
    assert answer.status_code == 200, answer.text
    done = answer.json()
    assert {k: done[k] for k in ("imported", "updated", "unchanged", "skipped", "revision", "mistakes")} == {
        "imported": 4, "updated": 0, "unchanged": 0, "skipped": 0, "revision": 1, "mistakes": []
    }  # fmt: skip
    assert server.replication.waited_for == [(1, True)]
    exported = await server.api.get("/sessions/export", params={"format": "csv"})
    assert exported.headers["content-type"] == "text/csv; charset=utf-8"
    by_name = sorted(rows_of(CSV), key=lambda r: r["name"].casefold())
    # A comment that a spreadsheet would run as a formula is exported with an apostrophe.
    assert rows_of(exported.text) == [{**r, "comment": "'-" if r["comment"] == "-" else r["comment"]} for r in by_name]
    as_json = await server.api.get("/sessions/export", params={"format": "json"})
    assert [s["name"] for s in as_json.json()] == [r["name"] for r in by_name]
    for data, kind in ((exported.content, "text/csv"), (as_json.content, "application/json")):
        again = (await import_(server, data, kind)).json()
        assert (again["unchanged"], again["revision"]) == (4, 1)


async def test_a_file_with_mistakes_is_refused_as_a_whole_with_all_of_them(server: Server) -> None:
    bad = CSV + "x/y,VT,a.example.com,23,no,,,,,\r\nBad port,VT,a.example.com,99999,maybe,,,,,\r\n"
    refused = await import_(server, bad.encode())
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (422, "import-mistakes")
    assert refused.headers["content-type"] == "application/problem+json"
    assert {(m["row"], m["field"]) for m in problem["mistakes"]} == {(6, "name"), (7, "port"), (7, "tls")}
    assert all(m["problem"] and m["remedy"] for m in problem["mistakes"])
    assert server.services.group.position.revision == 0
    dry = (await import_(server, bad.encode(), skip_invalid=True, dry_run=True)).json()
    assert (dry["imported"], dry["skipped"], dry["replicated"], dry["revision"]) == (4, 2, None, 0)
    assert server.services.group.position.revision == 0
    done = (await import_(server, bad.encode(), skip_invalid=True)).json()
    assert (done["imported"], done["skipped"], len(done["mistakes"]), done["revision"]) == (4, 2, 3, 1)


async def test_an_import_updates_by_name_and_says_what_it_did(server: Server) -> None:
    await import_(server, CSV.encode())
    changed = CSV.replace("build.example.com", "build2.example.com") + "New,VT,n.example.com,23,no,,,,,\r\n"
    done = (await import_(server, changed.encode())).json()
    assert (done["imported"], done["updated"], done["unchanged"], done["revision"]) == (1, 1, 3, 2)


async def test_an_import_sent_again_with_its_key_gives_the_first_answer(server: Server) -> None:
    await import_(server, CSV.replace("build.", "old.").encode())
    headers = {"Idempotency-Key": "again", "Content-Type": "text/csv"}
    data = (CSV + "New,VT,n.example.com,23,no,,,,,\r\n").encode()
    answers = [(await server.api.post("/sessions/import", content=data, headers=headers)).json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert (answers[1]["imported"], answers[1]["updated"], answers[1]["unchanged"]) == (1, 1, 3)
    assert (await import_(server, data)).json()["unchanged"] == 5


async def test_a_form_is_taken_too(server: Server) -> None:
    done = await server.api.post("/sessions/import", files={"file": ("inventory.csv", CSV.encode(), "text/csv")})
    assert done.json()["imported"] == 4
    refused = await server.api.post("/sessions/import", files={"other": ("inventory.csv", CSV.encode(), "text/csv")})
    assert (refused.status_code, "file" in refused.json()["remedy"]) == (422, True)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"nam,type\r\n", "nam"),
        (b"PK\x03\x04rest", "Excel workbook"),
        (b'{"a": 1}', "list"),
        (b"[1", "JSON"),
        (HEADER.encode() + b"\r\n\xe4,VT,a,23,no,,,,,\r\n", "UTF-8"),
    ],
)
async def test_a_file_that_cannot_be_read_says_why(server: Server, data: bytes, said: str) -> None:
    refused = await import_(server, data)
    assert refused.status_code == 422
    assert said in refused.json()["detail"] + refused.json()["remedy"]
    assert refused.json()["remedy"]


@pytest.mark.feature("R11")
async def test_writes_on_a_slave_are_submitted_and_change_nothing(server: Server) -> None:
    session = (await server.create("one")).json()["session"]
    path = f"/sessions/{session['id']}"
    server.replication.master_url = "https://master.example.com:443/mss"
    answers = [
        await server.create("two"),
        await server.api.delete(path),
        await import_(server, CSV.encode()),
        await server.api.patch(path, json={"port": 24}),
        await server.api.put(path, json={"name": "three", "type": "VT", "host": "b"}),
        await server.api.post(f"{path}/copy", json={"name": "four"}),
        await server.api.patch("/settings", json={"change-requests": "automatic"}),
    ]
    assert [a.status_code for a in answers] == [202] * len(answers)
    requests = [a.json()["request"] for a in answers]
    assert {(r["state"], r["author"], r["carrying"]) for r in requests} == {("on-its-way", "admin", "")}
    assert [r["summary"] for r in requests][:2] == ["Create session “two”", "Delete session “one”"]
    assert requests[3]["summary"] == "Change session “one”: port"
    assert [r["class"] for r in requests] == ["configuration"] * 6 + ["security"]
    assert (await server.api.get("/sessions")).json()["items"] == [session]
    listed = (await server.api.get("/change-requests")).json()
    assert {r["id"] for r in listed["items"]} == {r["id"] for r in requests}
    # What is wrong is refused at once, as on the Master.
    assert (await server.create("one")).status_code == 409
    assert (await server.create("")).status_code == 422
    assert (await server.api.patch(path, json={"port": 25}, headers={"If-Match": '"x"'})).status_code == 412
    assert (await server.api.delete("/sessions/not-there")).status_code == 404
    unchanged = await server.api.patch(path, json={"port": session["port"]})
    assert (unchanged.status_code, unchanged.json()["session"]) == (200, session)
    assert (await server.api.get("/change-requests")).json()["total"] == len(requests)


async def test_text_that_is_no_text_is_refused_not_stored(server: Server) -> None:
    body = b'{"name": "\\ud800", "type": "VT", "host": "a"}'
    refused = await server.api.post("/sessions", content=body, headers={"Content-Type": "application/json"})
    assert refused.status_code == 422
    odd = {"name": "n", "type": "VT", "host": "a.example.com", "comment": "<script>alert(1)</script>\u0000"}
    refused = await server.api.post(
        "/sessions", content=orjson.dumps(odd), headers={"Content-Type": "application/json"}
    )
    assert [m["field"] for m in refused.json()["mistakes"]] == ["comment"]


@pytest.mark.feature("R26")
async def test_many_are_edited_and_deleted_as_one_change(server: Server) -> None:
    ids = [(await server.create(f"s{n}", type="SSH" if n > 2 else "VT")).json()["session"]["id"] for n in range(5)]
    edit = {"matching": {"q": "s", "type": "VT"}, "expected": 3, "fields": {"comment": "all"}}
    asked = await server.api.post("/sessions/edit", json=edit)
    assert (asked.status_code, asked.json()["code"]) == (409, "confirmation-required")
    assert "3 sessions" in asked.json()["detail"]
    assert server.services.group.position.revision == 5
    done = (await server.api.post("/sessions/edit", json={**edit, "confirm": True})).json()
    assert (done["sessions"], done["revision"]) == (3, 6)
    again = (await server.api.post("/sessions/edit", json={**edit, "confirm": True})).json()
    assert (again["sessions"], again["revision"]) == (0, 6)
    wrongs: tuple[dict[str, Any], ...] = (
        {},
        {"ids": []},
        {"ids": ids, "matching": {}},
        {"matching": {"typ": "VT"}},
        {"ids": ids[:1], "fields": {"name": "x"}},
        {"ids": ids[:1], "fields": {"port": "x"}},
        {"ids": ids[3:], "fields": {"tls": True}},
    )
    for wrong in wrongs:
        refused = await server.api.post("/sessions/edit", json={"fields": {"port": 1}, "confirm": True} | wrong)
        assert refused.status_code == 422, wrong
    for stale in ({"ids": [*ids[:2], "gone"]}, {"matching": {}, "expected": 4}):
        refused = await server.api.post("/sessions/delete", json={**stale, "confirm": True})
        assert (refused.status_code, refused.json()["code"]) == (409, "selection-changed")
    assert server.services.group.position.revision == 6
    gone = (await server.api.post("/sessions/delete", json={"ids": ids[:2], "confirm": True})).json()
    assert (gone["sessions"], gone["revision"]) == (2, 7)
    left = (await server.api.get("/sessions", params={"type": "SSH"})).json()
    assert (left["total"], [s["name"] for s in left["items"]]) == (2, ["s3", "s4"])
    assert (await server.api.get("/sessions", params={"type": "Other"})).status_code == 422


@pytest.mark.feature("R26")
async def test_a_confirmation_of_many_holds_for_those_that_it_named(server: Server) -> None:
    made = [(await server.create(f"s{n}", type="VT")).json()["session"] for n in range(3)]
    for path, more in (("/sessions/delete", {}), ("/sessions/edit", {"fields": {"comment": "x"}})):
        chosen = {"matching": {"q": "s", "type": "VT"}, **more}
        plan = (await server.api.post(path, json=chosen)).json()["plan"]
        # One goes and another comes: as many as before match, but not the same.
        await server.api.delete(f"/sessions/{made.pop()['id']}")
        made.append((await server.create("s-new", type="VT")).json()["session"])
        at = server.services.group.position.revision
        refused = await server.api.post(path, json={**chosen, "confirm": True, "plan": plan})
        assert (refused.status_code, refused.json()["code"]) == (409, "selection-changed")
        assert server.services.group.position.revision == at
        plan = (await server.api.post(path, json=chosen)).json()["plan"]
        await server.create("another", type="SSH")  # not one of them
        if "fields" in more:
            done = await server.api.post(path, json={**chosen, "confirm": True, "plan": plan})
            assert done.json()["sessions"] == 3
    done = await server.api.post("/sessions/delete", json={"matching": {"type": "VT"}, "confirm": True})
    assert done.json()["sessions"] == 3


@pytest.mark.feature("R26")
async def test_a_dry_run_of_an_import_names_what_it_would_do(server: Server) -> None:
    await server.create("one", comment="was")
    given = rows(150)
    given[0] |= {
        "name": "ONE",
        "type": "VT",
        "host": "a.example.com",
        "comment": "is",
        "lu": "",
        "model": "",
        "code_page": "",
    }
    answer = await server.api.post("/sessions/import", params={"dry_run": True}, json=given)
    first = answer.json()["first"]
    assert len(first) == 100
    assert (first[0]["name"], first[0]["new"]) == ("ONE", False)
    assert {"name", "comment"} <= set(first[0]["changed"])
    assert "host" not in first[0]["changed"]
    assert first[1] == {"name": given[1]["name"], "new": True, "changed": []}


PROFILES = [("TSO_1.x3270", b"x3270.hostname: L:LU1@tso.example.com:992\n"), ("TSO_2.c3270", b"c3270.hostname: h\n")]


async def test_several_profiles_of_x3270_are_one_import_and_come_back_as_a_zip(server: Server) -> None:
    parts = [("file", (name, content, "text/plain")) for name, content in PROFILES]
    done = (await server.api.post("/sessions/import", files=parts)).json()
    assert (done["imported"], done["revision"], done["notes"]) == (2, 1, [])
    exported = await server.api.get("/sessions/export", params={"format": "x3270"})
    assert exported.headers["content-type"] == "application/zip"
    assert exported.headers["content-disposition"] == 'attachment; filename="sessions.zip"'
    again = (await import_(server, exported.content, "application/zip")).json()
    assert (again["unchanged"], again["revision"]) == (2, 1)
    mixed = [*parts, ("file", ("a.csv", CSV.encode(), "text/csv"))]
    refused = await server.api.post("/sessions/import", files=mixed)
    assert (refused.status_code, refused.json()["code"]) == (422, "inventory-files")


async def test_puttys_sessions_come_back_as_a_registry_file_without_those_of_other_types(server: Server) -> None:
    await import_(server, CSV.encode())
    exported = await server.api.get("/sessions/export", params={"format": "putty"})
    assert exported.headers["content-disposition"] == 'attachment; filename="sessions.reg"'
    before = (await server.api.get("/sessions")).json()["items"]
    mine = [s["name"] for s in before if s["type"] in ("VT", "SSH")]
    assert 0 < len(mine) < len(before)
    again = (await import_(server, exported.content)).json()
    assert (again["unchanged"], again["revision"]) == (len(mine), 1)


async def test_what_cant_be_carried_is_named_before_and_after(server: Server) -> None:
    text = b"x3270.hostname: h\nx3270.keymap: mine\n"
    for dry_run in (True, False):
        answer = await server.api.post(
            "/sessions/import", files={"file": ("a.x3270", text)}, params={"dry_run": dry_run}
        )
        (note,) = answer.json()["notes"]
        assert (note["row"], "keymap" in note["problem"]) == (1, True)
