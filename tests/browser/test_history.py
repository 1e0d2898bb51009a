"""Change History in a real browser: undo, restore, and what happens where something else changes meanwhile."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from tests.browser.test_pages import look
from tests.support.browser import address_of
from tests.support.server import Server

pytestmark = [pytest.mark.feature("R24"), pytest.mark.feature("R30")]


def made(server: Server, name: str) -> str:
    fields = {"name": name, "type": "VT", "host": "vt.example.com"}
    return str(server.api.post("sessions", fields)["session"]["id"])


def names(server: Server, words: str) -> list[str]:
    return [item["name"] for item in server.api.get("sessions", q=words)["items"]]


def ask(page: Page, button: str) -> None:
    page.get_by_role("button", name=button, exact=True).click()
    expect(page.get_by_role("dialog", name="Settings update")).to_be_visible()


def test_a_change_is_undone_and_all_is_restored(north: Server, log_in: Callable[..., Page]) -> None:
    word = uuid.uuid4().hex[:8]
    one = made(north, f"{word} one")
    north.api.patch(f"sessions/{one}", {"comment": "for the desk in Dublin", "port": 2323})
    north.api.delete(f"sessions/{one}")
    wrong: list[object] = []
    page = log_in(north, "/history")
    expect(page.get_by_role("heading", name="Change History", level=1)).to_be_visible()
    wrong += look(page, "Change History")
    page.get_by_role("link", name=f"Delete session “{word} one”").click()
    wrong += look(page, "a change")
    ask(page, "Undo")
    expect(page.get_by_text(f"1 session comes back: “{word} one”.")).to_be_visible()
    wrong += look(page, "the consequences")
    page.get_by_role("button", name="No", exact=True).click()
    assert names(north, word) == []
    ask(page, "Undo")
    page.get_by_role("button", name="Yes", exact=True).click()
    expect(page.get_by_role("heading", name=f"Create session “{word} one”")).to_be_visible()
    assert names(north, word) == [f"{word} one"]

    # The session's own history, from its change.
    page.get_by_role("link", name="History of this session").click()
    expect(page.get_by_text("As it is now")).to_be_visible()
    expect(page.get_by_role("cell", name="2323").first).to_be_visible()
    wrong += look(page, "a session's history")
    page.get_by_role("button", name=re.compile("Restore revision")).last.click()
    page.get_by_role("button", name="Yes", exact=True).click()
    expect(page.get_by_text("As it is now")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Restore revision"))).to_have_count(3)
    assert north.api.get(f"sessions/{one}")["comment"] == ""

    # To here, while somebody else goes on changing: Yes is to what was shown, and to nothing else.
    here = north.api.status()["revision"]
    two = made(north, f"{word} two")
    page.goto(f"{address_of(north)}/history/{here}")
    ask(page, "Restore to here")
    expect(page.get_by_text(f"1 session is deleted: “{word} two”.")).to_be_visible()
    north.api.patch(f"sessions/{one}", {"comment": "meanwhile"})
    page.get_by_role("button", name="Yes", exact=True).click()
    expect(page.get_by_text("Something was changed since the consequences were shown")).to_be_visible()
    assert north.api.get(f"sessions/{two}")["name"] == f"{word} two"
    ask(page, "Restore to here")
    page.get_by_role("button", name="Yes", exact=True).click()
    expect(page.get_by_role("heading", name="Change 1 session, Delete 1 session")).to_be_visible()
    assert names(north, word) == [f"{word} one"]
    assert north.api.get(f"sessions/{one}")["comment"] == ""
    assert not wrong


def test_filters_stay_in_the_address_and_an_empty_list_says_why(north: Server, log_in: Callable[..., Page]) -> None:
    word = uuid.uuid4().hex[:8]
    made(north, f"{word} one")
    page = log_in(north, "/history")
    page.get_by_label("What").select_option("session")
    page.get_by_role("button", name="Filter").click()
    expect(page).to_have_url(re.compile("kind=session"))
    expect(page.get_by_role("link", name=f"Create session “{word} one”")).to_be_visible()
    page.get_by_label("By").fill("nobody")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_text("No change fits")).to_be_visible()
    assert not look(page, "no change fits")
    page.get_by_role("link", name="Show all").click()
    expect(page.get_by_role("link", name=f"Create session “{word} one”")).to_be_visible()
