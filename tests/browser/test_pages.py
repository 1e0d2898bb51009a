"""Every page for everybody: axe's rules in both themes and three widths, and its weight."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from tests.browser.conftest import address_of, enter
from tests.support.server import Server

pytestmark = pytest.mark.feature("R24")

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
MAX_PAGE_BYTES = 150_000


def look(page: Page, name: str) -> None:
    """No rule of axe is broken, and nothing is wider than the window."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: dict[str, Any] = page.evaluate("rules => axe.run({runOnly: rules})", RULES)
    broken = [(v["id"], [n["html"][:160] for n in v["nodes"][:3]]) for v in found["violations"]]
    assert not broken, (name, broken)
    width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width[0] <= width[1], (name, width)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280, 2560])
def test_no_page_breaks_a_rule_of_axe(
    north: Server, open_browser: Callable[..., BrowserContext], width: int, theme: Literal["light", "dark"]
) -> None:
    page = open_browser(width=width, theme=theme).new_page()
    page.goto(f"{address_of(north)}/login")
    look(page, "login")
    enter(page)
    look(page, "replication, Standalone")
    for role, shown in (("Slave", "Master Servers"), ("Master", "Slave Servers")):
        page.get_by_role("radio", name=role, exact=True).check()
        expect(page.get_by_role("heading", name=shown)).to_be_visible()
        look(page, f"replication, {role}")
    page.get_by_role("region", name="Slave Servers").get_by_role("button", name="Add").click()
    dialog = page.get_by_role("dialog", name="Add a Slave Server")
    dialog.get_by_label("Host name").fill("127.0.0.1")
    dialog.get_by_label("Port").fill("0")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.locator("[aria-invalid=true]")).to_be_visible()
    look(page, "+ Add with a mistake")
    dialog.get_by_label("Port").fill("1")
    dialog.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Test Connection").click()
    expect(page.get_by_text("The connection can't be used yet.")).to_be_visible()
    look(page, "Test Connection")
    for button in ("Details", "Doctor"):
        page.get_by_role("button", name=button).click()
        expect(page.get_by_role("dialog", name=button).locator("p:not(.hw-waiting)").first).to_be_visible()
        look(page, button)
        page.keyboard.press("Escape")
    page.on("dialog", lambda asked: asked.accept())
    page.goto(f"{address_of(north)}/settings/trusted-certificates")
    look(page, "Trusted Certificates")
    page.get_by_role("button", name="Import").click()
    look(page, "+ Import")
    page.goto(f"{address_of(north)}/settings/trusted-certificates/nothing")
    look(page, "not found")


@pytest.mark.parametrize("path", ["/settings/replication", "/settings/trusted-certificates"])
def test_a_page_with_all_it_loads_is_light(
    north: Server, open_browser: Callable[..., BrowserContext], path: str
) -> None:
    context = open_browser()
    page = context.new_page()
    page.goto(f"{address_of(north)}/login")
    enter(page)
    network = context.new_cdp_session(page)
    sizes: list[float] = []
    network.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    network.send("Network.enable")
    network.send("Network.setCacheDisabled", {"cacheDisabled": True})
    page.goto(f"{address_of(north)}{path}")
    page.evaluate("document.fonts.ready.then(() => true)")
    expect(page.locator("time[data-shown]").first).to_be_visible()
    assert len(sizes) >= 10
    assert sum(sizes) < MAX_PAGE_BYTES
