"""The page of people who use sessions, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from tests.browser.test_pages import MENU, look
from tests.support.browser import address_of, loaded_bytes, picture
from tests.support.light import LightGroup
from tests.support.server import Server
from tests.support.waiting import eventually

from hostward.access.own_pace import USER_AT_ONCE

pytestmark = [pytest.mark.feature("R23"), pytest.mark.feature("R24")]

SECRET = "correct horse battery"
MAX_PAGE_BYTES = 150_000
IS_SAVED = "([key, kept]) => !key.includes('unsaved') || kept === '{}'"
SAVED = "**/sessions/favourites"
OFTEN = """async ([session, csrf, times]) => {
  const answers = [];
  for (let n = 0; n < times; n++) {
    const body = new URLSearchParams([[n % 2 ? "remove" : "add", session]]);
    answers.push(await fetch("sessions/favourites", { method: "POST", body, headers: { "X-CSRF": csrf, "HX-Request": "true" } }));
  }
  return answers.map(answer => answer.status);
}"""  # noqa: E501


@pytest.fixture(scope="session")
def people(servers: tuple[Server, Server]) -> Server:
    """Users of north: greta and hans, of the group Finance, who have three sessions; hugo, who has none and no role."""
    north = servers[0]
    north.api.post("user-groups", {"name": "Finance"})
    for name, groups in (("greta", ["Finance"]), ("hans", ["Finance"]), ("hugo", [])):
        north.api.post("users", {"name": name, "full_name": name.title(), "groups": groups, "password": SECRET})
    for name, type_, host in (
        ("My payroll", "IBM 3270", "tso1.example.com"),
        ("My ledger", "SSH", "ledger.example.com"),
        ("My claims", "VT", "claims.example.com"),
    ):
        north.api.post("sessions", {"name": name, "type": type_, "host": host, "groups": ["Finance"]})
    north.api.post("sessions", {"name": "Somebody else's", "type": "VT", "host": "other.example.com"})
    return north


@pytest.fixture
def page_of(open_browser: Callable[..., BrowserContext]) -> Callable[..., Page]:
    """A page of that user, logged in."""

    def open_page(server: Server, user: str, path: str = "/") -> Page:
        page = open_browser().new_page()
        page.goto(f"{address_of(server)}{path}")
        page.get_by_label("User name").fill(user)
        page.get_by_label("Password").fill(SECRET)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", name="My sessions")).to_be_visible()
        page.wait_for_load_state()
        return page

    return open_page


def names(page: Page) -> list[str]:
    return page.locator(".hw-my-card__name").all_inner_texts()


def test_a_user_finds_a_session_and_gets_the_file_that_opens_it(
    people: Server, page_of: Callable[..., Page], tmp_path: Path
) -> None:
    page = page_of(people, "greta")
    expect(page).to_have_url(f"{address_of(people)}/sessions")
    expect(page.locator(".hw-my-card__name")).to_have_text(["My claims", "My ledger", "My payroll"])
    assert not look(page, "my sessions")
    page.locator(".hw-my-card__acts summary").first.click()
    assert not look(page, "how to open a session", within=MENU)
    page.keyboard.press("Escape")
    picture(page, "my-sessions")
    page.keyboard.press("/")
    page.keyboard.type("tso1")
    expect(page.locator(".hw-my-card__name")).to_have_text(["My payroll"])
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Open My payroll with x3270").click()
    file = tmp_path / downloading.value.suggested_filename
    downloading.value.save_as(file)
    assert file.name == "My payroll.x3270"
    assert "x3270.hostname: L:tso1.example.com:992" in file.read_text()
    page.get_by_text("How to open My payroll").locator("..").click()
    with page.expect_download() as downloading:
        page.get_by_role("link", name="wc3270 (Windows)").click()
    assert downloading.value.suggested_filename == "My payroll.wc3270"
    page.get_by_role("searchbox").fill("no such thing")
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    assert not look(page, "nothing matches")


def test_a_favourite_comes_first_in_every_browser_until_it_is_taken_away(
    people: Server, page_of: Callable[..., Page]
) -> None:
    page = page_of(people, "greta")
    star = page.get_by_role("button", name="Favourite: My payroll")
    with page.expect_response(SAVED):
        star.click()
    expect(star).to_have_attribute("aria-pressed", "true")
    tops = [box["y"] for card in page.locator(".hw-my-card").all() if (box := card.bounding_box())]
    assert tops.index(min(tops)) == names(page).index("My payroll")
    assert not look(page, "a favourite")
    elsewhere = page_of(people, "greta")
    expect(elsewhere.locator(".hw-my-card__name")).to_have_text(["My payroll", "My claims", "My ledger"])
    expect(elsewhere.get_by_role("button", name="Favourite: My payroll")).to_have_attribute("aria-pressed", "true")
    with elsewhere.expect_response(SAVED):
        elsewhere.get_by_role("button", name="Favourite: My payroll").click()
    page.reload()
    expect(page.locator(".hw-my-card__name")).to_have_text(["My claims", "My ledger", "My payroll"])
    expect(star).to_have_attribute("aria-pressed", "false")


def test_what_a_browser_remembered_by_itself_is_taken_over_once(people: Server, page_of: Callable[..., Page]) -> None:
    page = page_of(people, "greta")
    ledger = page.locator(".hw-my-card", has_text="My ledger").get_attribute("data-session")
    page.evaluate("old => localStorage.setItem('hostward-favourites', JSON.stringify(old))", [ledger, "long gone"])
    with page.expect_response(SAVED):
        page.reload()
    expect(page.locator("#favourites")).to_be_empty()
    elsewhere = page_of(people, "greta")
    star = elsewhere.get_by_role("button", name="Favourite: My ledger")
    expect(star).to_have_attribute("aria-pressed", "true")
    with elsewhere.expect_response(SAVED):
        star.click()
    page.reload()
    expect(page.get_by_role("button", name="Favourite: My ledger")).to_have_attribute("aria-pressed", "false")
    expect(page.locator(".hw-my-card__name")).to_have_text(["My claims", "My ledger", "My payroll"])


@pytest.mark.feature("R11")
def test_a_star_set_while_the_master_is_away_is_kept_and_saved_once_it_is_back(
    pair: LightGroup, page_of: Callable[..., Page]
) -> None:
    master, (slave,) = pair.master, pair.slaves
    master.api.post("users", {"name": "joan", "password": SECRET})
    for name in ("First", "Second"):
        master.api.post("sessions", {"name": name, "type": "VT", "host": "a.example.com"})
    master.api.post("assignments", {"to": [{"kind": "user", "name": "joan"}], "sessions": ["First", "Second"]})
    pair.wait_equal(60.0)
    page = page_of(slave, "joan")
    master.kill()
    star = page.get_by_role("button", name="Favourite: Second")
    star.click()
    expect(page.get_by_text("aren't saved yet")).to_be_visible()
    expect(star).to_have_attribute("aria-pressed", "true")
    assert not look(page, "not saved yet")
    page.reload()
    expect(star).to_have_attribute("aria-pressed", "true")
    master.start()
    # What is said is empty too before the first try: what the browser keeps isn't.
    eventually(lambda: page.evaluate(f"Object.entries(localStorage).every({IS_SAVED})"), within_s=60)
    expect(page.locator("#favourites")).to_be_empty()
    pair.wait_equal(60.0)
    at_master = page_of(master, "joan")
    expect(at_master.locator(".hw-my-card__name")).to_have_text(["Second", "First"])


def test_who_stars_without_end_is_told_that_it_is_not_saved_yet(people: Server, page_of: Callable[..., Page]) -> None:
    page = page_of(people, "hans")
    session = page.locator(".hw-my-card", has_text="My ledger").get_attribute("data-session")
    csrf = page.locator("meta[name=csrf]").get_attribute("content")
    assert page.evaluate(OFTEN, [session, csrf, USER_AT_ONCE]) == [200] * USER_AT_ONCE
    star = page.get_by_role("button", name="Favourite: My ledger")
    star.click()
    expect(page.get_by_text("you have changed very many")).to_be_visible()
    expect(star).to_have_attribute("aria-pressed", "true")
    assert not look(page, "too many stars")


@pytest.mark.feature("A12")
def test_who_has_no_role_sees_nothing_of_the_console_nor_of_others_sessions(
    people: Server, page_of: Callable[..., Page]
) -> None:
    page = page_of(people, "hugo")
    expect(page.get_by_role("heading", name="No sessions yet")).to_be_visible()
    assert not look(page, "no sessions")
    expect(page.get_by_role("navigation", name="Administrative Console")).to_have_count(0)
    other = people.api.get("sessions", q="Somebody")["items"][0]["id"]
    for path in ("/manage/sessions", "/settings/replication", "/reports/audit-log", f"/sessions/{other}/launch/putty"):
        answer = page.goto(f"{address_of(people)}{path}")
        assert answer is not None
        assert answer.status in (403, 404)
        expect(page.get_by_role("navigation")).to_have_count(0)
        assert "other.example.com" not in page.content()
        assert people.name not in page.inner_text("body")
    assert not look(page, "not found, for a user")
    page.get_by_role("link", name="My sessions").click()
    expect(page.get_by_role("heading", name="No sessions yet")).to_be_visible()


def test_a_user_who_is_disabled_is_led_to_the_login(people: Server, page_of: Callable[..., Page]) -> None:
    user = people.api.post("users", {"name": "ida", "password": SECRET})["user"]
    page = page_of(people, "ida")
    people.api.patch(f"users/{user['id']}", {"disabled": True})
    page.get_by_role("searchbox").fill("anything")
    expect(page.get_by_role("heading", name="Log in to")).to_be_visible()


def test_the_page_is_light(people: Server, page_of: Callable[..., Page]) -> None:
    page = page_of(people, "greta")
    shown = page.locator(".hw-my-card").first
    assert loaded_bytes(page, f"{address_of(people)}/sessions", shown) < MAX_PAGE_BYTES
