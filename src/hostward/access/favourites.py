"""A user's favourites are changed one after the other, at most once a second: what is asked for meanwhile is put
together, so that several clicks are one change, and a script can't fill the change log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from hostward.domain.favourites import Marking

EVERY_S: Final = 1.0
MAX_REMEMBERED: Final = 1_000

Make = Callable[[Marking], Awaitable[None]]


@dataclass(slots=True)
class _Waiting:
    marking: Marking
    done: asyncio.Future[None]


class FavouriteTurns:
    """Coroutines belong to one event loop. `clock_s` is monotonic."""

    def __init__(
        self,
        clock_s: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock_s, self._pause = clock_s, pause
        self._waiting: dict[str, _Waiting] = {}
        self._at_work: dict[str, asyncio.Task[None]] = {}
        self._next_s: dict[str, float] = {}

    async def change(self, user: str, marking: Marking, make: Make) -> None:
        """Returns once `make` has made a change that holds this marking. Raises what it raises."""
        waiting = self._waiting.get(user)
        if waiting is None:
            waiting = self._waiting[user] = _Waiting(marking, asyncio.get_running_loop().create_future())
        else:
            waiting.marking = waiting.marking.then(marking)
        if user not in self._at_work:
            self._at_work[user] = asyncio.create_task(self._work(user, make))
        # Whoever gives up waiting takes nothing away from the others.
        await asyncio.shield(waiting.done)

    async def _work(self, user: str, make: Make) -> None:
        try:
            while user in self._waiting:
                wait_s = self._next_s.get(user, 0.0) - self._clock_s()
                if wait_s > 0:
                    await self._pause(wait_s)
                turn = self._waiting.pop(user)
                self._next_s[user] = self._clock_s() + EVERY_S
                (error,) = await asyncio.gather(make(turn.marking), return_exceptions=True)
                if turn.done.done():
                    continue
                if error is None:
                    turn.done.set_result(None)
                else:
                    turn.done.set_exception(error)
                    turn.done.exception()  # it is told to those who still wait
        finally:
            del self._at_work[user]
            self._forget()

    def _forget(self) -> None:
        if len(self._next_s) > MAX_REMEMBERED:
            now_s = self._clock_s()
            self._next_s = {user: at_s for user, at_s in self._next_s.items() if at_s > now_s}
