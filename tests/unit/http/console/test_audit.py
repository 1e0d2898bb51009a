"""The page Audit Log."""

from __future__ import annotations

import html

import pytest
from tests.unit.http.console.conftest import Browser

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R24")]

PANEL = "/reports/audit-log"


async def test_the_page_shows_filters_and_pages_on(browser: Browser) -> None:
    for n in range(60):
        await browser.server.create(f"s{n}")
    page = await browser.page(PANEL)
    assert page.count("Created a session</td>") + page.count("Created a session<span") >= 45
    assert "from 192.0.2.1" in page
    older = html.unescape(page.split(">Older entries<")[0].rpartition('href="')[2].split('"')[0])
    second = await browser.page(older.removeprefix("/mss"))
    assert ">Newest entries<" in second
    assert ">Older entries<" not in second
    some = await browser.page(f"{PANEL}?act=logged-in&from=2020-01-01T00:00&offset=-120")
    assert "Created a session<span" not in some
    assert "Logged in" in some
    assert "Show all" in some
    assert "Nothing matches" in await browser.page(f"{PANEL}?user=nobody")
    assert "is no moment" in await browser.page(f"{PANEL}?from=yesterday")


async def test_it_is_exported_and_verified_from_the_page(browser: Browser) -> None:
    answer = await browser.http.get(f"{PANEL}/export?format=csv&act=logged-in")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.text.count("logged-in") >= 1
    assert "The logs are whole" in await browser.page(f"{PANEL}/verify")


async def test_hostile_text_is_only_text(browser: Browser) -> None:
    await browser.server.api.post("/tokens", json={"name": "<script>alert(1)</script>{{7*7}}"})
    page = await browser.page(f"{PANEL}?user=%22%3E%3Cscript%3Ealert(2)%3C/script%3E&act=token-made")
    page += await browser.page(f"{PANEL}?act=token-made")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{{7*7}}" in page


async def test_nobody_else_sees_it(stranger: Browser) -> None:
    for path in ("", "/export", "/verify"):
        answer = await stranger.http.get(f"{PANEL}{path}")
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/mss/login")


async def test_what_is_kept_is_a_setting_of_this_server_on_the_page(browser: Browser) -> None:
    page = await browser.page(PANEL)
    for text in ("Keep entries for", "Keep at most", "This server only", 'value="365"', "From 10 to 10000 MB"):
        assert text in page
    refused = await browser.post(f"{PANEL}/retention", **{"audit-days": "0"})
    assert refused.json()["mistakes"][0]["field"] == "audit-days"
    done = await browser.post(
        f"{PANEL}/retention", **{"audit-days": "90", "audit-size": "50", "change-requests": "automatic"}
    )
    assert done.headers["hx-redirect"] == f"/mss{PANEL}"
    page = await browser.page(PANEL)
    assert 'value="90"' in page
    assert "audit-days=90, audit-size=50" in page
    assert "automatic" not in page, "no other setting comes in by this form"
