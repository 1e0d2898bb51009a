"""What a role doesn't allow isn't offered; one's own password is changed in the console."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from tests.unit.commands.servers import PASSWORD
from tests.unit.http.conftest import client
from tests.unit.http.console.conftest import Browser

from hostward.commands.searching import Kind
from hostward.domain.panels import PANELS
from hostward.domain.people import Role
from hostward.domain.permissions import ALLOWED
from hostward.domain.settings import SETTINGS
from hostward.http.console.pages.search import HEADINGS

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R23")]

SECRET = "a password of hers 1"
ACTS = {
    "/manage/sessions": ("sessions", ">Add<", ">Import<", "edit-dialog"),
    "/manage/sessions/{id}": ("sessions", ">Save<", ">Delete<", ">Copy<"),
    "/settings/general": ("everything", ">Apply<"),
    "/settings/trusted-certificates": ("everything", 'import-dialog"><span'),
    "/settings/certificates": ("everything", ">Renew<", ">Request<", ">Install<", ">Apply<"),
    "/change-requests": ("everything", ">Apply<"),
    "/history/1": ("everything", ">Undo<"),
    "/history/sessions/{id}": ("everything", ">Restore<"),
}
MAY = {
    Role.ADMINISTRATOR: {"sessions", "everything", "audit"},
    Role.SESSIONS: {"sessions"},
    Role.HELP_DESK: set[str](),
    Role.AUDITOR: {"audit"},
}


@pytest.fixture
async def somebody(browser: Browser) -> AsyncIterator[Browser]:
    """A second browser, in which nobody has logged in."""
    async with client(browser.server.app, base="/mss") as http:
        yield Browser(browser.server, http)


async def make_user(browser: Browser, role: Role, name: str = "erin") -> None:
    given = {"name": name, "role": role.value, "password": SECRET}
    answer = await browser.server.api.post("/users", json=given)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("role", MAY)
async def test_pages_offer_what_the_role_allows_and_nothing_else(
    browser: Browser, somebody: Browser, role: Role
) -> None:
    made = (await browser.server.create("one")).json()["session"]["id"]
    await browser.server.api.patch(f"/sessions/{made}", json={"host": "b.example.com"})
    await make_user(browser, role)
    assert (await somebody.log_in("erin", SECRET)).status_code == 303
    for path, (needs, *acts) in ACTS.items():
        page = (await somebody.page(path.format(id=made))).replace("\n", "")
        for act in acts:
            assert (act in page) is (needs in MAY[role]), (path, act)
    page = await somebody.page("/settings/replication")
    assert ("/reports/audit-log" in page) is ("audit" in MAY[role])
    assert ('hw-contents" disabled' in page) is ("everything" not in MAY[role])
    assert f"Role: {role.value.capitalize()}" in page


@pytest.mark.parametrize("role", MAY)
@pytest.mark.feature("R24")
async def test_the_search_finds_only_what_the_role_may_look_at(browser: Browser, somebody: Browser, role: Role) -> None:
    await make_user(browser, role)
    assert (await somebody.log_in("erin", SECRET)).status_code == 303
    panels = [place for panel in PANELS for place in (panel, *panel.parts)]
    hidden = {p.path for p in PANELS if p.reads not in ALLOWED[role]}
    assert bool(hidden) is (role not in (Role.ADMINISTRATOR, Role.AUDITOR))
    paths: set[str] = set()
    for words in ("", "audit", *(place.label for place in panels), *(s.label for s in SETTINGS.values())):
        answer = await somebody.http.get("/search", params={"q": words})
        assert answer.status_code == 200, words
        paths |= set(re.findall(r'<a href="/mss([^"#]+)', "".join(re.findall('<ul class="hw-found">.*', answer.text))))
    assert {p.path for p in PANELS} - hidden <= paths
    assert not hidden & paths, "these pages would refuse"


def test_the_console_has_a_heading_for_whatever_is_found() -> None:
    assert set(HEADINGS) == set(Kind)


@pytest.mark.parametrize("role", [Role.NONE, Role.AUDITOR])
async def test_everybody_changes_their_own_password(browser: Browser, somebody: Browser, role: Role) -> None:
    await make_user(browser, role)
    answer = await somebody.submit("/login", user="erin", password=SECRET)
    assert answer.status_code == 303
    page = await somebody.page("/password")
    (csrf,) = {part.split('"')[0] for part in page.split('name="csrf" value="')[1:]}

    async def change(current: str, new: str, again: str) -> tuple[int, str]:
        done = await somebody.submit("/password", csrf=csrf, current=current, new=new, again=again)
        return done.status_code, done.text

    for given, said in (
        ((SECRET, "another one of hers", "yet another one"), "aren&#39;t the same"),
        (("not hers", "another one of hers", "another one of hers"), "Change password"),
    ):
        status, text = await change(*given)
        assert status == 422, text
        assert said in text
        assert "Your password is changed" not in text
    status, text = await change(SECRET, "another one of hers", "another one of hers")
    assert (status, "Your password is changed" in text) == (200, True), text
    assert (await somebody.submit("/login", user="erin", password=SECRET)).status_code == 401
    assert (await somebody.submit("/login", user="erin", password="another one of hers")).status_code == 303


async def test_a_password_isnt_changed_by_a_forged_form(browser: Browser) -> None:
    answer = await browser.submit("/password", current=PASSWORD, new="another one here", again="another one here")
    assert answer.status_code == 403
    assert (await browser.log_in()).status_code == 303
