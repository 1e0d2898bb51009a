"""Change History: what its pages show, and that they ask before they turn anything back."""

from __future__ import annotations

import pytest
from tests.unit.http.console.conftest import Browser
from tests.unit.http.console.test_panels import HOSTILE_NAME

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R24"), pytest.mark.feature("R30")]


async def made(browser: Browser, name: str) -> str:
    answer = await browser.server.create(name)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["session"]["id"])


async def test_the_pages_escape_what_is_in_sessions_and_lead_to_each_other(browser: Browser) -> None:
    assert "No changes yet" in await browser.page("/history")
    one = await made(browser, HOSTILE_NAME)
    await browser.server.api.patch(f"/sessions/{one}", json={"comment": HOSTILE_NAME, "groups": ["b", "a"]})
    for path in ("/history", "/history/2", f"/history/sessions/{one}", f"/history/sessions/{one}/part"):
        page = await browser.page(path)
        assert "<img src=x" not in page
        assert "onerror=alert(1)" in page  # it is shown, as text
    page = await browser.page("/history/2")
    assert f'href="/mss/history/sessions/{one}"' in page
    assert "Restore to here" not in page  # it is the newest
    assert "Restore to here" in await browser.page("/history/1")
    assert "No change fits" in await browser.page("/history?author=nobody")
    assert 'value="nobody"' in await browser.page("/history?author=nobody&kind=session")
    for path in ("/history/99", "/history/x", f"/history/{10**30}", "/history?before=x", "/history/sessions/nothing"):
        answer = await browser.http.get(path)
        assert answer.status_code == 404, path
        assert "Change History" in answer.text


async def test_pages_follow_one_another(browser: Browser) -> None:
    one = await made(browser, "one")
    for n in range(52):
        await browser.server.api.patch(f"/sessions/{one}", json={"comment": str(n)})
    assert "before=4" in await browser.page("/history?kind=session")
    older = await browser.page("/history?kind=session&before=4")
    assert "Older changes" not in older
    assert "The history begins with the first change." in older
    assert f"/history/sessions/{one}?before=4" in await browser.page(f"/history/sessions/{one}")
    assert "As it is now" not in await browser.page(f"/history/sessions/{one}?before=4")


async def test_undo_and_restore_ask_and_do_what_was_shown(browser: Browser) -> None:
    one = await made(browser, "one")
    two = await made(browser, "two")
    for path in ("/history/1/undo", "/history/1/restore"):
        asked = (await browser.post(path)).json()
        assert asked["code"] == "confirmation-required"
        assert len(asked["consequences"]) >= 2
        stale = await browser.post(path, confirm="yes", plan="another")
        assert stale.status_code == 412
    done = await browser.post("/history/1/restore", confirm="yes", plan=asked["plan"])
    assert (done.status_code, done.headers["hx-redirect"]) == (200, "/mss/history/3")
    assert (await browser.server.api.get(f"/sessions/{two}")).status_code == 404
    back = {"revision": "2", "etag": ""}
    assert (await browser.post(f"/history/sessions/{two}/restore", **back)).json()["code"] == "confirmation-required"
    done = await browser.post(f"/history/sessions/{two}/restore", confirm="yes", **back)
    assert done.headers["hx-redirect"] == f"/mss/history/sessions/{two}"
    assert (await browser.server.api.get(f"/sessions/{two}")).status_code == 200
    old = await browser.post(f"/history/sessions/{one}/restore", confirm="yes", revision="1", etag="what it isn't")
    assert old.status_code == 412


@pytest.mark.feature("R11")
async def test_on_a_slave_they_lead_to_the_change_request(browser: Browser) -> None:
    await made(browser, "one")
    browser.server.replication.master_url = "https://master.example.com/mss"
    done = await browser.post("/history/1/undo", confirm="yes")
    assert done.headers["hx-redirect"].startswith("/mss/change-requests/")
    assert "Delete session “one”" in await browser.page(done.headers["hx-redirect"].removeprefix("/mss"))
