"""What servers say to each other, inside envelopes: an act's name with JSON data, and bytes where there are any.

status     position, content, role, version, database, guesses   any member
check      is my certificate, passphrase, clock good with you?   any trusted server
try-back   do you reach me, and my database's port?              Slave to be, to Master
nudge      the Master's position, and changes                    Master to Slave
changes    give me what comes after this position                any member
known      which of these revisions and hashes are your history? any member
epochs     here are records of epochs                            any member
snapshot   give me your whole content, signed                    any member
admit      may my database node start?                           Slave to Master
vouch      the same, while the Master is away                    Slave to Slave
joined     my node is in the ring and my content is yours        Slave to Master
leave      I leave the group                                     Slave to Master
submit     a change request of mine, or its withdrawal          Slave to Master
own-password  a user's new password, with the present one       Slave to Master
own-favourites  a user's favourites, by differences             Slave to Master
directory-user  somebody whom a directory knows logs in first   Slave to Master
unlock     where has a user to wait for wrong passwords? forget them   any member
lock       my login edits this session, or no longer; who else?  Slave to Master
removed    you, who are named, are no longer in it                        Master to Slave
passphrase the group's new passphrase                            Master to Slave
audit      give me what I lack of your audit log                Master to Slave, Slave to Master
packages   which packages' files do you have?                   any member
package-pieces  the sums of a file's pieces                    any member
package-range   a part of a file                               any member
renewed    I will have this certificate, by these statements     any trusted server

Between members each message is of their group; WITHOUT_GROUP are those that a server may send before it belongs to it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from hostward.domain.changes import Position
from hostward.domain.errors import HostwardError, PeerError

MAX_BYTES = 64 << 20
WITHOUT_GROUP = ("check", "try-back", "admit", "leave")


@dataclass(frozen=True, slots=True)
class Message:
    """`act` is one of the above in a request; "ok" or "error" in an answer."""

    act: str
    data: dict[str, Any] = field(default_factory=dict)
    blob: bytes = b""

    def to_bytes(self) -> bytes:
        head = orjson.dumps([self.act, self.data])
        return len(head).to_bytes(4) + head + self.blob

    @staticmethod
    def from_bytes(data: bytes) -> Message:
        """Raises PeerError if the bytes are no message."""
        try:
            size = int.from_bytes(data[:4])
            act, body = orjson.loads(data[4 : 4 + size])
            return Message(str(act), dict(body), data[4 + size :])
        except (orjson.JSONDecodeError, TypeError, ValueError) as error:
            raise PeerError("The other server's message can't be read.", code="version") from error


@contextlib.contextmanager
def understood(who: str) -> Iterator[None]:
    """What another server's answer can't mean is a PeerError of that server, and a fault of nothing here."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise PeerError(
            f"The answer of {who} isn't understood: {type(error).__name__} {error}.",
            remedy="See whether it runs the same version; if so, it may have been tampered with.",
            code="version",
        ) from error


def read_status(who: str, data: dict[str, Any]) -> tuple[Position, dict[str, Any]]:
    """An answer to `status`, with where that server stands. Raises PeerError where it isn't one."""
    with understood(who):
        position = Position.from_json(data["position"])
        wanted = {"content_ok": bool, "role": str, "database_status": str, "group": str, "master": str}
        for key, kind in wanted.items():
            if not isinstance(data[key], kind):
                raise TypeError(f"{key} is {data[key]!r}")
        return position, data


def error_message(error: HostwardError) -> Message:
    """An error as the other side will raise it again."""
    return Message("error", {"message": error.message, "code": error.code, "remedy": error.remedy})
