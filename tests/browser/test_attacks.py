"""What another site's page can do to whoever is logged in, in a real browser: nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from tests.support.addresses import give_back, take_address
from tests.support.browser import PATIENCE_S, address_of, enter
from tests.support.server import Server
from tests.support.site import Site

pytestmark = pytest.mark.feature("A9")

NO_PAGE = "chrome-error://chromewebdata/"
"""What Chromium shows in a frame instead of a page that may not be there."""


@pytest.fixture(params=["another site", "another port of the same host"])
def site(request: pytest.FixtureRequest, north: Server, tmp_path: Path) -> Iterator[Site]:
    """A browser sends the console's cookie to the server along with what the second one causes: to SameSite, a port
    makes no other site."""
    own = request.param == "another site"
    address = take_address() if own else north.address
    with Site(address, tmp_path / "site") as found:
        yield found
    if own:
        give_back(address)


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser in which other sites' pages may be open too."""
    found = chromium.new_context(ignore_https_errors=True)
    found.set_default_timeout(PATIENCE_S * 1000)
    yield found
    found.close()


@pytest.fixture
def console(context: BrowserContext, north: Server) -> Page:
    """An administrator has logged in."""
    page = context.new_page()
    page.goto(address_of(north))
    enter(page)
    return page


def still_logged_in(console: Page, north: Server) -> None:
    console.goto(f"{address_of(north)}/settings/general")
    expect(console.get_by_label("Account of admin")).to_be_attached()


def test_another_sites_form_is_refused_even_with_the_right_token(
    site: Site, context: BrowserContext, console: Page, north: Server
) -> None:
    token = console.locator('meta[name="csrf"]').get_attribute("content")
    before = north.api.get("sessions")["total"]
    page = context.new_page()
    for path in ("/manage/sessions/new", "/logout-everywhere", "/logout"):
        for kind in ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain"):
            site.pages["/form"] = f"""<form method="post" action="{address_of(north)}{path}" enctype="{kind}">
                <input name="csrf" value="{token}"><input name="name" value="forged"><input name="type" value="VT">
                <input name="host" value="a.example.com"><button>Win</button></form>"""
            page.goto(f"{site.origin}/form")
            with page.expect_response(lambda r: r.request.method == "POST") as posted:
                page.get_by_role("button", name="Win").click()
            page.wait_for_url(f"{address_of(north)}{path}")
            headers = posted.value.request.all_headers()
            told = headers["sec-fetch-site"], "cookie" in headers, posted.value.status
            assert told in (("cross-site", False, 403), ("same-site", True, 403))
    assert north.api.get("sessions")["total"] == before
    still_logged_in(console, north)


def test_another_sites_script_reads_and_changes_nothing(
    site: Site, context: BrowserContext, console: Page, north: Server
) -> None:
    token = console.locator('meta[name="csrf"]').get_attribute("content")
    site.pages["/script"] = "<title>there</title>"
    page = context.new_page()
    page.goto(f"{site.origin}/script")
    for mode in ("no-cors", "cors"):
        for path in ("/manage/sessions", "/sessions", "/events", "/api/v1/sessions", "/logout-everywhere"):
            method = "POST" if path == "/logout-everywhere" else "GET"
            read = page.evaluate(
                """async ([url, method, mode, token]) => {
                    try {
                        const body = method === "POST" ? new URLSearchParams({csrf: token}) : undefined;
                        return await (await fetch(url, {method, mode, body, credentials: "include"})).text();
                    } catch { return ""; }
                }""",
                [f"{address_of(north)}{path}", method, mode, token],
            )
            assert read == "", (mode, path)
    still_logged_in(console, north)


def test_another_site_can_not_show_the_console_in_a_frame(
    site: Site, context: BrowserContext, console: Page, north: Server
) -> None:
    paths = ("/", "/login", "/settings/replication", "/manage/sessions", "/sessions", "/api/v1/openapi.json")
    site.pages["/own"] = "<title>its own</title>"
    page = context.new_page()
    framed = [*(f"{address_of(north)}{p}" for p in paths), f"{site.origin}/own"]
    site.pages["/frames"] = "".join(f'<iframe src="{url}"></iframe>' for url in framed)
    page.goto(f"{site.origin}/frames")
    *refused, own = page.frames[1:]
    for frame in refused:
        frame.wait_for_url(NO_PAGE, wait_until="commit")
    own.wait_for_url(f"{site.origin}/own", wait_until="commit")
    assert len(refused) == len(paths)
    still_logged_in(console, north)
