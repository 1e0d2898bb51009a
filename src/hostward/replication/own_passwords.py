"""A user's own new password, or logging out everywhere, on a Slave: the Master makes the change, that of a password
only where the present one is right.

A change request would have to be believed on the Slave's word alone, or wait for an administrator. The present password
is the user's own proof, which a Slave has only of who gives it there. It travels inside the envelope, as all does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from hostward.domain.errors import PeerError, Unavailable
from hostward.domain.replication import Role
from hostward.replication.loops import woken
from hostward.replication.parts import Parts
from hostward.replication.peers.messages import Message, understood

ASK_TIMEOUT_S: Final = 10.0
HERE_WITHIN_S: Final = 5.0
LOOK_S: Final = 0.5
MAX_TEXT: Final = 1024

Change = Callable[[str, str, str, str], Awaitable[int]]
"""Makes the change: the user's id, the present password, the new one's hash (empty: only all logins end, for which no
password is needed), the Slave's name. The revision. Raises HostwardError."""


async def _nobody(user_id: str, current: str, hashed: str, server: str) -> int:
    raise Unavailable("This server is starting.", remedy="Try again in a few seconds.")


class OwnPasswords:
    """`change` is set by who can make it."""

    def __init__(self, parts: Parts) -> None:
        self._p = parts
        self.change: Change = _nobody
        self._moved = asyncio.Event()
        parts.group.subscribe(self._moved.set)

    async def ask(self, user_id: str, current: str, hashed: str) -> int:
        """On a Slave: the revision in which the Master made the change, once it is here too (or hasn't come for a
        while). Raises Unavailable, PeerError."""
        p = self._p
        master = p.find(p.state.now.master_id)
        if master is None or p.views.of(master.server_id).silent:
            raise Unavailable(
                "The Master doesn't answer, and a password is changed there.",
                remedy="Try again later; the present password goes on being good.",
            )
        data = {"user": user_id, "current": current, "hash": hashed}
        answer = await p.links.ask(master, Message("own-password", data), timeout_s=ASK_TIMEOUT_S)
        with understood(master.name):
            revision = int(answer.data["revision"])
        loop = asyncio.get_running_loop()
        until = loop.time() + HERE_WITHIN_S
        while p.group.position.revision < revision and loop.time() < until:
            await woken(self._moved, LOOK_S)
        return revision

    async def answer(self, sender: str, message: Message) -> Message:
        """The Master's side. Raises PeerError, and what `change` raises."""
        them = self._p.find(sender)
        if self._p.state.now.role is not Role.MASTER or them is None:
            raise PeerError("Passwords are changed on the Master, for its members.", code="role")
        user, current, hashed = (str(message.data[key])[:MAX_TEXT] for key in ("user", "current", "hash"))
        return Message("ok", {"revision": await self.change(user, current, hashed, them.name)})
