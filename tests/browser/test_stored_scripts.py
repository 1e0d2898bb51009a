"""What somebody has stored never runs in somebody else's browser, in no page, even were there no policy against it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, quote, urljoin, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, FilePayload, Page, expect
from tests.support.api import Refused
from tests.support.browser import PATIENCE_S, address_of, enter, formed
from tests.support.light import LightGroup
from tests.support.server import Server
from tests.support.waiting import eventually
from tests.support.zips import zipped

pytestmark = pytest.mark.feature("A9")

ENOUGH_PAGES = 25
PAGES = (
    "/manage/sessions/", "/manage/packages/", "/assign-access", "/settings/authentication/users/",
    "/settings/authentication/groups/", "/settings/authentication/directories/", "/settings/credential-store",
    "/settings/logging", "/settings/certificates", "/settings/trusted-certificates/", "/settings/replication",
    "/change-requests/", "/history/", "/reports/audit-log", "/search",
)  # fmt: skip
"""What begins so is among the pages that are visited."""
QUOTE = '"'
COLUMNS = ("name", "type", "host", "port", "tls", "lu", "model", "code_page", "groups", "comment")
SESSION = {"type": "VT", "host": "a.example.com"}


def script(name: str) -> str:
    """A text that runs wherever it gets into a page as it is: between tags, or within an attribute's quotation
    marks."""
    return f"""'"><img src=x onerror=hw("{name}")>"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LightGroup]:
    """Whose servers' names are scripts too."""
    group = LightGroup(tmp_path_factory.mktemp("scripts"), count=2)
    for server in group.servers:
        server.title = script(server.name)
        server.config_file.write_text(server.config(), encoding="utf-8")
    yield from formed(group)


@pytest.fixture
def ran() -> list[str]:
    """The names of the scripts that have run."""
    return []


@pytest.fixture
def context(chromium: Browser, ran: list[str]) -> Iterator[BrowserContext]:
    """A browser that heeds no content security policy."""
    found = chromium.new_context(ignore_https_errors=True, bypass_csp=True)
    found.set_default_timeout(PATIENCE_S * 1000)
    found.expose_binding("told", lambda _, name: ran.append(name))
    found.add_init_script("window.hw = name => { window.hasRun = true; told(name); };")
    yield found
    found.close()


def accepted(store: Callable[[], object]) -> bool:
    """Whether that may be stored."""
    try:
        store()
    except Refused as refused:
        if refused.status != 422:
            raise
        return False
    return True


def store_all(master: Server, slave: Server) -> set[str]:
    """Put a script in everything that takes text; their names."""
    api = master.api
    taken = {server.name for server in (master, slave)}
    for field in ("name", "groups", "comment", "host", "lu", "model", "code_page"):
        value: object = script(f"session {field}")
        body = {"name": f"with {field}", **SESSION, "type": "IBM 3270", field: [value] if field == "groups" else value}
        if accepted(lambda body=body: api.post("sessions", body)):  # type: ignore[misc]
            taken.add(f"session {field}")
    assert {"session name", "session groups", "session comment"} <= taken
    api.post("user-groups", {"name": script("group"), "comment": script("group comment")})
    api.post(
        "users",
        {
            "name": "anna", "full_name": script("full name"), "comment": script("user comment"),
            "groups": [script("group")], "password": "correct horse battery",
        },
    )  # fmt: skip
    api.post("assignments", {"sessions": [script("session name")], "to": [{"kind": "everyone"}]})
    api.post("tokens", {"name": script("token")})
    about = {"name": script("package"), "version": script("version"), "description": script("description")}
    api.send("POST", "packages", params=about, content=zipped(x=b"x"), headers={"Content-Type": "application/zip"})
    directory = {"servers": ["ldap.example.com"], "user_base": script("base"), "user_filter": "(uid={user})"}
    api.put(f"directories/{quote(script('directory'), safe='')}", directory)
    api.send("PUT", "credentials/reader", json={"user": script("dn"), "secret": "x"})
    for name in ("package", "version", "description", "directory", "base", "dn"):
        taken.add(name)
    pem = slave.certificate_file.read_text("ascii")
    api.post("trusted-certificates/security-proxy", {"friendly_name": script("certificate"), "pem": pem})
    for user in (script("user"), "admin"):
        with pytest.raises(Refused):
            api.send("PUT", "me/password", json={"current": user, "new": script("password")})
    fates: tuple[tuple[str, str, dict[str, str]], ...] = (
        ("waits", "", {}), ("rejected", "reject", {"reason": script("reason")}), ("implemented", "implement", {}),
    )  # fmt: skip
    for name, fate, given in fates:
        asked = {"name": script(f"request {name}"), "comment": script(f"request comment {name}"), **SESSION}
        request = slave.api.post("sessions", asked)["request"]["id"]
        there = f"change-requests/{request}"
        eventually(lambda there=there: accepted_there(master, there), within_s=30.0)  # type: ignore[misc]
        if fate:
            api.post(f"{there}/{fate}", given)
    taken |= {"group", "certificate", "request waits", "request rejected", "request implemented", "reason"}
    return taken | {"request comment waits"}


def accepted_there(master: Server, path: str) -> bool:
    try:
        return bool(master.api.get(path))
    except Refused:
        return False


def links(page: Page, base: str) -> list[str]:
    """What can be read from that page, as addresses below the base."""
    found: list[str] = page.evaluate(
        """[...document.querySelectorAll("a[href], [hx-get], form[method=get], form:not([method])")].map(
            e => e.getAttribute("hx-get") || e.getAttribute("href") || e.getAttribute("action") || "")"""
    )
    absolute = (urljoin(page.url, f).partition("#")[0] for f in found)
    return [a for a in absolute if a.startswith(base)]


def shape(url: str) -> tuple[str, tuple[str, ...]]:
    """Pages that differ in a parameter's value alone are looked at once."""
    parts = urlsplit(url)
    return parts.path, tuple(sorted(parse_qs(parts.query)))


def visit_all(page: Page, server: Server) -> dict[str, str]:
    """Every page and part that is linked from any other; their texts by address."""
    base = address_of(server)
    waiting = [f"{base}/", f"{base}/sessions", f"{base}/search?q=onerror", f"{base}/reports/audit-log"]
    waiting += [f"{base}/{p}?q={quote(script('word'))}" for p in ("manage/sessions", "sessions", "search")]
    seen, shown = set[tuple[str, tuple[str, ...]]](), dict[str, str]()
    while waiting:
        url = waiting.pop()
        if shape(url) in seen or "/static/" in url or "/api/" in url:
            continue
        seen.add(shape(url))
        answer = page.context.request.get(url)
        if "text/html" not in answer.headers.get("content-type", ""):
            continue
        page.goto(url)
        shown[url] = page.content()
        waiting += links(page, base)
        assert len(seen) < 400, "the pages have no end"
    return shown


def test_no_stored_text_runs_in_any_page_even_without_a_policy(
    pair: LightGroup, context: BrowserContext, ran: list[str]
) -> None:
    master, (slave,) = pair.master, pair.slaves
    stored = store_all(master, slave)
    page = context.new_page()
    page.on("dialog", lambda asked: asked.accept())
    page.goto(address_of(master))
    # That it would run: in a page of this very browser that shows it as it is.
    page.evaluate("text => { document.body.innerHTML = text; }", script("control"))
    page.wait_for_function("window.hasRun")
    page.evaluate("told('after it')")  # is answered once what was told before is known
    assert ran == ["control", "after it"]
    ran.clear()
    told = ""
    for server in (master, slave):
        page.goto(f"{address_of(server)}/login")
        enter(page)
        shown = visit_all(page, server)
        assert len(shown) > ENOUGH_PAGES, sorted(shown)
        paths = [url.removeprefix(address_of(server)) for url in shown]
        assert not [page for page in PAGES if not any(path.startswith(page) for path in paths)], paths
        told += html.unescape("".join(shown.values()))
    unseen = {name for name in stored if not re.search(rf"onerror=hw\(\S?{re.escape(name)}\S?\)", told)}
    assert not unseen, "no page has shown these: is there a new one?"
    import_mistakes(page, master)
    search_for_scripts(page, master)
    choose_scripts(page, master)
    compare_scripts(page, master)
    follow_a_job(page, master, slave)
    page.evaluate("told('the end')")
    assert ran == ["the end"]


def import_mistakes(page: Page, server: Server) -> None:
    """The preview repeats what is wrong, and the file's name."""
    row = ",".join(f'"{script(f"cell {column}").replace(QUOTE, QUOTE * 2)}"' for column in COLUMNS)
    columns, column = ",".join(COLUMNS), f'"{script("column").replace(QUOTE, QUOTE * 2)}"'
    for content, said in ((f"{columns}\n{row}\n{row}\n", "cell type"), (f"{columns},{column}\n{row},x\n", "column")):
        page.goto(f"{address_of(server)}/manage/sessions/import")
        file = FilePayload(name=f"{script('file')}.csv", mimeType="text/csv", buffer=content.encode())
        page.get_by_label("CSV or JSON").set_input_files(file)
        expect(page.get_by_text(f'hw("{said}")').first).to_be_visible()


def search_for_scripts(page: Page, server: Server) -> None:
    """The dialog shows the words that it looks for, and what it finds by them."""
    page.goto(f"{address_of(server)}/settings/trusted-certificates")
    page.keyboard.press("/")
    found = page.get_by_role("dialog", name="Search everything")
    found.get_by_role("combobox").fill("onerror=hw")
    expect(found.get_by_text("onerror=hw").first).to_be_visible()
    found.get_by_role("combobox").fill(script("word"))
    expect(found.get_by_role("option")).to_have_count(0)


def choose_scripts(page: Page, server: Server) -> None:
    """Names are suggested, and chosen ones are labels."""
    page.goto(f"{address_of(server)}/assign-access/new")
    page.wait_for_load_state()
    for field, name in (("Sessions", "session name"), ("Packages", "package"), ("User groups", "group")):
        page.get_by_role("combobox", name=field, exact=True).fill("onerror=hw")
        page.get_by_role("option").filter(has_text=f'("{name}")').first.click()
        expect(page.get_by_role("listitem").filter(has_text=f'("{name}")')).to_be_visible()
    page.get_by_role("combobox", name="Users", exact=True).fill(script("nobody"))
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Assign", exact=True).click()
    expect(page.locator("[data-field=users] .hw-mistake")).to_contain_text("onerror=hw")


def compare_scripts(page: Page, server: Server) -> None:
    """A stale save shows both versions."""
    for kind, panel in (("users", "users"), ("user-groups", "groups")):
        there = server.api.get(kind)["items"][0]["id"]
        page.goto(f"{address_of(server)}/settings/authentication/{panel}/{there}")
        page.wait_for_load_state()
        server.api.patch(f"{kind}/{there}", {"comment": script(f"their {panel}")})
        page.get_by_role("textbox", name="Comment").fill(script(f"my {panel}"))
        page.get_by_role("button", name="Save").click()
        both = page.get_by_role("region", name="Both versions")
        expect(both).to_contain_text(f'hw("their {panel}")')
        expect(both).to_contain_text(f'hw("my {panel}")')


def follow_a_job(page: Page, master: Server, slave: Server) -> None:
    """A job that is called by a server's name."""
    gone = quote(f"node of {slave.name}")
    job = master.api.delete(f"replication/nodes/{gone}", confirm="true")["job"]["id"]
    page.goto(f"{address_of(master)}/jobs/{job}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(f'hw("{slave.name}")')
    page.goto(f"{address_of(master)}/settings/replication")
    expect(page.get_by_role("link", name=re.compile("Remove .*onerror")).first).to_be_visible()
