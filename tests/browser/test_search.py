"""The search over everything, and the keyboard, on every page of a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.browser.test_pages import look
from tests.browser.test_sessions import make
from tests.support.browser import address_of, picture
from tests.support.server import Server

pytestmark = pytest.mark.feature("R24")


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Search everything")


def field(page: Page) -> Locator:
    return dialog(page).get_by_role("combobox", name="Search everything")


def chosen(page: Page) -> Locator:
    return dialog(page).get_by_role("option", selected=True)


def test_the_keyboard_alone_finds_and_opens_anything(north: Server, log_in: Callable[..., Page]) -> None:
    make(north, 7, "Findable")
    page = log_in(north, "/settings/trusted-certificates")
    page.keyboard.press("/")
    expect(field(page)).to_be_focused()
    expect(chosen(page)).to_contain_text("Manage Sessions")
    page.keyboard.type("findable 00")
    expect(dialog(page).get_by_role("status")).to_have_text("5 found, and there are more")
    expect(chosen(page)).to_contain_text("Findable 000")
    expect(field(page)).to_have_attribute("aria-expanded", "true")
    for key, name in (("ArrowDown", "Findable 001"), ("ArrowUp", "Findable 000"), ("ArrowUp", "Show everything")):
        page.keyboard.press(key)
        expect(chosen(page)).to_contain_text(name)
        active = field(page).get_attribute("aria-activedescendant")
        assert active == chosen(page).get_attribute("id")
    assert not look(page, "search everything")
    picture(page, "search")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Findable 004")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("main").get_by_role("textbox", name="Comment").press("Control+k")
    expect(field(page)).to_be_focused()  # from within a field too
    page.keyboard.press("Escape")
    expect(dialog(page)).to_be_hidden()
    page.keyboard.press("Control+k")
    page.keyboard.type("no such thing anywhere")
    expect(dialog(page).get_by_role("status")).to_have_text("Nothing has all of these words.")
    expect(field(page)).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    assert not look(page, "nothing found")


def test_a_setting_is_found_and_shown_where_it_is(north: Server, log_in: Callable[..., Page]) -> None:
    page = log_in(north, "/history")
    page.get_by_role("banner").get_by_role("button", name="Search").click()
    page.keyboard.type("idle timeout")
    expect(chosen(page)).to_contain_text("Console idle timeout")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/settings/general#console-idle-timeout$"))
    expect(page.get_by_role("textbox", name="Console idle timeout")).to_be_in_viewport()
    page.goto(f"{address_of(north)}/search?q=certificate")
    expect(page.get_by_role("region", name="Console").get_by_role("link", name="Trusted Certificates")).to_be_visible()
    assert not look(page, "search's page")


def test_keys_are_listed_on_every_page_and_can_be_turned_off(north: Server, log_in: Callable[..., Page]) -> None:
    page = log_in(north, "/reports/audit-log")
    listed = page.get_by_role("dialog", name="Keyboard")
    page.keyboard.press("?")
    expect(listed.get_by_role("heading", level=3)).to_have_text(["Every page"])
    assert not look(page, "keyboard")
    page.keyboard.press("Escape")
    page.goto(f"{address_of(north)}/manage/sessions")
    page.keyboard.press("?")
    expect(listed.get_by_role("heading", level=3)).to_have_text(["Manage Sessions", "Every page"])
    expect(listed.get_by_text("Add one")).to_be_visible()
    listed.get_by_role("checkbox", name="Keys without Ctrl act").uncheck()
    page.keyboard.press("Escape")
    page.reload()  # it is remembered
    for key in ("n", "/", "?"):
        page.keyboard.press(key)
    page.keyboard.press("Control+k")
    expect(field(page)).to_be_focused()
    expect(page).to_have_url(re.compile("/manage/sessions$"))
    page.keyboard.press("Escape")
    page.get_by_role("navigation", name="Administrative Console").get_by_role("button", name="Keyboard").click()
    listed.get_by_role("checkbox", name="Keys without Ctrl act").check()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Search sessions")).to_be_focused()
