"""The Concurrency Lock in the console: the form of two administrators, and what asks before it writes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from tests.support.inventory import as_csv, rows
from tests.unit.commands.servers import OwnLocks
from tests.unit.http.conftest import client
from tests.unit.http.console.conftest import SAME_ORIGIN, Browser

from hostward.http.console.pages.locks import locks_shown

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R22")]

FIELDS = {"name": "one", "type": "VT", "host": "mine.example.com"}


@pytest.fixture
async def other(browser: Browser) -> AsyncIterator[Browser]:
    """Another administrator's browser."""
    async with client(browser.server.app, base="/mss") as http:
        found = Browser(browser.server, http)
        assert (await found.log_in()).status_code == 303
        yield found


async def made(browser: Browser, name: str = "one") -> dict[str, Any]:
    session: dict[str, Any] = (await browser.server.create(name)).json()["session"]
    return session


async def state(browser: Browser, path: str, how: str = "", **fields: str) -> str:
    answer = await browser.post(f"{path}/lock{how}", **fields)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-lock"]


async def asked(answer: httpx.Response) -> str:
    assert (answer.status_code, answer.json()["code"]) == (409, "confirmation-required"), answer.text
    assert "“one” has been edited by admin" in answer.json()["consequences"][0]
    plan: str = answer.json()["plan"]
    return plan


async def test_who_opens_a_session_that_is_edited_reads_it_and_may_take_over(browser: Browser, other: Browser) -> None:
    path = f"/manage/sessions/{(await made(browser))['id']}"
    page = await browser.page(path)
    assert 'data-state="free"' in page
    assert "data-lockable>" in page
    assert (await browser.http.get(path)).status_code == 200
    assert browser.server.services.locks.mine("") == []
    assert await state(browser, path, page="a") == "held"
    theirs = await other.page(path)
    for text in ("admin on server.example.com is editing this session", "data-lockable disabled", "<time", "Take over"):
        assert text in theirs
    assert await state(other, path, page="b") == "locked"
    assert await state(other, path, "/take-over", page="b") == "held"
    lost = await browser.http.get(f"{path}/lock")
    assert lost.headers["x-lock"] == "locked"
    assert "edits this session now" in lost.text
    assert (await browser.post(f"{path}/lock/release", page="a")).status_code == 204  # not theirs any more
    assert await state(browser, path, page="a") == "locked"
    assert (await other.post(f"{path}/lock/release", page="b")).status_code == 204
    assert await state(browser, path, page="a") == "held"
    assert (await browser.submit("/logout", csrf=browser.forgery)).status_code == 303
    assert await state(other, path, page="b") == "held"


async def test_a_save_asks_before_it_writes_what_somebody_else_edits_and_frees_what_it_held(
    browser: Browser, other: Browser
) -> None:
    session = await made(browser)
    path = f"/manage/sessions/{session['id']}"
    assert await state(browser, path, page="a") == "held"
    form = FIELDS | {"etag": session["etag"], "page": "b"}
    plan = await asked(await other.post(path, **form))
    for more in ({"plan": plan}, {"confirm": "yes"}, {"confirm": "yes", "plan": ".0123456789abcdef"}):
        await asked(await other.post(path, **form, **more))  # Yes holds for exactly what was shown
    assert (await browser.server.api.get(f"/sessions/{session['id']}")).json()["host"] == session["host"]
    done = await other.post(path, **form, confirm="yes", plan=plan)
    assert done.headers["hx-redirect"] == "/mss/manage/sessions"
    both = await browser.post(path, **FIELDS | {"host": "first.example.com"}, etag=session["etag"], page="a")
    assert both.headers["hx-retarget"] == "#versions"
    now = (await browser.server.api.get(f"/sessions/{session['id']}")).json()
    saved = await browser.post(path, **FIELDS | {"host": "first.example.com"}, etag=now["etag"], page="a")
    assert "hx-redirect" in saved.headers
    assert await state(other, path, page="b") == "held"  # saving has released it


async def test_many_at_once_asks_for_those_that_are_edited(browser: Browser, other: Browser) -> None:
    one, two = await made(browser), await made(browser, "two")
    assert await state(browser, f"/manage/sessions/{one['id']}", page="a") == "held"
    chosen = {"ids": f"{one['id']} {two['id']}", "expected": "2"}
    first = await other.post("/manage/sessions/delete", **chosen)
    assert "Deleting 2 sessions" in first.json()["detail"]
    plan = await asked(await other.post("/manage/sessions/delete", **chosen, confirm="yes", plan=first.json()["plan"]))
    assert plan.startswith(first.json()["plan"] + ".")
    done = await other.post("/manage/sessions/delete", **chosen, confirm="yes", plan=plan)
    assert "hx-redirect" in done.headers
    assert (await browser.server.api.get("/sessions")).json()["total"] == 0


async def test_a_form_opens_without_a_lock_while_the_master_is_away(browser: Browser) -> None:
    path = f"/manage/sessions/{(await made(browser))['id']}"
    locks = browser.server.services.locks
    assert isinstance(locks, OwnLocks)
    locks.away = True
    page = await browser.page(path)
    assert "can&#39;t be reached, so this session isn&#39;t locked" in page
    assert "data-lockable>" in page
    assert await state(browser, path, page="a") == "away"
    assert (await browser.post(f"{path}/lock/release", page="a")).status_code == 204


async def test_whoever_reads_a_locked_session_is_told_when_it_is_free(browser: Browser, other: Browser) -> None:
    path = f"/manage/sessions/{(await made(browser))['id']}"
    assert await state(browser, path, page="a") == "held"
    assert "is editing this session" in await other.page(path)
    (login,) = {t.id for t in browser.server.services.tokens.list() if t.kind == "console"} - {holder(browser)}
    assert locks_shown(browser.server.services, login) == {
        "mine": [],
        "taken": [path.removeprefix("/manage/sessions/")],
    }
    still = await other.http.get(f"{path}/lock?reading=yes")
    assert "is editing this session" in still.text
    await browser.post(f"{path}/lock/release", page="a")
    assert locks_shown(browser.server.services, login) == {"mine": [], "taken": []}
    free = await other.http.get(f"{path}/lock?reading=yes")
    assert free.headers["x-lock"] == "free"
    assert "Nobody else edits this session any more" in free.text


def inventory(name: str) -> bytes:
    return as_csv([rows(1)[0] | {"name": name}])


def holder(browser: Browser) -> str:
    locks = browser.server.services.locks
    assert isinstance(locks, OwnLocks)
    (lock,) = locks.table.locks(locks.now_s)
    return lock.holder.login


async def test_an_imports_preview_names_who_edits_what_it_would_change(browser: Browser, other: Browser) -> None:
    path = f"/manage/sessions/{(await made(browser))['id']}"
    await state(browser, path, page="a")
    for name, told in (("one", True), ("two", False)):
        content = inventory(name)
        sent = SAME_ORIGIN | {"HX-Request": "true", "X-CSRF": other.forgery}
        shown = await other.http.post("/manage/sessions/import", files={"file": ("a.csv", content)}, headers=sent)
        assert ("“one” has been edited by admin on server.example.com" in shown.text) == told
    dry = {"dry_run": "true"}
    seen = (await other.server.api.post("/sessions/import", params=dry, content=inventory("one"))).json()
    assert seen["locked"] == ["“one” has been edited by admin on server.example.com for less than a minute."]
