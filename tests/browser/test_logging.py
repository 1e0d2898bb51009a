"""The panel Logging in a real browser; and what a real server writes at Debug, libraries and all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.browser.test_pages import look
from tests.support.addresses import give_back, take_address
from tests.support.api import PASSWORD, Api, Refused
from tests.support.browser import address_of, picture
from tests.support.light import LightServer
from tests.support.server import Server
from tests.support.slapd import BASE, READER, READER_SECRET, SECRET, Slapd, group, person, slapd, tree

pytestmark = pytest.mark.feature("R24")

PASSPHRASE, OTHERS_SECRET, NEW_SECRET = "Zebra-Marker-One", "Zebra-Marker-Two 2", "Zebra-Marker-Three 3"
STORES_PASSPHRASE = "Zebra-Marker-Four 4"
PANEL = "/settings/logging"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """One of its own, whose settings and role a test may change."""
    made = LightServer("logged", tmp_path)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def ldap(tmp_path: Path) -> Iterator[Slapd]:
    address = take_address()
    with slapd(tmp_path, address, tree(person("xenia"), group("Oslo", "xenia"))) as found:
        yield found
    give_back(address)


def lines(server: Server) -> list[dict[str, Any]]:
    text = (server.data_dir / "logs" / "hostward.log").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_the_log_is_filtered_followed_and_set_in_the_console(north: Server, log_in: Callable[..., Page]) -> None:
    page = log_in(north, "/manage/sessions")
    page.get_by_role("navigation", name="Administrative Console").get_by_role("link", name="Logging").click()
    expect(page.get_by_role("heading", name="Logging", level=1)).to_be_visible()
    entries = page.get_by_role("table", name="Entries of the log")
    expect(entries.get_by_role("cell", name="ready", exact=True).first).to_be_visible()
    assert not look(page, "logging")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.get_by_label("Text").fill("<script>alert(1)</script>")
    page.get_by_role("button", name="Filter", exact=True).click()
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    expect(page.get_by_label("Text")).to_have_value("<script>alert(1)</script>")
    page.get_by_role("link", name="Show all").click()
    page.get_by_role("link", name="Follow", exact=True).click()
    expect(page.get_by_text("New entries are shown by themselves.")).to_be_visible()
    north.api.post("tokens", {"name": "<img src=x onerror=alert(1)>"})
    row = entries.get_by_role("row").filter(has_text="<img src=x onerror=alert(1)>")
    expect(row.first).to_contain_text("token-made")  # without anything being pressed
    page.goto(f"{address_of(north)}{PANEL}")
    page.wait_for_load_state()
    page.get_by_role("radio", name="Debug").check()
    page.get_by_role("button", name="Apply", exact=True).click()
    expect(page.get_by_text("Settings applied.")).to_be_visible()
    expect(page.get_by_role("radio", name="Debug")).to_be_checked()
    page.goto(f"{address_of(north)}{PANEL}?text=GET")
    expect(entries.get_by_role("cell", name="request", exact=True).first).to_be_visible()  # at once
    picture(page, "logging")
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download").click()
    assert saved.value.suggested_filename == "hostward.log"
    north.api.patch("settings", {"log-level": None})


def test_a_trace_that_is_read_stays_open_while_newer_entries_come(north: Server, log_in: Callable[..., Page]) -> None:
    failed = {"timestamp": datetime.now(UTC).isoformat(), "level": "error", "event": "broken-for-a-test"}
    with (north.data_dir / "logs" / "hostward.log").open("a", encoding="utf-8") as log:
        log.write(json.dumps(failed | {"exception": "Traceback: line one"}) + "\n")
    page = log_in(north, f"{PANEL}?live=yes")
    row = page.get_by_role("table", name="Entries of the log").get_by_role("row").filter(has_text="broken-for-a-test")
    row.get_by_text("Trace", exact=True).click()
    expect(row.get_by_text("Traceback: line one")).to_be_visible()
    north.api.post("tokens", {"name": "newer than the trace"})
    expect(page.get_by_text("newer than the trace").first).to_be_visible()
    expect(row.get_by_text("Traceback: line one")).to_be_visible()
    expect(row.locator("summary")).to_be_focused()


@pytest.mark.feature("R10")
def test_the_level_stays_through_a_restart(server: Server) -> None:
    server.api.patch("settings", {"log-level": "debug"})
    server.restart()
    server.api.get("sessions", q="after the restart")
    begun = [n for n, line in enumerate(lines(server)) if line["event"] == "ready"]
    assert len(begun) == 2
    asked = [line for line in lines(server)[begun[1] :] if line["event"] == "request"]
    assert "/mss/api/v1/sessions" in [line["path"] for line in asked]
    assert {line["level"] for line in asked} == {"debug"}


@pytest.mark.feature("A11")
def test_at_debug_no_secret_is_in_the_log(
    server: Server, ldap: Slapd, log_in: Callable[..., Page], tmp_path: Path
) -> None:
    api = server.api
    api.patch("settings", {"log-level": "debug"})
    secrets = {PASSWORD, PASSPHRASE, STORES_PASSPHRASE, OTHERS_SECRET, NEW_SECRET, READER_SECRET, SECRET, api.token()}
    page = log_in(server, "/settings/credential-store")  # a form with the password
    secrets |= {cookie["value"] for cookie in page.context.cookies() if "value" in cookie}
    page.locator("#entry-user").fill(READER)
    page.get_by_label("Name", exact=False).first.fill("reader")
    page.locator("#secret").fill(READER_SECRET)
    page.get_by_role("button", name="Set", exact=True).click()
    expect(page.get_by_role("row", name="reader")).to_contain_text(READER)
    api.send("PUT", "credential-store/passphrase", json={"passphrase": STORES_PASSPHRASE})
    api.send("POST", "credential-store/open", json={"passphrase": STORES_PASSPHRASE})
    settings = {"servers": [ldap.ldaps], "certificates": ldap.certificate, "credential": "reader"}
    api.put("directories/Example", settings | {"user_base": f"ou=people,{BASE}", "group_base": f"ou=groups,{BASE}"})
    api.post("directories/Example/test", {"user": "xenia", "password": SECRET})
    api.post("users", {"name": "theirs", "password": OTHERS_SECRET})
    with closing(Api(api.url, server.certificate_file, "theirs", OTHERS_SECRET)) as theirs:
        theirs.put("me/password", {"current": OTHERS_SECRET, "new": NEW_SECRET})
    wrong = Api(api.url, server.certificate_file, "theirs", NEW_SECRET + "x")
    with closing(wrong), pytest.raises(Refused):
        wrong.get("me")
    with pytest.raises(Refused):
        api.put("replication", {"role": "master", "passphrase": PASSPHRASE + "\n", "confirm": True})
    api.put("replication", {"role": "master", "passphrase": PASSPHRASE, "confirm": True})
    api.post("replication/test-connection", {**server.target(), "passphrase": PASSPHRASE})
    api.get("sessions", q=PASSPHRASE)  # typed in the wrong place
    assert len(secrets) >= 9
    logged = [(path, path.read_bytes()) for path in (*(server.data_dir / "logs").iterdir(), server.output_file)]
    assert any(line["event"] == "request" for line in lines(server))
    found = [(path.name, secret) for path, text in logged for secret in secrets if secret.encode() in text]
    assert not found
