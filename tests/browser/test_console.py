"""The console in a real browser: the guide's ways by its labels, and what only a browser shows."""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect
from tests.support.api import PASSWORD
from tests.support.browser import address_of, enter, picture
from tests.support.command import hostward
from tests.support.server import Server

pytestmark = pytest.mark.feature("R24")

REPLICATION = "/settings/replication"
CERTIFICATES = "/settings/trusted-certificates"


def test_log_in_choose_a_theme_and_log_out(north: Server, open_browser: Callable[..., BrowserContext]) -> None:
    context = open_browser()
    page = context.new_page()
    page.goto(f"{address_of(north)}{CERTIFICATES}")
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill("wrong one")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The user name or the password is wrong.")).to_be_visible()
    assert page.get_by_label("User name").input_value() == "admin"
    enter(page)
    expect(page).to_have_url(f"{address_of(north)}{CERTIFICATES}")
    (cookie,) = context.cookies()
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, True, "Strict", "/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()
    root = page.locator("html")
    page.get_by_label("Appearance").first.click()
    page.get_by_role("button", name="Dark").click()
    expect(root).to_have_class(re.compile("pf-v6-theme-dark"))
    page.reload()
    expect(root).to_have_class(re.compile("pf-v6-theme-dark"))
    page.get_by_label("Account of admin").click()
    page.get_by_role("button", name="Log out", exact=True).click()
    expect(page).to_have_url(f"{address_of(north)}/login")
    assert context.cookies() == []
    page.go_back()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()


@pytest.mark.feature("R7")
@pytest.mark.feature("R9")
def test_import_each_others_certificates_and_test_the_connection(
    servers: tuple[Server, Server], log_in: Callable[..., Page]
) -> None:
    """The guide's 5.13.3 on both servers, then + Add and Test Connection of 5.13.7, by its labels."""
    for local, remote in (servers, servers[::-1]):
        page = log_in(local, CERTIFICATES)
        page.get_by_role("link", name="Management and Security Server").click()
        expect(page.get_by_role("row", name="this server")).to_be_visible()
        shutil.copy(remote.certificate_file, local.data_dir / "certificates" / f"{remote.name}.cer")
        page.get_by_role("button", name="Import").click()
        dialog = page.get_by_role("dialog", name="Import a certificate")
        dialog.get_by_label("File name").fill("nothing.cer")
        dialog.get_by_label("Friendly name").fill(remote.name)
        dialog.get_by_role("button", name="Import").click()
        expect(dialog.get_by_text("nothing.cer").first).to_be_visible()  # what is wrong, and what was typed is kept
        dialog.get_by_label("File name").fill(f"{remote.name}.cer")
        dialog.get_by_role("button", name="Import").click()
        expect(page.get_by_role("row", name=remote.name)).to_be_visible()
        picture(page, "trusted-certificates")
        page.context.close()

    north, south = servers
    page = log_in(south, REPLICATION)
    page.get_by_role("radio", name="Slave", exact=True).check()
    masters = page.get_by_role("region", name="Master Servers")
    expect(masters.get_by_text("No Master server yet")).to_be_visible()
    masters.get_by_role("button", name="Add").click()
    dialog = page.get_by_role("dialog", name="Add a Master Server")
    dialog.get_by_label("Host name").fill(north.host)
    dialog.get_by_label("Port").fill("nonsense")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_text("That is no port.")).to_be_visible()
    expect(dialog.get_by_label("Port")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_label("Port").fill(str(north.target()["port"]))
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    expect(masters.get_by_role("row", name=north.host)).to_be_visible()
    masters.get_by_role("button", name="Test Connection").click()
    checks = masters.get_by_role("region", name=f"Test Connection of {north.host}").get_by_role("listitem")
    for name in ("Host name", "Port", "Global protocol", "Servlet context", "Its certificate, here",
                 "This server's certificate, there", "Passphrase", "Clocks", "Versions"):  # fmt: skip
        expect(checks.filter(has_text=f"{name}: fine")).to_have_count(1)
    expect(masters.get_by_role("status")).to_have_text(f"{north.host}: The connection works.")
    masters.get_by_role("button", name="Test Connection").scroll_into_view_if_needed()
    picture(page, "test-connection")
    page.on("dialog", lambda asked: asked.accept())  # unsaved changes: the page asks before it is left
    page.goto(f"{address_of(south)}{CERTIFICATES}")


@pytest.mark.feature("R9")
def test_each_check_is_shown_while_the_next_is_being_made(
    north: Server, log_in: Callable[..., Page], tmp_path: Path
) -> None:
    page = log_in(north, REPLICATION)
    page.get_by_role("radio", name="Slave", exact=True).check()
    masters = page.get_by_role("region", name="Master Servers")
    with socket.create_server((north.address, 0)) as silent:  # it accepts connections, and says nothing
        masters.get_by_role("button", name="Add").click()
        dialog = page.get_by_role("dialog", name="Add a Master Server")
        dialog.get_by_label("Host name").fill(north.address)
        dialog.get_by_label("Port").fill(str(silent_port := silent.getsockname()[1]))
        dialog.get_by_role("button", name="Save").click()
        masters.get_by_role("button", name="Test Connection").click()
        checks = masters.get_by_role("region", name=f"Test Connection of {north.address}").get_by_role("listitem")
        expect(checks.filter(has_text="Port: fine")).to_have_count(1)
        expect(checks.filter(has_text="Global protocol")).to_have_class(re.compile("hw-check--trying"))
    # What it waits for comes to its end, rather than the time that it may wait.
    expect(checks.filter(has_text="Global protocol: failed")).to_contain_text("Nothing accepts connections")
    expect(checks.filter(has_text="not tried")).to_have_count(7)
    expect(masters.get_by_role("status")).to_contain_text("The connection can't be used yet")
    page.on("dialog", lambda asked: asked.accept())
    page.goto(f"{address_of(north)}{CERTIFICATES}")
    place = f"{north.address}:{silent_port}/mss"
    said = hostward("replication", "test-connection", place, on=north, home=tmp_path)
    lines = [line.split()[:2] for line in said.stdout.splitlines() if line]
    assert lines[:3] == [["name", "ok"], ["port", "FAILED"], ["protocol", "not"]], said.stdout + said.stderr
    assert said.returncode == 1


def test_a_login_that_ends_in_the_middle_of_a_form_loses_nothing(north: Server, log_in: Callable[..., Page]) -> None:
    page = log_in(north, REPLICATION)
    page.get_by_role("radio", name="Master", exact=True).check()
    page.get_by_label("Passphrase", exact=True).fill("typed already")
    page.get_by_role("region", name="Slave Servers").get_by_role("button", name="Add").click()
    page.get_by_role("dialog", name="Add a Slave Server").get_by_label("Host name").fill("kept.example.com")
    press_as_the_login_ends(page.get_by_role("button", name="Save"), north)
    again = page.get_by_role("dialog", name="Log in again")
    again.get_by_label("Password").fill("wrong one")
    again.get_by_role("button", name="Log in").click()
    expect(again.get_by_text("The user name or the password is wrong.")).to_be_visible()
    enter_again(page)
    expect(page.get_by_role("row", name="kept.example.com")).to_be_visible()
    assert page.get_by_label("Passphrase", exact=True).input_value() == "typed already"


def press_as_the_login_ends(button: Locator, server: Server) -> None:
    """So early that the page hasn't heard of it, or it would ask before anybody could press: the act is refused."""
    server.api.delete("me/logins")
    with button.page.expect_response(lambda answer: answer.status == 401 and answer.request.method != "GET"):
        button.dispatch_event("click")


def enter_again(page: Page) -> None:
    again = page.get_by_role("dialog", name="Log in again")
    again.get_by_label("Password").fill(PASSWORD)
    again.get_by_role("button", name="Log in").click()
    expect(again).to_be_hidden()


@pytest.mark.feature("R1")
@pytest.mark.feature("R2")
def test_apply_shows_the_consequences_then_the_steps_and_every_page_the_status(
    servers: tuple[Server, Server], log_in: Callable[..., Page]
) -> None:
    """Master and back. There is no Java, so the Database Status doesn't come Up as a Master; the console says why."""
    server = servers[0]
    page = log_in(server, REPLICATION)
    other = page.context.new_page()
    other.goto(f"{address_of(server)}{CERTIFICATES}")
    status = other.get_by_role("group", name="Status of this server")
    expect(status).to_contain_text("Up")
    page.get_by_role("radio", name="Master", exact=True).check()
    connections = page.get_by_role("region", name="Connections between the servers")
    connections.get_by_label("Database Network Adapter").select_option(server.address)
    page.evaluate("scrollTo(0, 0)")
    picture(page, "replication")
    page.get_by_role("button", name="Apply").click()
    asked = page.get_by_role("dialog", name="Settings update")
    expect(asked.get_by_text("The database restarts to allow for remote communication.")).to_be_visible()
    picture(page, "settings-update")
    asked.get_by_role("button", name="No").click()
    assert server.api.status()["wanted_role"] == "standalone"
    page.get_by_role("button", name="Apply").click()
    page.route("**/settings/replication", lambda route: route.abort())
    asked.get_by_role("button", name="Yes").click()
    expect(page.get_by_text("The server doesn't answer.")).to_be_visible()
    page.unroute("**/settings/replication")
    page.get_by_role("button", name="Apply").click()  # a Yes that wasn't carried out isn't one for what comes later
    asked.get_by_role("button", name="Yes").click()
    expect(page).to_have_url(re.compile("/jobs/"))
    expect(page.get_by_role("list", name="Steps")).to_be_visible()
    page.reload()
    expect(page.get_by_role("list", name="Steps").locator('[aria-current="step"]')).to_be_visible()
    picture(page, "steps")
    expect(status).not_to_contain_text("Up")
    expect(other.locator("[data-banner]")).to_be_visible()
    expect(other.locator('[data-live="role"]').first).to_have_text("Master")
    other.get_by_role("link", name="Security Proxy").click()  # pages go on working meanwhile
    expect(other.get_by_text("No certificate is trusted here yet")).to_be_visible()
    page.goto(f"{address_of(server)}{REPLICATION}")
    page.get_by_role("button", name="Doctor").click()
    expect(page.get_by_role("dialog", name="Doctor").get_by_role("listitem").first).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("radio", name="Standalone", exact=True).check()
    page.get_by_role("button", name="Apply").click()
    asked.get_by_role("button", name="Yes").click()
    expect(page.get_by_text("Done").first).to_be_visible()
    expect(status).to_contain_text("Up")
    expect(other.locator("[data-banner]")).to_be_hidden()


def test_a_page_says_that_the_server_is_away_and_comes_back(
    servers: tuple[Server, Server], log_in: Callable[..., Page]
) -> None:
    server = servers[1]
    page = log_in(server, CERTIFICATES)
    second = page.context.new_page()
    second.goto(f"{address_of(server)}{CERTIFICATES}")
    server.kill()
    for one in (page, second):
        expect(one.get_by_text("Server away")).to_be_visible()
    server.start()
    for one in (page, second):
        expect(one.get_by_text("Server away")).to_be_hidden()
