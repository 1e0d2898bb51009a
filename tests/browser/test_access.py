"""Assign Access in a real browser."""

from __future__ import annotations

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
    page.get_by_role("button", name="Remove chosen").click()
    expect(page.locator(".hw-toast")).to_have_text("Removed.")
    expect(page.get_by_role("row", name="Access one")).to_have_count(0)
