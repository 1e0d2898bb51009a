"""When this Slave was last confirmed: a member answered that has nothing newer, and the same history.

While the Master answers, only its word counts. The time is kept in server.db, so that it is known after a restart.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from hostward.domain.confirmation import Verdict, judge
from hostward.domain.errors import Unavailable
from hostward.domain.replication import Role
from hostward.domain.settings import UNCONFIRMED_LOGINS, replicated_number
from hostward.replication.loops import woken
from hostward.replication.masters.epochs import GAP_S
from hostward.replication.parts import Parts
from hostward.replication.peers.views import View, same_history

KEY: Final = "confirmed"
KEPT_EVERY_S: Final = 60.0
LOOK_S: Final = 0.1


class Confirmation:
    """`monotonic` and `wall` give seconds."""

    def __init__(
        self, parts: Parts, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        self._p, self._monotonic, self._wall = parts, monotonic, wall
        self._began = self._looked = monotonic()
        self._confirmed: float | None = None
        self._heard = asyncio.Event()
        self._kept: float | None = parts.server.get(KEY)

    def looked(self) -> None:
        """Every member has been asked."""
        self._notice_halt()
        self._looked = self._monotonic()

    def answered(self, view: View) -> None:
        """A member's answer. One to a question from before this server's start or halt says nothing of today."""
        p, theirs = self._p, view.position
        if p.state.now.role is not Role.SLAVE or theirs is None or p.state.now.removed:
            return
        master = p.views.of(p.state.now.master_id)
        if view.server_id != p.state.now.master_id and not master.silent:
            return
        if theirs.revision > p.group.position.revision or not same_history(p.group, theirs):
            return
        self._notice_halt()
        if view.asked < self._began:
            return
        self._confirmed = view.asked
        self._heard.set()
        now = self._wall()
        if self._kept is None or not 0 <= now - self._kept < KEPT_EVERY_S:
            self._kept = now
            p.server.put(KEY, now)

    def settled(self) -> bool:
        """Whether this server knows, or may assume, what has become of the group: as users are let in."""
        return self._judge() is Verdict.IN

    async def check(self) -> None:
        """Return once users of the group may be let in. Raises Unavailable, code "not-confirmed"."""
        while (verdict := self._judge()) is Verdict.WAIT:
            await woken(self._heard, LOOK_S)
        if verdict is Verdict.OUT:
            raise Unavailable(
                "This server can't reach the others, and doesn't know whether anything has changed about its users.",
                remedy="Log in on another server of the group, or try again later. An administrator's account of this"
                " server itself gets in; the setting is logins-without-confirmation.",
                code="not-confirmed",
            )

    def _judge(self) -> Verdict:
        self._notice_halt()
        p, now = self._p, self._monotonic()
        with p.group.read() as reader:
            hours = replicated_number(reader, UNCONFIRMED_LOGINS)
        confirmed_s = None if self._confirmed is None else now - self._confirmed
        last_s = confirmed_s if confirmed_s is not None else self._kept_ago_s()
        return judge(
            slave=p.state.now.role is Role.SLAVE,
            waited_s=now - self._began,
            confirmed_s=confirmed_s,
            last_s=last_s,
            hours=hours,
        )

    def _kept_ago_s(self) -> float | None:
        """By the clock, which was set back where it says less than nothing."""
        ago = None if self._kept is None else self._wall() - self._kept
        return ago if ago is not None and ago >= 0 else None

    def _notice_halt(self) -> None:
        """This server hasn't looked around for a time: what it knew counts no more."""
        now = self._monotonic()
        if now - self._looked > GAP_S:
            self._began = self._looked = now
            self._confirmed = None
