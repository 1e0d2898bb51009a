"""What a field of names suggests."""

from __future__ import annotations

import html
import re
from urllib.parse import quote

import pytest
from tests.unit.http.conftest import client
from tests.unit.http.console.conftest import Browser

from hostward.http.console.pages.names import AT_ONCE, KINDS

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R24")]

SECRET = "a password of hers 1"


async def suggested(browser: Browser, kind: str, q: str) -> tuple[list[str], str]:
    page = await browser.page(f"/names/{kind}?q={quote(q)}")
    (said,) = re.findall("<p>(.*?)</p>", page)
    return [html.unescape(name) for name in re.findall('data-name="([^"]*)"', page)], html.unescape(said)


async def test_names_that_begin_so_are_suggested_first_then_whatever_has_the_words(browser: Browser) -> None:
    api = browser.server.api
    for name in ("Oslo IT", "oslo", "Claims Oslo", "Porto"):
        assert (await api.post("/user-groups", json={"name": name})).status_code == 201
    await api.post("/users", json={"name": "aberg", "full_name": "Anna Berg"})
    await browser.server.create("Payroll", host="tso7.example.com")
    assert await suggested(browser, "user-groups", "OSLO") == (["oslo", "Oslo IT", "Claims Oslo"], "3 user groups")
    assert await suggested(browser, "user-groups", "it osl") == (["Oslo IT"], "1 user group")
    assert await suggested(browser, "users", "anna") == (["aberg"], "1 user")
    assert await suggested(browser, "sessions", "tso7") == (["Payroll"], "1 session")
    assert await suggested(browser, "packages", "x") == ([], "No package has that in it")
    assert (await suggested(browser, "user-groups", ""))[0] == ["Claims Oslo", "oslo", "Oslo IT", "Porto"]


async def test_of_many_names_a_few_are_suggested_and_it_says_that_there_are_more(browser: Browser) -> None:
    for n in reversed(range(AT_ONCE + 1)):
        await browser.server.create(f"one {n}")
    for q in ("", "one", "NE"):
        names, said = await suggested(browser, "sessions", q)
        assert names == [f"one {n}" for n in range(AT_ONCE)], q
        assert said == f"{AT_ONCE} sessions, and there are more: type more of the name"


async def test_names_are_shown_as_they_are_and_only_to_who_may_read_them(browser: Browser) -> None:
    name = """'"><img src=x>"""
    await browser.server.api.post("/user-groups", json={"name": name, "comment": name})
    assert await suggested(browser, "user-groups", "img") == ([name], "1 user group")
    assert "<img" not in await browser.page("/names/user-groups?q=img")
    assert (await browser.http.get("/names/passwords?q=")).status_code == 404
    await browser.server.api.post("/users", json={"name": "erin", "password": SECRET})
    async with client(browser.server.app, base="/mss") as http:
        assert (await http.get("/names/users?q=")).status_code == 303
        other = Browser(browser.server, http)
        await other.submit("/login", user="erin", password=SECRET)
        assert (await http.get("/names/users?q=")).status_code == 403


async def test_every_field_of_names_is_a_text_area_of_a_kind_that_is_suggested(browser: Browser) -> None:
    user = (await browser.server.api.post("/users", json={"name": "anna"})).json()["user"]
    group = (await browser.server.api.post("/user-groups", json={"name": "Oslo"})).json()["group"]
    seen = set[tuple[str, str]]()
    for path in (
        "/assign-access/new", "/manage/sessions/new", "/manage/sessions", "/settings/authentication/users",
        f"/settings/authentication/users/{user['id']}", f"/settings/authentication/groups/{group['id']}",
    ):  # fmt: skip
        seen |= set(
            re.findall(
                '<textarea id="[^"]+" name="([^"]+)" rows="[0-9]" data-names="([^"]+)"', await browser.page(path)
            )
        )
    assert seen == {
        ("sessions", "sessions"), ("packages", "packages"), ("users", "users"), ("groups", "user-groups"),
        ("members", "users"), ("join", "user-groups"), ("leave", "user-groups"),
    }  # fmt: skip
    assert {kind for _, kind in seen} == set(KINDS)
