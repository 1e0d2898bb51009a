"""Carrying changes to the Slaves and counting who has them: one sender for each Slave over a kept-open connection.

`have` counts registries: a Slave is counted for a revision when it has answered, signed, that it has fsynced it. Not
nodes, not sockets: a Slave that is stopped while its database node is UP isn't counted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial

import structlog

from hostward.domain.changes import Change, Position, pack
from hostward.domain.errors import HostwardError
from hostward.domain.replicated import Replicated
from hostward.registry.group import GroupRegistry
from hostward.replication.loops import keep_running, woken

MAX_BATCH_BYTES = 8 << 20
MAX_BATCH_CHANGES = 2_000
IN_THREAD_BYTES = 256 << 10
ONE_SLAVE_TIMEOUT_S = 1.0
ALL_SLAVES_TIMEOUT_S = 30.0
RETRY_S = 0.5
REPEAT_S = 2.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Nudge:
    """What a sender carries: the Master's position, and the changes that the Slave lacks (empty where it must fetch
    them itself)."""

    position: Position
    changes: list[Change]

    async def packed(self) -> bytes:
        """The changes as bytes; in a thread where there are many."""
        if sum(c.size for c in self.changes) > IN_THREAD_BYTES:
            return await asyncio.to_thread(pack, self.changes)
        return pack(self.changes)


Send = Callable[[str, Nudge], Awaitable[Position]]
"""Carries a nudge to a server id; answers its position after it. Raises HostwardError."""


class Acknowledgements:
    """Keeps a sender running for each Slave, and answers which registries have a revision."""

    def __init__(self, group: GroupRegistry, send: Send, seen: Callable[[str, Position], None]) -> None:
        self._group, self._send, self._seen = group, send, seen
        self._senders: dict[str, asyncio.Task[None]] = {}
        self._acked: dict[str, int] = {}
        self._answering: set[str] = set()
        self._wake: dict[str, asyncio.Event] = {}
        self._waiters: set[asyncio.Future[None]] = set()

    def announce(self) -> None:
        """The registry has a new revision. Called from the event loop."""
        for event in self._wake.values():
            event.set()

    def follow(self, slaves: Mapping[str, object]) -> None:
        """Keep senders for exactly these server ids."""
        for server_id in set(self._senders) - set(slaves):
            self._senders.pop(server_id).cancel()
            self._wake.pop(server_id, None)
            self._acked.pop(server_id, None)
            self._answering.discard(server_id)
        for server_id in set(slaves) - set(self._senders):
            self._wake[server_id] = asyncio.Event()
            self._wake[server_id].set()
            self._senders[server_id] = asyncio.create_task(
                keep_running(partial(self._run, server_id)), name=f"sender {server_id}"
            )

    async def wait(self, revision: int, *, all_servers: bool = False) -> Replicated:
        """Who has the revision: waits until one Slave has it, for at most ONE_SLAVE_TIMEOUT_S; or, with `all_servers`,
        until every Slave that answers has it, for at most ALL_SLAVES_TIMEOUT_S. Never fails: the change stands."""
        loop = asyncio.get_running_loop()
        patient = all_servers and self._answering
        deadline = loop.time() + (ALL_SLAVES_TIMEOUT_S if patient else ONE_SLAVE_TIMEOUT_S)
        while not self._enough(revision, all_servers) and (left := deadline - loop.time()) > 0:
            waiter: asyncio.Future[None] = loop.create_future()
            self._waiters.add(waiter)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await waiter
            self._waiters.discard(waiter)
        have = 1 + self._having(revision)
        return Replicated(have=have, of=1 + len(self._senders), confirmed=have > 1)

    def _having(self, revision: int) -> int:
        return sum(acked >= revision for acked in self._acked.values())

    def _enough(self, revision: int, all_servers: bool) -> bool:
        if not self._senders:
            return True
        having = self._having(revision)
        if not all_servers:
            return having > 0
        return having > 0 and all(self._acked.get(s, -1) >= revision for s in self._answering)

    async def _run(self, server_id: str) -> None:
        wake = self._wake[server_id]
        while True:
            await woken(wake, REPEAT_S)
            try:
                await self._bring_up_to_date(server_id)
                self._answering.add(server_id)
            except HostwardError as error:
                if server_id in self._answering:
                    log.warning("slave-not-answering", server=server_id, reason=error.message)
                self._answering.discard(server_id)
                self._release()
                await asyncio.sleep(RETRY_S)
                wake.set()

    async def _bring_up_to_date(self, server_id: str) -> None:
        """Nudge until the Slave has what the registry has, or doesn't get further (it then fetches for itself)."""
        last = self._acked.get(server_id)
        while True:
            mine = self._group.position
            changes: list[Change] = []
            if last is not None and last < mine.revision:
                kept = self._group.changes_after(last, max_bytes=MAX_BATCH_BYTES, max_count=MAX_BATCH_CHANGES)
                changes = kept or []
            theirs = await self._send(server_id, Nudge(mine, changes))
            self._seen(server_id, theirs)
            progressed = last is None or theirs.revision > last
            last = theirs.revision
            if self._same_history(theirs):
                self._acked[server_id] = last
                self._release()
            else:
                self._acked.pop(server_id, None)
            if last >= self._group.position.revision or not progressed:
                return

    def _same_history(self, theirs: Position) -> bool:
        """Whether a Slave's position lies on the Master's own history. One that is ahead has changes that the Master
        lacks: nothing can be said of those that the two will have under the same revisions."""
        if theirs.revision > self._group.position.revision:
            return False
        if theirs.epoch != self._group.position.epoch:
            return False
        if theirs.revision == self._group.position.revision:
            return theirs.hash == self._group.position.hash
        change = self._group.change(theirs.revision)
        return change is None or change.hash == theirs.hash

    def _release(self) -> None:
        waiting, self._waiters = self._waiters, set()
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def close(self) -> None:
        self.follow({})
