"""Manage Packages, and a user's packages, in a real browser."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from tests.browser.test_my_sessions import SECRET, page_of
from tests.browser.test_pages import look
from tests.support.browser import address_of, picture
from tests.support.server import HTTPS_PORT, Server
from tests.support.zips import zipped

__all__ = ["page_of"]

pytestmark = [pytest.mark.feature("R15"), pytest.mark.feature("R24")]


def choose(page: Page, name: str, content: bytes) -> None:
    """In the file's own field."""
    page.locator("#file").set_input_files({"name": name, "mimeType": "application/zip", "buffer": content})


def test_a_package_is_uploaded_updated_edited_and_deleted_by_its_labels(
    north: Server, log_in: Callable[..., Page]
) -> None:
    page = log_in(north, "/manage/sessions")
    page.get_by_role("navigation", name="Administrative Console").get_by_role("link", name="Manage Packages").click()
    expect(page.get_by_role("heading", name="Manage Packages")).to_be_visible()
    wrong = look(page, "no packages")
    page.get_by_role("link", name="Upload", exact=True).click()
    expect(page.get_by_role("heading", name="Upload a package")).to_be_visible()
    page.wait_for_load_state()
    wrong += look(page, "upload")
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.get_by_text("No file is chosen.")).to_be_visible()
    choose(page, "claims.zip", b"MZ not a zip")
    page.get_by_label("Name", exact=True).fill("Claims client")
    page.get_by_label("Version").fill("1.0")
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.get_by_text("It is no .zip file")).to_be_visible()
    assert page.get_by_label("Version").input_value() == "1.0", "what was entered stays"
    wrong += look(page, "a mistake")
    first = zipped(setup_msi=b"version 1" * 500)
    choose(page, "claims.zip", first)
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.get_by_role("row", name="Claims client")).to_contain_text("1 of 1")
    wrong += look(page, "packages")
    picture(page, "packages")
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="Claims client", exact=True)).to_be_focused()
    page.keyboard.press("/")
    page.keyboard.type("nothing like that")
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    wrong += look(page, "no package matches")
    page.get_by_role("link", name="Show all").last.click()
    page.get_by_role("link", name="Update Claims client").click()
    expect(page.get_by_role("heading", name="Update “Claims client”")).to_be_visible()
    page.wait_for_load_state()
    second = zipped(setup_msi=b"version 2" * 500)
    choose(page, "other name.zip", second)
    page.get_by_label("Version").fill("2.0")
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.get_by_role("row", name="Claims client")).to_contain_text("2.0")
    href = page.get_by_role("link", name="Download Claims client").get_attribute("href") or ""
    assert page.request.get(f"https://{north.address}:{HTTPS_PORT}{href}").body() == second
    page.get_by_role("link", name="Claims client", exact=True).click()
    expect(page.get_by_role("heading", name="Claims client", level=1)).to_be_visible()
    page.wait_for_load_state()
    wrong += look(page, "one package")
    page.get_by_label("Description").fill("For claims <script>")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("row", name="Claims client")).to_contain_text("For claims <script>")
    page.wait_for_load_state()
    page.get_by_role("link", name="Claims client", exact=True).click()
    expect(page.get_by_role("heading", name="Claims client", level=1)).to_be_visible()
    page.wait_for_load_state()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("This can't be undone")).to_be_visible()
    page.get_by_role("button", name="Yes", exact=True).click()
    expect(page.get_by_text("No packages yet")).to_be_visible()
    assert not wrong


def test_a_stale_update_says_so_and_changes_nothing(north: Server, log_in: Callable[..., Page]) -> None:
    page = log_in(north, "/manage/packages/upload")
    choose(page, "shared.zip", zipped(a_txt=b"first"))
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.get_by_role("row", name="shared")).to_be_visible()
    page.wait_for_load_state()
    page.get_by_role("link", name="Update shared").click()
    expect(page.get_by_role("heading", name="Update “shared”")).to_be_visible()
    page.wait_for_load_state()
    (package,) = [p for p in north.api.get("packages")["items"] if p["name"] == "shared"]
    changed = north.api.patch(f"packages/{package['id']}", {"version": "somebody else's"})["package"]
    choose(page, "shared.zip", zipped(a_txt=b"second"))
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.get_by_text("changed by somebody else")).to_be_visible()
    assert north.api.get(f"packages/{package['id']}") == changed
    north.api.delete(f"packages/{package['id']}", confirm="true")


@pytest.mark.feature("R23")
def test_a_user_downloads_what_is_assigned(
    north: Server, log_in: Callable[..., Page], page_of: Callable[..., Page], tmp_path: Path
) -> None:
    content = zipped(setup_msi=b"installs" * 500)
    north.api.post("users", {"name": "ingrid", "password": SECRET})
    page = log_in(north, "/manage/packages/upload")
    for name in ("Payroll client", "Somebody else's client"):
        page.goto(f"{address_of(north)}/manage/packages/upload")
        choose(page, f"{name}.zip", content)
        page.get_by_role("button", name="Upload", exact=True).click()
        expect(page.get_by_role("row", name=name)).to_be_visible()
    page.goto(f"{address_of(north)}/assign-access/new")
    page.get_by_label("Packages").fill("Payroll client")
    page.get_by_label("Users", exact=True).fill("ingrid")
    page.get_by_role("button", name="Assign", exact=True).click()
    expect(page.get_by_role("row", name="Payroll client")).to_contain_text("Allowed")
    page.goto(f"{address_of(north)}/assign-access/why?user=ingrid&package=Payroll+client")
    expect(page.get_by_text("ingrid may use “Payroll client”")).to_be_visible()
    mine = page_of(north, "ingrid")
    expect(mine.get_by_role("heading", name="My packages")).to_be_visible()
    assert mine.locator(".hw-my-card__name").all_inner_texts() == ["Payroll client"]
    assert not look(mine, "my packages")
    with mine.expect_download() as downloading:
        mine.get_by_role("link", name="Download Payroll client").click()
    downloading.value.save_as(tmp_path / "mine.zip")
    assert downloading.value.suggested_filename == "Payroll client.zip"
    assert (tmp_path / "mine.zip").read_bytes() == content
    for package in north.api.get("packages")["items"]:
        north.api.delete(f"packages/{package['id']}", confirm="true")


def test_progress_is_said_while_a_large_file_is_on_its_way(
    north: Server, open_browser: Callable[..., BrowserContext], log_in: Callable[..., Page]
) -> None:
    page = log_in(north, "/manage/packages/upload")
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    slow = {"offline": False, "latency": 20, "downloadThroughput": 2**20, "uploadThroughput": 300_000}
    choose(page, "slow.zip", zipped(a_bin=bytes(range(256)) * 4 + random.Random(1).randbytes(900_000)))
    session.send("Network.emulateNetworkConditions", slow)
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.locator("[data-progress-said]")).to_contain_text("MB")
    session.send("Network.emulateNetworkConditions", slow | {"uploadThroughput": 50_000_000})
    expect(page.get_by_role("row", name="slow")).to_be_visible(timeout=60_000)
    for package in north.api.get("packages")["items"]:
        north.api.delete(f"packages/{package['id']}", confirm="true")
