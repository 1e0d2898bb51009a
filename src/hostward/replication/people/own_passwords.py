"""A user's own new password, or logging out everywhere, on a Slave: the Master makes the change, that of a password
only where the present one is right.

A change request would have to be believed on the Slave's word alone, or wait for an administrator. The present password
is the user's own proof, which a Slave has only of who gives it there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from hostward.domain.errors import Unavailable
from hostward.replication.parts import Parts
from hostward.replication.peers.messages import Message
from hostward.replication.people.to_master import ToMaster

ASK_TIMEOUT_S: Final = 10.0
MAX_TEXT: Final = 1024

Change = Callable[[str, str, str, str], Awaitable[int]]
"""Makes the change: the user's id, the present password, the new one's hash (empty: only all logins end, for which no
password is needed), the Slave's name. The revision. Raises HostwardError."""


async def _nobody(user_id: str, current: str, hashed: str, server: str) -> int:
    raise Unavailable("This server is starting.", remedy="Try again in a few seconds.")


class OwnPasswords:
    """`change` is set by who can make it."""

    def __init__(self, parts: Parts) -> None:
        self._to_master = ToMaster(parts)
        self.change: Change = _nobody

    async def ask(self, user_id: str, current: str, hashed: str) -> int:
        """On a Slave: the revision in which the Master made the change, once it is here too (or hasn't come for a
        while). Raises Unavailable, PeerError."""
        away = Unavailable(
            "The Master doesn't answer, and a password is changed there.",
            remedy="Try again later; the present password goes on being good.",
        )
        data = {"user": user_id, "current": current, "hash": hashed}
        return await self._to_master.ask(Message("own-password", data), away, ASK_TIMEOUT_S)

    async def answer(self, sender: str, message: Message) -> Message:
        """The Master's side. Raises PeerError, and what `change` raises."""
        server = self._to_master.asked_by(sender)
        user, current, hashed = (str(message.data[key])[:MAX_TEXT] for key in ("user", "current", "hash"))
        return Message("ok", {"revision": await self.change(user, current, hashed, server)})
