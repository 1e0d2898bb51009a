"""Fields of many names: found while typing, chosen as labels, or written as text."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from tests.browser.test_pages import look
from tests.support.browser import address_of, choose, picture
from tests.support.server import Server

pytestmark = pytest.mark.feature("R24")

USERS = "/settings/authentication/users"


def groups_of(server: Server, user: str) -> list[str]:
    (found,) = server.api.get("users", q=user)["items"]
    return sorted(found["groups"])


def test_groups_of_a_user_are_found_chosen_and_removed_by_keyboard_alone(
    north: Server, log_in: Callable[..., Page]
) -> None:
    for name in ("Keys Aveiro", "Keys Braga", "Keys Coimbra"):
        north.api.post("user-groups", {"name": name, "comment": "in Portugal"})
    page = log_in(north, f"{USERS}/new")
    field = page.get_by_role("combobox", name="Groups", exact=True)
    options, told = page.locator(".hw-chooser__found [role=option]"), page.locator(".hw-chooser [role=status]")
    labels = page.get_by_role("list", name="Chosen").get_by_role("listitem")
    page.get_by_role("textbox", name="User name").fill("chooser-user")
    field.press("ArrowDown")
    expect(options.first).to_be_visible()
    expect(field).to_have_attribute("aria-expanded", "true")
    page.keyboard.type("keys")
    expect(told).to_have_text("3 user groups")
    expect(options).to_have_text(["Keys Aveiro in Portugal", "Keys Braga in Portugal", "Keys Coimbra in Portugal"])
    page.keyboard.press("ArrowDown")
    second = options.nth(1).get_attribute("id")
    assert second
    expect(field).to_have_attribute("aria-activedescendant", second)
    assert not look(page, "suggestions")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")  # around the end
    page.keyboard.press("Enter")
    expect(labels).to_have_text(["Keys Coimbra"])
    expect(told).to_have_text("Keys Coimbra added; 1 chosen")
    expect(field).to_have_attribute("aria-expanded", "false")
    expect(field).to_have_value("")
    choose(page, "Groups", "Keys Aveiro", "Keys Braga")
    page.keyboard.type("keys")
    expect(options).to_have_count(3)
    expect(page.get_by_role("option", name="Keys Braga")).to_have_attribute("aria-selected", "true")
    picture(page, "choosing")
    page.keyboard.press("Escape")
    expect(options.first).to_be_hidden()
    expect(field).to_have_value("keys")
    field.fill("")
    page.keyboard.press("Backspace")
    expect(labels).to_have_text(["Keys Coimbra", "Keys Aveiro"])
    expect(told).to_have_text("Keys Braga removed; 2 chosen")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("button", name="Remove Keys Coimbra")).to_be_focused()
    page.keyboard.press("Delete")
    expect(labels).to_have_text(["Keys Aveiro"])
    expect(page.get_by_role("button", name="Remove Keys Aveiro")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(field).to_be_focused()
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".hw-toast")).to_have_text("Created.")
    assert groups_of(north, "chooser-user") == ["Keys Aveiro"]


def test_many_names_are_pasted_and_those_that_are_unknown_are_marked(
    north: Server, log_in: Callable[..., Page]
) -> None:
    names = [f"paste{n:03}" for n in range(60)]
    for name in names:
        north.api.post("users", {"name": name})
    group = north.api.post("user-groups", {"name": "Pasted"})["group"]["id"]
    page = log_in(north, f"/settings/authentication/groups/{group}")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    field = page.get_by_role("combobox", name="Users", exact=True)
    text = "\r\n".join([*names, "PASTE000", "", "nobody at all"])
    page.evaluate("text => navigator.clipboard.writeText(text)", text)
    field.focus()
    page.keyboard.press("Control+v")
    expect(page.get_by_role("button", name="37 more")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^Remove (paste|nobody)"))).to_have_count(24)
    page.get_by_role("button", name="Add members").click()
    mistake = page.locator("[data-field=members] .hw-mistake")
    expect(mistake).to_contain_text("There is no user “nobody at all”.")
    expect(page.locator("[data-field=members] .pf-m-danger")).to_have_text("nobody at all")
    expect(field).to_be_focused()
    assert not look(page, "an unknown name among many")
    unknown = [f"unknown {n:03}" for n in range(99)]
    page.evaluate("text => navigator.clipboard.writeText(text)", "\n".join(unknown))
    page.keyboard.press("Control+v")
    page.get_by_role("button", name="Add members").click()
    page.get_by_text("And 95 more").click()
    expect(mistake).to_have_count(100)
    expect(mistake.last).to_be_visible()
    assert not look(page, "a hundred unknown names")
    page.get_by_role("button", name="136 more").click()
    written = page.get_by_role("textbox", name="Users", exact=True)
    expect(written).to_have_value("\n".join([*names, "nobody at all", *unknown]))
    assert not look(page, "names as text")
    written.fill("\n".join(names))
    page.locator("[data-field=members]").get_by_role("button", name="Choose").click()
    expect(page.locator("[data-field=members] .pf-m-danger")).to_have_count(0)
    page.get_by_role("button", name="Add members").click()
    expect(page.locator(".hw-toast")).to_have_text("Members added.")
    assert north.api.get(f"user-groups/{group}")["users"] == 60


def test_a_sessions_groups_may_be_new_names_and_what_is_only_typed_counts(
    north: Server, log_in: Callable[..., Page]
) -> None:
    north.api.post("user-groups", {"name": "Free Faro"})
    page = log_in(north, "/manage/sessions/new")
    page.get_by_role("textbox", name="Name", exact=True).fill("Free choice")
    page.get_by_role("textbox", name="Host").fill("a.example.com")
    field = page.get_by_role("combobox", name="Groups", exact=True)
    field.fill("Free")
    page.get_by_role("option", name="Free isn't there yet").click()
    expect(page.get_by_role("button", name="Remove Free", exact=True)).to_be_visible()
    field.fill("free f")
    page.get_by_role("option", name="Free Faro").click()
    page.get_by_role("option", name="Free Faro").click()  # once more: no longer
    page.get_by_role("option", name="Free Faro").click()
    field.fill("Free and typed")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".hw-toast")).to_have_text("Created.")
    (session,) = north.api.get("sessions", q="free choice")["items"]
    assert session["groups"] == ["Free", "Free Faro", "Free and typed"]


def test_suggestions_in_a_dialog_close_before_it_does(north: Server, log_in: Callable[..., Page]) -> None:
    north.api.post("user-groups", {"name": "Dialog group"})
    north.api.post("users", {"name": "dialog-user"})
    page = log_in(north, f"{USERS}?q=dialog-user")
    page.get_by_label("Choose dialog-user").check()
    page.get_by_role("button", name="Groups", exact=True).click()
    dialog = page.get_by_role("dialog", name="Groups of these users")
    dialog.get_by_role("combobox", name="Put them into").fill("dialog")
    expect(dialog.get_by_role("option", name="Dialog group")).to_be_visible()
    assert not look(page, "suggestions in a dialog")
    page.keyboard.press("Escape")
    expect(dialog.get_by_role("option")).to_have_count(0)
    expect(dialog).to_be_visible()
    choose(dialog, "Put them into", "Dialog group")
    dialog.get_by_role("button", name="Change").click()
    page.get_by_role("dialog", name="Settings update").get_by_role("button", name="Yes").click()
    expect(page.locator(".hw-toast")).to_have_text("1 user changed.")
    assert groups_of(north, "dialog-user") == ["Dialog group"]


def test_both_versions_of_a_field_of_names_are_chosen_from(north: Server, log_in: Callable[..., Page]) -> None:
    for name in ("Version one", "Version two"):
        north.api.post("user-groups", {"name": name})
    user = north.api.post("users", {"name": "version-user", "groups": ["Version one"]})["user"]["id"]
    page = log_in(north, f"{USERS}/{user}")
    labels = page.get_by_role("list", name="Chosen").get_by_role("listitem")
    expect(labels).to_have_text(["Version one"])
    north.api.patch(f"users/{user}", {"groups": ["Version two"]})
    page.get_by_label("Full name").fill("Mine")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("region", name="Both versions")).to_be_focused()
    expect(labels).to_have_text(["Version two"])  # only the other side has changed it
    page.goto(f"{address_of(north)}{USERS}")
