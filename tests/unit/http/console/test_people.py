"""The panel for users and user groups: lists, forms, passwords, and that each role gets what it may."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import httpx
import pytest
from tests.unit.http.conftest import client
from tests.unit.http.console.conftest import SAME_ORIGIN, Browser

from hostward.access.throttle import LIMITS
from hostward.domain.panels import AUTHENTICATION

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R23")]

USERS, GROUPS = f"{AUTHENTICATION}/users", f"{AUTHENTICATION}/groups"
SECRET = "a password of hers 1"


async def ids(browser: Browser, what: str) -> dict[str, str]:
    answer = await browser.server.api.get(f"/{what}")
    return {item["name"]: item["id"] for item in answer.json()["items"]}


async def read(browser: Browser, path: str) -> dict[str, Any]:
    found: dict[str, Any] = (await browser.server.api.get(path)).json()
    return found


async def add_user(browser: Browser, name: str = "anna", **fields: str) -> str:
    answer = await browser.post(f"{USERS}/new", name=name, role="", **fields)
    assert answer.headers.get("HX-Redirect") == f"/mss{USERS}", answer.text
    return (await ids(browser, "users"))[name]


async def add_group(browser: Browser, name: str = "Oslo IT", groups: str = "") -> str:
    answer = await browser.post(f"{GROUPS}/new", name=name, groups=groups)
    assert answer.headers.get("HX-Redirect") == f"/mss{GROUPS}", answer.text
    return (await ids(browser, "user-groups"))[name]


async def test_a_group_and_a_user_of_it_are_made_who_then_logs_in(browser: Browser) -> None:
    await add_group(browser, "Nordics")
    await add_group(browser, "Oslo IT", "Nordics")
    user = await add_user(browser, full_name="Anna Berg", groups="Oslo IT", password=SECRET, again=SECRET)
    made = await read(browser, f"/users/{user}")
    assert (made["full_name"], made["groups"], made["by_way_of"]) == ("Anna Berg", ["Oslo IT"], ["Nordics"])
    page = await browser.page(f"{USERS}/{user}")
    assert "also a member of: Nordics" in page
    assert (await browser.submit("/login", user="anna", password=SECRET)).status_code == 303


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "anna", "groups": "Nobody's"}, "groups"),
        ({"name": "anna", "role": "king"}, "role"),
        ({"name": "anna", "password": SECRET, "again": "another"}, "again"),
        ({"name": "there"}, "name"),
    ],
)
async def test_a_mistake_names_its_field_and_nothing_is_made(
    browser: Browser, fields: dict[str, str], field: str
) -> None:
    await add_user(browser, "there")
    answer = await browser.post(f"{USERS}/new", **fields)
    assert answer.status_code in (409, 422), answer.text
    assert [m["field"] for m in answer.json()["mistakes"]] == [field]
    assert list(await ids(browser, "users")) == ["there"]


async def test_the_list_is_searched_by_pages_and_by_group(browser: Browser) -> None:
    group = await add_group(browser)
    for n in range(53):
        given = {"name": f"user{n:02}", "groups": ["Oslo IT"] if n < 2 else [], "disabled": n == 1}
        await browser.server.api.post("/users", json=given)

    async def shown(query: str) -> list[str]:
        return re.findall(r">(user\d\d)</a>", await browser.page(f"{USERS}?{query}"))

    assert await shown("") == [f"user{n:02}" for n in range(50)]
    assert await shown("page=2") == await shown("page=99") == ["user50", "user51", "user52"]
    assert await shown("q=ser07") == ["user07"]
    assert await shown(f"group={group}") == ["user00", "user01"]
    assert await shown("group=oslo+it&sort=-name") == ["user01", "user00"]
    assert await shown("state=disabled&role=none") == ["user01"]
    assert await shown("state=no+password&q=user5") == ["user50", "user51", "user52"]
    assert await shown("role=auditor") == []
    unknown = await browser.page(f"{USERS}?group=Osl+IT")
    assert "There is no user group “Osl IT”." in unknown
    assert "Did you mean “Oslo IT”?" in unknown
    assert "user00" not in unknown
    marked = 'label__text">Disabled<'
    assert (await browser.page(f"{USERS}?q=user01")).count(marked) == 1
    assert marked not in await browser.page(f"{USERS}?q=user00")


async def test_the_part_of_the_list_keeps_its_address_and_a_users_form_leads_back_to_it(browser: Browser) -> None:
    for n in range(60):
        await browser.server.api.post("/users", json={"name": f"user{n:02}"})
    asked = {"HX-Request": "true", "HX-Target": "list"}
    part = await browser.http.get(f"{USERS}?sort=-name&role=none&page=9", headers=asked)
    assert "<html" not in part.text
    assert part.headers["hx-replace-url"] == f"/mss{USERS}?role=none&sort=-name&page=2"
    assert 'aria-sort="descending"' in part.text
    (first,) = re.findall(rf'href="/mss({USERS}/[0-9a-f]+\?list=[^"]+)">user09<', part.text)
    form = await browser.page(first)
    assert form.count(f'href="/mss{USERS}?role=none&amp;sort=-name&amp;page=2"') == 2
    kept = html.unescape(re.findall(r'name="list" value="([^"]*)"', form)[0])
    etag = re.findall(r'id="etag" value="([0-9a-f]+)"', form)[0]
    saved = await browser.post(first.partition("?")[0], etag=etag, name="user09", list=kept)
    assert saved.headers["hx-redirect"] == f"/mss{USERS}?role=none&sort=-name&page=2"
    for odd in ("role=king", "state=away", "kind=of+nothing", "kind=odd", "sort=", "page=x", "group=" + "x" * 900):
        assert (await browser.http.get(f"{USERS}?{odd}", headers=asked)).status_code == 200, odd


@pytest.mark.feature("R24")
async def test_many_users_are_disabled_enabled_grouped_and_deleted_with_one_yes(browser: Browser) -> None:
    await add_group(browser)
    made = [await add_user(browser, f"user{n}") for n in range(6)]
    chosen, path = " ".join(made[:3]), f"{USERS}/chosen"
    asked = await browser.post(path, act="disable", ids=chosen)
    assert (asked.status_code, asked.json()["code"]) == (409, "confirmation-required")
    assert "Disabling 3 users" in asked.json()["detail"]
    assert "“user0”, “user1”, “user2”." in asked.json()["consequences"]
    assert not any(u["disabled"] for u in (await read(browser, "/users"))["items"])
    plan = asked.json()["plan"]
    other = await browser.post(path, act="disable", ids=" ".join(made[1:4]), confirm="yes", plan=plan)
    assert (other.status_code, other.json()["code"]) == (409, "selection-changed")
    done = await browser.post(path, act="disable", ids=chosen, confirm="yes", plan=plan, list="sort=-name")
    assert json.loads(done.headers["hx-trigger"])["hw:toast"]["text"] == "3 users disabled."
    assert done.headers["hx-redirect"] == f"/mss{USERS}?sort=-name"
    again = await browser.post(path, act="disable", ids=chosen)
    assert (again.status_code, "so already" in again.json()["detail"]) == (422, True)
    some = await browser.post(path, act="enable", ids=" ".join(made[2:4]))
    assert "1 user is so already." in some.json()["consequences"]
    all_disabled = {"all": "yes", "list": "state=disabled", "join": "oslo it\r\nNowhere"}
    unknown = await browser.post(path, act="groups", expected="3", **all_disabled)
    assert [(m["field"], "“Nowhere”" in m["problem"]) for m in unknown.json()["mistakes"]] == [("join", True)]
    all_disabled["join"] = "oslo it"
    assert (await browser.post(path, act="groups", expected="4", confirm="yes", **all_disabled)).status_code == 409
    assert (await browser.post(path, act="groups", expected="3", confirm="yes", **all_disabled)).status_code == 200
    members = (await read(browser, "/users?sort=name"))["items"]
    assert [u["name"] for u in members if u["groups"]] == ["user0", "user1", "user2"]
    await browser.post(path, act="groups", ids=made[0], leave="Oslo IT", confirm="yes")
    assert (await read(browser, f"/users/{made[0]}"))["groups"] == []
    assert (await browser.post(path, act="groups", ids=made[0])).status_code == 422
    assert (await browser.post(path, act="delete", ids=chosen)).status_code == 409
    await browser.post(path, act="delete", ids=chosen, confirm="yes")
    assert set(await ids(browser, "users")) == {"user3", "user4", "user5"}
    assert (await browser.post(path, act="delete", confirm="yes")).status_code == 422


@pytest.mark.feature("R24")
async def test_whoever_is_among_those_they_disable_is_told_and_only_administrators_may(browser: Browser) -> None:
    hers = await add_user(browser, "erin", password=SECRET, again=SECRET)
    await browser.server.api.patch(f"/users/{hers}", json={"role": "administrator"})
    async with client(browser.server.app, base="/mss") as http:
        erin = Browser(browser.server, http)
        await erin.log_in("erin", SECRET)
        asked = await erin.post(f"{USERS}/chosen", act="delete", ids=hers)
        assert "You are among them: your own logins end." in asked.json()["consequences"]
        assert "1 of them has a role in the console." in asked.json()["consequences"]
        await browser.server.api.patch(f"/users/{hers}", json={"role": "help desk"})
        assert "data-choose" not in await erin.page(USERS)
        assert (await erin.post(f"{USERS}/chosen", act="delete", ids=hers)).status_code == 403


async def test_members_come_and_go_by_name_and_deleting_asks_first(browser: Browser) -> None:
    group = await add_group(browser)
    for name in ("anna", "bert"):
        await add_user(browser, name)
    await browser.post(f"{GROUPS}/{group}/members", members="anna\nbert", act="add")
    assert (await read(browser, f"/user-groups/{group}"))["users"] == 2
    assert "2 users</a> belong to it" in await browser.page(f"{GROUPS}/{group}")
    assert ">Oslo IT</a>" in await browser.page(GROUPS)
    await browser.post(f"{GROUPS}/{group}/members", members="bert", act="remove")
    assert (await read(browser, f"/user-groups/{group}"))["users"] == 1
    etag = (await read(browser, f"/user-groups/{group}"))["etag"]
    asked = await browser.post(f"{GROUPS}/{group}/delete", etag=etag)
    assert asked.json()["code"] == "confirmation-required"
    assert "1 users" in asked.text
    await browser.post(f"{GROUPS}/{group}/delete", etag=etag, confirm="yes")
    assert await ids(browser, "user-groups") == {}


@pytest.mark.parametrize("role", ["help desk", "sessions"])
async def test_the_help_desk_sets_passwords_and_nobody_else_but_administrators_may(browser: Browser, role: str) -> None:
    user = await add_user(browser)
    given = {"name": "erin", "role": role, "password": SECRET}
    assert (await browser.server.api.post("/users", json=given)).status_code == 201
    async with client(browser.server.app, base="/mss") as http:
        other = Browser(browser.server, http)
        await other.log_in("erin", SECRET)
        page = await other.page(f"{USERS}/{user}")
        helps = role == "help desk"
        assert ("Set password" in page) is ("Log out everywhere</span>" in page) is helps
        assert ">Save<" not in page
        assert ">Delete<" not in page
        answer = await other.post(f"{USERS}/{user}/password", password=SECRET, again=SECRET)
        assert answer.status_code == (200 if helps else 403), answer.text
        assert (await other.post(f"{USERS}/{user}", name="other")).status_code == 403
        assert (await other.post(f"{USERS}/new", name="other")).status_code == 403
    assert (await read(browser, f"/users/{user}"))["password"] is helps


async def test_a_user_is_logged_out_everywhere_and_deleted(browser: Browser) -> None:
    user = await add_user(browser, password=SECRET, again=SECRET)
    async with client(browser.server.app, base="/mss") as http:
        other = Browser(browser.server, http)
        assert (await other.submit("/login", user="anna", password=SECRET)).status_code == 303
        assert (await other.http.get("/sessions")).status_code == 200
        await browser.post(f"{USERS}/{user}/logins")
        assert (await other.http.get("/sessions")).status_code == 303
    etag = (await read(browser, f"/users/{user}"))["etag"]
    await browser.post(f"{USERS}/{user}/delete", etag=etag)
    assert await ids(browser, "users") == {}


async def test_all_users_are_exported_as_the_api_does(browser: Browser) -> None:
    await add_user(browser)
    answer = await browser.http.get(f"{USERS}/export")
    assert answer.headers["content-disposition"] == 'attachment; filename="users.json"'
    assert answer.content == (await browser.server.api.get("/users/export")).content


async def upload(browser: Browser, rows: list[dict[str, Any]] | bytes, **fields: str) -> httpx.Response:
    content = rows if isinstance(rows, bytes) else json.dumps(rows).encode()
    sent = SAME_ORIGIN | {"HX-Request": "true", "X-CSRF": browser.forgery}
    files = {"file": ("<b>users</b>.json", content)}
    return await browser.http.post(f"{USERS}/import", data=fields, files=files, headers=sent)


async def test_an_import_of_users_is_shown_before_it_is_done(browser: Browser) -> None:
    await add_user(browser, full_name="Anna Was")
    rows: list[dict[str, Any]] = [
        {"login": "anna", "name": "Anna Will", "groups": ["Oslo IT"]},
        {"login": "bruno", "role": "auditor", "comment": "<script>alert(1)</script>"},
    ]
    shown = await upload(browser, rows)
    assert [int(n) for n in re.findall(r"<dd>([\d,]+)</dd>", shown.text)] == [1, 1, 0, 0]
    for text in ("Full name: <del>Anna Was</del> <ins>Anna Will</ins>", "Oslo IT", "Auditor", "Import 2 users?"):
        assert text in shown.text
    assert "This group is made too: Oslo IT." in shown.text
    assert "<script>alert" not in shown.text
    assert "<b>users" not in shown.text
    assert list(await ids(browser, "users")) == ["anna"]
    (digest,) = re.findall(r'name="digest" value="([0-9a-f]+)"', shown.text)
    # Another file than the one that was shown is shown first.
    assert "preview-title" in (await upload(browser, rows[:1], decision="yes", digest=digest)).text
    done = await upload(browser, rows, decision="yes", digest=digest)
    assert done.headers["HX-Redirect"] == f"/mss{USERS}"
    assert "Imported: 1 created, 1 changed." in done.headers["HX-Trigger"]
    assert set(await ids(browser, "users")) == {"anna", "bruno"}
    again = await upload(browser, (await browser.http.get(f"{USERS}/export")).content)
    assert "every user in the file is the same already" in again.text


async def test_each_mistake_of_an_import_of_users_is_named_with_its_row(browser: Browser) -> None:
    rows = [{"login": "anna"}, {"login": "bruno", "rôle": "x"}, {"login": "carl", "role": "king"}, {"login": "anna"}]
    shown = await upload(browser, rows)
    assert re.findall(r'data-label="Row">(\d+)<', shown.text) == ["2", "3", "4"]
    assert "3 rows have mistakes" in shown.text
    assert 'name="decision"' not in shown.text
    for no_list in (b"", b"[{", b"{}"):
        refused = await upload(browser, no_list)
        assert (refused.status_code, refused.json()["mistakes"][0]["field"]) == (422, "file"), no_list
    assert not await ids(browser, "users")


async def test_the_help_desk_sees_who_has_to_wait_and_unlocks(browser: Browser) -> None:
    user = await add_user(browser, password=SECRET, again=SECRET)
    given = {"name": "erin", "role": "help desk", "password": SECRET}
    assert (await browser.server.api.post("/users", json=given)).status_code == 201
    throttle = browser.server.services.administrators.throttle
    async with client(browser.server.app, base="/mss") as http:
        desk = Browser(browser.server, http)
        await desk.log_in("erin", SECRET)
        assert f'hx-get="/mss{USERS}/{user}/waits"' in await desk.page(f"{USERS}/{user}")
        nowhere = await desk.page(f"{USERS}/{user}/waits")
        assert "Has to wait nowhere" in nowhere
        assert "Unlock" not in nowhere
        for _ in range(LIMITS["pair"].free):
            throttle.attempt("anna", "192.0.2.77")
        waits = await desk.page(f"{USERS}/{user}/waits")
        assert "Has to wait until" in waits
        assert "from 192.0.2.77" in waits
        assert "Unlock" in waits
        assert "Unlocked" in (await desk.post(f"{USERS}/{user}/waits")).text
        assert throttle.waits("anna") == []
        for _ in range(LIMITS["pair"].free):
            throttle.attempt("admin2", "192.0.2.77")
        role = {"name": "admin2", "role": "administrator", "password": SECRET}
        assert (await browser.server.api.post("/users", json=role)).status_code == 201
        own = await ids(browser, "users")
        assert "Unlock" not in await desk.page(f"{USERS}/{own['admin2']}/waits")
        assert (await desk.post(f"{USERS}/{own['admin2']}/waits")).status_code == 403
        for _ in range(LIMITS["pair"].free):
            throttle.attempt("erin", "192.0.2.77")
        assert "Unlock" in await desk.page(f"{USERS}/{own['erin']}/waits"), "everybody helps themselves"
        assert 'id="logins-form"' in await desk.page(f"{USERS}/{own['erin']}")
        assert 'id="logins-form"' not in await desk.page(f"{USERS}/{own['admin2']}")
        assert "Unlocked" in (await desk.post(f"{USERS}/{own['erin']}/waits")).text
