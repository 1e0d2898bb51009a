"""SiteMinder-style authentication: a web agent in front of this server names its user in a header.

Whoever can send that header can be anybody, so it counts only from the addresses of the web agents, by the connection
itself, and, where this server has a Web Agent name, only with that name. SiteMinder sends SM_USER by itself; the name
of the agent comes as SM_AGENTNAME once a response attribute of that name is set up there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from hostward.domain.errors import Forbidden
from hostward.domain.people import MAX_USER_NAME
from hostward.domain.suggestions import shown
from hostward.domain.texts import Wrong

USER_HEADER: Final = "SM_USER"
AGENT_HEADER: Final = "SM_AGENTNAME"
MAX_AGENTS: Final = 64
_WIDEST: Final = {4: 16, 6: 48}
"""Bits of the widest network that is believed: a wider one is a slip, or everybody."""

_HEADER = re.compile(r"[A-Za-z0-9_-]{2,64}").fullmatch
_AGENT_NAME = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?").fullmatch
_USER = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._@-]{{0,{MAX_USER_NAME - 1}}}").fullmatch
_MEANS_SOMETHING: Final = re.compile(
    "accept.*|authorization|connection|content-.*|cookie|expect|forwarded|host|hx-.*|idempotency-key|if-.*|origin|range"
    "|referer|sec-.*|te|transfer-encoding|upgrade|user-agent|via|x-.*",
    re.IGNORECASE,
).fullmatch


@dataclass(frozen=True, slots=True)
class Policy:
    """What is believed: the header that names the user, from which networks, and the agent's name (empty: any)."""

    header: str
    agents: Sequence[str]
    agent_name: str


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says: the address at the other end of its connection, and the values of the two headers."""

    address: str
    users: Sequence[str]
    agent_names: Sequence[str]


def believed(policy: Policy, claim: Claim) -> str:
    """The name of the user that a web agent names. Raises Forbidden, code "agent-not-believed" or "agent-header"."""
    if not _is_agent(policy.agents, claim.address):
        raise _refused(
            "The header that names a user is believed from the web agents alone, and this address is none of theirs.",
            f"Log in by the web agent. If this is one, an administrator adds its address, {claim.address}.",
            "agent-not-believed",
        )
    names = [name.casefold() for name in claim.agent_names]
    if policy.agent_name and names != [policy.agent_name.casefold()]:
        raise _refused(
            f"The web agent didn't give its name as this server knows it, in the header {AGENT_HEADER}.",
            "An administrator compares it with the Web Agent name of this server.",
            "agent-not-believed",
        )
    if len(claim.users) != 1 or not _USER(claim.users[0]):
        raise _refused(
            f"The header {policy.header} doesn't name one user.",
            f"The web agent must send it once, with 1 to {MAX_USER_NAME} letters, digits, and . _ @ or -.",
            "agent-header",
        )
    return claim.users[0]


def check_header(value: str) -> str | Wrong:
    """A header's name."""
    if not _HEADER(value):
        return Wrong(f"{shown(value)} is no header's name.", "Use 2 to 64 letters, digits, _ and -, such as SM_USER.")
    if _MEANS_SOMETHING(value) or value.casefold() == AGENT_HEADER.casefold():
        return Wrong(f"{shown(value)} means something else already.", "Use a header of its own, such as SM_USER.")
    return value


def check_agent_name(value: str) -> str | Wrong:
    """An agent's name as SiteMinder has them; empty for none."""
    if value and (not _AGENT_NAME(value) or "&" in value or "*" in value):
        return Wrong(
            f"{shown(value)} is no web agent's name.", "Use at most 255 printable ASCII characters, without & and *."
        )
    return value


def check_network(value: str) -> str | Wrong:
    """An IP address, or a network of them, in one form."""
    try:
        found: IPv4Network | IPv6Network = ip_network(value)
    except ValueError as error:
        own_bits = "host bits" in str(error)
        remedy = (
            f"Write {ip_network(value, strict=False)}." if own_bits else "Write 192.0.2.7, 192.0.2.0/28 or 2001:db8::7."
        )
        return Wrong(f"{shown(value)} is no IP address or network.", remedy)
    widest = _WIDEST[found.version]
    if found.prefixlen < widest or "%" in value:
        return Wrong(
            f"{shown(value)} has too many addresses: each of them could say that it is anybody.",
            f"Name the web agents alone; the widest network is one of {widest} bits, /{widest}.",
        )
    return str(found.network_address) if found.prefixlen == found.max_prefixlen else str(found)


def _is_agent(agents: Sequence[str], address: str) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in ip_network(agent) for agent in agents)


def _refused(problem: str, remedy: str, code: str) -> Forbidden:
    return Forbidden(problem, remedy=remedy, code=code)
