"""Assign Access in the console."""

from __future__ import annotations

import pytest
from tests.unit.http.console.conftest import Browser
from tests.unit.http.test_access_api import placed
from tests.unit.http.test_people_api import created, group

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R23"), pytest.mark.feature("R24")]

PANEL = "/assign-access"


async def test_sessions_are_assigned_denied_explained_and_removed(browser: Browser) -> None:
    server = browser.server
    await group(server, "Oslo")
    await created(server, "anna", groups=["Oslo"])
    for name in ("one", "two"):
        await server.create(name)
    assert "No assignments yet" in await browser.page(PANEL)
    done = await browser.post(f"{PANEL}/new", sessions="one\ntwo\n", groups="oslo", effect="allow", until="2099-12-31")
    assert done.headers["hx-redirect"] == "/mss/assign-access"
    await browser.post(f"{PANEL}/new", sessions="two", users="anna", effect="deny")
    page = await browser.page(PANEL)
    assert page.count("Allowed") == 2
    assert page.count("Denied") == 1
    of_two = await browser.page(f"{PANEL}?session=TWO")
    assert (of_two.count("Allowed"), of_two.count("Denied")) == (1, 1)
    assert (await browser.page(f"{PANEL}?user=anna")).count("Allowed") == 0
    why = await browser.page(f"{PANEL}/why?user=anna&session=two")
    assert "anna may not use “two”" in why
    assert "anna may use “one”" in await browser.page(f"{PANEL}/why?user=anna&session=one")
    ids = [a["id"] for a in (await server.api.get("/assignments")).json()["items"]]
    await browser.post(f"{PANEL}/remove", ids=ids[0], list="session=two")
    assert (await server.api.get("/assignments")).json()["total"] == 2


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"sessions": "", "users": "anna"}, "sessions"),
        ({"sessions": "one"}, "users"),
        ({"sessions": "none", "users": "anna"}, "sessions"),
        ({"sessions": "one", "users": "nobody"}, "users"),
        ({"sessions": "one", "groups": "nowhere"}, "groups"),
        ({"sessions": "one", "folders": "ou=nowhere,dc=x"}, "folders"),
        ({"sessions": "one", "users": "anna", "until": "soon"}, "until"),
    ],
)
async def test_a_mistake_is_at_its_field_and_nothing_is_assigned(
    browser: Browser, fields: dict[str, str], field: str
) -> None:
    await created(browser.server, "anna")
    await browser.server.create("one")
    refused = await browser.post(f"{PANEL}/new", **fields)
    assert refused.status_code == 422, refused.text
    assert [m["field"] for m in refused.json()["mistakes"]] == [field]
    assert (await browser.server.api.get("/assignments")).json()["total"] == 0


async def test_what_is_not_there_is_said_and_hostile_names_are_text(browser: Browser) -> None:
    for query in ("user=nobody", "group=nowhere", "folder=ou%3Dx", "session=nothing", "page=9999999999", "page=x"):
        page = await browser.page(f"{PANEL}?{query}")
        assert ("There is no" in page) == ("page" not in query)
    hostile = "%3Cscript%3Ealert(1)%3C/script%3E"
    for path in (
        f"{PANEL}?user={hostile}",
        f"{PANEL}/why?user={hostile}&session={hostile}",
        f"{PANEL}/new?user={hostile}",
    ):
        assert "<script>alert" not in await browser.page(path)
    nothing = await browser.post(f"{PANEL}/remove")
    assert nothing.status_code == 422


async def test_a_directory_folder_is_chosen_shown_and_explained(browser: Browser) -> None:
    await placed(browser.server, ("anna", "uid=anna,ou=Sales,dc=x"))
    await browser.server.create("one")
    assert '<option value="Ldap: ou=sales,dc=x">' in await browser.page(f"{PANEL}/new")
    await browser.post(f"{PANEL}/new", sessions="one", folders="LDAP: OU=sales,DC=x")
    for path in (PANEL, f"{PANEL}?folder=Ldap%3A+ou%3Dsales%2Cdc%3Dx", f"{PANEL}/why?user=anna&session=one"):
        page = await browser.page(path)
        assert "Ldap: ou=sales,dc=x" in page
        assert "directory folder</span>" in page
        assert "Allowed" in page
    assert "anna" in await browser.page("/reports/who-may?folder=ou%3Dsales%2Cdc%3Dx")
