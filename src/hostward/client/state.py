"""What a desk remembers of its login: one file, `desk.json`, readable by its user alone. The password is never in it.

The servers stand in the order in which they are tried: the one that answered last comes first.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from hostward.client.private import state_dir, write_private
from hostward.domain.errors import InvalidInput

MAX_SERVERS: Final = 16


@dataclass(frozen=True, slots=True)
class KnownServer:
    """A server of the group. `certificate` (PEM) is the only one believed there; where it is empty, what the desk's
    `authority` has issued, or the system's. `given`: its URL is what the user gave. `token` is empty where nobody has
    logged in there yet."""

    server: str
    name: str
    url: str
    certificate: str = ""
    given: bool = False
    token: str = ""

    def __repr__(self) -> str:
        return f"KnownServer({self.name!r}, {self.url!r})"


@dataclass(frozen=True, slots=True)
class Desk:
    """`asked_at` is when a server last said who the others are, in seconds since 1970; `authority` is PEM."""

    user: str
    group: str
    servers: tuple[KnownServer, ...]
    ticket: str = ""
    authority: str = ""
    asked_at: float = 0.0

    def __repr__(self) -> str:
        return f"Desk({self.user!r}, {self.servers!r})"

    def with_server(self, server: KnownServer) -> Desk:
        """The server as it is known now, in its place."""
        return replace(self, servers=tuple(server if s.server == server.server else s for s in self.servers))

    def answered(self, server: KnownServer) -> Desk:
        """It is the one that is tried first from now on."""
        others = (s for s in self.servers if s.server != server.server)
        return replace(self, servers=(server, *others))

    def forgotten(self) -> Desk:
        """Logged out: who and where, but nothing that opens anything."""
        return replace(self, ticket="", servers=tuple(replace(s, token="") for s in self.servers))

    def taught(self, group: str, said: Sequence[Mapping[str, Any]], now_s: float) -> Desk:
        """What a server of the group that is logged in to says of all its servers. One of another group, such as a
        server that was removed, teaches nothing. Raises InvalidInput for what can't be."""
        if group != self.group or not said:
            return self
        theirs = {server.server: server for server in _read(said)}
        before = [s for s in self.servers if s.server in theirs]
        known = {s.server for s in before}
        kept = [_renewed(s, theirs[s.server]) for s in before]
        new = [server for id_, server in theirs.items() if id_ not in known]
        return replace(self, servers=tuple((*kept, *new)[:MAX_SERVERS]), asked_at=now_s)


def _renewed(known: KnownServer, said: KnownServer) -> KnownServer:
    return replace(
        known,
        name=said.name,
        url=known.url if known.given else said.url,
        certificate=said.certificate if known.certificate else "",
    )


def _read(said: Iterable[Mapping[str, Any]]) -> Iterable[KnownServer]:
    for one in said:
        fields = {name: one.get(name) for name in ("server", "name", "url", "certificate")}
        if not all(isinstance(value, str) and value for value in fields.values()):
            raise InvalidInput("The server told of a server without address or certificate.")
        if not str(fields["url"]).startswith("https://"):
            raise InvalidInput("The server told of a server without HTTPS.")
        server, name, url, certificate = map(str, fields.values())
        yield KnownServer(server, name, url, certificate)


def desk_file() -> Path:
    """Where it is kept."""
    return state_dir() / "desk.json"


def load_desk(path: Path) -> Desk | None:
    """None where nobody has logged in. Raises InvalidInput where the file can't be understood."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return Desk(**{**raw, "servers": tuple(KnownServer(**server) for server in raw["servers"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            f"The login in {path} can't be read ({error}).",
            remedy="Delete that file, then run `hostward client login URL` again.",
        ) from error


def save_desk(desk: Desk, path: Path) -> None:
    """Replace the file as a whole. Raises InvalidInput where it can't be written."""
    write_private(path, json.dumps(asdict(desk), indent=2) + "\n")
