"""Whom a web agent's headers are believed, and from where."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostward.domain.errors import Forbidden, InvalidInput
from hostward.domain.settings import SITEMINDER_AGENTS, SITEMINDER_HEADER, WEB_AGENT_NAME
from hostward.domain.siteminder import Claim, Policy, believed

AGENTS = ["192.0.2.7", "198.51.100.0/28", "2001:db8::7"]


def refusal(policy: Policy, claim: Claim) -> str:
    """The code of the refusal; empty where it is believed."""
    try:
        believed(policy, claim)
    except Forbidden as error:
        return error.code
    return ""


@pytest.mark.feature("A10")
@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("192.0.2.7", ""), ("::ffff:192.0.2.7", ""), ("198.51.100.15", ""), ("2001:db8::7", ""),
        ("192.0.2.8", "agent-not-believed"), ("198.51.100.16", "agent-not-believed"), ("", "agent-not-believed"),
        ("2001:db8::8", "agent-not-believed"), ("127.0.0.1", "agent-not-believed"), ("x", "agent-not-believed"),
    ],
)  # fmt: skip
def test_a_header_counts_from_the_agents_addresses_alone(address: str, wanted: str) -> None:
    assert refusal(Policy("SM_USER", AGENTS, ""), Claim(address, ["anna"], [])) == wanted
    assert refusal(Policy("SM_USER", [], ""), Claim(address, ["anna"], [])) == "agent-not-believed"


@pytest.mark.parametrize("users", [[], ["anna", "anna"], ["anna, otto"], [""], [" anna"], ["a\x00"], ["é"], ["a" * 65]])
def test_a_header_that_names_nobody_or_several_names_nobody(users: list[str]) -> None:
    assert refusal(Policy("SM_USER", AGENTS, ""), Claim("192.0.2.7", users, [])) == "agent-header"


def test_a_web_agent_name_must_be_given_once_where_there_is_one() -> None:
    policy = Policy("SM_USER", AGENTS, "Agent One")
    assert believed(policy, Claim("192.0.2.7", ["anna"], ["agent one"])) == "anna", "SiteMinder's names have no case"
    for names in ([], ["agent"], [""], ["agent one", "agent one"], ["agent two", "agent one"]):
        assert refusal(policy, Claim("192.0.2.7", ["anna"], names)) == "agent-not-believed"


@given(st.ip_addresses(), st.lists(st.ip_addresses().map(str), max_size=4))
def test_an_address_is_believed_just_where_it_is_listed(address: object, agents: list[str]) -> None:
    listed = {getattr(ip_address(a), "ipv4_mapped", None) or ip_address(a) for a in agents}
    own = getattr(address, "ipv4_mapped", None) or address
    kept = SITEMINDER_AGENTS.check(agents)
    assert isinstance(kept, list)
    if own not in listed:
        assert refusal(Policy("SM_USER", kept, ""), Claim(str(address), ["anna"], [])) == "agent-not-believed"
    elif not any(":ffff:" in a.lower() for a in agents):
        assert refusal(Policy("SM_USER", kept, ""), Claim(str(address), ["anna"], [])) == ""


def test_agents_are_addresses_and_networks_in_one_form() -> None:
    kept = SITEMINDER_AGENTS.check("192.0.2.7/32, 198.51.100.0/28\n2001:DB8:0::7 192.0.2.7")
    assert kept == ["192.0.2.7", "198.51.100.0/28", "2001:db8::7"]
    assert SITEMINDER_AGENTS.check(kept) == kept
    assert SITEMINDER_AGENTS.check("") == SITEMINDER_AGENTS.check([]) == SITEMINDER_AGENTS.default == []
    with pytest.raises(InvalidInput) as slip:
        SITEMINDER_AGENTS.check("192.0.2.7/24")
    assert "192.0.2.0/24" in slip.value.remedy
    for wrong in ("agent.example.com", "0.0.0.0/0", "10.0.0.0/8", "::/0", "1.2.3", "fe80::1%eth0", 7, [7], {"a": 1}):
        with pytest.raises(InvalidInput) as refused:
            SITEMINDER_AGENTS.check(wrong)
        assert [m.field for m in refused.value.mistakes] == ["siteminder-agents"]
    with pytest.raises(InvalidInput, match="There are 65"):
        SITEMINDER_AGENTS.check([str(ip_network("192.0.2.0/24")[n]) for n in range(65)])


def test_a_header_that_means_something_else_cannot_name_the_user() -> None:
    assert SITEMINDER_HEADER.check(" REMOTE_USER ") == "REMOTE_USER"
    for wrong in ("", "a b", "SM_USER\r\nX: y", "Authorization", "X-Forwarded-For", "sm_agentname", "Cookie", "é", 1):
        with pytest.raises(InvalidInput):
            SITEMINDER_HEADER.check(wrong)


def test_a_web_agent_name_is_as_siteminder_has_them() -> None:
    assert WEB_AGENT_NAME.check("agent one") == "agent one"
    assert WEB_AGENT_NAME.check("") == "" == WEB_AGENT_NAME.default
    for wrong in ("a&b", "a*", "é", "a\nb", "a" * 256, ["a"]):
        with pytest.raises(InvalidInput):
            WEB_AGENT_NAME.check(wrong)
