"""Carrying change requests to the Master: again and again until this server's own registry shows that they are there.

A request is sent as often as it takes: the Master takes each in once, by its id. It leaves the outbox only when it has
come back in the replicated registry, so an answer that was lost, or a Master that died after it, costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from hostward.domain.changes import Epoch
from hostward.domain.errors import HostwardError, PeerError
from hostward.domain.replication import Role
from hostward.domain.requests import State
from hostward.replication.change_requests.outbox import Entry
from hostward.replication.failpoints import die_at
from hostward.replication.loops import woken
from hostward.replication.parts import Parts
from hostward.replication.peers.messages import Message

EVERY_S: Final = 1.0
AGAIN_AFTER_S: Final = 10.0
ANSWER_TIMEOUT_S: Final = 10.0
SLOWEST_BYTES_S: Final = 200_000
REFUSED_KEPT_DAYS: Final = 30

log = structlog.get_logger()


class Carrier:
    """`check_writable` raises where this server may not write the configuration now."""

    def __init__(self, parts: Parts, check_writable: Callable[[], None]) -> None:
        self._p, self._check_writable = parts, check_writable
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._answered: dict[str, tuple[float, Epoch, State]] = {}

    def wake(self) -> None:
        """Something is to be carried. Any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake.set)

    async def run(self) -> None:
        """Until cancelled."""
        self._loop = asyncio.get_running_loop()
        while True:
            await woken(self._wake, EVERY_S)
            try:
                self._p.requests.not_carried = await self._carry()
            except HostwardError as error:
                self._p.requests.not_carried = error.message

    async def receive(self, sender: str, message: Message) -> Message:
        """The Master's side: another member's request. Raises HostwardError."""
        self._check_writable()
        them = self._p.find(sender)
        if them is None:
            raise PeerError("Only a member of the group may submit changes.", code="group")
        die_at("REQUEST-RECEIVED")
        known = await self._p.requests.receive(message.data, message.blob, sender=sender, sender_name=them.name)
        die_at("REQUEST-DEPOSITED")
        return Message("ok", {"state": known.state.value if known else ""})

    async def _carry(self) -> str:
        """One round; why something is still on its way, or nothing."""
        p = self._p
        entries = [e for e in p.outbox.entries() if not await self._needed_no_more(e)]
        if not entries:
            return ""
        if p.state.now.role is Role.STANDALONE:
            return "This server is Standalone: it belongs to no group that could take the request in."
        if p.state.now.role is Role.SLAVE and not p.follower.loaded:
            return "This server hasn't loaded the Master's configuration yet."
        reason = ""
        for entry in entries:
            if entry.group != p.group.group_id:
                reason = "It was made while this server belonged to another group."
                continue
            try:
                await (self._deposit(entry) if p.state.now.role is Role.MASTER else self._send(entry))
            except PeerError as error:
                if error.code == "request-invalid":
                    await self._refused(entry, error)
                elif error.code == "busy":
                    reason = error.message
                else:
                    raise
        return reason

    async def _needed_no_more(self, entry: Entry) -> bool:
        """Take an entry out whose request the registry shows as it shall be, or that was refused long ago."""
        p = self._p
        known = p.requests.deposited(entry.request.id)
        if entry.request.state is State.REJECTED:
            before = datetime.fromisoformat(p.now()) - timedelta(days=REFUSED_KEPT_DAYS)
            there = datetime.fromisoformat(entry.request.decided_at) < before
        else:
            there = known is not None and (known.state is not State.WAITING or entry.request.state is State.ON_ITS_WAY)
        if there:
            await asyncio.to_thread(p.outbox.remove, entry)
            self._answered.pop(entry.request.id, None)
        return there or entry.request.state is State.REJECTED

    async def _deposit(self, entry: Entry) -> None:
        self._check_writable()
        await self._p.requests.deposit_own(entry)

    async def _send(self, entry: Entry) -> None:
        p, now = self._p, asyncio.get_running_loop().time()
        at, epoch, state = self._answered.get(entry.request.id, (0.0, None, None))
        if epoch == p.group.position.epoch and state is entry.request.state and now - at < AGAIN_AFTER_S:
            return
        master = p.find(p.state.now.master_id)
        if master is None:
            raise PeerError("The Master isn't a member of its own group yet.", code="group")
        die_at("REQUEST-KEPT")
        message = Message("submit", entry.request.to_json(), entry.content)
        timeout_s = ANSWER_TIMEOUT_S + len(entry.content) / SLOWEST_BYTES_S
        await p.links.ask(master, message, timeout_s=timeout_s)
        die_at("REQUEST-ANSWERED")
        self._answered[entry.request.id] = now, p.group.position.epoch, entry.request.state

    async def _refused(self, entry: Entry, error: PeerError) -> None:
        """The Master can't ever take it in: kept here with the reason, so that its author sees it."""
        p = self._p
        log.warning("change-request-refused", request=entry.request.id, reason=error.message)
        refused = entry.request.decide(State.REJECTED, by="the Master", at=p.now(), reason=error.message)
        await asyncio.to_thread(p.outbox.refused, entry, refused)
