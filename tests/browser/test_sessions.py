"""Manage Sessions and Change Requests in a real browser: by keyboard, by two people at once, on a Slave."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Locator, Page, expect
from tests.browser.test_pages import look
from tests.support.browser import address_of, loaded_bytes, picture
from tests.support.inventory import as_csv, rows
from tests.support.light import LightGroup
from tests.support.server import Server
from tests.support.waiting import eventually

pytestmark = [pytest.mark.feature("R24"), pytest.mark.feature("R26")]

MAX_LIST_BYTES = 135_000
"""With 50 sessions."""


def make(server: Server, number: int, prefix: str) -> None:
    """Sessions of that server."""
    for n in range(number):
        fields = {"name": f"{prefix} {n:03}", "type": "VT", "host": f"h{n % 3}.example.com"}
        server.api.post("sessions", fields)


def entry(page: Page, name: str) -> Locator:
    """A field of the page's form."""
    return page.get_by_role("main").get_by_role("textbox", name=name, exact=True)


def save(page: Page) -> None:
    page.get_by_role("button", name="Save").click()


def test_the_keyboard_alone_adds_finds_and_deletes_sessions(north: Server, log_in: Callable[..., Page]) -> None:
    page = log_in(north)
    expect(page.get_by_role("heading", name="Manage Sessions")).to_be_visible()
    wrong = look(page, "no sessions") if page.get_by_text("No sessions yet").is_visible() else []
    assert not wrong
    for name in ("Keys one", "Keys two"):
        page.keyboard.press("n")
        expect(entry(page, "Name")).to_be_visible()
        entry(page, "Name").fill(name)
        expect(entry(page, "LU or device name")).to_be_visible()
        page.get_by_role("combobox", name="Type", exact=True).select_option("SSH")
        expect(entry(page, "LU or device name")).to_be_hidden()  # SSH has none
        expect(entry(page, "Port")).to_have_attribute("placeholder", "22")
        entry(page, "Host").fill("tso1.example.com")
        entry(page, "Host").press("Control+Enter")
        expect(page.locator(".hw-toast")).to_have_text("Created.")
    page.keyboard.press("/")
    page.keyboard.type("keys")
    expect(page.locator(".hw-name")).to_have_text(["Keys one", "Keys two"])
    expect(page).to_have_url(re.compile(r"\?q=keys$"))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="Keys two", exact=True)).to_be_focused()
    page.keyboard.press("x")
    page.keyboard.press("Delete")
    asked = page.get_by_role("dialog", name="Settings update")
    expect(asked).to_contain_text("Deleting 1 session")
    expect(asked).to_contain_text("Keys two")
    asked.get_by_role("button", name="Yes").click()
    expect(page.locator(".hw-toast")).to_have_text("1 session deleted.")
    expect(page.locator(".hw-name")).to_have_text(["Keys one"])
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(entry(page, "Name")).to_have_value("Keys one")


def test_two_administrators_edit_one_session_and_nothing_is_lost(north: Server, log_in: Callable[..., Page]) -> None:
    make(north, 1, "Both")
    first, second = log_in(north, "/manage/sessions?q=Both"), log_in(north, "/manage/sessions?q=Both")
    first.get_by_role("link", name="Both 000", exact=True).click()
    expect(entry(first, "Host")).to_be_editable()
    eventually(lambda: north.api.get("sessions/locks")["items"], within_s=15.0)
    # A page in which nothing was typed yet would be loaded anew where its lock is taken over, to be read only.
    entry(first, "Host").fill("mine.example.com")
    second.get_by_role("link", name="Both 000", exact=True).click()
    second.get_by_role("button", name="Take over").click()
    second.get_by_role("dialog", name="Take over?").get_by_role("button", name="Take over").click()
    entry(second, "Host").fill("theirs.example.com")
    entry(second, "Port").fill("2323")
    save(second)
    expect(second.locator(".hw-toast")).to_have_text("Saved.")
    entry(first, "Comment").fill("my comment")
    save(first)
    both = first.get_by_role("region", name="Both versions")
    expect(both).to_contain_text("theirs.example.com")
    expect(both).to_contain_text("mine.example.com")
    picture(first, "sessions-both-versions")
    # What only the other side has changed is taken over; what both have is mine until it is chosen.
    expect(entry(first, "Port")).to_have_value("2323")
    expect(entry(first, "Host")).to_have_value("mine.example.com")
    assert not look(first, "both versions")
    both.get_by_label("theirs.example.com").check()
    expect(entry(first, "Host")).to_have_value("theirs.example.com")
    both.get_by_label("mine.example.com").check()
    save(first)
    expect(first.locator(".hw-toast")).to_have_text("Saved.")
    (now,) = north.api.get("sessions", q="Both")["items"]
    assert (now["host"], now["port"], now["comment"]) == ("mine.example.com", 2323, "my comment")


def test_a_form_that_was_changed_is_not_left_by_a_wrong_click(north: Server, log_in: Callable[..., Page]) -> None:
    page = log_in(north, "/manage/sessions/new")
    entry(page, "Name").fill("kept")
    entry(page, "Host").fill("http://wrong")
    save(page)
    expect(page.locator("[data-field=host] .hw-mistake")).to_contain_text("is a URL")
    expect(entry(page, "Host")).to_be_focused()
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.get_by_role("link", name="Change Requests").click(no_wait_after=True)
    expect(entry(page, "Name")).to_have_value("kept")
    assert asked == ["beforeunload"]
    assert not look(page, "form with a mistake")


def test_profiles_chosen_together_are_imported_and_each_is_given_back_for_its_emulator(
    north: Server, log_in: Callable[..., Page], tmp_path: Path
) -> None:
    for name in ("Profile_1", "Profile_2"):
        (tmp_path / f"{name}.x3270").write_text("x3270.hostname: L:tso.example.com:992\nx3270.keymap: mine\n")
    page = log_in(north, "/manage/sessions/import")
    page.get_by_label("CSV or JSON").set_input_files(sorted(tmp_path.glob("*.x3270")))
    expect(page.get_by_role("heading", name="What “2 files” would do")).to_be_focused()
    page.get_by_text("2 things that aren't carried").click()
    expect(page.get_by_text("Not carried: keymap.")).to_have_count(2)
    assert not look(page, "import of profiles")
    page.get_by_role("button", name="Yes").click()
    expect(page.locator(".hw-toast")).to_have_text("Imported: 2 created, 0 changed.")
    page.get_by_role("link", name="Profile 2", exact=True).click()
    page.get_by_text("Launch file", exact=True).click()
    with page.expect_download() as downloading:
        page.get_by_role("link", name="c3270").first.click()
    assert downloading.value.suggested_filename == "Profile 2.c3270"
    assert "c3270.hostname: L:tso.example.com:992" in Path(downloading.value.path()).read_text()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="c3270").first).to_be_hidden()


def test_an_inventory_is_imported_edited_and_deleted_at_once(
    north: Server, log_in: Callable[..., Page], tmp_path: Path
) -> None:
    given = rows(70, prefix="Branch")
    given[4]["host"] = "http://wrong.example.com"
    file = tmp_path / "branches.csv"
    file.write_bytes(as_csv(given))
    page = log_in(north, "/manage/sessions/import")
    assert not look(page, "import")
    page.get_by_label("CSV or JSON").set_input_files(file)
    expect(page.get_by_role("heading", name="What “branches.csv” would do")).to_be_focused()
    expect(page.get_by_text("1 row has mistakes")).to_be_visible()
    assert not look(page, "import's preview")
    picture(page, "sessions-import")
    page.get_by_role("button", name="Yes").click()
    expect(page.locator(".hw-toast")).to_have_text("Imported: 69 created, 0 changed.")
    page.get_by_label("Search sessions").fill("branch")
    expect(page.locator(".hw-count")).to_contain_text("1–50 of 69 that match")
    page.keyboard.press("Tab")
    page.get_by_role("link", name="Next").click()
    expect(page.locator(".hw-count")).to_contain_text("51–69 of 69")
    page.get_by_label("Choose the whole page").check()
    page.get_by_role("button", name="Choose all 69").click()
    expect(page.get_by_text("69 sessions chosen").first).to_be_visible()
    assert not look(page, "sessions chosen")
    picture(page, "sessions")
    page.get_by_role("button", name="Edit", exact=True).click()
    dialog = page.get_by_role("dialog", name="Edit sessions")
    dialog.get_by_role("textbox", name="Comment").fill("all alike")
    expect(dialog.get_by_role("checkbox", name="Comment")).to_be_checked()
    assert not look(page, "edit many")
    dialog.get_by_role("button", name="Change").click()
    page.get_by_role("dialog", name="Settings update").get_by_role("button", name="Yes").click()
    expect(page.locator(".hw-toast")).to_have_text("69 sessions changed.")
    assert {s["comment"] for s in north.api.get("sessions", q="branch", per_page=100)["items"]} == {"all alike"}


def test_the_list_with_all_it_loads_is_light(north: Server, log_in: Callable[..., Page]) -> None:
    if north.api.get("sessions")["total"] < 50:
        make(north, 50, "Light")
    page = log_in(north, "/manage/sessions")
    assert loaded_bytes(page, f"{address_of(north)}/manage/sessions", page.locator(".hw-name").nth(49)) < MAX_LIST_BYTES


@pytest.mark.feature("R11")
def test_what_is_saved_on_a_slave_is_followed_to_its_end(pair: LightGroup, log_in: Callable[..., Page]) -> None:
    master, (slave,) = pair.master, pair.slaves
    page, at_master = log_in(slave, "/manage/sessions"), log_in(master, "/manage/sessions/new")
    entry(at_master, "Name").fill("Payroll")
    entry(at_master, "Host").fill("tso1.example.com")
    save(at_master)
    expect(at_master.locator(".hw-toast")).to_have_text("Created. On 2 of 2 servers.")
    page.get_by_role("link", name="Payroll", exact=True).click()  # it has appeared by itself
    entry(page, "Comment").fill("from the Slave")
    page.get_by_role("button", name="Submit").click()
    expect(page.locator(".hw-toast")).to_have_text("Submitted to the Master.")
    expect(page.get_by_text("it waits for an administrator there")).to_be_visible()
    assert not look(page, "a request on the Slave")
    at_master.get_by_role("link", name="Change Requests").click()
    assert not look(at_master, "requests on the Master")
    picture(at_master, "change-requests")
    at_master.get_by_role("link", name="Change session “Payroll”: comment").click()
    picture(at_master, "change-request")
    at_master.get_by_role("button", name="Reject").click()
    dialog = at_master.get_by_role("dialog", name="Reject the change request")
    dialog.get_by_role("button", name="Reject").click()
    expect(dialog.locator(".hw-mistake")).to_contain_text("No reason is given.")
    assert not look(at_master, "reject without a reason")
    dialog.get_by_role("textbox", name="Reason", exact=True).fill("Name the department.")
    dialog.get_by_role("button", name="Reject").click()
    expect(page.get_by_text("Name the department.")).to_be_visible()  # the page that was open all the time
    assert not look(page, "a rejected request")
    page.get_by_role("link", name="Manage Sessions").first.click()
    page.get_by_role("link", name="Payroll", exact=True).click()
    entry(page, "Comment").fill("Finance")
    page.get_by_role("button", name="Submit").click()
    page.get_by_role("link", name="Edit and resubmit").click()
    entry(page, "Comment").fill("Finance and Claims")
    assert not look(page, "edit and resubmit")
    page.get_by_role("button", name="Resubmit").click()
    expect(page.get_by_text("it waits for an administrator there")).to_be_visible()
    at_master.get_by_role("link", name="Change Requests").first.click()
    expect(at_master.locator("#request-list .hw-name")).to_have_count(1)
    at_master.locator("#request-list .hw-name").click()
    at_master.get_by_role("button", name="Implement").click()
    expect(at_master.locator(".hw-toast")).to_have_text("Implemented. On 2 of 2 servers.")
    expect(page.get_by_text("It counts on every server")).to_be_visible()
    (now,) = slave.api.get("sessions")["items"]
    assert now["comment"] == "Finance and Claims"


@pytest.mark.feature("R22")
def test_a_page_on_a_slave_is_told_when_the_lock_is_free(pair: LightGroup, log_in: Callable[..., Page]) -> None:
    master, (slave,) = pair.master, pair.slaves
    made = master.api.post("sessions", {"name": "Shared", "type": "VT", "host": "a.example.com"})["session"]
    master.api.post(f"sessions/{made['id']}/lock")
    pair.wait_equal()
    page = log_in(slave, f"/manage/sessions/{made['id']}")
    expect(page.get_by_role("main").get_by_text("is editing this session")).to_be_visible()
    master.api.patch(f"sessions/{made['id']}", {"comment": "saved meanwhile"})
    master.api.delete(f"sessions/{made['id']}/lock")
    expect(page.get_by_text("Nobody else edits this session any more")).to_be_visible()
    expect(entry(page, "Comment")).to_be_disabled()
    assert not look(page, "free again")
    page.get_by_role("button", name="Edit", exact=True).click()
    expect(entry(page, "Comment")).to_be_editable()
    expect(entry(page, "Comment")).to_have_value("saved meanwhile")
