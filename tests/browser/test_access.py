"""Assign Access in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from tests.browser.test_pages import look
from tests.support.browser import address_of, choose, picture
from tests.support.server import Server

pytestmark = [pytest.mark.feature("R23"), pytest.mark.feature("R24")]


def test_a_session_is_assigned_denied_and_explained_by_its_labels(north: Server, log_in: Callable[..., Page]) -> None:
    north.api.post("user-groups", {"name": "Access group"})
    north.api.post("users", {"name": "access-user", "groups": ["Access group"]})
    north.api.post("sessions", {"name": "Access one", "type": "VT", "host": "a.example.com"})
    page = log_in(north, "/manage/sessions")
    page.get_by_role("navigation", name="Administrative Console").get_by_role("link", name="Assign Access").click()
    wrong = look(page, "no assignments")
    page.get_by_role("link", name="Assign", exact=True).click()
    wrong += look(page, "assign")
    choose(page, "Sessions", "Access one")
    page.get_by_label("User groups").fill("nowhere")
    page.get_by_role("button", name="Assign", exact=True).click()
    expect(page.get_by_text("There is no user group “nowhere”.")).to_be_visible()
    wrong += look(page, "a mistake")
    page.get_by_label("User groups").fill("Access group")
    page.get_by_role("button", name="Assign", exact=True).click()
    expect(page.get_by_role("row", name="Access one")).to_contain_text("Allowed")
    wrong += look(page, "assignments")
    picture(page, "assign-access")
    page.goto(f"{address_of(north)}/assign-access/why?user=access-user&session=Access+one")
    expect(page.get_by_text("access-user may use “Access one”")).to_be_visible()
    wrong += look(page, "why")
    assert not wrong
    page.get_by_role("main").get_by_role("link", name="Assign Access").click()
    page.get_by_role("checkbox", name="Choose Access one for Access group").check()
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.locator(".hw-toast")).to_have_text("Removed.")
    expect(page.get_by_role("row", name="Access one")).to_have_count(0)


def test_assignments_are_paged_chosen_and_removed_by_keyboard(north: Server, log_in: Callable[..., Page]) -> None:
    names = [f"Paged {n:02}" for n in range(53)]
    for name in names:
        north.api.post("sessions", {"name": name, "type": "VT", "host": "a.example.com"})
    north.api.post("users", {"name": "paged-user"})
    north.api.post("assignments", {"sessions": names, "to": [{"kind": "user", "name": "paged-user"}]})
    page = log_in(north, "/assign-access")
    expect(page.get_by_role("table", name="Assignments")).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Search assignments")).to_be_focused()
    page.keyboard.type("paged-user PAGED")
    expect(page.locator(".hw-count")).to_contain_text("1–50 of 53 that match")
    for first in (names[0], names[-1]):
        page.get_by_role("columnheader", name="What").get_by_role("link").click()
        expect(page.locator("#list .hw-name").first).to_have_text(first)
    page.get_by_role("searchbox", name="Search assignments").fill("")
    page.get_by_role("textbox", name="User", exact=True).fill("paged-user")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"\?user=paged-user&sort=-what$"))
    expect(page.locator(".hw-count")).to_contain_text("1–50 of 53 that match")
    page.locator("#list .hw-name").first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".hw-count")).to_contain_text("51–53 of 53 that match")
    expect(page).to_have_url(re.compile(r"\?user=paged-user&sort=-what&page=2$"))
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.get_by_text("1 assignment chosen")).to_be_visible()
    page.keyboard.press("a")
    expect(page.get_by_text("3 assignments chosen")).to_be_visible()
    assert not look(page, "assignments chosen")
    page.keyboard.press("Delete")
    expect(page.locator(".hw-toast")).to_have_text("Removed.")
    expect(page.locator(".hw-count")).to_contain_text("1–50 of 50 that match")
    page.get_by_role("textbox", name="User", exact=True).fill("nobody at all")
    page.get_by_role("textbox", name="User group", exact=True).focus()
    expect(page.get_by_text("There is no user “nobody at all”.")).to_be_visible()
    assert not look(page, "a filter that names nobody")
