"""What this server knows of the others: each is asked for its status every POLL_S, and compared."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hostward.domain.changes import Position
from hostward.domain.errors import HostwardError
from hostward.registry.group import GroupRegistry
from hostward.replication.group.members import Member
from hostward.replication.peers.messages import read_status

POLL_S = 1.0


@dataclass(frozen=True, slots=True)
class View:
    """Another server as it last answered. `status` is its own answer (messages: status), None before that; `silent`
    why it doesn't answer now, empty while it does; times ISO 8601 UTC, empty for never; `asked` when the question that
    it answered was put, in monotonic seconds: an answer may have lain unread while this server was halted."""

    server_id: str
    position: Position | None = None
    content_ok: bool = False
    status: dict[str, Any] | None = None
    seen_at: str = ""
    compared_at: str = ""
    silent: str = ""
    asked: float = -math.inf


Ask = Callable[[Member], Awaitable[dict[str, Any]]]


class Views:
    """Runs on every server of a group."""

    def __init__(
        self,
        group: GroupRegistry,
        ask: Ask,
        answered: Callable[[View], Awaitable[None]],
        now: Callable[[], str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._group, self._ask, self._answered = group, ask, answered
        self._now, self._monotonic = now, monotonic
        self._views: dict[str, View] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._tried: dict[str, float] = {}

    def of(self, server_id: str) -> View:
        return self._views.get(server_id) or View(server_id)

    def forget_all_but(self, server_ids: Sequence[str]) -> None:
        self._views = {k: v for k, v in self._views.items() if k in server_ids}
        self._tried = {k: v for k, v in self._tried.items() if k in server_ids}
        self._turns = {k: v for k, v in self._turns.items() if k in server_ids or v.locked()}

    def at(self, server_id: str, position: Position) -> None:
        """A server's position, as it came with another answer. Whether its content is as it should be is only known
        from its status."""
        now = self._now()
        self._views[server_id] = replace(self.of(server_id), position=position, seen_at=now, compared_at=now, silent="")

    async def poll(self, members: Sequence[Member]) -> None:
        """Ask them all, at the same time."""
        self.forget_all_but([m.server_id for m in members])
        await asyncio.gather(*(self._poll_one(m) for m in members))

    async def refresh(self, them: Member) -> None:
        """Ask one, unless it was asked less than POLL_S before this call; whoever else waits shares the answer."""
        await self._poll_one(them, not_before=self._monotonic() - POLL_S)

    async def _poll_one(self, them: Member, *, not_before: float = math.inf) -> None:
        """One question at a time, so that no answer comes before that to an older one."""
        async with self._turns.setdefault(them.server_id, asyncio.Lock()):
            if self._tried.get(them.server_id, -math.inf) < not_before:
                await self._ask_one(them)

    async def _ask_one(self, them: Member) -> None:
        asked = self._tried[them.server_id] = self._monotonic()
        try:
            position, status = read_status(them.name, await self._ask(them))
        except HostwardError as error:
            self._views[them.server_id] = replace(self.of(them.server_id), silent=error.message)
            return
        now = self._now()
        view = View(them.server_id, position, status["content_ok"], status, now, now, "", asked)
        self._views[them.server_id] = view
        await self._answered(view)


def same_history(group: GroupRegistry, theirs: Position) -> bool:
    """Whether a position lies on this registry's own history, as far as it still knows."""
    mine = group.position
    if theirs.epoch != mine.epoch:
        return False
    if theirs.revision == mine.revision:
        return theirs.hash == mine.hash and theirs.digest == mine.digest
    if theirs.revision > mine.revision:
        return True
    change = group.change(theirs.revision)
    return change is None or (change.hash, change.digest) == (theirs.hash, theirs.digest)
