"""Who gets in, and how: cookie, forgery, throttling, HTTPS, headers."""

from __future__ import annotations

import httpx
import pytest
from tests.unit.commands.servers import PASSWORD
from tests.unit.http.conftest import client
from tests.unit.http.console.conftest import SAME_ORIGIN, Browser

from hostward.access.throttle import LIMITS

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R24")]

PANELS = (
    "/", "/settings/replication", "/settings/trusted-certificates", "/jobs/job1", "/manage/sessions",
    "/manage/sessions/new", "/manage/sessions/import", "/change-requests",
)  # fmt: skip
PARTS = tuple(f"/settings/replication/{name}" for name in ("state", "details", "findings", "join-codes"))
ACTS = (
    "/settings/replication", "/settings/replication/test", "/settings/replication/rows/slaves",
    "/settings/replication/passphrase", "/settings/replication/nodes/there/remove",
    "/settings/replication/switch-over", "/settings/replication/promote", "/settings/replication/follow",
    "/settings/replication/rebuild", "/settings/replication/join-codes", "/settings/replication/join",
    "/settings/replication/join-codes/x/withdraw", "/settings/trusted-certificates/mss/import",
    "/settings/trusted-certificates/mss/delete", "/settings/certificates/renew",
    "/manage/sessions/new", "/manage/sessions/x", "/manage/sessions/x/delete", "/manage/sessions/delete",
    "/manage/sessions/edit", "/manage/sessions/import",
    "/change-requests/setting", "/change-requests/x/implement", "/change-requests/x/reject",
    "/change-requests/x/withdraw", "/change-requests/x/edit", "/change-requests/x/resubmit",
    "/logout", "/logout-everywhere",
)  # fmt: skip


async def test_the_cookie_is_the_browsers_alone(stranger: Browser) -> None:
    answer = await stranger.log_in(next="/mss/settings/trusted-certificates")
    assert answer.headers["location"] == "/mss/settings/trusted-certificates"
    name, _, rest = answer.headers["set-cookie"].partition("=")
    assert name == f"__Host-hostward-{stranger.server.services.identity.server_id[:8]}"
    attributes = {part.strip().lower() for part in rest.split(";")[1:]}
    assert attributes == {"path=/", "secure", "httponly", "samesite=strict"}
    assert not any(a.startswith("domain") for a in attributes)


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/mss/", "//evil.example/mss/", "/\\evil.example", "/mss//evil.example", "/other/",
        "javascript:alert(1)", "/mss/\n/x", "",
    ],
)  # fmt: skip
async def test_a_login_never_leads_to_another_site(stranger: Browser, wanted: str) -> None:
    assert (await stranger.log_in(next=wanted)).headers["location"] == "/mss/"


async def test_without_a_login_every_page_leads_to_it_and_nothing_is_done(stranger: Browser) -> None:
    for path in PANELS:
        answer = await stranger.http.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/mss/login?next=/mss{path}")
    for path in PARTS:
        answer = await stranger.http.get(path, headers={"HX-Request": "true"})
        assert (answer.status_code, answer.json()["code"]) == (401, "login-needed")
    for path in ACTS:
        assert (await stranger.post(path, confirm="yes")).status_code == 401, path
    assert (await stranger.http.get("/events")).status_code == 401
    assert stranger.server.replication.applied == []


@pytest.mark.feature("A9")
async def test_a_forged_request_does_nothing(browser: Browser) -> None:
    """Each guard holds by itself: where a form comes from, and the token in it, which must be this very login's."""
    async with client(browser.server.app, base="/mss") as http:
        other = Browser(browser.server, http)
        await other.log_in()
    before = browser.server.services.group.position
    for path in ACTS:
        for site in ("cross-site", "same-site", "none"):
            answer = await browser.post(path, headers={"Sec-Fetch-Site": site}, confirm="yes")
            assert (answer.status_code, answer.json()["code"]) == (403, "cross-site"), path
        for forged in ("", "0" * 64, other.forgery):
            answer = await browser.post(path, headers={"X-CSRF": forged}, confirm="yes")
            assert (answer.status_code, answer.json()["code"]) == (403, "forged-form"), path
    assert browser.server.services.group.position == before
    assert not browser.server.replication.applied
    assert not browser.server.replication.removed
    assert (await browser.http.get("/settings/replication")).status_code == 200  # not even logged out


async def test_an_old_browser_is_judged_by_its_origin(browser: Browser) -> None:
    async def add(origin: str | None) -> int:
        headers = {"HX-Request": "true", "X-CSRF": browser.forgery} | ({"Origin": origin} if origin else {})
        fields = {"host": "a.example.com", "port": "443", "context": "mss"}
        answer = await browser.http.post("/settings/replication/rows/slaves", data=fields, headers=headers)
        return answer.status_code

    assert await add("https://server.example.com") == 200
    for wrong in (
        None,
        "null",
        "http://server.example.com",
        "https://server.example.com.evil.example",
        "https://evil.example",
    ):
        assert await add(wrong) == 403


async def test_wrong_passwords_are_throttled_as_the_api_does(stranger: Browser) -> None:
    refused = await stranger.submit("/login", user="admin", password="wrong one")
    assert refused.status_code == 401
    assert "The user name or the password is wrong." in refused.text
    assert "set-cookie" not in refused.headers
    throttle = stranger.server.services.administrators.throttle
    for _ in range(LIMITS["pair"].free + 20):
        # As many as a fast machine would let through, whose checks of a password take no time.
        throttle._counts[("pair", "admin", "192.0.2.1")].failures += 1
    waits = await stranger.submit("/login", user="admin", password=PASSWORD)
    assert waits.status_code == 429
    assert int(waits.headers["retry-after"]) >= 1
    api = await stranger.server.anyone.post("/login", json={"user": "admin", "password": PASSWORD})
    assert api.status_code == 429


@pytest.mark.feature("A10")
async def test_a_cookie_that_was_there_before_is_never_a_login(browser: Browser) -> None:
    """Somebody may have put it there: made up, of an ended login, or of their own."""
    server, name = browser.server, browser.cookie
    theirs = browser.http.cookies[name]
    async with client(server.app, base="/mss") as http:
        victim = Browser(server, http)
        for planted in ("hw_made_up", "", "x" * 2000, theirs):
            http.cookies.clear()
            http.cookies.set(name, planted, domain="server.example.com")
            answer = await victim.submit("/login", user="admin", password=PASSWORD)
            secret = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
            assert secret.startswith("hw_")
            assert secret not in (planted, theirs)
    assert (await browser.http.get("/settings/replication")).status_code == 303, "theirs has ended with that"


@pytest.mark.feature("A10")
async def test_who_logs_in_again_in_a_browser_ends_the_login_that_it_had_and_no_other(browser: Browser) -> None:
    server, name = browser.server, browser.cookie
    program = (await server.api.post("/tokens", json={"name": "job"})).json()["token"]
    first = browser.http.cookies[name]
    await browser.log_in()
    second = browser.http.cookies[name]
    assert first != second
    async with client(server.app, first) as api:
        assert (await api.get("/me")).status_code == 401
    browser.http.cookies.set(name, program, domain="server.example.com")
    await browser.submit("/login", user="admin", password=PASSWORD)
    for secret in (second, program, server.token):
        async with client(server.app, secret) as api:
            assert (await api.get("/me")).status_code == 200


@pytest.mark.feature("A10")
async def test_a_wrong_password_ends_no_login(browser: Browser) -> None:
    assert (await browser.submit("/login", user="admin", password="wrong one")).status_code == 401
    assert (await browser.http.get("/settings/replication")).status_code == 200


@pytest.mark.feature("A10")
async def test_logging_out_ends_the_login_at_once(browser: Browser) -> None:
    name = browser.cookie
    secret = browser.http.cookies[name]
    answer = await browser.submit("/logout", csrf=browser.forgery)
    assert (answer.status_code, answer.headers["location"]) == (303, "/mss/login")
    browser.http.cookies.set(name, secret)
    assert (await browser.http.get("/settings/replication")).status_code == 303


@pytest.mark.feature("A10")
@pytest.mark.parametrize("tokens", ["", "yes"])
async def test_logging_out_everywhere_ends_every_login_and_programs_tokens_where_asked(
    browser: Browser, tokens: str
) -> None:
    server = browser.server
    program = (await server.api.post("/tokens", json={"name": "job"})).json()["token"]
    await browser.submit("/logout-everywhere", csrf=browser.forgery, tokens=tokens)
    assert (await server.api.get("/me")).status_code == 401
    async with client(server.app, program) as api:
        assert (await api.get("/me")).status_code == (401 if tokens else 200)


async def test_a_login_that_ends_in_the_middle_of_a_form_can_be_made_anew_in_the_page(browser: Browser) -> None:
    browser.server.services.tokens.revoke_logins("admin")
    fields = {"host": "a.example.com", "port": "443", "context": "mss"}
    refused = await browser.post("/settings/replication/rows/slaves", **fields)
    assert (refused.status_code, refused.json()["code"]) == (401, "token-invalid")
    answer = await browser.post("/login", user="admin", password=PASSWORD)
    assert (answer.status_code, answer.json()["user"]) == (200, "admin")
    browser.forgery = answer.json()["csrf"]
    assert (await browser.post("/settings/replication/rows/slaves", **fields)).status_code == 200


async def test_over_http_it_leads_to_https_at_the_configured_name(browser: Browser) -> None:
    transport = httpx.ASGITransport(browser.server.app, client=("192.0.2.1", 50000))
    async with httpx.AsyncClient(transport=transport, base_url="http://evil.example") as plain:
        for path in ("/mss/", "/mss/login?next=/mss/", "/mss/settings/replication"):
            answer = await plain.get(path, headers={"Host": "evil.example", "X-Forwarded-Proto": "https"})
            s = browser.server.services.configuration.server
            port = "" if s.https_port == 443 else f":{s.https_port}"
            assert (answer.status_code, answer.headers["location"]) == (307, f"https://{s.host_name}{port}{path}")
        sent = {"user": "admin", "password": PASSWORD}
        refused = await plain.post("/mss/login", data=sent, headers=SAME_ORIGIN)
        assert (refused.status_code, refused.json()["code"]) == (403, "https-needed")
        assert f"https://{s.host_name}{port}/mss/login" in refused.json()["remedy"]
        assert "set-cookie" not in refused.headers


async def test_every_page_forbids_what_it_does_not_need(browser: Browser) -> None:
    answers = [await browser.http.get(path) for path in (*PANELS[1:], *PARTS, "/login")]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "nonce" not in policy
        assert {
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        } <= {part.strip() for part in policy.split(";")}
        for name, value in {
            "x-content-type-options": "nosniff", "x-frame-options": "DENY", "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin", "referrer-policy": "same-origin",
            "cache-control": "no-store",
        }.items():  # fmt: skip
            assert answer.headers.get_list(name) == [value], (name, answer.headers)
        for inline in (" style=", " onclick=", " onload=", "<style", "hx-on", "hx-vals='js", "javascript:"):
            assert inline not in answer.text
        assert answer.text.count("<script") == answer.text.count("<script src=") + answer.text.count(
            '<script type="module" src='
        )


async def test_a_link_on_another_site_leads_in(browser: Browser) -> None:
    """A browser doesn't send the cookie along with it, so the page asks for itself once more, from its own site."""
    kept = dict(browser.http.cookies)
    browser.http.cookies.clear()
    there = await browser.http.get("/settings/replication", headers={"Sec-Fetch-Site": "cross-site"})
    assert (there.status_code, 'http-equiv="refresh" content="0"' in there.text) == (200, True)
    browser.http.cookies.update(kept)
    assert "Database Status" in await browser.page("/settings/replication")
