"""Directories and the Credential Store in a real browser, with a real OpenLDAP."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect
from tests.browser.test_pages import look
from tests.support.addresses import give_back, take_address
from tests.support.browser import address_of, picture
from tests.support.server import Server
from tests.support.slapd import BASE, READER, READER_SECRET, SECRET, Slapd, group, person, slapd, tree

pytestmark = [pytest.mark.feature("R23"), pytest.mark.feature("R24")]


@pytest.fixture(scope="module")
def ldap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    address = take_address()
    names = tree(person("xenia", "Xenia Berg"), person("yusuf"), group("LDAP Oslo", "xenia"))
    with slapd(tmp_path_factory.mktemp("slapd"), address, names) as found:
        yield found
    give_back(address)


def test_a_directory_is_set_up_tested_and_its_users_taken_over(
    north: Server, ldap: Slapd, log_in: Callable[..., Page]
) -> None:
    page = log_in(north, "/manage/sessions")
    page.get_by_role("navigation", name="Administrative Console").get_by_role("link", name="Credential Store").click()
    expect(page.get_by_role("heading", name="Credential Store")).to_be_visible()
    page.wait_for_load_state()
    page.get_by_label("Name", exact=False).first.fill("reader")
    page.locator("#entry-user").fill(READER)
    page.locator("#secret").fill(READER_SECRET)
    page.get_by_role("button", name="Set", exact=True).click()
    expect(page.get_by_role("row", name="reader")).to_contain_text(READER)
    assert READER_SECRET not in page.content()
    wrong = look(page, "credential store")
    page.goto(f"{address_of(north)}/settings/authentication/directories/new")
    page.locator("#name").fill("Example")
    page.locator("#servers").fill(ldap.ldaps)
    page.locator("#user_filter").fill("(uid=")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("is no such filter")).to_be_visible()
    wrong += look(page, "a directory with mistakes")
    page.locator("#user_filter").fill("(uid={user})")
    page.locator("#certificates").fill(ldap.certificate)
    page.locator("#credential").fill("reader")
    page.locator("#user_base").fill(f"ou=people,{BASE}")
    page.locator("#group_base").fill(f"ou=groups,{BASE}")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("row", name="Example")).to_contain_text("LDAPS")
    wrong += look(page, "directories")
    page.get_by_role("link", name="Example", exact=True).click()
    expect(page.get_by_role("heading", name="Example", level=1)).to_be_visible()
    page.wait_for_load_state()
    page.locator("#test_user").fill("xenia")
    page.locator("#test_password").fill("not hers")
    page.get_by_role("button", name="Test login").click()
    expect(page.get_by_text("The login would not go well")).to_be_visible()
    page.locator("#test_password").fill(SECRET)
    page.get_by_role("button", name="Test login").click()
    expect(page.get_by_text("The login would go well")).to_be_visible()
    expect(page.get_by_role("list", name="Steps")).to_contain_text("Belongs to LDAP Oslo.")
    wrong += look(page, "test login")
    picture(page, "test-login")
    page.get_by_role("button", name="Show what it would do").click()
    expect(page.get_by_text("It would be: 2 new")).to_be_visible()
    page.get_by_role("button", name="Take them over").click()
    expect(page.get_by_text("Done: 2 new")).to_be_visible()
    ldap.apply(f"dn: uid=yusuf,ou=people,{BASE}\nchangetype: delete\n")
    page.get_by_role("button", name="Show what it would do").click()
    expect(page.get_by_text("Not there any more, and so disabled: yusuf")).to_be_visible()
    wrong += look(page, "a directory's users who have left")
    page.get_by_role("button", name="Take them over").click()
    expect(page.get_by_text("Done: 0 new, 0 changed, 1 as they are, 1 gone")).to_be_visible()
    assert next(u for u in north.api.get("users", q="yusuf")["items"])["disabled"]
    assert not wrong
    user = next(u for u in north.api.get("users", q="xenia")["items"])
    page.goto(f"{address_of(north)}/settings/authentication/users/{user['id']}")
    expect(page.locator("#directory")).to_have_value("Example")
    expect(page.get_by_role("button", name="Set password")).to_have_count(0)
    page.goto(f"{address_of(north)}/settings/authentication/directories/edit?name=Example")
    expect(page.get_by_role("heading", name="Example", level=1)).to_be_visible()
    page.wait_for_load_state()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("users log in by “Example”")).to_be_visible()


def test_the_credential_store_gets_a_passphrase_is_opened_and_emptied(
    north: Server, log_in: Callable[..., Page]
) -> None:
    north.api.send("PUT", "credentials/kept", json={"user": "cn=kept", "secret": "secret words"})
    page = log_in(north, "/settings/credential-store")

    def enter_new(again: str) -> None:
        page.locator("#passphrase").fill("four words nobody guesses")
        page.locator("#again").fill(again)
        page.get_by_role("button", name="Set the passphrase").click()

    enter_new("four words")
    expect(page.get_by_text("The passphrases aren't the same.").first).to_be_visible()
    enter_new("four words nobody guesses")
    expect(page.locator(".hw-toast")).to_have_text("Passphrase set, on this server.")
    expect(page.get_by_role("button", name="Remove the passphrase")).to_be_visible()
    wrong = look(page, "credential store with a passphrase")
    north.restart()
    page = log_in(north, "/settings/credential-store")
    expect(page.get_by_text("The store is closed")).to_be_visible()
    expect(page.get_by_role("button", name="Set", exact=True)).to_have_count(0)
    expect(page.get_by_role("row", name="kept")).to_be_visible()
    wrong += look(page, "credential store, closed")
    picture(page, "credential-store-closed")
    page.locator("#open-passphrase").fill("not it")
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.get_by_text("This isn't the Credential Store's passphrase").first).to_be_visible()
    page.locator("#open-passphrase").fill("four words nobody guesses")
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.locator(".hw-toast")).to_have_text("Open, until this server stops.")
    expect(page.get_by_role("button", name="Set", exact=True)).to_be_visible()
    north.restart()
    page = log_in(north, "/settings/credential-store")
    page.get_by_role("button", name="The passphrase is lost").click()
    dialog = page.get_by_role("dialog", name="Settings update")
    expect(dialog).to_contain_text("This can't be undone")
    dialog.get_by_role("button", name="Yes").click()
    expect(page.locator(".hw-toast")).to_have_text("Emptied, on this server.")
    expect(page.get_by_text("No entries yet")).to_be_visible()
    assert not wrong
