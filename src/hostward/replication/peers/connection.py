"""Test Connection: its separate checks, in order. The first that fails says what to do; those behind it stay open."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from hostward.domain.errors import HostwardError, PeerError
from hostward.domain.replication import Check, Role, Target

NAMES = (
    "name",
    "port",
    "protocol",
    "context",
    "certificate",
    "certificate-there",
    "passphrase",
    "clock",
    "version",
    "database-port",
)
TIMEOUT_S = 5.0
ALIASES = {"certificate-expired": "certificate-there"}
TROUBLE = ("instance", "timeout", "peer", "replay", "busy")

Ask = Callable[[], Awaitable[dict[str, Any]]]
Tell = Callable[[Check], None]


@dataclass(frozen=True, slots=True)
class Reached:
    """The checks, and what the other server said of itself where they got that far (empty otherwise)."""

    checks: list[Check]
    said: dict[str, Any]

    @property
    def failed(self) -> Check | None:
        return next((c for c in self.checks if c.ok is False), None)


class _Done(dict[str, Check]):
    """The checks that were made, by name; each is told once, and isn't taken back."""

    def __init__(self, tell: Tell | None) -> None:
        super().__init__()
        self._tell = tell

    def add(self, name: str, ok: bool | None, detail: str, remedy: str = "") -> None:
        if name in self:
            return
        self[name] = Check(name, ok, detail, remedy)
        if self._tell is not None:
            self._tell(self[name])


async def run_checks(
    target: Target, *, version: str, ask: Ask, database_down_is_wrong: bool, tell: Tell | None = None
) -> Reached:
    """All checks of `target`. `ask` has the conversation (messages: check) and raises PeerError with the code of the
    check that failed. `tell` hears of each check as soon as it is made. Never raises for what the other side does."""
    done = _Done(tell)
    said: dict[str, Any] = {}
    try:
        await _resolve(target, done)
        await _connect(target.host, target.port)
        done.add("port", True, f"Port {target.port} accepts connections.")
        said = await ask()
        for name in NAMES[2:8]:
            done.add(name, True, _FINE[name])
        _compare_versions(version, str(said.get("version", "")), done)
        await _reach_database(said, database_down_is_wrong and said.get("role") == Role.MASTER, done)
    except HostwardError as error:
        code = ALIASES.get(error.code, error.code)
        code = code if code in NAMES else "context" if code not in TROUBLE else "port"
        if code in done:  # it was well a moment ago; the next one isn't
            code = next(name for name in NAMES if name not in done)
        for name in NAMES[: NAMES.index(code)]:
            done.add(name, True, _FINE.get(name, ""))
        done.add(code, False, error.message, error.remedy)
    return Reached([done.get(n) or Check(n, None, "Not reached.", "") for n in NAMES], said)


_FINE = {
    "name": "The name resolves.",
    "port": "The port accepts connections.",
    "protocol": "Both use the same Global protocol.",
    "context": "A server of this kind answers at the servlet context.",
    "certificate": "Its certificate is in this server's Trusted Certificates.",
    "certificate-there": "This server's certificate is trusted there.",
    "passphrase": "Both have the same passphrase.",
    "clock": "The clocks agree.",
}


async def _resolve(target: Target, done: _Done) -> None:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError) as error:
        raise PeerError(
            f"The name {target.host} does not resolve.",
            remedy="Check the host name's spelling, and that this machine's DNS or hosts file knows it.",
            code="name",
        ) from error
    done.add("name", True, f"{target.host} is {found[0][4][0]}.")


async def _connect(host: str, port: int) -> None:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as error:
        raise PeerError(
            f"Nothing accepts connections at {host}, port {port}.",
            remedy="Check the port, that the other server runs, and that no firewall is between.",
            code="port",
        ) from error
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _compare_versions(mine: str, theirs: str, done: _Done) -> None:
    def line(version: str) -> list[int]:
        return [int(p) if p.isdigit() else 0 for p in version.split(".")[:2]]

    a, b = line(mine), line(theirs)
    if a[:1] != b[:1] or abs(a[-1] - b[-1]) > 1:
        raise PeerError(
            f"This server has version {mine}, the other {theirs}.",
            remedy="Upgrade the older one: versions at most one apart replicate together.",
            code="version",
        )
    done.add("version", True, f"Version {theirs}.")


async def _reach_database(said: dict[str, Any], down_is_wrong: bool, done: _Done) -> None:
    database = said.get("database") or {}
    if not database.get("running"):
        if down_is_wrong:
            raise PeerError(
                "The Master's database isn't running yet.",
                remedy="Wait until the Master's Database Status is Up.",
                code="database-port",
            )
        done.add("database-port", None, "Its database isn't running yet; it can't be tried.")
        return
    host, port = str(database["address"]), int(database["storage_port"])
    try:
        await _connect(host, port)
    except PeerError as error:
        raise PeerError(
            f"Its database port {host}:{port} can't be reached.",
            remedy="Open it between the servers, or choose a Database Network Adapter that can be reached.",
            code="database-port",
        ) from error
    done.add("database-port", True, f"{host}:{port} accepts connections.")
