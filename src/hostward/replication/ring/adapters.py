"""Database Network Adapters: which addresses of this machine the other servers may reach the database at."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from hostward.domain.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Adapter:
    """An address of an adapter. `loopback`: only servers on this machine can reach it."""

    name: str
    address: str
    loopback: bool
    up: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def list_adapters(configured: str | None = None) -> list[Adapter]:
    """This machine's addresses, those that other machines can reach first. `configured` ([database] address) is added
    where it is a further loopback address: the system answers to all of 127.0.0.0/8 but lists only 127.0.0.1."""
    up = {name: stats.isup for name, stats in psutil.net_if_stats().items()}
    found = []
    for name, addresses in psutil.net_if_addrs().items():
        for a in addresses:
            if a.family not in (socket.AF_INET, socket.AF_INET6):
                continue
            ip = ipaddress.ip_address(a.address.partition("%")[0])
            if not ip.is_link_local:
                found.append(Adapter(name, str(ip), ip.is_loopback, up.get(name, False)))
    if configured and configured not in {a.address for a in found} and ipaddress.ip_address(configured).is_loopback:
        name = next((a.name for a in found if a.loopback), "lo")
        found.append(Adapter(name, configured, True, True))
    return sorted(found, key=lambda a: (a.loopback, a.address != configured, ":" in a.address, a.name))


def find_again(address: str, name: str, configured: str | None, adapters: Sequence[Adapter]) -> Adapter | None:
    """The adapter that `address` was one of, `name` its name, when DHCP has given it another address: that of the
    configuration ([database] address) where it is there, else the only one of the same adapter, else the only one that
    this machine has. None where it could be more than one, or there is none. Pure."""
    old = ipaddress.ip_address(address)
    usable = [
        a
        for a in adapters
        if a.up and ipaddress.ip_address(a.address).version == old.version and a.loopback == old.is_loopback
    ]
    chosen = [a for a in usable if a.address == configured]
    same = [a for a in usable if name and a.name == name]
    for candidates in (chosen, same, usable):
        if candidates:
            return candidates[0] if len(candidates) == 1 else None
    return None


def refuse_mixed_loopback(mine: str, master: str) -> None:
    """Raises InvalidInput where one of two servers' adapters is a loopback address and the other isn't: a loopback
    address is this machine's own, so the other server could never reach it."""
    a, b = ipaddress.ip_address(mine), ipaddress.ip_address(master)
    if a.is_loopback != b.is_loopback:
        loop, other = (mine, master) if a.is_loopback else (master, mine)
        raise InvalidInput(
            f"The adapter {loop} is a loopback address, which a server at {other} can't reach.",
            remedy="Choose a Database Network Adapter that all servers of the group can reach.",
            code="adapter-unreachable",
        )
