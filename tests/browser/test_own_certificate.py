"""The panel Certificates in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser.test_pages import look
from tests.support.authority import Authority
from tests.support.browser import address_of, picture
from tests.support.light import LightServer
from tests.support.server import Server

pytestmark = [pytest.mark.feature("R7"), pytest.mark.feature("R24")]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """One of its own, whose certificate a test may replace."""
    made = LightServer("renewed", tmp_path)
    made.start()
    yield made
    made.kill()


def test_the_own_certificate_is_renewed_and_an_authoritys_installed(
    server: Server, log_in: Callable[..., Page]
) -> None:
    first = server.api.get("server/certificate")["fingerprint"]
    page = log_in(server, "/manage/sessions")
    navigation = page.get_by_role("navigation", name="Administrative Console")
    navigation.get_by_role("link", name="Certificates", exact=True).click()
    expect(page.get_by_role("heading", name="Certificates", level=1)).to_be_visible()
    page.wait_for_load_state()
    expect(page.get_by_text(first)).to_be_visible()
    wrong = look(page, "certificates")
    picture(page, "certificates")
    page.set_viewport_size({"width": 1280, "height": 900})
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download").click()
    assert saved.value.suggested_filename == "renewed.cer"
    page.get_by_role("button", name="Renew", exact=True).click()
    page.get_by_role("dialog", name="Settings update").get_by_role("button", name="Yes").click()
    expect(page.get_by_text("It was renewed once")).to_be_visible()
    second = server.api.get("server/certificate")["fingerprint"]
    assert second != first
    expect(page.get_by_text(second)).to_be_visible()
    page.wait_for_load_state()
    page.get_by_role("button", name="Request", exact=True).click()
    dialog = page.get_by_role("dialog", name="Request a certificate")
    dialog.get_by_role("button", name="Make a request").click()
    expect(dialog.get_by_text("-----BEGIN CERTIFICATE REQUEST-----")).to_be_visible()
    wrong += look(page, "a certificate request")
    page.set_viewport_size({"width": 1280, "height": 900})
    authority = Authority()
    issued = authority.issue(dialog.locator("#request-text").inner_text().strip() + "\n")
    dialog.get_by_role("button", name="Close").last.click()
    page.get_by_role("button", name="Install", exact=True).click()
    dialog = page.get_by_role("dialog", name="Install the certificate")
    dialog.get_by_label("Certificate and chain").fill("no certificate")
    dialog.get_by_role("button", name="Install", exact=True).click()
    expect(dialog.get_by_text("There are 0 certificates in it.").first).to_be_visible()
    wrong += look(page, "installing what is no certificate")
    page.set_viewport_size({"width": 1280, "height": 900})
    dialog.get_by_label("Certificate and chain").fill(issued + authority.chain)
    dialog.get_by_role("button", name="Install", exact=True).click()
    page.get_by_role("dialog", name="Settings update").get_by_role("button", name="Yes").click()
    expect(page.get_by_text("Intermediate of the tests").first).to_be_visible()
    assert "Intermediate of the tests" in server.api.get("server/certificate")["issuer"]
    page.goto(f"{address_of(server)}/settings/certificates")
    page.wait_for_load_state()
    page.get_by_label("Warn before a certificate expires").fill("365")
    page.get_by_role("button", name="Apply", exact=True).click()
    expect(page.get_by_text("Settings applied.")).to_be_visible()
    expect(page.get_by_text("Expires soon")).to_be_visible()  # it is valid for a year less a moment
    assert not wrong


def test_a_browser_is_shown_the_certificate_that_was_installed_for_it(
    server: Server, log_in: Callable[..., Page], tmp_path: Path
) -> None:
    authority, file = Authority(), tmp_path / "web.pfx"
    file.write_bytes(authority.hand_out([server.host, server.address]).pkcs12(authority.chain, "export me"))
    page = log_in(server, "/settings/certificates")
    own = server.api.get("server/certificate")["fingerprint"]
    page.get_by_role("button", name="Install for browsers").click()
    dialog = page.get_by_role("dialog", name="Install a certificate for browsers")
    dialog.get_by_label("File").set_input_files(file)
    dialog.get_by_label("Password").fill("not that one")
    dialog.get_by_role("button", name="Install", exact=True).click()
    expect(dialog.get_by_text("The password is wrong").first).to_be_visible()
    wrong = look(page, "installing for browsers")
    page.set_viewport_size({"width": 1280, "height": 900})
    dialog.get_by_label("Password").fill("export me")
    dialog.get_by_role("button", name="Install", exact=True).click()
    expect(page.get_by_text("Browsers are shown this certificate")).to_be_visible()
    page.wait_for_load_state()
    wrong += look(page, "a certificate for browsers")
    again = log_in(server, "/settings/certificates")  # another browser
    answer = again.reload()
    assert answer is not None
    seen = answer.security_details()
    assert seen is not None
    assert seen["issuer"] == "Intermediate of the tests"
    expect(again.get_by_text(own)).to_be_visible()
    again.get_by_role("button", name="Remove", exact=True).click()
    again.get_by_role("dialog", name="Settings update").get_by_role("button", name="Yes").click()
    expect(again.get_by_role("button", name="Install for browsers")).to_be_visible()
    assert not wrong
