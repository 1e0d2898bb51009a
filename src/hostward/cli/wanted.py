"""What an administrator wants of replication, as the API takes it: pure functions from the present settings to the
wanted ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hostward.domain.errors import Conflict, InvalidInput, NotFound

DEFAULT_CONTEXT = "mss"
DEFAULT_PORTS = {"https": 443, "http": 80}

Wanted = dict[str, Any]
Server = dict[str, Any]


def parse_server(text: str, protocol: str) -> Server:
    """`HOST[:PORT][/CONTEXT]`, or a URL, as {host, port, context}; the defaults are 443 or 80 and `mss`. An IPv6
    address with a port goes in brackets. Raises InvalidInput if it is no such thing."""
    rest = text.strip()
    scheme, found, after = rest.partition("://")
    if found:
        if scheme.lower() not in DEFAULT_PORTS:
            raise _not_a_server(text)
        protocol, rest = scheme.lower(), after
    address, _, context = rest.partition("/")
    host, port_text = _split_address(address)
    if not host or any(c in host for c in " @?#") or not (port_text or "1").isdecimal():
        raise _not_a_server(text)
    port = int(port_text) if port_text else DEFAULT_PORTS[protocol]
    if not 1 <= port <= 65535:
        raise _not_a_server(text)
    return {"host": host, "port": port, "context": context.strip("/") or DEFAULT_CONTEXT}


def _split_address(address: str) -> tuple[str, str]:
    if address.startswith("["):
        host, _, after = address[1:].partition("]")
        return host, after.removeprefix(":")
    if address.count(":") > 1:
        return address, ""
    host, _, port = address.partition(":")
    return host, port


def _not_a_server(text: str) -> InvalidInput:
    return InvalidInput(
        f"“{text}” doesn't name a server.",
        remedy="Give HOST, HOST:PORT or HOST:PORT/CONTEXT, such as a.example.com:443/mss.",
    )


def server_words(server: Mapping[str, Any]) -> str:
    """HOST:PORT/CONTEXT."""
    host = f"[{server['host']}]" if ":" in str(server["host"]) else server["host"]
    return f"{host}:{server['port']}/{server.get('context') or DEFAULT_CONTEXT}"


def wanted_from(status: Mapping[str, Any], *, role: str | None = None) -> Wanted:
    """The settings as they are now, from `GET replication`, in the form of `PUT replication`; with another role those
    of the old one that the new one doesn't have are left out."""
    wanted: Wanted = {"role": role or status.get("wanted_role") or status["role"]}
    for key in ("adapter", "protocol"):
        if status.get(key):
            wanted[key] = status[key]
    if wanted["role"] == "slave" and status.get("master"):
        wanted["master"] = _plain(status["master"])
    if wanted["role"] == "master":
        wanted["slaves"] = [_plain(s) for s in status.get("slaves") or []]
    return wanted


def with_slave(wanted: Wanted, slave: Server) -> Wanted:
    """With one more row in the Slave Server table. Raises Conflict if this isn't a Master or it is there already."""
    if wanted["role"] != "master":
        raise Conflict(
            "Slaves are added on a Master; this server isn't one.",
            remedy="Run it against the Master, or first `hostward replication set --role master`.",
        )
    if any(same_server(slave, s) for s in wanted["slaves"]):
        raise Conflict(f"{server_words(slave)} is in the list of Slaves already.")
    return {**wanted, "slaves": [*wanted["slaves"], slave]}


def without_slave(wanted: Wanted, slave: Server) -> Wanted:
    """Without that row of the Slave Server table. Raises NotFound if there is none."""
    rest = [s for s in wanted.get("slaves", []) if not same_server(slave, s)]
    if len(rest) == len(wanted.get("slaves", [])):
        listed = ", ".join(server_words(s) for s in rest) or "none"
        raise NotFound(f"{server_words(slave)} isn't in the list of Slaves.", remedy=f"Listed: {listed}.")
    return {**wanted, "slaves": rest}


def with_master(wanted: Wanted, master: Server) -> Wanted:
    """As a Slave of that Master. Raises Conflict if it has another one: that must be deleted first."""
    present = wanted.get("master")
    if present and not same_server(present, master):
        raise Conflict(
            f"This server's Master is {server_words(present)}; a Slave has exactly one.",
            remedy="Run `hostward replication delete-master` first.",
        )
    return {**{k: v for k, v in wanted.items() if k != "slaves"}, "role": "slave", "master": master}


def without_master(wanted: Wanted) -> Wanted:
    """Out of the group: Standalone. Raises NotFound if there is no Master."""
    if not wanted.get("master"):
        raise NotFound("No Master is configured on this server.")
    return {**{k: v for k, v in wanted.items() if k not in ("master", "slaves")}, "role": "standalone"}


def same_server(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both name the same host, port and context."""
    return server_words(one).casefold() == server_words(other).casefold()


def _plain(server: Mapping[str, Any]) -> Server:
    return {"host": server["host"], "port": server["port"], "context": server.get("context") or DEFAULT_CONTEXT}
