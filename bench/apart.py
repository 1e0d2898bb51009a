"""Work in a process of its own, with a deadline."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import time
from collections.abc import Callable, Coroutine
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")
POLL_S = 0.02
END_S = 3.0

_spawn = multiprocessing.get_context("spawn")


class Failed(Exception):
    """What was measured can't be: the sentence says why."""


async def apart(work: Callable[..., Coroutine[Any, Any, T]], *arguments: object, within_s: float) -> T:
    """The result of `await work(*arguments)` in a new process on an event loop of its own. Arguments go over a pipe,
    never a command line. Raises Failed when it fails or takes too long; the process is ended then."""
    here, there = _spawn.Pipe(duplex=False)
    process = _spawn.Process(target=_run, args=(there, work, arguments), daemon=True)
    process.start()
    there.close()
    deadline = time.monotonic() + within_s
    sent = False
    try:
        while not here.poll():
            if time.monotonic() > deadline:
                raise Failed(f"{work.__name__} took more than {within_s:.0f} s")
            await asyncio.sleep(POLL_S)
        good, result = here.recv()
        sent = True
    except EOFError:
        raise Failed(f"{work.__name__} ended without a result") from None
    finally:
        here.close()
        process.join(END_S if sent else 0)
        if process.is_alive():
            process.kill()
            process.join(END_S)
    if not good:
        raise Failed(f"{work.__name__}: {result}")
    found: T = result
    return found


def _run(answer: Connection, work: Callable[..., Coroutine[Any, Any, Any]], arguments: tuple[object, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run, which ends this process
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            answer.send((True, runner.run(work(*arguments))))
    except Exception as error:  # noqa: BLE001 - the main of a process: its caller gets the words
        answer.send((False, f"{type(error).__name__}: {error}"))
