"""What runs in the background: loops for the life of a server, and errands that end by themselves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine

import structlog

PAUSE_S = 1.0

log = structlog.get_logger()


async def woken(event: asyncio.Event, within_s: float) -> None:
    """Wait until the event is set, at most that long, and clear it: a loop's pause. (asyncio.wait_for of Python 3.11
    swallows a cancellation that meets the event: the loop would never end.)"""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await event.wait()
    event.clear()


async def keep_running(loop: Callable[[], Awaitable[None]]) -> None:
    """Run a loop until it is cancelled. It handles what it expects by itself; a fault that it didn't expect is logged,
    and the loop begun again, since a server whose loop has ended in silence looks well and isn't."""
    while True:
        try:
            await loop()
        except Exception:
            log.exception("loop-failed")
        await asyncio.sleep(PAUSE_S)


class Errands:
    """Tasks that nobody waits for. `close` ends those that are left."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, errand: Coroutine[object, object, None], name: str) -> None:
        task = asyncio.create_task(errand, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
