"""Concurrency Locks in a group: held by the Master, where sessions change; a Slave asks it, for its own logins.

Nothing is kept on disk. A new epoch begins with an empty table, so a promotion frees all, as a restart does; a page
that is still open takes its lock again when somebody goes on working in it. A Slave that holds locks, or where
somebody waits for one, asks once a second, so that a lock which was taken over or has ended is known there within about
a second.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from typing import Final

from hostward.domain.errors import HostwardError, PeerError, Unavailable
from hostward.domain.locks import MAX_TEXT, Holder, Lock, LockTable
from hostward.domain.replication import Role
from hostward.domain.settings import CONCURRENCY_LOCK_TIMEOUT, replicated_number
from hostward.replication.parts import Parts
from hostward.replication.peers.messages import Message, understood

EVERY_S: Final = 1.0
ASK_TIMEOUT_S: Final = 2.0
AWAITED_S: Final = 90.0
MAX_AWAITED: Final = 500


class Locks:
    """Implements commands.services.Locks. `logins` are the ids of this server's valid tokens; `clock` gives seconds
    that never go back."""

    def __init__(
        self, parts: Parts, logins: Callable[[], Collection[str]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._p, self._logins, self._clock = parts, logins, clock
        self._table, self._epoch = LockTable(), parts.group.position.epoch
        self._told: list[Lock] = []
        """On a Slave, what the Master said last."""
        self._awaited: dict[str, float] = {}
        """The sessions whose lock somebody here waits for, and until when that counts."""

    @property
    def timeout_s(self) -> float:
        """The Concurrency Lock Timeout."""
        with self._p.group.read() as reader:
            return 60.0 * replicated_number(reader, CONCURRENCY_LOCK_TIMEOUT)

    def mine(self, login: str) -> list[str]:
        """Which sessions a login of this server holds, as far as this server knows."""
        return sorted(k.session for k in self._known() if self._is(k, login))

    def taken(self, login: str) -> list[str]:
        """Which of the sessions that somebody here waits for are locked for others than this login."""
        return sorted(k.session for k in self._known() if k.session in self._awaited and not self._is(k, login))

    def wait_for(self, session: str) -> None:
        """Somebody reads the session while it is locked, and wants to know when it is free; asked again, or forgotten
        after a while."""
        now = self._clock()
        self._awaited = {k: until for k, until in self._awaited.items() if until > now}
        if len(self._awaited) < MAX_AWAITED:
            self._awaited[session] = now + AWAITED_S

    async def hold(self, session: str, login: str, user: str, page: str, *, take_over: bool = False) -> Lock:
        """Lock it for that page, or renew it; the lock that is there then, which may be somebody else's. Raises
        Unavailable, PeerError where the Master can't be asked."""
        if not self._slave:
            return self._hold(self._own(login, user), session, page, take_over)
        do = {"do": "hold", "session": session, "login": login, "user": user, "page": page, "take_over": take_over}
        name, answer = await self._ask(do)
        with understood(name):
            lock = Lock.from_json(answer.data["lock"])
        self._told = [*(k for k in self._told if k.session != session), lock]
        return lock

    async def release(self, session: str, login: str, page: str | None) -> None:
        """The page has left it (None: all have). Raises as hold."""
        if not self._slave:
            self._here().release(session, self._own(login, ""), page)
            return
        await self._ask({"do": "release", "session": session, "login": login, "page": page})

    async def locks(self) -> list[Lock]:
        """All of the group. Raises as hold."""
        if not self._slave:
            return self._here().locks(self._clock())
        name, answer = await self._ask({"do": "list"})
        with understood(name):
            self._told = [Lock.from_json(one) for one in answer.data["locks"]]
        return self._told

    async def run(self) -> None:
        """End the locks of logins that have ended; on a Slave, learn what has become of those that it holds. Until
        cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self._look()
            except HostwardError:
                continue  # asked again; where the Master is gone for good, its successor has no locks

    async def answer(self, sender: str, message: Message) -> Message:
        """The Master's side: what a Slave asks in the name of its own logins. Raises PeerError, Unavailable."""
        them = self._p.find(sender)
        if self._p.state.now.role is not Role.MASTER or them is None:
            raise PeerError("Locks are the Master's, and only members may ask for them.", code="role")
        data = message.data
        do, login = data["do"], str(data.get("login", ""))[:MAX_TEXT]
        holder = Holder(sender, them.name, login, str(data.get("user", ""))[:MAX_TEXT])
        self._here().end_logins(sender, [str(one) for one in data["logins"]])
        match do:
            case "hold":
                session, page = str(data["session"])[:MAX_TEXT], str(data["page"])[:MAX_TEXT]
                lock = self._hold(holder, session, page, data["take_over"] is True)
                return Message("ok", {"lock": lock.to_json()})
            case "release":
                page_or_all = None if data["page"] is None else str(data["page"])[:MAX_TEXT]
                self._here().release(str(data["session"]), holder, page_or_all)
                return Message("ok")
        return Message("ok", {"locks": [lock.to_json() for lock in self._here().locks(self._clock())]})

    @property
    def _slave(self) -> bool:
        return self._p.state.now.role is Role.SLAVE

    def _known(self) -> list[Lock]:
        return self._told if self._slave else self._here().locks(self._clock())

    def _is(self, lock: Lock, login: str) -> bool:
        return (lock.holder.server, lock.holder.login) == (self._p.server_id, login)

    def _here(self) -> LockTable:
        """The table of this server's epoch, in which only logins count that are still valid."""
        epoch = self._p.group.position.epoch
        if epoch != self._epoch:
            self._table, self._epoch = LockTable(), epoch
        self._table.end_logins(self._p.server_id, self._logins())
        return self._table

    def _own(self, login: str, user: str) -> Holder:
        s = self._p.configuration.server
        return Holder(self._p.server_id, s.name or s.host_name, login, user)

    def _hold(self, holder: Holder, session: str, page: str, take_over: bool) -> Lock:
        return self._here().hold(
            session, holder, page, now_s=self._clock(), lasts_s=self.timeout_s, take_over=take_over
        )  # fmt: skip

    async def _look(self) -> None:
        if not self._slave:
            self._here()
            self._told = []
        elif self._awaits() or any(lock.holder.server == self._p.server_id for lock in self._told):
            await self.locks()

    def _awaits(self) -> bool:
        return any(until > self._clock() for until in self._awaited.values())

    async def _ask(self, data: dict[str, object]) -> tuple[str, Message]:
        """Raises Unavailable at once where the Master is known to be silent."""
        p = self._p
        master = p.find(p.state.now.master_id)
        if master is None or p.views.of(master.server_id).silent:
            raise Unavailable(
                "The Master, which holds the locks, can't be reached.", remedy="Try again when it is back.",
                code="master-away",
            )  # fmt: skip
        message = Message("lock", {**data, "logins": list(self._logins())})
        return master.name, await p.links.ask(master, message, timeout_s=ASK_TIMEOUT_S)
