"""Users and groups in the console: made by an administrator, used in a second browser."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from tests.support.browser import address_of
from tests.support.server import Server

pytestmark = pytest.mark.feature("R23")

SECRET = "a password of hers 1"


def test_who_is_added_with_a_role_logs_in_and_sees_what_it_allows(
    north: Server, log_in: Callable[..., Page], open_browser: Callable[..., BrowserContext]
) -> None:
    page = log_in(north, "/settings/authentication")
    page.get_by_role("link", name="User Groups").click()
    page.get_by_role("link", name="Add", exact=True).click()
    page.get_by_role("textbox", name="Name").fill("Oslo IT")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("link", name="Oslo IT")).to_be_visible()
    page.get_by_role("link", name="Users", exact=True).click()
    page.get_by_role("link", name="Add", exact=True).click()
    page.get_by_role("textbox", name="User name").fill("anna")
    page.get_by_label("Groups").fill("Oslo IT")
    page.get_by_role("radio", name="Auditor").check()
    page.locator("#password").fill(SECRET)
    page.get_by_label("Password again").fill(SECRET)
    page.get_by_role("button", name="Save").click()
    row = page.get_by_role("row", name=re.compile("anna"))
    expect(row).to_contain_text("Auditor")

    hers = open_browser().new_page()
    hers.goto(f"{address_of(north)}/settings/authentication")
    hers.get_by_label("User name").fill("anna")
    hers.get_by_label("Password").fill(SECRET)
    hers.get_by_role("button", name="Log in").click()
    expect(hers.get_by_role("link", name="Audit Log")).to_be_visible()
    expect(hers.get_by_role("link", name="anna")).to_be_visible()
    expect(hers.get_by_role("link", name="Add", exact=True)).to_have_count(0)
    hers.goto(f"{address_of(north)}/settings/replication")
    expect(hers.get_by_role("radio", name="Master", exact=True)).to_be_disabled()
    expect(hers.get_by_role("button", name="Apply")).to_have_count(0)
    expect(hers.get_by_role("button", name="Doctor")).to_be_visible()

    row.get_by_role("link", name="anna").click()
    page.get_by_label("Disabled: can't log in").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("row", name=re.compile("anna"))).to_contain_text("Disabled")
    hers.goto(f"{address_of(north)}/settings/authentication")
    expect(hers.get_by_role("button", name="Log in")).to_be_visible()
