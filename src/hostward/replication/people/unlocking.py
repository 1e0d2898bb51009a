"""Wrong passwords of one user on all servers of the group: where they make somebody wait, and forgetting them.

A member that asks proves a server, not a person. So for another server only that is forgotten which counts for the user
at one address; what counts for an address, and for the user whichever the address, goes on slowing guesses down, even
where a server asks all the time. Of an account of a server's own that has the user's name nothing is said or forgotten
there, whoever asks: these are guesses at somebody else's password.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from hostward.access.administrators import Administrators
from hostward.access.throttle import LIMITS
from hostward.domain.errors import HostwardError
from hostward.domain.guesses import ServerWaits, Wait, waits_told
from hostward.domain.texts import name_key
from hostward.replication.group.members import JOINED, Member
from hostward.replication.parts import Parts
from hostward.replication.peers.messages import Message, understood

ASK_TIMEOUT_S: Final = 2.0
MAX_NAME: Final = 1024
_LONGEST_S: Final = max(limit.longest_s for limit in LIMITS.values())


class Unlocking:
    """Both sides of it."""

    def __init__(self, parts: Parts, administrators: Administrators) -> None:
        self._p, self._administrators = parts, administrators

    async def waits(self, user: str) -> Sequence[ServerWaits]:
        """Where the user of the group has to wait, on this server and then on each other. Never raises for a server
        that doesn't answer."""
        return await self._ask_all(user, forget=False)

    async def forget(self, user: str) -> Sequence[ServerWaits]:
        """The user needn't wait any more; what was forgotten."""
        return await self._ask_all(user, forget=True)

    async def answer(self, message: Message) -> Message:
        """Another server's question."""
        waits = self._own(str(message.data["user"])[:MAX_NAME], forget=message.data["forget"], everywhere=False)
        return Message("ok", {"waits": [[w.address, w.wrong, round(w.wait_s, 1)] for w in waits]})

    def _own(self, user: str, *, forget: bool, everywhere: bool) -> Sequence[Wait]:
        """This server's part."""
        if self._administrators.exists(name_key(user)):
            return ()
        throttle = self._administrators.throttle
        waits = throttle.waits(user)
        if forget:
            throttle.forget(user, everywhere=everywhere)
        return waits

    async def _ask_all(self, user: str, *, forget: bool) -> Sequence[ServerWaits]:
        p = self._p
        mine = ServerWaits(p.describe_self().name, self._own(user, forget=forget, everywhere=True))
        message = Message("unlock", {"user": user, "forget": forget})

        async def ask(them: Member) -> ServerWaits:
            try:
                answer = await p.links.ask(them, message, timeout_s=ASK_TIMEOUT_S)
                with understood(them.name):
                    return ServerWaits(them.name, waits_told(answer.data["waits"], _LONGEST_S))
            except HostwardError as error:
                return ServerWaits(them.name, reason=error.message)

        others = [] if p.state.now.removed else [m for m in p.others() if m.state == JOINED]
        return [mine, *await asyncio.gather(*map(ask, others))]
