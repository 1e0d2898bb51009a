"""A ticket: a server's signed word that a user gave it the right password, for logging in on another of its group.

It is for `hostward client` alone: what it is exchanged for may do what a user without a role may do. It names the user
and the generation of the user's logins, so that it is void wherever a login of then would be.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from hostward.domain.errors import Unauthenticated

PREFIX: Final = "hwt_"
MAX_CHARACTERS: Final = 900
LASTS: Final = timedelta(hours=12)
"""From when it was made: as long as a login that isn't used."""
DESK_LASTS: Final = timedelta(days=7)
"""From when the password was given: then it is asked for again, whatever was used meanwhile."""
_PURPOSE: Final = b"hostward-ticket-1\0"  # what else a server signs is JSON, and can't begin like this


@dataclass(frozen=True, slots=True)
class Ticket:
    """What it says. `server` made it; `account` is the user's id; times are seconds since 1970. `began`: when the
    password was given."""

    group: str
    server: str
    account: str
    generation: int
    began: int
    expires: int

    def to_text(self, sign: Callable[[bytes], bytes]) -> str:
        """As it is handed out."""
        content = json.dumps(asdict(self), separators=(",", ":"), sort_keys=True).encode()
        return f"{PREFIX}{_to_64(content)}.{_to_64(sign(_PURPOSE + content))}"


@dataclass(frozen=True, slots=True)
class ReadTicket:
    """A ticket that nobody has checked yet: `signature` must be `ticket.server`'s, of `signed`."""

    ticket: Ticket
    signed: bytes
    signature: bytes


def read_ticket(text: str) -> ReadTicket:
    """Raises Unauthenticated, code "ticket", where it is none."""
    try:
        if not text.startswith(PREFIX) or len(text) > MAX_CHARACTERS:
            raise ValueError("no ticket")
        content, signature = (_from_64(part) for part in text.removeprefix(PREFIX).split("."))
        said = json.loads(content)
        ticket = Ticket(**said)
        if not all(type(said[name]) is kind for name, kind in _KINDS.items()):
            raise ValueError("other types")
    except (ValueError, TypeError, RecursionError) as error:
        raise refused("This is no ticket.") from error
    return ReadTicket(ticket, _PURPOSE + content, signature)


def check_times(ticket: Ticket, now: datetime, skew: timedelta) -> None:
    """Return where it holds at this moment. Servers' clocks may differ by `skew`. Raises Unauthenticated."""
    now_s = now.timestamp()
    if ticket.expires <= now_s or ticket.began + DESK_LASTS.total_seconds() <= now_s:
        raise refused("The ticket is over.")
    if ticket.began > now_s + skew.total_seconds() or ticket.expires > now_s + (LASTS + skew).total_seconds():
        raise refused("The ticket is of a time that hasn't come: a server's clock is wrong.")


def refused(why: str) -> Unauthenticated:
    """One answer for all that is wrong with a ticket: give the password."""
    return Unauthenticated(why, remedy="Log in with the password.", code="ticket")


_KINDS: Final[dict[str, Any]] = {
    "group": str,
    "server": str,
    "account": str,
    "generation": int,
    "began": int,
    "expires": int,
}


def _to_64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _from_64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
