"""The history through the API."""

from __future__ import annotations

import pytest
from tests.unit.http.conftest import Server
from tests.unit.http.test_every_route import assert_problem

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R30")]


async def made(server: Server, name: str) -> str:
    answer = await server.create(name)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["session"]["id"])


async def test_changes_are_listed_filtered_paged_and_shown_with_their_differences(server: Server) -> None:
    one, two = await made(server, "one"), await made(server, "two")
    await server.api.patch(f"/sessions/{one}", json={"port": 2323, "comment": "x"})
    await server.api.patch("/settings", json={"change-requests": "automatic"})
    page = (await server.api.get("/changes", params={"limit": 2})).json()
    assert [i["summary"] for i in page["items"]] == [
        "Create setting “change-requests”",
        "Change session “one”: comment, port",
    ]
    assert page["history"] == {"newest": 4, "oldest": 1, "restorable_from": 0}
    page = (await server.api.get("/changes", params={"limit": 2, "before": page["next_before"]})).json()
    assert [(i["revision"], i["author"], i["elements"]) for i in page["items"]] == [(2, "admin", 1), (1, "admin", 1)]
    assert page["next_before"] is None
    for params, revisions in (
        ({"author": "nobody"}, []),
        ({"kind": "setting"}, [4]),
        ({"element": two}, [2]),
        ({"kind": "session", "element": one}, [3, 1]),
        ({"element": "change-requests"}, [4]),
    ):
        found = (await server.api.get("/changes", params=params)).json()["items"]
        assert [i["revision"] for i in found] == revisions, params
    shown = (await server.api.get("/changes/3")).json()
    (change,) = shown["changes"]
    assert (change["label"], change["act"], change["later"]) == ("session “one”", "change", None)
    assert change["fields"] == [
        {"field": "comment", "before": "", "after": "x"},
        {"field": "port", "before": 992, "after": 2323},
    ]
    assert (await server.api.get("/changes/1")).json()["changes"][0]["later"] == 3
    for path in ("/changes/99", f"/changes/{(1 << 63) - 1}"):
        assert_problem(await server.api.get(path), 404)
    for path in ("/changes/0", f"/changes/{1 << 63}", "/changes/x"):
        assert_problem(await server.api.get(path), 422)


async def test_a_deleted_session_has_a_history_and_comes_back(server: Server) -> None:
    one = await made(server, "one")
    await server.api.delete(f"/sessions/{one}")
    past = (await server.api.get(f"/sessions/{one}/history")).json()
    assert (past["name"], past["exists"], past["complete"]) == ("one", False, True)
    assert [(i["revision"], i["act"]) for i in past["items"]] == [(2, "delete"), (1, "create")]
    assert {"field": "host", "before": "a.example.com", "after": None} in past["items"][0]["fields"]
    back = await server.api.post(f"/sessions/{one}/restore", json={"revision": 1})
    assert (back.status_code, back.json()["session"]["name"]) == (200, "one")
    etag = back.headers["etag"]
    await server.api.patch(f"/sessions/{one}", json={"comment": "x"})
    path = f"/sessions/{one}/restore"
    assert_problem(await server.api.post(path, json={"revision": 1}, headers={"If-Match": etag}), 412)
    assert (await server.api.post(path, json={"revision": 1})).headers["etag"] == etag
    assert_problem(await server.api.get("/sessions/nothing/history"), 404)
    assert_problem(await server.api.post("/sessions/nothing/restore", json={"revision": 1}), 409)


async def test_undo_and_restore_ask_first_and_hold_to_what_they_said(server: Server) -> None:
    one = await made(server, "one")
    await made(server, "two")
    asked = assert_problem(await server.api.post("/restore", json={"revision": 1}), 409)
    assert asked["code"] == "confirmation-required"
    assert asked["consequences"][0] == "1 session is deleted: “two”."
    await server.api.patch(f"/sessions/{one}", json={"comment": "x"})
    sent = {"revision": 1, "confirm": True, "plan": asked["plan"]}
    stale = assert_problem(await server.api.post("/restore", json=sent), 412)
    assert stale["current"] != asked["plan"]
    done = await server.api.post("/restore", json=sent | {"plan": stale["current"]})
    assert done.json() == {
        "changed": True,
        "revision": 4,
        "replicated": {"have": 1, "of": 1, "confirmed": False},
    }
    assert [i["name"] for i in (await server.api.get("/sessions")).json()["items"]] == ["one"]
    asked = assert_problem(await server.api.post("/changes/4/undo"), 409)
    undone = await server.api.post("/changes/4/undo", json={"confirm": True, "plan": asked["plan"]})
    assert undone.json()["revision"] == 5
    names = [(i["name"], i["comment"]) for i in (await server.api.get("/sessions")).json()["items"]]
    assert names == [("one", "x"), ("two", "")]
    assert_problem(await server.api.post("/restore", json={"revision": 1, "confirm": "yes"}), 422)
    assert_problem(await server.api.post("/restore", json={}), 422)
