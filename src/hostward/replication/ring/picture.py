"""The ring as this server's node saw it last, asked anew where that was a while ago."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from hostward.database.ring import RingPicture
from hostward.domain.errors import DatabaseError

FRESH_S: Final = 0.8
HALTED_S: Final = 3.0

log = structlog.get_logger()


class LatestPicture:
    """`picture` is None where the node didn't answer."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self.picture: RingPicture | None = None
        self._at: float | None = None

    async def look(self, ask: Callable[[], Awaitable[RingPicture]]) -> RingPicture | None:
        """Less than a second old."""
        asked = self._clock_s()
        if self._at is not None and asked - self._at <= FRESH_S:
            return self.picture
        try:
            self.picture = await ask()
        except DatabaseError as error:
            log.warning("ring-not-answering", reason=error.message)
            self.picture = None
        # One that took very long may have lain unread while this server was halted: it is as old as the question.
        answered = self._clock_s()
        self._at = answered if answered - asked < HALTED_S else asked
        return self.picture

    def ask_again(self) -> None:
        """Something was done about the ring: what was seen before doesn't count."""
        self._at = None
