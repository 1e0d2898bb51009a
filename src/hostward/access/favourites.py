"""A user's favourites are changed one after the other, at most once a second, and not without end (own_pace): what is
asked for meanwhile is put together, so that several clicks are one change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import reduce
from typing import Final

from hostward.access.own_pace import OwnPace, TooOften
from hostward.domain.allowances import Allowances
from hostward.domain.errors import HostwardError
from hostward.domain.favourites import TOO_MANY, Marking

EVERY_S: Final = 1.0

Make = Callable[[Marking], Awaitable[None]]


def _future() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


@dataclass(slots=True)
class _Asked:
    marking: Marking
    server: str
    done: asyncio.Future[None] = field(default_factory=_future)

    def tell(self, error: BaseException | None) -> None:
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)
            self.done.exception()  # it is told to who still waits


class FavouriteTurns:
    """Coroutines belong to one event loop. `clock_s` is monotonic."""

    def __init__(
        self,
        clock_s: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock_s, self._pause = clock_s, pause
        self._waiting: dict[str, list[_Asked]] = {}
        self._at_work: dict[str, asyncio.Task[None]] = {}
        self._turns = Allowances(1, EVERY_S)
        self._pace = OwnPace(clock_s)

    async def change(self, user: str, marking: Marking, make: Make, server: str = "") -> None:
        """Returns once `make` has made a change that holds this marking, asked for by way of that server ("" for this
        one). Raises what it raises, and TooOften."""
        waiting = self._waiting.get(user, [])
        if all(asked.server != server for asked in waiting):
            self._pace.take(None if waiting else user, server)
        asked = _Asked(marking, server)
        self._waiting[user] = [*waiting, asked]
        if user not in self._at_work:
            self._at_work[user] = asyncio.create_task(self._work(user, make))
        # Whoever gives up waiting takes nothing away from the others.
        await asyncio.shield(asked.done)

    async def _work(self, user: str, make: Make) -> None:
        try:
            while user in self._waiting:
                await self._turn(user)
                together = self._waiting.pop(user)
                error = await _made(make, reduce(Marking.then, (asked.marking for asked in together)))
                for asked in together:
                    # Where all of them are too many, each of them may still fit.
                    alone = len(together) > 1 and isinstance(error, HostwardError) and error.code == TOO_MANY
                    asked.tell(await self._alone(user, asked, make) if alone else error)
        finally:
            del self._at_work[user]

    async def _alone(self, user: str, asked: _Asked, make: Make) -> BaseException | None:
        try:
            self._pace.take(user, asked.server)
        except TooOften as error:
            return error
        await self._turn(user)
        return await _made(make, asked.marking)

    async def _turn(self, user: str) -> None:
        wait_s = self._turns.wait_s(user, self._clock_s())
        if wait_s > 0:
            await self._pause(wait_s)
        self._turns.take(user, self._clock_s())


async def _made(make: Make, marking: Marking) -> BaseException | None:
    (error,) = await asyncio.gather(make(marking), return_exceptions=True)
    return error
