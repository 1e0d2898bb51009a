"""SiteMinder's users on a group, without a JVM: over real connections from a web agent's address, and from another."""

from __future__ import annotations

import httpx
import pytest
from tests.support.light import LightGroup
from tests.support.server import Server

pytestmark = [pytest.mark.cluster, pytest.mark.feature("R10"), pytest.mark.feature("A10")]

AGENT, NOBODY = "127.0.0.2", "127.0.0.3"
SECRET = "correct horse battery"
EQUAL_WITHIN_S = 20.0


def asked(server: Server, address: str, **headers: str) -> httpx.Response:
    """What the login page answers a connection from that address."""
    transport = httpx.HTTPTransport(local_address=address, verify=False)
    with httpx.Client(transport=transport) as client:
        return client.get(f"{server.api.url}/login", headers=headers)


def test_a_group_believes_the_same_agents_and_each_server_its_own_agents_name(light: LightGroup) -> None:
    master, slave = light.master, light.slaves[0]
    light.master.api.post("users", {"name": "anna", "password": SECRET})
    master.api.patch("settings", {"siteminder": "on", "siteminder-agents": [AGENT], "web-agent-name": "north"})
    light.wait_equal(EQUAL_WITHIN_S)
    named = {"SM_USER": "anna", "X-Forwarded-For": AGENT}
    assert asked(slave, AGENT, **named).status_code == 303, "a Slave knows the agents; it has no Web Agent name"
    assert asked(master, AGENT, **named).status_code == 403, "the Master has one"
    assert asked(master, AGENT, **named, SM_AGENTNAME="north").status_code == 303
    slave.api.patch("settings", {"web-agent-name": "south"})
    assert asked(slave, AGENT, **named, SM_AGENTNAME="north").status_code == 403
    assert asked(slave, AGENT, **named, SM_AGENTNAME="south").status_code == 303
    for server in light.servers:
        refused = asked(server, NOBODY, **named, SM_AGENTNAME="north")
        assert (refused.status_code, refused.headers.get("set-cookie")) == (403, None)
        told = server.api.get("audit", act="logged-in", outcome="refused", user="anna")["items"]
        assert (server.name, NOBODY) in {(e["server_name"], e["address"]) for e in told}
    told = slave.api.get("audit", act="logged-in", outcome="refused", user="anna")["items"]
    assert {e["about"]["code"] for e in told} == {"agent-not-believed"}
    assert {e["address"] for e in told} == {AGENT, NOBODY}


def test_a_user_who_is_disabled_on_the_master_is_named_in_vain_on_a_slave(light: LightGroup) -> None:
    otto = light.master.api.post("users", {"name": "otto", "password": SECRET})["user"]
    light.master.api.patch("settings", {"siteminder": "on", "siteminder-agents": [AGENT]})
    light.wait_equal(EQUAL_WITHIN_S)
    slave = light.slaves[1]
    assert asked(slave, AGENT, SM_USER="otto").status_code == 303
    light.master.api.patch(f"users/{otto['id']}", {"disabled": True})
    light.wait_equal(EQUAL_WITHIN_S)
    assert asked(slave, AGENT, SM_USER="otto").status_code == 401
    light.master.api.patch("settings", {"siteminder": None})
    light.wait_equal(EQUAL_WITHIN_S)
    assert asked(slave, AGENT, SM_USER="otto").status_code == 200, "it is off: the page asks for a password"
