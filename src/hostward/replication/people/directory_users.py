"""Somebody whom a directory knows logs in on a Slave for the first time: the Master makes the user.

It asks the directory itself, with the name and the password that were given: so a Slave makes no users that a directory
doesn't know, nor any of people who never gave it their passwords.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from hostward.domain.errors import Unavailable
from hostward.replication.parts import Parts
from hostward.replication.peers.messages import Message
from hostward.replication.people.to_master import ToMaster

ASK_TIMEOUT_S: Final = 30.0
"""A directory may be slow."""
MAX_TEXT: Final = 1024

TakeOver = Callable[[str, str, str, str], Awaitable[int]]
"""Makes the user: the directory's name, the user's, the password, the Slave's name. The revision. Raises
HostwardError."""


async def _nobody(directory: str, user: str, password: str, server: str) -> int:
    raise Unavailable("This server is starting.", remedy="Try again in a few seconds.")


class DirectoryUsers:
    """`take_over` is set by who can do it."""

    def __init__(self, parts: Parts) -> None:
        self._to_master = ToMaster(parts)
        self.take_over: TakeOver = _nobody

    async def ask(self, directory: str, user: str, password: str) -> int:
        """On a Slave: the revision since which the Master has the user, once it is here too (or hasn't come for a
        while). Raises Unavailable, PeerError."""
        away = Unavailable(
            "You log in for the first time, and the Master, which makes new users, doesn't answer.",
            remedy="Try again later, or ask an administrator.",
            code="master-away",
        )
        data = {"directory": directory, "user": user, "password": password}
        return await self._to_master.ask(Message("directory-user", data), away, ASK_TIMEOUT_S)

    async def answer(self, sender: str, message: Message) -> Message:
        """The Master's side. Raises PeerError, and what `take_over` raises."""
        server = self._to_master.asked_by(sender)
        directory, user, password = (str(message.data[key])[:MAX_TEXT] for key in ("directory", "user", "password"))
        return Message("ok", {"revision": await self.take_over(directory, user, password, server)})
