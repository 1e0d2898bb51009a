"""A stale save of a user, a group or settings shows both versions, and loses neither."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest
from tests.unit.http.console.conftest import Browser

from hostward.domain.panels import AUDIT, AUTHENTICATION, GENERAL

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R23"), pytest.mark.feature("R24")]

HOSTILE = "</textarea><script>alert(1)</script>"
MINE: dict[str, dict[str, str]] = {
    "users": {"name": "anna", "full_name": "Anna Mine", "groups": "", "comment": HOSTILE, "role": "auditor"},
    "user-groups": {"name": "Oslo IT", "groups": "Nordics", "comment": HOSTILE},
}
PANELS = {"users": f"{AUTHENTICATION}/users", "user-groups": f"{AUTHENTICATION}/groups"}


def said(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    text: str = json.loads(answer.headers["hx-trigger"])["hw:toast"]["text"]
    return text


def etag_in(text: str) -> str:
    (etag,) = re.findall(r'name="etag" id="etag" value="([0-9a-f]+)" hx-swap-oob', text)
    return str(etag)


async def made(browser: Browser, what: str) -> dict[str, Any]:
    await browser.server.api.post("/user-groups", json={"name": "Nordics"})
    await browser.server.api.post(f"/{what}", json={"name": MINE[what]["name"]})
    return await find(browser, what)


async def find(browser: Browser, what: str) -> dict[str, Any]:
    items = (await browser.server.api.get(f"/{what}")).json()["items"]
    return next(item for item in items if item["name"] == MINE[what]["name"])


@pytest.mark.parametrize("what", MINE)
async def test_a_stale_save_shows_both_versions_until_it_is_saved_again(browser: Browser, what: str) -> None:
    before = await made(browser, what)
    path = f"{PANELS[what]}/{before['id']}"
    await browser.server.api.patch(f"/{what}/{before['id']}", json={"comment": "theirs"})
    shown = await browser.post(path, etag=before["etag"], **MINE[what])
    assert shown.headers["hx-retarget"] == "#versions"
    differing = set(re.findall(r'data-differs="(\w+)"', shown.text))
    assert differing == {name for name, value in MINE[what].items() if value and name != "name"}
    assert "theirs" in shown.text
    assert "&lt;script&gt;" in shown.text
    assert "<script>" not in shown.text
    now = await find(browser, what)
    assert (now["comment"], etag_in(shown.text)) == ("theirs", now["etag"])
    assert said(await browser.post(path, etag=now["etag"], **MINE[what])) == "Saved."
    assert (await find(browser, what))["comment"] == HOSTILE


@pytest.mark.parametrize("what", MINE)
async def test_what_was_deleted_meanwhile_can_be_saved_as_a_new_one(browser: Browser, what: str) -> None:
    before = await made(browser, what)
    path = f"{PANELS[what]}/{before['id']}"
    await browser.server.api.delete(f"/{what}/{before['id']}", params={"confirm": True} if what != "users" else None)
    assert "deleted by somebody else" in (await browser.post(path, etag=before["etag"], **MINE[what])).text
    assert said(await browser.post(path, etag=before["etag"], as_new="yes", **MINE[what])) == "Created."
    assert (await find(browser, what))["id"] != before["id"]


async def test_settings_that_somebody_else_has_changed_are_not_set_back(browser: Browser) -> None:
    page = await browser.page(GENERAL)
    (etag,) = re.findall(r'name="etag" id="etag" value="([0-9a-f]+)"', page)
    names = ["forced-promotion", "concurrency-lock-timeout", "console-idle-timeout", "logins-without-confirmation"]
    items = (await browser.server.api.get("/settings")).json()["items"]
    mine = {s["name"]: str(s["value"]) for s in items if s["name"] in names} | {"console-idle-timeout": "60"}
    await browser.server.api.patch("/settings", json={"forced-promotion": "follow", "audit-days": 10})
    shown = await browser.post(GENERAL, etag=etag, **mine)
    assert set(re.findall(r'data-differs="([\w-]+)"', shown.text)) == {"forced-promotion", "console-idle-timeout"}
    for text in ("Follow the new Master", "Ask an administrator", "30 minutes", "60 minutes"):
        assert text in shown.text
    assert said(await browser.post(GENERAL, etag=etag_in(shown.text), **mine)) == "Settings applied."


async def test_another_panels_settings_are_no_reason_to_refuse(browser: Browser) -> None:
    (etag,) = re.findall(r'name="etag" id="etag" value="([0-9a-f]+)"', await browser.page(AUDIT))
    await browser.server.api.patch("/settings", json={"forced-promotion": "follow"})
    answer = await browser.post(f"{AUDIT}/retention", etag=etag, **{"audit-days": "20", "audit-size": "30"})
    assert said(answer) == "Settings applied."


async def test_the_api_sets_settings_only_where_they_are_as_they_were_read(browser: Browser) -> None:
    api = browser.server.api
    read = await api.get("/settings")
    seen = {"If-Match": read.headers["etag"]}
    written = await api.patch("/settings", json={"audit-days": 20}, headers=seen)
    assert written.status_code == 200
    stale = await api.patch("/settings", json={"audit-size": 20}, headers=seen)
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition-failed")
    assert (await api.patch("/settings", json={"audit-size": 20})).status_code == 200
    fresh = {"If-Match": written.headers["etag"]}
    assert (await api.patch("/settings", json={"audit-days": 20}, headers=fresh)).status_code == 412
