"""Users and groups in the console: made by an administrator, used in a second browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect
from tests.browser.test_pages import look
from tests.support.browser import address_of, choose, picture
from tests.support.server import Server

from hostward.access.throttle import LIMITS

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
    page.get_by_role("navigation", name="Users and groups").get_by_role("link", name="Users").click()
    page.get_by_role("link", name="Add", exact=True).click()
    page.get_by_role("textbox", name="User name").fill("anna")
    choose(page, "Groups", "Oslo IT")
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


def test_two_administrators_edit_one_user_and_one_setting_and_nothing_is_lost(
    north: Server, log_in: Callable[..., Page]
) -> None:
    north.api.post("users", {"name": "bruno"})
    first, second = log_in(north, "/settings/authentication"), log_in(north, "/settings/authentication")
    for page in (first, second):
        page.get_by_role("link", name="bruno", exact=True).click()
        expect(page.get_by_label("Full name")).to_be_visible()
    second.get_by_role("radio", name="Auditor").check()
    second.get_by_label("Full name").fill("Bruno Theirs")
    second.get_by_role("button", name="Save").click()
    expect(second.locator(".hw-toast")).to_have_text("Saved.")
    first.get_by_label("Full name").fill("Bruno Mine")
    first.get_by_role("button", name="Save").click()
    both = first.get_by_role("region", name="Both versions")
    expect(both).to_be_focused()
    expect(both).to_contain_text("Bruno Theirs")
    # What only the other side has changed is taken over; what both have is mine until it is chosen.
    expect(first.locator("[name=role][value=auditor]")).to_be_checked()
    expect(first.get_by_label("Full name")).to_have_value("Bruno Mine")
    assert not look(first, "both versions of a user")
    picture(first, "user-both-versions")
    first.get_by_role("button", name="Save").click()
    expect(first.locator(".hw-toast")).to_have_text("Saved.")
    (now,) = north.api.get("users", q="bruno")["items"]
    assert (now["full_name"], now["role"]) == ("Bruno Mine", "auditor")

    first.goto(f"{address_of(north)}/settings/general")
    expect(first.get_by_label("Concurrency Lock Timeout")).to_have_value("30")
    north.api.patch("settings", {"forced-promotion": "follow", "concurrency-lock-timeout": 20})
    first.get_by_label("Concurrency Lock Timeout").fill("40")
    first.get_by_role("button", name="Apply").click()
    both = first.get_by_role("region", name="Both versions")
    expect(both).to_contain_text("20 minutes")
    expect(first.locator("[name=forced-promotion][value=follow]")).to_be_checked()
    first.get_by_role("button", name="Apply").click()
    expect(first.locator(".hw-toast")).to_have_text("Settings applied.")
    settings = {s["name"]: s["value"] for s in north.api.get("settings")["items"]}
    assert (settings["forced-promotion"], settings["concurrency-lock-timeout"]) == ("follow", 40)
    north.api.patch("settings", {"forced-promotion": None, "concurrency-lock-timeout": None})


@pytest.mark.feature("R24")
def test_users_are_filtered_paged_and_changed_together_by_keyboard(north: Server, log_in: Callable[..., Page]) -> None:
    north.api.post("user-groups", {"name": "Keyboard group"})
    for n in range(53):
        groups = ["Keyboard group"] if n < 52 else []
        north.api.post("users", {"name": f"keys{n:02}", "full_name": f"Keys {99 - n}", "groups": groups})
    page = log_in(north, "/settings/authentication/users")
    expect(page.locator("#list .hw-name").first).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("keys")
    expect(page.locator(".hw-count")).to_contain_text("1–50 of 53 that match")
    page.get_by_label("In group").fill("keyboard GROUP")
    page.get_by_label("State", exact=True).select_option("Enabled")
    expect(page.locator(".hw-count")).to_contain_text("1–50 of 52 that match")
    page.get_by_role("link", name="Full name").click()
    expect(page.locator("#list .hw-name").first).to_have_text("keys51")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#list .hw-name")).to_have_text(["keys01", "keys00"])
    expect(page).to_have_url(re.compile(r"\?q=keys&state=enabled&group=keyboard\+GROUP&sort=full_name&page=2$"))
    page.reload()
    expect(page.locator("#list .hw-name")).to_have_text(["keys01", "keys00"])
    page.wait_for_load_state()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("link", name="keys01", exact=True)).to_be_focused()
    page.keyboard.press("x")
    expect(page.get_by_text("1 user chosen").first).to_be_visible()
    assert not look(page, "users chosen")
    picture(page, "users")
    page.get_by_role("button", name="Disable").click()
    asked = page.get_by_role("dialog", name="Settings update")
    expect(asked).to_contain_text("Disabling 1 user")
    assert not look(page, "disable users")
    asked.get_by_role("button", name="Yes").click()
    expect(page.locator(".hw-toast")).to_have_text("1 user disabled.")
    expect(page.locator(".hw-count")).to_contain_text("51–51 of 51 that match")
    page.get_by_label("Choose the whole page").check()
    page.get_by_role("button", name="Choose all 51").click()
    page.get_by_role("button", name="Groups", exact=True).click()
    dialog = page.get_by_role("dialog", name="Groups of these users")
    dialog.get_by_label("Take them out of").fill("Keyboard group")
    dialog.get_by_label("Put them into").fill("Nowhere at all")
    dialog.get_by_role("button", name="Change").click()
    expect(dialog.locator("[data-field=join] .hw-mistake")).to_contain_text("“Nowhere at all”")
    assert not look(page, "groups of users, with a mistake")
    dialog.get_by_label("Put them into").fill("")
    dialog.get_by_role("button", name="Change").click()
    asked.get_by_role("button", name="Yes").click()
    expect(page.locator(".hw-toast")).to_have_text("51 users changed.")
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    assert [u["name"] for u in north.api.get("users", q="keys", state="disabled")["items"]] == ["keys01"]
    (group,) = north.api.get("user-groups", q="Keyboard")["items"]
    assert group["users"] == 1


def test_users_are_imported_from_a_file_that_is_mended_first(
    north: Server, log_in: Callable[..., Page], tmp_path: Path
) -> None:
    file = tmp_path / "users.json"
    file.write_text('[{"login": "carla", "role": "king"}]', encoding="utf-8")
    page = log_in(north, "/settings/authentication")
    page.get_by_role("link", name="Import", exact=True).click()
    page.get_by_label("JSON", exact=True).set_input_files(file)
    expect(page.get_by_role("heading", name="What “users.json” would do")).to_be_focused()
    expect(page.get_by_text("1 row has mistakes")).to_be_visible()
    expect(page.get_by_role("button", name="Yes")).to_have_count(0)
    assert not look(page, "mistakes in a file of users")
    file.write_text('[{"login": "carla", "name": "Carla Rossi", "groups": ["Rome IT"]}]', encoding="utf-8")
    with page.expect_file_chooser() as choosing:  # the same file again
        page.get_by_label("JSON", exact=True).click()
    choosing.value.set_files(file)
    expect(page.get_by_text("Import 1 user?")).to_be_visible()
    assert not look(page, "import of users")
    picture(page, "users-import")
    page.get_by_role("button", name="Yes").click()
    expect(page.locator(".hw-toast")).to_have_text("Imported: 1 created, 0 changed.")
    expect(page.get_by_role("row", name=re.compile("carla"))).to_contain_text("Rome IT")


@pytest.mark.feature("R24")
@pytest.mark.feature("A10")
def test_who_has_to_wait_is_unlocked_on_the_users_page_also_by_themselves(
    north: Server, open_browser: Callable[..., BrowserContext]
) -> None:
    given = {"name": "unlocks", "role": "help desk", "password": SECRET}
    user = north.api.post("users", given)["user"]["id"]
    page = open_browser().new_page()
    page.goto(f"{address_of(north)}/settings/authentication/users/{user}")
    page.get_by_label("User name").fill("unlocks")
    page.get_by_label("Password").fill(SECRET)
    page.get_by_role("button", name="Log in").click()
    access = page.get_by_role("region", name="Access")
    expect(access).to_contain_text("Has to wait nowhere")
    expect(page.get_by_role("button", name="Unlock")).to_have_count(0)
    # From where no other test logs in.
    transport = httpx.HTTPTransport(verify=False, local_address="127.0.84.1")
    with httpx.Client(transport=transport, base_url=f"{north.api.url}/api/v1/") as guesses:
        wrong = {"user": "unlocks", "password": "wrong one"}
        for _ in range(LIMITS["pair"].free):
            assert guesses.post("login", json=wrong).status_code == 401
    page.reload()
    where = access.get_by_role("list", name="Where this user has to wait")
    expect(where).to_contain_text("from 127.0.84.1")
    assert not look(page, "has to wait")
    page.get_by_role("button", name="Unlock").press("Enter")
    expect(access).to_contain_text("Unlocked")
    expect(where).to_have_count(0)
    assert not look(page, "unlocked")
    page.reload()
    expect(access).to_contain_text("Has to wait nowhere")
