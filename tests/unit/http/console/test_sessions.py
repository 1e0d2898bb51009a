"""Manage Sessions: the list, forms by type, saves that are stale, many at once, import and export."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest
from tests.support.inventory import rows
from tests.unit.http.console.conftest import SAME_ORIGIN, Browser

from hostward.domain.sessions import DECLARED, FIELDS, TYPES

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R24"), pytest.mark.feature("R26")]

PANEL = "/manage/sessions"
HOSTILE = "\"><script>alert(1)</script>'{{7*7}}"
NEW = {
    "name": "Payroll",
    "type": "IBM 3270",
    "host": "tso1.example.com",
    "port": "",
    "tls": "yes",
    "groups": "A\r\nB\r\n",
}


def part(browser: Browser, path: str) -> Any:
    """As htmx asks for the list alone."""
    return browser.http.get(path, headers={"HX-Request": "true", "HX-Target": "list"})


async def sessions(browser: Browser) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await browser.server.api.get("/sessions")).json()["items"]
    return found


async def session_of(browser: Browser, **fields: Any) -> dict[str, Any]:
    created = await browser.server.create(**({"name": "one"} | fields))
    assert created.status_code == 201, created.text
    session: dict[str, Any] = created.json()["session"]
    return session


def said(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    text: str = json.loads(answer.headers["hx-trigger"])["hw:toast"]["text"]
    return text


def names(text: str) -> list[str]:
    return re.findall(r'class="hw-name"[^>]*>([^<]+)<', text)


async def test_the_first_page_is_the_list_which_teaches_while_it_is_empty(browser: Browser) -> None:
    assert (await browser.http.get("/")).headers["location"] == "/mss/manage/sessions"
    page = await browser.page(PANEL)
    for text in (
        "Manage Sessions",
        "No sessions yet",
        'href="/mss/manage/sessions/import"',
        'href="/mss/manage/sessions/new"',
        "Change Requests",
    ):
        assert text in page
    await session_of(browser)
    assert "No sessions yet" not in await browser.page(PANEL)
    nothing = await browser.page(f"{PANEL}?q=zzz")
    assert "Nothing matches" in nothing
    assert "Clear the search" in nothing


async def test_the_list_is_searched_filtered_sorted_and_paged(browser: Browser) -> None:
    for n in range(1, 121):
        await session_of(browser, name=f"s{n:03}", type="SSH" if n % 2 else "VT", host=f"h{n % 3}.example.com")
    first = (await part(browser, PANEL)).text
    assert "<html" not in first
    assert names(first) == [f"s{n:03}" for n in range(1, 51)]
    assert 'data-total="120"' in first
    last = await part(browser, f"{PANEL}?page=999&sort=-name")
    assert names(last.text) == [f"s{n:03}" for n in range(20, 0, -1)]
    assert last.headers["hx-replace-url"] == "/mss/manage/sessions?sort=-name&page=3"
    assert names((await part(browser, f"{PANEL}?q=h1+S00&type=SSH")).text) == ["s001", "s007"]
    assert 'aria-sort="descending"' in last.text
    assert 'href="/mss/manage/sessions?q=h1&amp;sort=host"' in (await part(browser, f"{PANEL}?q=h1")).text
    for odd in (
        "page=x",
        "page=-1",
        "page=0",
        "page=" + "9" * 400,
        "sort=nothing",
        "sort=-",
        "sort=",
        "type=Other",
        "q=" + "x" * 900,
        "page=%C2%B2",
    ):
        assert (await part(browser, f"{PANEL}?{odd}")).status_code == 200, odd


async def test_what_sessions_hold_is_text_wherever_it_is_shown(browser: Browser) -> None:
    session = await session_of(browser, name=HOSTILE.replace("/", "-"), comment=HOSTILE, groups=[HOSTILE])
    for path in (
        PANEL,
        f"{PANEL}?q={HOSTILE}",
        f"{PANEL}/{session['id']}?list={HOSTILE}",
        f"{PANEL}/new?copy={session['id']}",
    ):
        page = await browser.page(path)
        assert "<script>alert" not in page
        assert "{{7*7}}" in page or "{{7*7}}" not in HOSTILE
        assert "49" not in re.sub(r"[0-9a-f]{12,}", "", page).replace("s049", "")[:0]


async def test_a_form_has_every_declared_field_and_its_type_s_own(browser: Browser) -> None:
    page = await browser.page(f"{PANEL}/new")
    for field in DECLARED:
        assert f'name="{field.name}"' in page
        assert f">{field.label}<" in page
        assert f'data-types="{"|".join(field.types)}"' in page
    assert tuple(f.name for f in DECLARED) == FIELDS
    for type_ in TYPES:
        assert f"<option selected>{type_}</option>" in await browser.page(f"{PANEL}/new?type={type_}")


async def test_a_session_is_created_copied_edited_and_deleted(browser: Browser) -> None:
    created = await browser.post(f"{PANEL}/new", key="k1", list="q=Pay&page=2&evil=//x", **NEW)
    assert said(created) == "Created."
    assert created.headers["hx-redirect"] == "/mss/manage/sessions?q=Pay&page=2"
    again = await browser.post(f"{PANEL}/new", key="k1", **NEW)
    assert said(again) == "Created."  # sent twice, done once
    (session,) = await sessions(browser)
    assert (session["port"], session["tls"], session["groups"]) == (992, True, ["A", "B"])
    copy = await browser.page(f"{PANEL}/new?copy={session['id']}")
    assert 'value="Payroll copy"' in copy
    assert 'value="tso1.example.com"' in copy
    path = f"{PANEL}/{session['id']}"
    page = await browser.page(path)
    assert f'href="/mss/history/sessions/{session["id"]}"' in page
    (etag,) = re.findall(r'id="etag" value="([0-9a-f]+)"', page)
    # A type that hasn't a field leaves it out, whatever the hidden input holds.
    saved = await browser.post(path, etag=etag, **NEW | {"type": "SSH", "lu": "LU1", "model": "3279-4-E"})
    assert said(saved) == "Saved."
    (session,) = await sessions(browser)
    assert (session["type"], session["port"], session["tls"], session["lu"], session["model"]) == (
        "SSH",
        22,
        False,
        "",
        "",
    )
    assert (await browser.post(f"{path}/delete", etag=etag)).status_code == 412
    assert said(await browser.post(f"{path}/delete", etag=session["etag"])) == "Deleted."
    assert await sessions(browser) == []
    assert (await browser.http.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"name": "", "host": "http://x", "port": "70000"}, {"name", "host", "port"}),
        ({"name": "ONE"}, {"name"}),
        ({"type": "Other"}, {"type"}),
        ({"port": "1e3", "model": "3477-FC"}, {"port", "model"}),
    ],
)
async def test_mistakes_come_with_their_field(browser: Browser, fields: dict[str, str], wrong: set[str]) -> None:
    await session_of(browser, name="one")
    refused = await browser.post(f"{PANEL}/new", **NEW | fields)
    assert refused.status_code == 422
    assert {m["field"] for m in refused.json()["mistakes"]} == wrong
    assert all(m["problem"] for m in refused.json()["mistakes"])
    assert len(await sessions(browser)) == 1


async def test_a_stale_save_shows_both_versions_and_loses_neither(browser: Browser) -> None:
    session = await session_of(browser, name="one", host="a.example.com", comment="first")
    path = f"{PANEL}/{session['id']}"
    mine = {"name": "one", "type": "VT", "host": "mine.example.com", "port": "23", "comment": HOSTILE}
    await browser.server.api.patch(f"/sessions/{session['id']}", json={"comment": "theirs", "host": "a.example.com"})
    shown = await browser.post(path, etag=session["etag"], **mine)
    assert shown.headers["hx-retarget"] == "#versions"
    assert shown.headers["hx-trigger-after-settle"] == "hw:changed"  # still not saved
    for text in ("theirs", "mine.example.com", "a.example.com", 'data-differs="comment"', 'data-differs="host"'):
        assert text in shown.text
    assert 'data-differs="name"' not in shown.text
    assert "<script>alert" not in shown.text
    (now,) = await sessions(browser)
    assert now["comment"] == "theirs"
    (etag,) = re.findall(r'name="etag" id="etag" value="([0-9a-f]+)" hx-swap-oob', shown.text)
    assert etag == now["etag"]
    await browser.server.api.patch(f"/sessions/{session['id']}", json={"comment": "theirs again"})
    assert "theirs again" in (await browser.post(path, etag=etag, **mine)).text  # as often as it takes
    (now,) = await sessions(browser)
    assert said(await browser.post(path, etag=now["etag"], **mine)) == "Saved."


async def test_what_was_deleted_meanwhile_can_be_saved_as_a_new_one(browser: Browser) -> None:
    session = await session_of(browser, name="one")
    path = f"{PANEL}/{session['id']}"
    await browser.server.api.delete(f"/sessions/{session['id']}")
    mine = {"name": "one", "type": "VT", "host": "mine.example.com", "etag": session["etag"]}
    assert "deleted by somebody else" in (await browser.post(path, **mine)).text
    assert said(await browser.post(path, as_new="yes", **mine)) == "Created."
    (now,) = await sessions(browser)
    assert now["host"] == "mine.example.com"


async def test_many_are_deleted_and_edited_with_one_yes(browser: Browser) -> None:
    made = [await session_of(browser, name=f"s{n}", type="SSH" if n > 6 else "VT") for n in range(8)]
    ids = " ".join(s["id"] for s in made[:3])
    asked = await browser.post(f"{PANEL}/delete", ids=ids)
    assert asked.json()["code"] == "confirmation-required"
    assert "3 sessions" in asked.json()["detail"]
    assert "“s0”, “s1”, “s2”." in asked.json()["consequences"]
    assert len(await sessions(browser)) == 8
    other = " ".join(s["id"] for s in made[1:4])
    plan = asked.json()["plan"]
    refused = await browser.post(f"{PANEL}/delete", ids=other, confirm="yes", plan=plan)
    assert (refused.status_code, refused.json()["code"]) == (409, "selection-changed")
    assert (
        said(await browser.post(f"{PANEL}/delete", ids=ids, confirm="yes", plan=asked.json()["plan"]))
        == "3 sessions deleted."
    )
    gone = await browser.post(f"{PANEL}/delete", ids=ids, confirm="yes")
    assert (gone.status_code, gone.json()["code"]) == (409, "selection-changed")
    both = {"all": "yes", "list": "type=VT", "set": ["host", "port"], "host": "new.example.com", "port": "2323"}
    assert (await browser.post(f"{PANEL}/edit", expected="9", confirm="yes", **both)).status_code == 409
    asked = await browser.post(f"{PANEL}/edit", expected="4", comment="not ticked", **both)
    assert "Host becomes “new.example.com”." in asked.json()["consequences"]
    done = await browser.post(f"{PANEL}/edit", expected="4", comment="not ticked", confirm="yes", **both)
    assert said(done) == "4 sessions changed."
    found = await sessions(browser)
    assert {(s["host"], s["port"], s["comment"]) for s in found if s["type"] == "VT"} == {("new.example.com", 2323, "")}
    assert {s["host"] for s in found if s["type"] == "SSH"} == {"a.example.com"}
    refused = await browser.post(f"{PANEL}/edit", all="yes", expected="5", confirm="yes", set="tls", tls="yes")
    assert [m["field"] for m in refused.json()["mistakes"]] == ["tls"]
    assert "“s7”" in refused.json()["mistakes"][0]["problem"]
    assert {s["tls"] for s in await sessions(browser)} == {s["tls"] for s in found}
    assert (await browser.post(f"{PANEL}/edit", all="yes", confirm="yes")).status_code == 422
    assert (
        await browser.post(f"{PANEL}/delete", confirm="yes")
    ).status_code == 422  # nothing chosen is nothing deleted
    assert len(await sessions(browser)) == 5


async def upload(browser: Browser, *contents: bytes, names: tuple[str, ...] = ("a.csv",), **fields: str) -> Any:
    sent = SAME_ORIGIN | {"HX-Request": "true", "X-CSRF": browser.forgery}
    files = [("file", (name, content)) for name, content in zip(names, contents, strict=True)]
    return await browser.http.post(f"{PANEL}/import", data=fields, files=files, headers=sent)


async def test_an_import_is_shown_before_it_is_done(browser: Browser) -> None:
    given = rows(12)
    await session_of(browser, **(given[0] | {"comment": "was"}))
    assert (await upload(browser, b"")).status_code == 422
    for row in given:
        row["comment"] = HOSTILE
    given[3]["port"] = "99x"
    content = json.dumps(given).encode()
    shown = await upload(browser, content)
    assert [int(n) for n in re.findall(r"<dd>([\d,]+)</dd>", shown.text)] == [10, 1, 0, 1]
    for text in ("99x", "Comment: <del>was</del>", '<td data-label="Row">4</td>', "Import 11 sessions"):
        assert text in shown.text
    assert "<script>alert" not in shown.text
    assert len(await sessions(browser)) == 1
    (digest,) = re.findall(r'name="digest" value="([0-9a-f]+)"', shown.text)
    # Another file than the one that was shown is shown first.
    other = await upload(browser, content + b" ", decision="yes", digest=digest, skip_invalid="yes")
    assert "preview-title" in other.text
    assert len(await sessions(browser)) == 1
    refused = await upload(browser, content, decision="yes", digest=digest)
    assert (refused.status_code, refused.json()["code"]) == (422, "import-mistakes")
    done = await upload(browser, content, decision="yes", digest=digest, skip_invalid="yes")
    assert said(done) == "Imported: 10 created, 1 changed."
    assert len(await sessions(browser)) == 11
    again = await upload(browser, (await browser.http.get(f"{PANEL}/export/csv")).content)
    assert "Nothing needs to be done" in again.text


async def test_what_is_exported_is_the_api_s_file(browser: Browser) -> None:
    await session_of(browser)
    for format_ in ("csv", "json"):
        answer = await browser.http.get(f"{PANEL}/export/{format_}")
        api = await browser.server.api.get("/sessions/export", params={"format": format_})
        assert answer.content == api.content
        assert answer.headers["content-disposition"] == f'attachment; filename="sessions.{format_}"'
    assert (await browser.http.get(f"{PANEL}/export/xml")).status_code == 404


@pytest.mark.feature("R11")
async def test_on_a_slave_what_is_saved_is_submitted(browser: Browser) -> None:
    session = await session_of(browser)
    browser.server.replication.master_url = "https://master.example.com:443/mss"
    assert "is submitted to the Master" in await browser.page(PANEL)
    fields = {"name": "one", "type": "VT", "host": "new.example.com", "etag": session["etag"]}
    answers = [
        await browser.post(f"{PANEL}/new", **NEW),
        await browser.post(f"{PANEL}/{session['id']}", **fields),
        await browser.post(f"{PANEL}/delete", ids=session["id"], confirm="yes"),
        await browser.post(f"{PANEL}/edit", ids=session["id"], set="comment", comment="x", confirm="yes"),
        await browser.post(f"{PANEL}/{session['id']}/delete", etag=session["etag"]),
    ]
    for answer in answers:
        assert said(answer) == "Submitted to the Master."
        assert re.fullmatch(r"/mss/change-requests/[0-9a-f]{32}", answer.headers["hx-redirect"])
    (now,) = await sessions(browser)
    assert now["host"] == "a.example.com"


async def test_a_sessions_page_gives_the_file_for_each_program_that_opens_it(browser: Browser) -> None:
    session = await session_of(browser, type="VT", host="a.example.com", port=992, tls=True)
    path = f"{PANEL}/{session['id']}"
    page = await browser.page(path)
    assert "Launch file" in page
    assert f'href="/mss{path}/launch/putty" download' in page
    assert "telnet has no TLS" in page
    assert f"{path}/launch/telnet" not in page
    assert "Launch file" not in await browser.page(f"{PANEL}/new")
    file = await browser.http.get(f"{path}/launch/putty")
    assert file.headers["content-disposition"].startswith('attachment; filename="one.reg"')
    assert '"HostName"="a.example.com"' in file.content.decode("utf-16")
    assert (await browser.http.get(f"{path}/launch/word")).status_code == 404
    assert (await browser.http.get(f"{path}/launch/x3270")).status_code == 422
    assert (await browser.http.get(f"{PANEL}/nothing/launch/putty")).status_code == 404


async def test_hostile_names_are_inert_in_the_menu_of_launch_files(browser: Browser) -> None:
    session = await session_of(browser, name="x'; <script>alert(1)<:script> $(id)", type="SSH")
    page = await browser.page(f"{PANEL}/{session['id']}")
    assert "<script>alert" not in page
    file = await browser.http.get(f"{PANEL}/{session['id']}/launch/openssh")
    assert file.headers["content-disposition"].startswith(
        'attachment; filename="x-script-alert-1-script-id.ssh_config"'
    )


async def test_profiles_of_x3270_are_chosen_together_and_what_isnt_carried_is_shown(browser: Browser) -> None:
    names_ = ("a_b.x3270", "c.x3270")
    texts = (b"x3270.hostname: h:23\nx3270.keymap: <mine>\n", b"x3270.hostname: L:LU1@i:992\n")
    shown = await upload(browser, *texts, names=names_)
    assert shown.status_code == 200, shown.text
    for part_ in ("What “2 files” would do", "a b", "Not carried: keymap", "Import 2 sessions"):
        assert part_ in shown.text
    digest = re.findall(r'name="digest" value="([^"]*)"', shown.text)[0]
    assert await sessions(browser) == []
    done = await upload(browser, *texts, names=names_, decision="yes", digest=digest)
    assert "2 created" in said(done)
    page = await browser.page(PANEL)
    for format_, name in (("x3270", "sessions.zip"), ("putty", "sessions.reg")):
        assert f"{PANEL}/export/{format_}" in page
        file = await browser.http.get(f"{PANEL}/export/{format_}")
        assert file.headers["content-disposition"] == f'attachment; filename="{name}"'
