"""A console login that ends for want of use: what every open page says before, and after."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.browser.test_console import enter_again
from tests.browser.test_pages import look
from tests.browser.test_sessions import entry
from tests.support.browser import address_of, picture
from tests.support.server import Server

from hostward.access.tokens import EACH

pytestmark = pytest.mark.feature("R24")

IDLE = timedelta(minutes=30)


def unused_for(server: Server, time: timedelta) -> None:
    """Start the server again as if nobody had used any login for that long."""
    server.kill()
    then = datetime.now(UTC) - time
    with closing(sqlite3.connect(server.data_dir / "server.db")) as db:
        for name, value in db.execute("SELECT name, value FROM setting WHERE name GLOB ?", (f"{EACH}*",)).fetchall():
            token = json.loads(value)
            token |= {"created": then.isoformat(), "last_used": then.isoformat(), "expires": (then + IDLE).isoformat()}
            db.execute("UPDATE setting SET value = ? WHERE name = ?", (json.dumps(token), name))
        db.commit()
    server.start()


def asked(page: Page) -> Locator:
    return page.get_by_role("alertdialog", name="Are you still there?")


def test_every_page_warns_before_the_end_and_anybody_who_stays_keeps_all(
    servers: tuple[Server, Server], log_in: Callable[..., Page]
) -> None:
    server = servers[1]
    page = log_in(server, "/manage/sessions/new")
    entry(page, "Name").fill("typed before")
    other = page.context.new_page()
    other.goto(f"{address_of(server)}/change-requests")
    unused_for(server, IDLE - timedelta(seconds=110))
    for one in (page, other):
        expect(asked(one)).to_be_visible()
        expect(asked(one).get_by_role("timer")).to_have_text(re.compile("^[01]:[0-5][0-9]$"))
    assert not look(other, "idle")
    picture(other, "still-there")
    asked(other).get_by_role("button", name="Stay logged in").click()
    for one in (page, other):
        expect(asked(one)).to_be_hidden()
    expect(entry(page, "Name")).to_have_value("typed before")
    unused_for(server, IDLE - timedelta(seconds=110))
    expect(asked(page)).to_be_visible()
    asked(page).press("Escape")  # whoever presses a key is there
    expect(asked(other)).to_be_hidden()
    # Nobody is: the page says so, and what was typed goes on after a login.
    unused_for(server, IDLE + timedelta(seconds=1))
    expect(page.get_by_role("dialog", name="Log in again")).to_be_visible()
    enter_again(page)
    expect(other.get_by_role("dialog", name="Log in again")).to_be_hidden()
    entry(page, "Host").fill("a.example.com")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".hw-toast")).to_have_text("Created.")
    assert server.api.get("sessions", q="typed before")["total"] == 1


def test_log_out_from_the_warning_ends_the_login(servers: tuple[Server, Server], log_in: Callable[..., Page]) -> None:
    server = servers[1]
    page = log_in(server, "/history")
    unused_for(server, IDLE - timedelta(seconds=110))
    asked(page).get_by_role("button", name="Log out").click()
    expect(page).to_have_url(f"{address_of(server)}/login")
    assert page.context.cookies() == []
