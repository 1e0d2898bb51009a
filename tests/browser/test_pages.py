"""Every page for everybody: axe's rules in both themes and four widths, what is printed, and its weight."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from tests.support.browser import address_of, enter, loaded_bytes
from tests.support.server import Server

pytestmark = pytest.mark.feature("R24")

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
MAX_PAGE_BYTES = 130_000
WIDTHS = (360, 1280, 2560)
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
Look = tuple[Literal["light", "dark"], int]
ZOOMED: Look = ("light", 640)
"""1280 pixels at 200 %."""
LOOKS: Sequence[Look] = (ZOOMED, *product(THEMES, WIDTHS))
NARROW_AND_WIDE: Sequence[Look] = (("light", 360), ("dark", 360), ("light", 1280))
OUTSIDE = """[...document.querySelectorAll(".hw-menu[open] > div, dialog[open]")].filter(one => {
    const { left, right } = one.getBoundingClientRect();
    return left < 0 || right > innerWidth;
}).map(one => one.outerHTML.slice(0, 80))"""


def look(page: Page, name: str, looks: Sequence[Look] = LOOKS, within: str = "html") -> list[object]:
    """What is wrong in some width and theme: a rule of axe broken, or something that leaves the window."""
    wrong: list[object] = []
    # What refreshes by itself would be replaced while it is looked at.
    page.evaluate("document.querySelector('[data-refreshes]')?.remove()")
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    for theme, width in looks:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=theme)
        shown = expect(page.locator("html"))  # the page's script takes the theme over after the browser has
        (shown.to_have_class if theme == "dark" else shown.not_to_have_class)(re.compile("pf-v6-theme-dark"))
        # At its top, or a link that happens to be half under the masthead counts as one too small to be hit.
        page.evaluate("scrollTo({top: 0, behavior: 'instant'})")
        found: dict[str, Any] = page.evaluate("([within, rules]) => axe.run(within, {runOnly: rules})", [within, RULES])
        wrong += [(name, theme, width, v["id"], [n["html"][:160] for n in v["nodes"][:3]]) for v in found["violations"]]
        wide, window = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        if wide > window:
            wrong.append((name, theme, width, f"{wide} wide"))
        wrong += [(name, theme, width, "outside", found) for found in page.evaluate(OUTSIDE)]
    return wrong


MENU = ".hw-menu[open]"
"""It covers a part of the page, of which the rest is too small to be hit then."""


def open_each(page: Page) -> Iterator[tuple[str, str]]:
    """Every menu and dialog that the page has, one after the other: what it is called, and where it is."""
    for menu in page.locator("details.hw-menu").all():
        menu.locator("summary").click()
        yield menu.locator("summary").get_attribute("aria-label") or menu.locator("summary").inner_text(), MENU
        page.keyboard.press("Escape")
        expect(menu).not_to_have_attribute("open", "")
    for id_ in page.evaluate("[...document.querySelectorAll('dialog')].map(one => one.id)"):
        page.evaluate("id => document.getElementById(id).showModal()", id_)
        yield id_, "html"
        page.evaluate("id => document.getElementById(id).close()", id_)


def test_no_page_breaks_a_rule_of_axe(north: Server, open_browser: Callable[..., BrowserContext]) -> None:
    wrong: list[object] = []
    page = open_browser().new_page()
    page.goto(f"{address_of(north)}/login")
    wrong += look(page, "login")
    enter(page)
    page.goto(f"{address_of(north)}/settings/replication")
    for role, shown in (("Slave", "Master Servers"), ("Master", "Slave Servers")):
        page.get_by_role("radio", name=role, exact=True).check()
        expect(page.get_by_role("heading", name=shown)).to_be_visible()
        wrong += look(page, f"replication, {role}")
    page.get_by_role("region", name="Slave Servers").get_by_role("button", name="Add").click()
    dialog = page.get_by_role("dialog", name="Add a Slave Server")
    dialog.get_by_label("Host name").fill("127.0.0.1")
    dialog.get_by_label("Port").fill("0")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.locator("[aria-invalid=true]")).to_be_visible()
    wrong += look(page, "+ Add with a mistake")
    dialog.get_by_label("Port").fill("1")
    dialog.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Test Connection").click()
    expect(
        page.get_by_role("region", name="Test Connection of").get_by_text("The connection can't be used yet.")
    ).to_be_visible()
    wrong += look(page, "Test Connection")
    for button in ("Details", "Doctor"):
        page.get_by_role("button", name=button).click()
        dialog = page.get_by_role("dialog", name=button)
        expect(dialog).to_be_visible()
        expect(dialog.locator(".hw-waiting")).to_have_count(0)
        wrong += look(page, button)
        page.keyboard.press("Escape")
    page.on("dialog", lambda asked: asked.accept())
    for path in ("users/new", "groups/new", "users", "groups", "siteminder"):
        page.goto(f"{address_of(north)}/settings/authentication/{path}")
        wrong += look(page, path)
    page.goto(f"{address_of(north)}/password")
    wrong += look(page, "Change password")
    page.goto(f"{address_of(north)}/settings/trusted-certificates")
    wrong += look(page, "Trusted Certificates")
    page.get_by_role("button", name="Import").click()
    wrong += look(page, "+ Import")
    page.goto(f"{address_of(north)}/change-requests")
    wrong += look(page, "Change Requests")
    page.goto(f"{address_of(north)}/settings/general")
    expect(page.get_by_role("textbox", name="Concurrency Lock Timeout")).to_have_value("30")
    wrong += look(page, "general settings")
    page.goto(f"{address_of(north)}/reports/audit-log")
    page.get_by_role("button", name="Verify").click()
    expect(page.get_by_text("The logs are whole")).to_be_visible()
    wrong += look(page, "Audit Log")
    page.goto(f"{address_of(north)}/settings/trusted-certificates/nothing")
    wrong += look(page, "not found")
    assert not wrong


def test_no_open_menu_or_dialog_breaks_a_rule_of_axe(north: Server, log_in: Callable[..., Page]) -> None:
    session = north.api.post("sessions", {"name": "Menus", "type": "IBM 3270", "host": "a.example.com"})["session"][
        "id"
    ]
    user = north.api.post("users", {"name": "dialogs"})["user"]["id"]
    page = log_in(north)
    wrong: list[object] = []
    seen = set[str]()
    for path in (
        f"/manage/sessions/{session}", "/manage/sessions", f"/settings/authentication/users/{user}",
        "/settings/authentication/users", "/settings/replication", "/settings/certificates",
        "/settings/trusted-certificates",
    ):  # fmt: skip
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(f"{address_of(north)}{path}")
        page.wait_for_load_state()
        for name, within in open_each(page):
            if name not in seen or name == "delete-dialog":
                wrong += look(page, f"{path}: {name}", NARROW_AND_WIDE, within)
            seen.add(name)
    assert {"Launch file", "Export", "Appearance", "edit-dialog", "join-dialog", "install-dialog"} <= seen
    assert not wrong


@pytest.mark.parametrize("path", ["/settings/replication", "/settings/trusted-certificates"])
def test_a_page_with_all_it_loads_is_light(north: Server, log_in: Callable[..., Page], path: str) -> None:
    page = log_in(north, path)
    url = f"{address_of(north)}{path}"
    assert loaded_bytes(page, url, page.locator("time[data-shown]").first) < MAX_PAGE_BYTES


def test_paper_has_the_content_alone_in_the_light_theme(north: Server, log_in: Callable[..., Page]) -> None:
    page = log_in(north, "/reports/audit-log", theme="dark")
    root = page.locator("html")
    expect(root).to_have_class(re.compile("pf-v6-theme-dark"))
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.get_by_role("navigation")).to_have_count(0)
    expect(page.get_by_role("button")).to_have_count(0)
    expect(page.get_by_role("form")).to_have_count(0)
    expect(page.get_by_role("table", name="Entries of the audit log")).to_be_visible()
    expect(root).not_to_have_class(re.compile("pf-v6-theme-dark"))
    page.emulate_media(media="screen", color_scheme="dark")
    expect(root).to_have_class(re.compile("pf-v6-theme-dark"))


def test_filters_of_a_narrow_page_are_folded_until_they_are_used(north: Server, log_in: Callable[..., Page]) -> None:
    page = log_in(north, "/reports/audit-log")
    page.set_viewport_size({"width": 360, "height": 900})
    user, first = page.get_by_label("User", exact=True), page.get_by_role("cell").first
    expect(user).to_be_hidden()
    expect(first).to_be_in_viewport()
    page.get_by_role("button", name="Filters").click()
    expect(page.get_by_role("button", name="Filters")).to_have_attribute("aria-expanded", "true")
    user.fill("nobody at all")
    page.get_by_role("button", name="Filter", exact=True).click()
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    expect(user).to_have_value("nobody at all")  # what filters is to be seen
    page.set_viewport_size({"width": 1280, "height": 900})
    expect(page.get_by_role("button", name="Filters")).to_be_hidden()
    page.goto(f"{address_of(north)}/reports/audit-log")
    expect(user).to_be_visible()


def test_the_systems_few_colours_leave_the_present_page_marked(north: Server, log_in: Callable[..., Page]) -> None:
    page = log_in(north, "/change-requests")
    page.emulate_media(forced_colors="active")
    present = page.locator(".hw-nav [aria-current=page]")
    expect(present).to_have_css("outline-style", "solid")
    expect(present).to_have_css("outline-width", "2px")
    expect(page.get_by_role("link", name="Change History")).not_to_have_css("outline-style", "solid")
