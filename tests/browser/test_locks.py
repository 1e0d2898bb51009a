"""The Concurrency Lock with two people at two real browsers on one session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.browser.test_pages import look
from tests.browser.test_sessions import entry, save
from tests.support.api import PASSWORD
from tests.support.browser import address_of, picture
from tests.support.server import Server
from tests.support.waiting import eventually

pytestmark = [pytest.mark.feature("R22"), pytest.mark.feature("R24")]

HELD_WITHIN_S = 15.0


def session(server: Server, name: str) -> str:
    """A new one's path."""
    made = server.api.post("sessions", {"name": name, "type": "VT", "host": "a.example.com"})
    return f"/manage/sessions/{made['session']['id']}"


def by_api(path: str) -> str:
    return path.removeprefix("/manage/")


def lock(server: Server, path: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = server.api.get(f"{by_api(path)}/lock")["lock"]
    return found


def wait_held(server: Server, path: str, held: bool = True) -> None:
    eventually(lambda: (lock(server, path) is not None) == held, within_s=HELD_WITHIN_S)


def test_two_people_one_session_a_take_over_and_both_texts_are_kept(north: Server, log_in: Callable[..., Page]) -> None:
    path = session(north, "Contested")
    first = log_in(north, path)
    wait_held(north, path)
    entry(first, "Comment").fill("typed by the first")
    second = log_in(north, path)
    said = second.get_by_role("main").get_by_text("admin on north is editing this session")
    expect(said).to_be_visible()
    expect(second.locator(".hw-lock time[data-shown]")).to_have_count(2)
    expect(entry(second, "Host")).to_be_disabled()
    expect(second.get_by_role("button", name="Save")).to_be_disabled()
    expect(second.locator(".hw-lockable .pf-v6-c-form-control").first).to_have_css("border-top-style", "none")
    assert not look(second, "locked")
    picture(second, "session-locked")
    second.get_by_role("button", name="Take over").click()
    asked = second.get_by_role("dialog", name="Take over?")
    expect(asked).to_contain_text("admin on north is editing this session")
    assert not look(second, "take over?")
    asked.get_by_role("button", name="Take over").click()
    expect(entry(second, "Host")).to_be_editable()
    # The first is told on the page that is open, and has lost nothing.
    expect(first.get_by_text("admin on north edits this session now")).to_be_visible()
    expect(entry(first, "Comment")).to_have_value("typed by the first")
    assert not look(first, "taken over")
    entry(second, "Host").fill("second.example.com")
    save(second)
    expect(second.locator(".hw-toast")).to_have_text("Saved.")
    save(first)
    both = first.get_by_role("region", name="Both versions")
    expect(both).to_contain_text("second.example.com")
    expect(entry(first, "Host")).to_have_value("second.example.com")
    save(first)
    expect(first.locator(".hw-toast")).to_have_text("Saved.")
    now = north.api.get(by_api(path))
    assert (now["host"], now["comment"]) == ("second.example.com", "typed by the first")
    assert lock(north, path) is None


def test_a_save_in_spite_of_a_lock_is_asked_for(north: Server, log_in: Callable[..., Page]) -> None:
    path = session(north, "Asked")
    page = log_in(north, path)
    wait_held(north, path)
    entry(page, "Comment").fill("mine")
    north.api.post(f"{by_api(path)}/lock", {"take_over": True})
    expect(page.get_by_text("edits this session now")).to_be_visible()
    save(page)
    asked = page.get_by_role("dialog", name="Settings update")
    expect(asked).to_contain_text("“Asked” has been edited by admin on north")
    asked.get_by_role("button", name="No").click()
    assert north.api.get(by_api(path))["comment"] == ""
    save(page)
    asked.get_by_role("button", name="Yes").click()
    expect(page.locator(".hw-toast")).to_have_text("Saved.")
    assert north.api.get(by_api(path))["comment"] == "mine"
    north.api.delete(f"{by_api(path)}/lock")


def test_a_lock_ends_when_its_page_is_left_in_whatever_way(north: Server, log_in: Callable[..., Page]) -> None:
    path = session(north, "Left")
    page = log_in(north, path)
    wait_held(north, path)
    page.get_by_role("link", name="Cancel").click()
    wait_held(north, path, held=False)
    page.go_back()
    wait_held(north, path)
    another = page.context.new_page()  # of the same login: it isn't locked out by itself
    another.goto(f"{address_of(north)}{path}")
    expect(entry(another, "Host")).to_be_editable()
    page.close()
    expect(entry(another, "Host")).to_be_editable()
    assert lock(north, path) is not None
    another.close(run_before_unload=True)
    wait_held(north, path, held=False)
    out = log_in(north, path)
    wait_held(north, path)
    out.get_by_label("Account of admin").click()
    out.get_by_role("button", name="Log out", exact=True).click()
    wait_held(north, path, held=False)


def test_a_form_whose_login_has_ended_goes_on_with_its_lock(north: Server, log_in: Callable[..., Page]) -> None:
    path = session(north, "Ended login")
    page = log_in(north, path)
    wait_held(north, path)
    entry(page, "Comment").fill("typed before")
    north.api.delete("me/logins")
    dialog = page.get_by_role("dialog", name="Log in again")
    expect(dialog).to_be_visible()
    wait_held(north, path, held=False)
    dialog.get_by_label("Password").fill(PASSWORD)
    dialog.get_by_role("button", name="Log in").click()
    expect(dialog).to_be_hidden()
    wait_held(north, path)
    save(page)
    expect(page.locator(".hw-toast")).to_have_text("Saved.")
    assert north.api.get(by_api(path))["comment"] == "typed before"


def test_a_double_click_and_a_second_enter_make_one_change(north: Server, log_in: Callable[..., Page]) -> None:
    page = log_in(north, "/manage/sessions/new")
    before = north.api.status()["revision"]
    entry(page, "Name").fill("Once only")
    entry(page, "Host").fill("once.example.com")
    page.get_by_role("button", name="Save").dblclick(no_wait_after=True)
    expect(page.locator(".hw-toast")).to_have_text("Created.")
    assert north.api.status()["revision"] == before + 1
    page.go_back()
    if page.get_by_role("button", name="Save").is_visible():
        entry(page, "Name").fill("Once only")
        entry(page, "Host").fill("once.example.com")
        save(page)
    assert len(north.api.get("sessions", q="Once only")["items"]) == 1
    page.goto(f"{address_of(north)}/manage/sessions?q=Once")
    page.get_by_role("link", name="Once only", exact=True).click()
    entry(page, "Comment").fill("twice")
    entry(page, "Host").press("Control+Enter")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".hw-toast")).to_have_text("Saved.")
    assert north.api.status()["revision"] == before + 2
