"""A loop ends when it is cancelled, whatever else happens at that moment."""

from __future__ import annotations

import asyncio

import pytest

from hostward.replication.loops import keep_running, woken

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("within_s", [0.0, 60.0])
async def test_a_loop_that_is_woken_and_cancelled_at_once_ends(within_s: float) -> None:
    wake, rounds = asyncio.Event(), 0

    async def loop() -> None:
        nonlocal rounds
        while True:
            await woken(wake, within_s)
            rounds += 1

    task = asyncio.create_task(keep_running(loop))
    await asyncio.sleep(0)
    wake.set()
    await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=10)
    assert done
    assert task.cancelled()


async def test_a_loop_is_woken_or_goes_on_after_its_pause() -> None:
    wake = asyncio.Event()
    await woken(wake, 0.01)
    wake.set()
    await asyncio.wait_for(woken(wake, 3600.0), 10)
    assert not wake.is_set()
