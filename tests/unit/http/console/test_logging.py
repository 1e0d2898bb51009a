"""The page Logging."""

from __future__ import annotations

import html
import json
from typing import Any

import pytest
from tests.unit.http.console.conftest import Browser

from hostward.logs.reading import DATABASE, OWN

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R24")]

PANEL = "/settings/logging"


def write(browser: Browser, *events: str, level: str = "info", **about: Any) -> None:
    with OWN.path(browser.server.services.data_dir).open("a", encoding="utf-8") as file:
        for event in events:
            made = {"event": event, "level": level, "timestamp": "2026-03-01T00:00:00Z", **about}
            file.write(json.dumps(made) + "\n")


def address(page: str, label: str) -> str:
    return html.unescape(page.split(f">{label}<")[0].rpartition('href="')[2].split('"')[0]).removeprefix("/mss")


async def test_the_newest_entries_are_shown_with_filters_and_pages(browser: Browser) -> None:
    write(browser, *(f"entry-{n:03}" for n in range(150)))
    write(browser, "broken", level="error", exception="Traceback\n  ValueError: x")
    page = await browser.page(PANEL)
    assert "entry-149" in page
    assert "entry-050" not in page
    assert "ValueError: x" in page
    older = await browser.page(address(page, "Older entries"))
    assert "entry-050" in older
    assert "entry-149" not in older
    assert ">Newest entries<" in older
    assert ">Follow<" not in older
    some = await browser.page(f"{PANEL}?level=error&text=valueerror")
    assert "broken" in some
    assert "entry-149" not in some
    assert "Nothing matches" in await browser.page(f"{PANEL}?text=nothing+like+it")
    assert "is no level" in await browser.page(f"{PANEL}?level=x")
    assert "There is no log" in await browser.page(f"{PANEL}?log=x")


async def test_following_asks_again_by_itself_and_keeps_the_filter(browser: Browser) -> None:
    write(browser, "one")
    page = await browser.page(f"{PANEL}?level=info&text=one")
    assert "every 2s" not in page
    live = await browser.page(address(page, "Follow"))
    assert 'hx-trigger="every 2s"' in live
    assert html.unescape(live.split('hx-get="/mss/settings/logging?')[1].split('"')[0]) == (
        "log=hostward&level=info&text=one&live=yes"
    )
    assert "every 2s" not in await browser.page(address(live, "Stop following"))


async def test_the_databases_log_is_offered_where_there_is_one(browser: Browser) -> None:
    page = await browser.page(PANEL)
    assert 'value="hostward" selected' in page
    assert 'value="database"' not in page
    DATABASE.path(browser.server.services.data_dir).write_text("2026-03-01 10:00:00,123 WARN  [main] A: of the node\n")
    assert 'value="database"' in await browser.page(PANEL)
    assert "A: of the node" in await browser.page(f"{PANEL}?log=database")


@pytest.mark.feature("A9")
async def test_hostile_lines_are_only_text(browser: Browser) -> None:
    hostile = "<script>alert(1)</script>{{7*7}}\x1b[2J\u202e"
    write(browser, hostile, level=hostile, exception=hostile, **{hostile: hostile})
    with OWN.path(browser.server.services.data_dir).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"event": "no time", "timestamp": "<b>", "level": "error"}) + "\n")
    page = await browser.page(PANEL) + await browser.page(f"{PANEL}?text=%3Cscript%3Ealert")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{{7*7}}" in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "no time" in page


async def test_it_is_downloaded_from_the_page(browser: Browser) -> None:
    write(browser, "one")
    answer = await browser.http.get(address(await browser.page(PANEL), "Download"))
    assert answer.headers["content-disposition"] == 'attachment; filename="hostward.log"'
    assert '"one"' in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_what_is_logged_is_applied_on_the_page(browser: Browser) -> None:
    page = await browser.page(PANEL)
    for text in ("Level", "Size of a file", "Older files", "This server only", "From 1 to 1000 MB"):
        assert text in page
    assert 'value="info" checked' in page
    assert (await browser.post(PANEL, **{"log-level": "debug", "log-size": "20"})).headers["hx-redirect"]
    page = await browser.page(PANEL)
    assert 'value="debug" checked' in page
    assert 'value="20"' in page
    refused = await browser.post(PANEL, **{"log-files": "0"})
    assert refused.json()["mistakes"][0]["field"] == "log-files"


async def test_nobody_else_sees_it(stranger: Browser) -> None:
    for path in ("", "/download"):
        answer = await stranger.http.get(f"{PANEL}{path}")
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/mss/login")
