"""The pages of Run Reports."""

from __future__ import annotations

import html
import re

import pytest
from tests.unit.http.console.conftest import Browser

from hostward.http.console.pages.reports import CHART_HEIGHT, bars

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R24")]

PANELS = ("/reports/launches", "/reports/last-use", "/reports/logins", "/reports/who-may")


async def test_a_launch_is_charted_and_named(browser: Browser) -> None:
    made = (await browser.server.create("pay & roll")).json()["session"]["id"]
    assert "No launches" in await browser.page("/reports/launches")
    assert (await browser.server.api.get(f"/me/sessions/{made}/launch")).status_code == 200
    page = await browser.page("/reports/launches")
    assert page.count("<rect ") == 30
    assert "1 launches, at most 1 a day" in page
    assert "pay &amp; roll" in page
    assert "style=" not in page, "no inline style is allowed"
    assert "No launches" in await browser.page("/reports/launches?user=nobody")
    assert "is no moment" in html.unescape(await browser.page("/reports/launches?from=yesterday"))


async def test_the_lists_lead_on_to_their_last_row_and_keep_what_they_are_filtered_by(browser: Browser) -> None:
    names = [f"s{n:03}" for n in range(60)]
    for name in names:
        await browser.server.create(name)
    seen: list[str] = []
    path = "/reports/last-use?days=30"
    while path:
        page = await browser.page(path)
        seen += re.findall(r'class="hw-name" href="[^"]*">([^<]*)<', page)
        found = re.search(r'href="/mss([^"]*)">Next page<', page)
        path = html.unescape(found[1]) if found else ""
        assert not path or "days=30" in path
    assert seen == names
    assert "First page" in page


async def test_who_may_use_what_is_filtered_and_who_is_not_there_is_told(browser: Browser) -> None:
    await browser.server.api.post("/users", json={"name": "anna", "password": "correct horse battery"})
    await browser.server.create("payroll")
    given = {"sessions": ["payroll"], "to": [{"kind": "everyone"}]}
    assert (await browser.server.api.post("/assignments", json=given)).status_code == 200
    assert "payroll" in await browser.page("/reports/who-may?user=anna")
    assert "There is no user" in await browser.page("/reports/who-may?user=nobody")
    assert ">Never<" in await browser.page("/reports/logins")


async def test_each_report_is_exported_from_its_page(browser: Browser) -> None:
    for panel in PANELS:
        answer = await browser.http.get(f"{panel}/csv")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8"), panel


async def test_nobody_else_sees_them(stranger: Browser) -> None:
    for panel in PANELS:
        for path in (panel, f"{panel}/csv"):
            assert (await stranger.http.get(path)).status_code == 303, path


def test_bars_are_in_proportion_and_inside_the_chart() -> None:
    found = bars([("a", 0), ("b", 1), ("c", 4)])
    assert [b.height for b in found] == [0, CHART_HEIGHT / 4, CHART_HEIGHT]
    assert all(b.y + b.height == CHART_HEIGHT for b in found)
    assert bars([]) == []
    assert [b.height for b in bars([("a", 0)])] == [0]
