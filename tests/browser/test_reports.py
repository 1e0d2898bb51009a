"""Run Reports, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser.test_pages import look
from tests.support.browser import address_of
from tests.support.light import LightGroup
from tests.support.server import Server
from tests.support.waiting import eventually

pytestmark = pytest.mark.feature("R24")


@pytest.fixture(scope="session")
def launched(servers: tuple[Server, Server]) -> Server:
    """South has a user, and a session that was opened once."""
    south = servers[1]
    south.api.post("users", {"name": "irma", "full_name": "Irma", "password": "correct horse battery"})
    made = south.api.post("sessions", {"name": "Reported", "type": "VT", "host": "reported.example.com"})["session"]
    south.api.post("assignments", {"sessions": ["Reported"], "to": [{"kind": "user", "name": "irma"}]})
    assert south.api.send("GET", f"me/sessions/{made['id']}/launch").content
    return south


def test_no_report_breaks_a_rule_of_axe(launched: Server, log_in: Callable[..., Page]) -> None:
    wrong: list[object] = []
    page = log_in(launched, "/reports/launches")
    expect(page.get_by_role("img", name="Launches a day")).to_be_visible()
    page.get_by_text("Launches a day, as a table").click()
    expect(page.get_by_role("table", name="Launches a day")).to_be_visible()
    wrong += look(page, "Launches")
    for path, table in (
        ("last-use", "Last use of sessions"), ("logins", "Last logins of users"), ("who-may", "Who may use what")
    ):  # fmt: skip
        page.goto(f"{address_of(launched)}/reports/{path}")
        expect(page.get_by_role("table", name=table)).to_be_visible()
        wrong += look(page, path)
    page.goto(f"{address_of(launched)}/reports/who-may?user=nobody")
    expect(page.get_by_text("There is no user")).to_be_visible()
    wrong += look(page, "who may use what, by nobody")
    assert not wrong


def test_a_report_is_filtered_by_its_form_and_saved(launched: Server, log_in: Callable[..., Page]) -> None:
    page = log_in(launched, "/reports/who-may")
    page.get_by_role("textbox", name="User", exact=True).fill("irma")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("link", name="Show all")).to_be_visible()
    expect(page.get_by_role("cell", name="Reported", exact=True)).to_be_visible()
    with page.expect_download() as saved:
        page.get_by_role("link", name="Export CSV").click()
    assert "irma,Irma,no,Reported,VT,reported.example.com" in saved.value.path().read_text()
    page.goto(f"{address_of(launched)}/reports/last-use?days=30")
    expect(page.get_by_label("Last used")).to_have_value("30")
    expect(page.get_by_role("link", name="Reported")).to_have_count(0)


def test_a_launch_on_a_slave_is_in_the_masters_report(tmp_path: Path) -> None:
    group = LightGroup(tmp_path, count=2)
    try:
        with ThreadPoolExecutor(1) as beside_playwright:  # whose loop runs in this thread
            beside_playwright.submit(group.form).result()
        slave = group.servers[1]
        made = group.master.api.post("sessions", {"name": "Far", "type": "VT", "host": "far.example.com"})["session"]
        group.wait_equal(60.0)
        assert slave.api.send("GET", f"me/sessions/{made['id']}/launch").content
        eventually(lambda: group.master.api.get("reports/launches")["total"] == 1, within_s=60.0)
        (used,) = group.master.api.get("reports/last-use")["items"]
        assert (used["name"], used["times"]) == ("Far", 1)
    finally:
        for server in group.servers:
            server.kill()
