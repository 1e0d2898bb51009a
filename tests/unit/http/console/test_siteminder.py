"""A web agent's users in the console: let in by its header, and by nothing that only looks like it."""

from __future__ import annotations

from collections.abc import Mapping

import httpx
import pytest
from tests.unit.http.conftest import Server, client
from tests.unit.http.console.conftest import SAME_ORIGIN, Browser
from tests.unit.http.test_audit_api import entries
from tests.unit.http.test_people_api import created

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R10"), pytest.mark.feature("A10")]

AGENT, NOBODY = "192.0.2.7", "192.0.2.8"
ON = {"siteminder": "on", "siteminder-agents": [AGENT]}


@pytest.fixture
async def agent_server(server: Server) -> Server:
    """SiteMinder is on; anna is an auditor, otto has no role."""
    await created(server, "anna", role="auditor")
    await created(server, "otto")
    assert (await server.api.patch("/settings", json=ON)).status_code == 200
    return server


def visitor(server: Server, headers: Mapping[str, str] | None = None, address: str = AGENT) -> httpx.AsyncClient:
    """A browser whose requests come by that address, with those headers."""
    http = client(server.app, address=address, base="/mss")
    http.headers.update(headers or {})
    return http


async def asked(http: httpx.AsyncClient) -> str:
    """The code of what the login page says, or where it leads to."""
    answer = await http.get("/login")
    return f"{answer.status_code} {answer.headers.get('location', '')}".strip()


async def test_whom_an_agent_names_is_logged_in_with_the_users_role(agent_server: Server) -> None:
    async with visitor(agent_server, {"SM_USER": "Anna"}) as http:
        led = await http.get("/reports/audit-log")
        assert led.headers["location"] == "/mss/login?next=/mss/reports/audit-log"
        let_in = await http.get("https://server.example.com" + led.headers["location"])
        assert (let_in.status_code, let_in.headers["location"]) == (303, "/mss/reports/audit-log")
        cookie = let_in.headers["set-cookie"].lower()
        assert all(part in cookie for part in ("__host-", "secure", "httponly", "samesite=strict"))
        page = await http.get("/reports/audit-log")
        assert page.status_code == 200
        assert 'name="by" value="siteminder"' in page.text, "a login that has ended is made again without a password"
    (entry,) = await entries(agent_server, act="logged-in", user="anna")
    assert (entry["outcome"], entry["address"], entry["about"]["by"]) == ("done", AGENT, "siteminder")
    (token,) = [t for t in agent_server.services.tokens.list() if t.user == "anna"]
    assert token.kind == "console"


async def test_from_any_other_address_the_header_is_refused_and_recorded(agent_server: Server) -> None:
    forwarded = {"SM_USER": "anna", "X-Forwarded-For": AGENT, "Forwarded": f"for={AGENT}", "X-Real-IP": AGENT}
    async with visitor(agent_server, forwarded, NOBODY) as http:
        refused = await http.get("/login")
        assert refused.status_code == 403
        assert "set-cookie" not in refused.headers
        assert NOBODY in refused.text, "an administrator has to know which address it is"
        by_form = await http.post("/login", data={"by": "siteminder"}, headers=SAME_ORIGIN)
        assert by_form.status_code == 403
    async with client(agent_server.app, address=NOBODY) as api:
        answer = await api.post("/login/siteminder", headers=forwarded)
        assert (answer.status_code, answer.json()["code"]) == (403, "agent-not-believed")
    await agent_server.services.auditor.flush(everything=True)
    refusals = [e for e in await entries(agent_server, act="logged-in", user="anna") if e["outcome"] == "refused"]
    assert sum(e["times"] for e in refusals) == 3
    assert {(e["address"], e["about"]["code"]) for e in refusals} == {(NOBODY, "agent-not-believed")}
    assert not [t for t in agent_server.services.tokens.list() if t.user == "anna"]


async def test_only_a_known_and_enabled_user_of_the_group_gets_in(agent_server: Server) -> None:
    for name, status in (("nobody", 401), ("admin", 401), ("otto", 303)):
        async with visitor(agent_server, {"SM_USER": name}) as http:
            assert (await http.get("/login")).status_code == status, name
    (otto,) = [u for u in (await agent_server.api.get("/users")).json()["items"] if u["name"] == "otto"]
    async with visitor(agent_server, {"SM_USER": "otto"}) as http:
        assert (await http.get("/login")).status_code == 303
        assert (await http.get("/sessions")).status_code == 200
        assert (await agent_server.api.patch(f"/users/{otto['id']}", json={"disabled": True})).status_code == 200
        assert (await http.get("/sessions")).status_code == 303, "the login ends as any other"
        assert (await http.get("/login")).status_code == 401


async def test_off_the_header_means_nothing(agent_server: Server) -> None:
    for off in ({"siteminder": None}, {"siteminder": "on", "siteminder-user-header": "REMOTE_USER"}):
        assert (await agent_server.api.patch("/settings", json=off)).status_code == 200
        async with visitor(agent_server, {"SM_USER": "anna"}) as http:
            assert (await http.get("/login")).status_code == 200
        async with client(agent_server.app, address=AGENT) as api:
            assert (await api.post("/login/siteminder", headers={"SM_USER": "anna"})).status_code == 401
    async with visitor(agent_server, {"REMOTE_USER": "anna"}) as http:
        assert (await http.get("/login")).status_code == 303


async def test_with_a_web_agent_name_the_agent_must_give_it(agent_server: Server) -> None:
    assert (await agent_server.api.patch("/settings", json={"web-agent-name": "north"})).status_code == 200
    for names, status in (({}, 403), ({"SM_AGENTNAME": "south"}, 403), ({"SM_AGENTNAME": "North"}, 303)):
        async with visitor(agent_server, {"SM_USER": "anna", **names}) as http:
            assert (await http.get("/login")).status_code == status, names


async def test_when_somebody_else_sits_there_the_login_before_ends(agent_server: Server) -> None:
    async with visitor(agent_server, {"SM_USER": "anna"}) as http:
        assert (await http.get("/login")).status_code == 303
        assert (await http.get("/manage/sessions")).status_code == 200
        other = {"SM_USER": "otto"}
        assert (await http.get("/manage/sessions", headers=other)).status_code == 303
        assert (await http.get("/login", headers=other)).status_code == 303
    users = [t.user for t in agent_server.services.tokens.list() if t.kind == "console"]
    assert users == ["otto"], "anna's login has given way to otto's"


async def test_another_address_cannot_end_a_login_with_a_header(agent_server: Server) -> None:
    async with visitor(agent_server, {"SM_USER": "anna"}) as http:
        await http.get("/login")
        cookies = http.cookies
    async with visitor(agent_server, {"SM_USER": "otto"}, NOBODY) as http:
        http.cookies = cookies
        assert (await http.get("/manage/sessions")).status_code == 200


async def test_who_logs_out_stays_so_and_an_administrator_gets_in_behind_an_agent(agent_server: Server) -> None:
    async with visitor(agent_server, {"SM_USER": "anna"}) as http:
        page = Browser(agent_server, http)
        answer = await page.log_in()
        assert answer.status_code == 303, "with a password, whomever the agent names"
        assert (await http.get("/settings/general")).status_code == 200
        out = await page.post("/logout")
        assert out.headers["location"] == "/mss/login?by=password"
        shown = await http.get("/login?by=password")
        assert shown.status_code == 200
        assert "Log in by the web agent" in shown.text
        assert (await http.get("/settings/general")).status_code == 303


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Dest": "iframe", "Sec-Fetch-Mode": "navigate"}, 200),
        ({"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image", "Sec-Fetch-Site": "cross-site"}, 200),
        ({"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "cross-site"}, 200),
        ({"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none"}, 303),
    ],
)
async def test_another_sites_page_makes_no_logins(agent_server: Server, headers: dict[str, str], status: int) -> None:
    async with visitor(agent_server, {"SM_USER": "anna"}) as http:
        assert (await http.head("/login", headers=headers)).status_code == 200
        answer = await http.get("/login", headers=headers)
        assert (answer.status_code, "set-cookie" in answer.headers) == (status, status == 303)
        forged = await http.post("/login", data={"by": "siteminder"}, headers={"Sec-Fetch-Site": "cross-site"})
        assert (forged.status_code, forged.json()["code"]) == (403, "cross-site")


async def test_a_login_that_has_ended_is_made_again_in_the_page(agent_server: Server) -> None:
    async with visitor(agent_server, {"SM_USER": "anna"}) as http:
        again = await http.post("/login", data={"by": "siteminder"}, headers=SAME_ORIGIN | {"HX-Request": "true"})
        assert (again.status_code, again.json()["user"]) == (200, "anna")
        assert len(again.json()["csrf"]) > 60


async def test_the_panel_says_whom_it_believes_and_where_each_setting_holds(browser: Browser) -> None:
    path = "/settings/authentication/siteminder"
    page = await browser.page(path)
    assert page.count(">Replicated<") == 3
    assert page.count(">This server only<") == 1
    for label in ("Web Agent name", "User header", "Web agents", "SiteMinder authentication"):
        assert label in page
    hits = (await browser.server.api.get("/search", params={"q": "Web Agent name"})).json()["items"]
    assert "web-agent-name" in [h["id"] for h in hits]
    refused = await browser.post(path, **{"siteminder": "on", "siteminder-agents": "192.0.2.1\nagent.example.com"})
    assert [m["field"] for m in refused.json()["mistakes"]] == ["siteminder-agents"]
    applied = await browser.post(path, **{"siteminder": "on", "siteminder-agents": "192.0.2.1\r\n192.0.2.9\r\n"})
    assert applied.status_code == 200
    assert "192.0.2.1\n192.0.2.9</textarea>" in await browser.page(path)
    await browser.post(path, **{"siteminder-agents": ""})
    assert "Nobody is believed" in await browser.page(path)


async def test_on_a_slave_these_wait_for_an_administrator_of_the_master(agent_server: Server) -> None:
    agent_server.replication.master_url = "https://master.example.com"
    wanted = {"siteminder-agents": ["192.0.2.9"], "web-agent-name": "south"}
    answer = await agent_server.api.patch("/settings", json=wanted)
    assert answer.status_code == 202
    request = (await agent_server.api.get(f"/change-requests/{answer.json()['request']['id']}")).json()
    assert request["class"] == "security", request
    shown = {s["name"]: s["value"] for s in (await agent_server.api.get("/settings")).json()["items"]}
    assert (shown["siteminder-agents"], shown["web-agent-name"]) == ([AGENT], "south")
