"""Change Requests: what is seen on a Slave and on the Master, and what can be done with one."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.unit.http.console.conftest import Browser
from tests.unit.http.console.test_sessions import HOSTILE, said, session_of, sessions
from tests.unit.http.test_change_requests_api import MASTER, become_master

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R24"), pytest.mark.feature("R11")]

PANEL = "/change-requests"


async def submitted(browser: Browser, **fields: Any) -> str:
    """The path of a request that this server made as a Slave."""
    browser.server.replication.master_url = MASTER
    (session,) = await sessions(browser)
    answer = await browser.server.api.patch(f"/sessions/{session['id']}", json=fields or {"comment": "mine"})
    assert answer.status_code == 202, answer.text
    return f"{PANEL}/{answer.json()['request']['id']}"


async def state(browser: Browser, path: str) -> str:
    found: str = (await browser.server.api.get(path)).json()["state"]
    return found


async def test_the_list_teaches_and_shows_what_waits(browser: Browser) -> None:
    assert "Nothing waits" in await browser.page(PANEL)
    assert "No change requests" in await browser.page(f"{PANEL}?state=all")
    await session_of(browser)
    path = await submitted(browser, comment=HOSTILE)
    page = await browser.page(PANEL)
    for text in ("On its way", "Change session “one”: comment", f'href="/mss{path}"', "Open (1)"):
        assert text in page
    part = await browser.http.get(PANEL, headers={"HX-Request": "true", "HX-Target": "request-list"})
    assert "<html" not in part.text
    assert "On its way" in part.text


async def test_on_the_slave_a_request_can_be_withdrawn_and_edited_but_not_decided(browser: Browser) -> None:
    await session_of(browser)
    path = await submitted(browser, comment=HOSTILE)
    page = await browser.page(path)
    for text in ("Wanted", "When it was made", "Withdraw", "Edit and resubmit", "on its way to the Master"):
        assert text in page
    assert "<script>alert" not in page
    assert 'form="implement-form"' not in page
    assert 'data-open="reject-dialog"' not in page
    assert (await browser.post(f"{path}/implement")).json()["code"] == "slave"
    form = await browser.page(f"{path}/edit")
    assert 'name="e0.comment"' in form
    fields = {"e0__kept": "yes", "e0__name": "one", "e0__type": "VT", "e0__host": "a.example.com", "e0__port": "x"}
    refused = await browser.post(f"{path}/edit", **fields)
    assert [m["field"] for m in refused.json()["mistakes"]] == ["e0.port"]
    edited = await browser.post(f"{path}/edit", **fields | {"e0__port": "2323"})
    new = edited.headers["hx-redirect"].removeprefix("/mss")
    assert new != path
    assert "Submitted anew." in said(edited)
    assert (await state(browser, path), await state(browser, new)) == ("replaced", "on-its-way")
    assert f'href="/mss{new}"' in await browser.page(path)
    assert 'form="withdraw-form"' in await browser.page(new)
    assert (await browser.post(f"{new}/withdraw")).json()["code"] == "confirmation-required"
    assert said(await browser.post(f"{new}/withdraw", confirm="yes")) == "Withdrawn."
    assert await state(browser, new) == "withdrawn"
    assert 'form="withdraw-form"' not in await browser.page(new)
    assert f'href="/mss{new}"' in await browser.page(f"{PANEL}?state=withdrawn")
    assert f'href="/mss{new}"' not in await browser.page(f"{PANEL}?state=rejected")
    assert f'href="/mss{new}"' not in await browser.page(PANEL)
    assert (await browser.post(f"{new}/edit", e0__kept="no")).status_code == 422


async def test_on_the_master_one_is_implemented_and_another_rejected_with_a_reason(browser: Browser) -> None:
    await session_of(browser)
    first = await submitted(browser)
    second = await submitted(browser, host="b.example.com")
    await become_master(browser.server)
    page = await browser.page(first)
    assert 'form="implement-form"' in page
    assert "it waits for an administrator there" in page
    assert 'data-live="requests_waiting"' in page
    assert said(await browser.post(f"{first}/implement")) == "Implemented."
    (session,) = await sessions(browser)
    assert session["comment"] == "mine"
    assert "Implemented by admin" in await browser.page(first)
    # The second was made before the first was implemented: it stands against it, and isn't offered without a word.
    page = await browser.page(second)
    for text in ("What stands against it", "Changed since", "Implement in spite of that", "Resubmit"):
        assert text in page
    assert 'form="implement-form"' not in page
    refused = await browser.post(f"{second}/implement")
    assert (refused.status_code, refused.json()["code"]) == (409, "request-conflicts")
    wrong = await browser.post(f"{second}/reject", reason=" ")
    assert [m["field"] for m in wrong.json()["mistakes"]] == ["reason"]
    assert said(await browser.post(f"{second}/reject", reason=HOSTILE)) == "Rejected."
    page = await browser.page(second)
    assert "Rejected by admin" in page
    assert "<script>alert" not in page
    assert re.search(r"Open \(0\)", await browser.page(PANEL))
    assert (await browser.http.get(f"{PANEL}/nothing")).status_code == 404


async def test_conflicts_can_be_overridden_or_taken_in(browser: Browser) -> None:
    await session_of(browser)
    path = await submitted(browser)
    other = await submitted(browser, comment="other")
    await become_master(browser.server)
    (session,) = await sessions(browser)
    await browser.server.api.patch(f"/sessions/{session['id']}", json={"comment": "theirs"})
    asked = (await browser.post(f"{path}/implement", force="yes")).json()
    assert asked["code"] == "confirmation-required"
    assert "“one”" in asked["consequences"][0]
    assert said(await browser.post(f"{path}/implement", force="yes", confirm="yes")) == "Implemented."
    assert (await sessions(browser))[0]["comment"] == "mine"
    anew = await browser.post(f"{other}/resubmit")
    new = anew.headers["hx-redirect"].removeprefix("/mss")
    assert "What stands against it" not in await browser.page(new)
    await browser.post(f"{new}/implement")
    assert (await sessions(browser))[0]["comment"] == "other"


async def test_the_setting_is_kept_and_submitted_on_a_slave(browser: Browser) -> None:
    page = await browser.page(PANEL)
    for text in ("Changes made on a Slave", "Ask an administrator", "Implement automatically when nothing conflicts"):
        assert text in page
    assert said(await browser.post(f"{PANEL}/setting", **{"change-requests": "automatic"})) == "Settings applied."
    assert 'value="automatic" checked' in await browser.page(PANEL)
    assert (await browser.post(f"{PANEL}/setting", **{"change-requests": "odd"})).json()["mistakes"][0][
        "field"
    ] == "change-requests"
    assert said(await browser.post(f"{PANEL}/setting", **{"change-requests": "ask"})) == "Settings applied."
    browser.server.replication.master_url = MASTER
    answer = await browser.post(f"{PANEL}/setting", **{"change-requests": "automatic"})
    assert said(answer) == "Submitted to the Master."
    path = answer.headers["hx-redirect"].removeprefix("/mss")
    assert "Needs an administrator of the Master" in await browser.page(PANEL)
    edited = await browser.post(f"{path}/edit", e0__kept="yes", e0__value="odd")
    assert [m["field"] for m in edited.json()["mistakes"]] == ["e0.change-requests"]
    assert 'value="automatic" checked' in await browser.page(f"{path}/edit")
