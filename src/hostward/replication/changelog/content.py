"""Watching over this server's own content: a row altered outside Hostward is found and healed from the group.

The digest is computed again from the rows: at once when another process wrote the file (SQLite's data_version), and
every VERIFY_EVERY_S in any case. On every server the changes beyond the newest KEEP_CHANGES are forgotten then.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable

import structlog

from hostward.domain.errors import HostwardError
from hostward.registry.group import GroupRegistry

LOOK_EVERY_S = 1.0
VERIFY_EVERY_S = 30.0
RETRY_S = 5.0
KEEP_CHANGES = 50_000

log = structlog.get_logger()


class ContentWatch:
    """`ok` is false from when altered content was found until it has been replaced. `heal` replaces it from another
    server; it raises HostwardError where none can give it."""

    def __init__(
        self,
        group: GroupRegistry,
        heal: Callable[[], Awaitable[None]],
        changed: Callable[[], None],
        now: Callable[[], str],
    ) -> None:
        self._group, self._heal, self._changed, self._now = group, heal, changed, now
        self.ok = True
        self.verified_at = ""
        self.reason = ""

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            if self._group.altered_outside() or loop.time() >= due:
                await self._forget_old_changes()
                await self._verify()
                due = loop.time() + (VERIFY_EVERY_S if self.ok else RETRY_S)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _forget_old_changes(self) -> None:
        try:
            await self._group.prune(max(0, self._group.position.revision - KEEP_CHANGES))
        except HostwardError as error:
            log.warning("changes-not-forgotten", reason=error.message)

    async def _verify(self) -> None:
        was_ok = self.ok
        try:
            check = await asyncio.to_thread(self._group.verify)
            self.ok, altered = check.ok, check.altered
        except (sqlite3.DatabaseError, AttributeError, TypeError, ValueError) as error:  # what hand-made rows may cause
            self.ok, altered = False, [("unreadable", str(error))]
        self.verified_at = self._now()
        if self.ok:
            self.reason = ""
        else:
            if was_ok:
                log.error("content-altered", elements=[f"{k}/{i}" for k, i in altered[:10]])
                self._changed()
            await self._try_to_heal()
        if was_ok != self.ok:
            self._changed()

    async def _try_to_heal(self) -> None:
        self.reason = "The registry was altered outside Hostward; its content is being replaced from the group."
        try:
            await self._heal()
        except HostwardError as error:
            self.reason = f"The registry was altered outside Hostward and couldn't be healed yet: {error.message}"
            if error.remedy:
                self.reason += f" {error.remedy}"
            return
        self.ok = (await asyncio.to_thread(self._group.verify)).ok
        if self.ok:
            log.info("content-healed")
            self.reason = ""
