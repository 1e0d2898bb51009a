"""Manage Sessions where it is hard: very long text, a large file with many mistakes, impatience, a login that ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import FilePayload, Page, expect
from tests.browser.test_console import enter_again, press_as_the_login_ends
from tests.browser.test_pages import look
from tests.browser.test_sessions import entry, make, save
from tests.support.browser import address_of
from tests.support.inventory import as_csv, rows
from tests.support.server import Server

pytestmark = [pytest.mark.feature("R24"), pytest.mark.feature("R26")]

LONG = "longer than anybody needs " * 400
MAX_PREVIEW_BYTES = 300_000
MAX_PREVIEW_ELEMENTS = 3_000


def revision(server: Server) -> int:
    return int(server.api.status()["revision"])


def toast(page: Page, text: str) -> None:
    expect(page.locator(".hw-toast").filter(has_text=text)).to_be_visible()


def file(name: str, content: bytes) -> FilePayload:
    return {"name": name, "mimeType": "text/csv", "buffer": content}


def choose_all(page: Page, server: Server, prefix: str) -> None:
    page.goto(f"{address_of(server)}/manage/sessions?q={prefix}")
    page.wait_for_load_state()
    page.get_by_label("Choose the whole page").check()


def test_ten_thousand_characters_in_each_field_are_named_and_kept(north: Server, log_in: Callable[..., Page]) -> None:
    page = log_in(north, "/manage/sessions/new")
    before = revision(north)
    names = ("Name", "Host", "Port", "LU or device name", "Comment")
    for name in names:
        entry(page, name).fill(LONG)
    page.get_by_role("combobox", name="Groups", exact=True).fill(LONG)
    expect(page.get_by_role("option", name="isn't there yet")).to_be_visible()
    page.keyboard.press("Escape")
    save(page)
    expect(page.locator("[aria-invalid=true]")).to_have_count(len(names) + 1)
    for mistake in page.locator(".hw-mistake").all():
        assert len(mistake.inner_text()) < 400
    assert entry(page, "Name").input_value() == LONG
    assert entry(page, "Comment").input_value() == LONG
    assert not look(page, "ten thousand characters")
    assert revision(north) == before


def test_a_file_with_hundreds_of_mistakes_is_shown_soon_and_readably(
    north: Server, log_in: Callable[..., Page]
) -> None:
    sessions = rows(20_000, prefix="Many")
    for n in range(0, 20_000, 40):
        sessions[n]["port"] = f"{n} and a half"
    page = log_in(north, "/manage/sessions/import")
    with page.expect_response(lambda answer: answer.request.method == "POST", timeout=60_000) as shown:
        page.get_by_label("CSV or JSON").set_input_files(file("many.csv", as_csv(sessions)))
    preview = page.get_by_role("region", name="What “many.csv” would do")
    expect(preview).to_be_visible()
    expect(preview).to_contain_text("500 rows have mistakes")
    expect(preview).to_contain_text("The first 200 of 500 mistakes.")
    mistakes = preview.get_by_role("table", name="Mistakes in the file")
    expect(mistakes.get_by_role("row").nth(1)).to_contain_text("port")
    assert len(shown.value.body()) < MAX_PREVIEW_BYTES
    assert page.locator("*").count() < MAX_PREVIEW_ELEMENTS
    assert not look(page, "a file with many mistakes")
    before = revision(north)
    page.get_by_role("button", name="Yes").dblclick(no_wait_after=True)
    expect(page.locator(".hw-toast")).to_contain_text("Imported: 19,500 created", timeout=60_000)
    assert revision(north) == before + 1
    # What was made here is taken away again: other tests look at short lists.
    north.api.post("sessions/delete", {"matching": {"q": "Many"}, "confirm": True, "expected": 19_500})


def test_each_form_that_is_sent_twice_acts_once(north: Server, log_in: Callable[..., Page]) -> None:
    make(north, 3, "Twice")
    page = log_in(north, "/manage/sessions?q=Twice")
    before = revision(north)
    asked = page.get_by_role("dialog", name="Settings update")
    choose_all(page, north, "Twice")
    page.get_by_role("button", name="Edit", exact=True).click()
    edit = page.get_by_role("dialog", name="Edit sessions")
    edit.get_by_role("textbox", name="Comment").fill("by a double click")
    edit.get_by_role("button", name="Change").dblclick()
    asked.get_by_role("button", name="Yes").dblclick(no_wait_after=True)
    toast(page, "3 sessions changed.")
    assert revision(north) == before + 1
    page.get_by_role("link", name="Twice 000", exact=True).click()
    page.get_by_role("button", name="Delete").click()
    sure = page.get_by_role("dialog", name="Delete this session?")
    sure.get_by_role("button", name="Delete").dblclick(no_wait_after=True)
    toast(page, "Deleted.")
    assert revision(north) == before + 2
    choose_all(page, north, "Twice")
    page.get_by_role("button", name="Delete", exact=True).dblclick()
    asked.get_by_role("button", name="Yes").dblclick(no_wait_after=True)
    toast(page, "2 sessions deleted.")
    assert revision(north) == before + 3
    page.goto(f"{address_of(north)}/settings/general")
    page.get_by_role("textbox", name="Concurrency Lock Timeout").fill("31")
    page.get_by_role("button", name="Apply").dblclick(no_wait_after=True)
    toast(page, "Settings applied.")
    assert revision(north) == before + 4
    north.api.patch("settings", {"concurrency-lock-timeout": None})


def test_a_login_that_ends_in_the_middle_of_an_act_loses_nothing(north: Server, log_in: Callable[..., Page]) -> None:
    make(north, 2, "Middle")
    page = log_in(north, "/manage/sessions/import")
    page.get_by_label("CSV or JSON").set_input_files(file("a.csv", as_csv([rows(1)[0] | {"name": "Middle 002"}])))
    expect(page.get_by_text("Import 1 session?")).to_be_visible()
    press_as_the_login_ends(page.get_by_role("button", name="Yes"), north)
    enter_again(page)
    toast(page, "Imported: 1 created")
    choose_all(page, north, "Middle")
    page.get_by_role("button", name="Edit", exact=True).click()
    edit = page.get_by_role("dialog", name="Edit sessions")
    edit.get_by_role("textbox", name="Comment").fill("after a login")
    press_as_the_login_ends(edit.get_by_role("button", name="Change"), north)
    enter_again(page)
    page.get_by_role("dialog", name="Settings update").get_by_role("button", name="Yes").click()
    toast(page, "3 sessions changed.")
    assert {s["comment"] for s in north.api.get("sessions", q="Middle")["items"]} == {"after a login"}
    page.goto(f"{address_of(north)}/settings/general")
    page.get_by_role("textbox", name="Concurrency Lock Timeout").fill("32")
    press_as_the_login_ends(page.get_by_role("button", name="Apply"), north)
    enter_again(page)
    toast(page, "Settings applied.")
    north.api.patch("settings", {"concurrency-lock-timeout": None})
