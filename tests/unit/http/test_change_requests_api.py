"""Change requests and settings through the API: on the server that writes, and on a Slave."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.http.conftest import Server

pytestmark = pytest.mark.anyio

MASTER = "https://master.example.com:443/mss"


async def submitted(server: Server, name: str = "one") -> dict[str, Any]:
    """A request of this server's, made as a Slave."""
    server.replication.master_url = MASTER
    (session,) = (await server.api.get("/sessions", params={"q": name})).json()["items"]
    answer = await server.api.patch(f"/sessions/{session['id']}", json={"comment": "mine"})
    assert answer.status_code == 202, answer.text
    request: dict[str, Any] = answer.json()["request"]
    return request


async def become_master(server: Server) -> None:
    """As after a promotion: what was on its way is deposited here."""
    server.replication.master_url = ""
    box = server.services.requests._outbox
    for entry in box.entries():
        await server.services.requests.deposit_own(entry)
        box.remove(entry)


@pytest.mark.feature("R11")
async def test_a_request_is_shown_with_what_it_would_change_and_decided(server: Server) -> None:
    await server.create("one")
    request = await submitted(server)
    path = f"/change-requests/{request['id']}"
    shown = (await server.api.get(path)).json()
    assert (shown["state"], shown["carrying"], shown["conflicts"]) == ("on-its-way", "submission", [])
    (change,) = shown["changes"]
    assert change["fields"] == [{"field": "comment", "base": "", "now": "", "wanted": "mine"}]
    for act, body in (("implement", {}), ("reject", {"reason": "no"})):
        refused = await server.api.post(f"{path}/{act}", json=body)
        assert (refused.status_code, refused.json()["code"]) == (409, "slave")
        assert MASTER in refused.json()["remedy"]
    await become_master(server)
    assert (await server.api.post(f"{path}/reject", json={})).status_code == 422
    implemented = (await server.api.post(f"{path}/implement")).json()
    assert implemented["request"]["state"] == "implemented"
    assert implemented["replicated"] == {"have": 1, "of": 1, "confirmed": False}
    again = await server.api.post(f"{path}/implement", json={"force": True})
    assert (again.status_code, again.json()["code"]) == (409, "request-decided")
    (session,) = (await server.api.get("/sessions")).json()["items"]
    assert (session["comment"], session["revision"]) == ("mine", implemented["revision"])
    assert (await server.api.get("/change-requests", params={"state": "waiting"})).json() == {"items": [], "total": 0}
    assert (await server.api.get("/change-requests", params={"state": "odd"})).status_code == 422
    assert (await server.api.get("/change-requests/nothing")).status_code == 404


@pytest.mark.feature("R11")
async def test_conflicts_are_listed_and_a_new_request_replaces_the_old_one(server: Server) -> None:
    await server.create("one")
    request = await submitted(server)
    await become_master(server)
    session = (await server.api.get("/sessions")).json()["items"][0]
    await server.api.patch(f"/sessions/{session['id']}", json={"comment": "theirs"})
    path = f"/change-requests/{request['id']}"
    refused = await server.api.post(f"{path}/implement")
    assert (refused.status_code, refused.json()["code"]) == (409, "request-conflicts")
    assert len(refused.json()["conflicts"]) == 1
    shown = (await server.api.get(path)).json()
    assert [c["code"] for c in shown["conflicts"]] == ["changed"]
    fields = shown["changes"][0]["fields"]
    assert {"field": "comment", "base": "", "now": "theirs", "wanted": "mine"} in fields
    edited = {**shown["changes"][0]["wanted"], "comment": "both"}
    element = {"kind": "session", "id": session["id"], "wanted": edited}
    for bad in ({**element, "id": "other"}, {**element, "wanted": {**edited, "port": 0}}):
        assert (await server.api.put(path, json={"elements": [bad]})).status_code == 422
    new = (await server.api.put(path, json={"elements": [element]})).json()["request"]
    assert new["replaces"] == request["id"]
    assert (await server.api.get(path)).json()["state"] == "replaced"
    done = await server.api.post(f"/change-requests/{new['id']}/implement")
    assert done.status_code == 200, done.text
    assert (await server.api.get("/sessions")).json()["items"][0]["comment"] == "both"


@pytest.mark.feature("R11")
async def test_the_same_request_is_one_change_request_also_after_a_promotion(server: Server) -> None:
    created = {"name": "one", "type": "VT", "host": "a.example.com"}
    server.replication.master_url = MASTER
    sent = [await server.api.post("/sessions", json=created, headers={"Idempotency-Key": "k"}) for _ in range(3)]
    ids = {answer.json()["request"]["id"] for answer in sent}
    assert len(ids) == 1
    await become_master(server)
    again = await server.api.post("/sessions", json=created, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.json()["request"]["id"]) == (202, ids.pop())
    assert (await server.api.get("/sessions")).json()["total"] == 0


async def test_withdrawn_on_the_slave(server: Server) -> None:
    await server.create("one")
    request = await submitted(server)
    path = f"/change-requests/{request['id']}"
    withdrawn = await server.api.post(f"{path}/withdraw")
    assert (withdrawn.status_code, withdrawn.json()["request"]["state"]) == (202, "withdrawn")
    assert (await server.api.get(path)).json()["carrying"] == "withdrawal"
    again = await server.api.post(f"{path}/withdraw")
    assert (again.status_code, again.json()["code"]) == (409, "request-decided")


@pytest.mark.feature("R22")
async def test_a_setting_that_is_a_number_has_bounds_and_takes_text_too(server: Server) -> None:
    async def now() -> object:
        listed = {s["name"]: s for s in (await server.api.get("/settings")).json()["items"]}
        lock = listed["concurrency-lock-timeout"]
        assert lock["whole"] == {"usual": 30, "least": 1, "most": 1440, "unit": "minutes"}
        assert (lock["choices"], lock["default"], lock["scope"]) == ([], 30, "replicated")
        return lock["value"]

    assert await now() == 30
    for good, kept in ((1, 1), ("45", 45), (1440, 1440)):  # a command line has only text
        assert (await server.api.patch("/settings", json={"concurrency-lock-timeout": good})).status_code == 200
        assert await now() == kept
    unfit: tuple[object, ...] = (0, 1441, -5, 2.5, True, "", "ten", "1e3", "٣", [5], {})
    for bad in unfit:
        refused = await server.api.patch("/settings", json={"concurrency-lock-timeout": bad})
        assert (refused.status_code, refused.json()["mistakes"][0]["field"]) == (422, "concurrency-lock-timeout"), bad
    assert await now() == 1440
    assert (await server.api.patch("/settings", json={"concurrency-lock-timeout": None})).status_code == 200
    assert await now() == 30


async def test_settings_have_choices_and_defaults(server: Server) -> None:
    listed = {s["name"]: s for s in (await server.api.get("/settings")).json()["items"]}
    chosen = [s for s in listed.values() if s["choices"]]
    assert {(s["value"], s["scope"]) for s in chosen} == {
        ("ask", "replicated"), ("off", "replicated"), ("info", "this server")
    }  # fmt: skip
    assert all(s["value"] == s["default"] for s in chosen)
    assert all(s["default"] in [c["value"] for c in s["choices"]] for s in chosen)
    assert [c["value"] for c in listed["forced-promotion"]["choices"]] == ["ask", "follow"]
    written = await server.api.patch("/settings", json={"change-requests": "automatic"})
    assert written.json()["revision"] == 1
    assert {s["name"]: s["value"] for s in written.json()["items"]}["change-requests"] == "automatic"
    for bad, status in (({"change-requests": "autmatic"}, 422), ({"change-request": "ask"}, 404), ({}, 422)):
        refused = await server.api.patch("/settings", json=bad)
        assert refused.status_code == status
        assert refused.json()["remedy"]
    assert "“automatic”" in (await server.api.patch("/settings", json={"change-requests": "autmatic"})).text
    back = await server.api.patch("/settings", json={"change-requests": None})
    assert back.json()["revision"] == 2
    assert {s["value"] for s in back.json()["items"] if s["choices"]} == {"ask", "off", "info"}
