"""What a person on a Slave asks of the Master, which makes a change of it. Where it matters who asks, the person's
password comes along and proves it, so it needs nobody's word but theirs. It travels inside the envelope, as all does.
"""

from __future__ import annotations

import asyncio
from typing import Final

from hostward.domain.errors import PeerError, Unavailable
from hostward.domain.replication import Role
from hostward.replication.loops import woken
from hostward.replication.parts import Parts
from hostward.replication.peers.messages import Message, understood

HERE_WITHIN_S: Final = 5.0
LOOK_S: Final = 0.5


class ToMaster:
    """Both sides of it."""

    def __init__(self, parts: Parts) -> None:
        self._p = parts
        self._moved = asyncio.Event()
        parts.group.subscribe(self._moved.set)

    async def ask(self, message: Message, away: Unavailable, timeout_s: float) -> int:
        """On a Slave: the revision in which the Master made the change, once it is here too (or hasn't come for a
        while). Raises `away` where the Master doesn't answer, PeerError."""
        p = self._p
        master = p.find(p.state.now.master_id)
        if master is None or p.views.of(master.server_id).silent:
            raise away
        answer = await p.links.ask(master, message, timeout_s=timeout_s)
        with understood(master.name):
            revision = int(answer.data["revision"])
        loop = asyncio.get_running_loop()
        until = loop.time() + HERE_WITHIN_S
        while p.group.position.revision < revision and loop.time() < until:
            await woken(self._moved, LOOK_S)
        return revision

    def asked_by(self, sender: str) -> str:
        """On the Master: the name of the member that asks. Raises PeerError where this is no Master, or that no
        member."""
        them = self._p.find(sender)
        if self._p.state.now.role is not Role.MASTER or them is None:
            raise PeerError("That is asked of the Master, by its members.", code="role")
        return them.name
