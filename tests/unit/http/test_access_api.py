"""Assign Access through the API, and what a user may open."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import pytest
from tests.unit.http.conftest import Server
from tests.unit.http.test_people_api import as_user, code, created, group, stack

__all__ = ["stack"]

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R23")]


async def sessions(server: Server, *names: str, **fields: Any) -> dict[str, str]:
    """Their ids."""
    return {n: (await server.create(n, **fields)).json()["session"]["id"] for n in names}


async def assign(server: Server, *names: str, **how: Any) -> None:
    answer = await server.api.post("/assignments", json={"sessions": names, **how})
    assert answer.status_code == 200, answer.text


async def test_what_is_assigned_can_be_used_and_nothing_else_exists(server: Server, stack: AsyncExitStack) -> None:
    await group(server, "Nordics")
    await group(server, "Oslo", "Nordics")
    await created(server, "anna", groups=["Oslo"])
    ids = await sessions(server, "one", "two", "three", "four", "five")
    ids |= await sessions(server, "six", groups=["NORDICS"])
    anna = await as_user(server, stack, "anna")
    assert [s["name"] for s in (await anna.get("/me/sessions")).json()["items"]] == ["six"]
    await assign(server, "one", to=[{"kind": "user", "name": "ANNA"}])
    await assign(server, "TWO", ids["three"], to=[{"kind": "user-group", "name": "nordics"}])
    await assign(server, "four", to=[{"kind": "everyone"}], until="2020-01-01")
    await assign(server, "three", to=[{"kind": "everyone"}], effect="deny")
    found = (await anna.get("/me/sessions")).json()
    assert [s["name"] for s in found["items"]] == ["one", "six", "two"]
    fields = {"id", "name", "type", "host", "port", "tls", "favourite"}
    assert set(found["items"][0]) == fields, "no comments for administrators"
    assert [s["name"] for s in (await anna.get("/me/sessions?q=TW")).json()["items"]] == ["two"]
    launched = await anna.get(f"/me/sessions/{ids['two']}/launch")
    assert launched.status_code == 200
    assert "a.example.com" in launched.content.decode("utf-16")  # PuTTY's
    made_up = "0" * 32
    unknown = await anna.get(f"/me/sessions/{made_up}/launch")
    for name in ("three", "four", "five"):
        refused = await anna.get(f"/me/sessions/{ids[name]}/launch")
        assert code(refused, 404) == "not-found"
        assert refused.text.replace(ids[name], made_up) == unknown.text


@pytest.mark.feature("A12")
async def test_opening_what_is_not_assigned_is_the_same_as_what_is_not_there_and_is_recorded(
    server: Server, stack: AsyncExitStack
) -> None:
    await created(server, "anna", role="auditor")
    ids = await sessions(server, "secret")
    anna = await as_user(server, stack, "anna")
    there = await anna.get(f"/me/sessions/{ids['secret']}/launch")
    other = await anna.get(f"/me/sessions/{'0' * 32}/launch")
    assert there.status_code == other.status_code == 404
    assert there.text.replace(ids["secret"], "0" * 32) == other.text
    entries = (await server.api.get("/audit?act=session-launched")).json()["items"]
    assert {(e["user"], e["outcome"]) for e in entries} == {("anna", "refused")}
    await assign(server, "secret", to=[{"kind": "user", "name": "anna"}])
    assert (await anna.get(f"/me/sessions/{ids['secret']}/launch")).status_code == 200
    newest = (await server.api.get("/audit?act=session-launched")).json()["items"][0]
    assert (newest["user"], newest["outcome"], newest["about"]["name"]) == ("anna", "done", "secret")


async def test_why_somebody_may_use_a_session_is_explained(server: Server) -> None:
    await group(server, "Nordics")
    await group(server, "Oslo", "Nordics")
    user = await created(server, "anna", groups=["Oslo"])
    ids = await sessions(server, "one", groups=["Nordics"])
    path = f"/users/{user['id']}/sessions/{ids['one']}"
    why = (await server.api.get(path)).json()
    assert why["allowed"] is True
    assert [(g["to"]["name"], g["by"]) for g in why["because"]] == [("Nordics", "the session's groups")]
    await assign(server, "one", to=[{"kind": "user", "name": "anna"}], until="2099-12-31")
    await assign(server, "one", to=[{"kind": "user-group", "name": "Oslo"}], effect="deny")
    why = (await server.api.get(path)).json()
    assert why["allowed"] is False
    assert [(g["effect"], g["to"]["name"], g["until"]) for g in why["because"]] == [
        ("deny", "Oslo", ""),
        ("allow", "anna", "2099-12-31T23:59:59Z"),
        ("allow", "Nordics", ""),
    ]
    assert code(await server.api.get(f"/users/{user['id']}/sessions/none"), 404) == "not-found"
    other = await created(server, "bert")
    why = (await server.api.get(f"/users/{other['id']}/sessions/{ids['one']}")).json()
    assert (why["allowed"], why["because"]) == (False, [])


async def test_assigning_again_replaces_and_removing_takes_away(server: Server) -> None:
    user = await created(server, "anna")
    ids = await sessions(server, "one", "two")
    to = [{"kind": "user", "name": "anna"}]
    await assign(server, "one", "two", to=to)
    await assign(server, "one", to=to, effect="deny", until="2099-01-01T12:00:00+02:00")
    found = (await server.api.get(f"/assignments?user={user['id']}")).json()
    assert found["total"] == 2
    one = next(a for a in found["items"] if a["of"]["name"] == "one")
    assert (one["effect"], one["until"], one["over"]) == ("deny", "2099-01-01T10:00:00Z", False)
    assert (await server.api.get(f"/assignments?session={ids['two']}")).json()["total"] == 1
    removed = await server.api.post("/assignments/remove", json={"ids": [one["id"]]})
    assert removed.json()["assignments"] == 1
    again = await server.api.post("/assignments/remove", json={"ids": [one["id"]]})
    assert code(again, 404) == "not-found"
    await server.api.delete(f"/users/{user['id']}")
    assert (await server.api.get("/assignments")).json()["total"] == 0


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"to": [], "sessions": ["one"]}, "invalid-input"),
        ({"to": [{"kind": "user", "name": "anna"}], "sessions": []}, "assignment-unknown"),
        ({"to": [{"kind": "user", "name": "nobody"}], "sessions": ["one"]}, "assignment-unknown"),
        ({"to": [{"kind": "user", "name": "anna"}], "sessions": ["one", "none"]}, "assignment-unknown"),
        ({"to": [{"kind": "everyone", "name": "x"}], "sessions": ["one"]}, "invalid-input"),
        ({"to": [{"kind": "user"}], "sessions": ["one"]}, "invalid-input"),
        ({"to": [{"kind": "everyone"}], "sessions": ["one"], "until": "tomorrow"}, "invalid-input"),
        ({"to": [{"kind": "everyone"}], "sessions": ["one"], "until": "2026-01-01T10:00:00"}, "invalid-input"),
        ({"to": [{"kind": "everyone"}], "sessions": ["one"], "effect": "maybe"}, "invalid-input"),
    ],
)
async def test_what_cannot_be_assigned_is_refused_as_a_whole(server: Server, body: Any, problem: str) -> None:
    await created(server, "anna")
    await sessions(server, "one")
    revision = server.services.group.position.revision
    answer = await server.api.post("/assignments", json=body)
    assert code(answer, 422) == problem
    assert answer.json()["remedy"]
    assert server.services.group.position.revision == revision


async def test_a_session_that_is_deleted_and_brought_back_is_still_assigned(
    server: Server, stack: AsyncExitStack
) -> None:
    await created(server, "anna")
    ids = await sessions(server, "one")
    await assign(server, "one", to=[{"kind": "user", "name": "anna"}])
    anna = await as_user(server, stack, "anna")
    deleted = (await server.api.delete(f"/sessions/{ids['one']}")).json()["revision"]
    assert (await anna.get("/me/sessions")).json()["total"] == 0
    assert (await server.api.get("/assignments")).json()["items"][0]["of"]["name"] == ""
    asked = await server.api.post(f"/changes/{deleted}/undo", json={})
    done = await server.api.post(f"/changes/{deleted}/undo", json={"confirm": True, "plan": asked.json()["plan"]})
    assert done.status_code == 200, done.text
    assert [s["name"] for s in (await anna.get("/me/sessions")).json()["items"]] == ["one"]


DIRECTORY = {"servers": ["ldap.example.com"], "user_base": "dc=x", "first_login": False}
IT = "Ldap: OU=IT, ou=Sales,dc=X"


async def placed(server: Server, *users: tuple[str, str]) -> None:
    """Users of the directory Ldap, at these places."""
    assert (await server.api.put("/directories/Ldap", json=DIRECTORY)).status_code == 200
    rows = [{"login": name, "directory": "Ldap", "dn": dn} for name, dn in users]
    answer = await server.api.post("/users/import", json=rows)
    assert answer.status_code == 200, answer.text


async def test_whoever_is_in_a_directory_folder_has_what_is_assigned_to_it_and_keeps_no_place_of_another_directory(
    server: Server,
) -> None:
    await placed(server, ("anna", "uid=anna,ou=it,ou=sales,dc=x"), ("bert", "uid=bert,ou=sales,dc=x"))
    ids = await sessions(server, "one", "two", "three")
    await assign(server, "one", to=[{"kind": "directory-folder", "name": IT}])
    await assign(server, "two", to=[{"kind": "directory-folder", "name": "ou=sales,dc=x"}])
    await assign(server, "three", to=[{"kind": "directory-folder", "name": "LDAP:dc=x"}])
    await assign(server, "three", to=[{"kind": "directory-folder", "name": IT}], effect="deny")
    users = {u["name"]: u["id"] for u in (await server.api.get("/users")).json()["items"]}

    async def usable(user: str) -> list[str]:
        return [s["name"] for s in (await server.api.get(f"/users/{users[user]}/sessions")).json()["items"]]

    assert await usable("anna") == ["one", "two"]
    assert await usable("bert") == ["three", "two"]
    why = (await server.api.get(f"/users/{users['anna']}/sessions/{ids['three']}")).json()
    assert [(g["effect"], g["to"]["kind"], g["to"]["name"]) for g in why["because"]] == [
        ("deny", "directory-folder", "Ldap: ou=it,ou=sales,dc=x"), ("allow", "directory-folder", "Ldap: dc=x")
    ]  # fmt: skip
    found = (await server.api.get("/assignments", params={"folder": IT})).json()
    assert sorted((a["of"]["name"], a["effect"]) for a in found["items"]) == [("one", "allow"), ("three", "deny")]
    folders = (await server.api.get("/assignments/folders")).json()["items"]
    assert {f["name"]: f["users"] for f in folders} == {
        "Ldap: dc=x": 2, "Ldap: ou=sales,dc=x": 2, "Ldap: ou=it,ou=sales,dc=x": 1
    }  # fmt: skip
    report = (await server.api.get("/reports/who-may", params={"folder": IT})).json()["items"]
    assert [(r["user"], r["session"]) for r in report] == [("anna", "one"), ("anna", "two")]
    exported = (await server.api.get("/users/export")).json()
    assert [row["dn"] for row in exported] == ["uid=anna,ou=it,ou=sales,dc=x", "uid=bert,ou=sales,dc=x"]
    assert (await server.api.patch(f"/users/{users['anna']}", json={"directory": ""})).status_code == 200
    assert await usable("anna") == []
    assert (await server.api.patch(f"/users/{users['anna']}", json={"directory": "Ldap"})).status_code == 200
    assert await usable("anna") == [], "where she is now isn't known"


async def test_a_deleted_directory_takes_what_is_assigned_to_its_folders_along(server: Server) -> None:
    await placed(server)
    assert (await server.api.put("/directories/Ldap2", json=DIRECTORY)).status_code == 200
    await sessions(server, "one")
    await assign(server, "one", to=[{"kind": "directory-folder", "name": f"{d}: dc=x"} for d in ("Ldap", "Ldap2")])
    assert (await server.api.delete("/directories/Ldap")).status_code == 200
    left = (await server.api.get("/assignments")).json()["items"]
    assert [a["to"]["name"] for a in left] == ["Ldap2: dc=x"]


@pytest.mark.parametrize("name", ["ou=sales", "nonsense", "Nowhere: ou=sales", "Ldap: ou=", "Ldap:", "Ldap2"])
async def test_what_is_no_folder_is_refused(server: Server, name: str) -> None:
    await placed(server)
    assert (await server.api.put("/directories/Ldap2", json=DIRECTORY)).status_code == 200
    await sessions(server, "one")
    body = {"sessions": ["one"], "to": [{"kind": "directory-folder", "name": name}]}
    refused = await server.api.post("/assignments", json=body)
    assert code(refused, 422) == "assignment-unknown"
    assert "There is no directory folder" in refused.json()["mistakes"][0]["problem"]
    assert code(await server.api.get("/assignments", params={"folder": name}), 422) == "assignment-unknown"
