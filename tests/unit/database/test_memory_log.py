from __future__ import annotations

import asyncio

import pytest

from hostward.database.log_store import LogRow
from hostward.database.memory_log import MemoryLogStore, MemoryRing
from hostward.domain.changes import Epoch
from hostward.domain.errors import DatabaseError

EPOCH = Epoch(1, "a")
ROWS = [LogRow(EPOCH, 1, 2, b"one"), LogRow(EPOCH, 3, 3, b"two")]


def test_nodes_of_one_ring_hold_the_same() -> None:
    async def run() -> None:
        ring = MemoryRing()
        for row in ROWS:
            await MemoryLogStore(ring).append(row)
        assert await MemoryLogStore(ring).read(EPOCH, 0) == ROWS
        assert await MemoryLogStore().read(EPOCH, 0) == []

    asyncio.run(run())


def test_only_a_wide_read_finds_what_has_not_reached_the_node() -> None:
    async def run() -> None:
        node = MemoryLogStore()
        for row in ROWS:
            await node.append(row)
        node.not_here.add((EPOCH, 3))
        assert await node.read(EPOCH, 0) == ROWS[:1]
        assert await node.read(EPOCH, 0, widely=True) == ROWS

    asyncio.run(run())


def test_a_stopped_node_does_not_answer() -> None:
    async def run() -> None:
        node = MemoryLogStore()
        node.stopped = True
        with pytest.raises(DatabaseError) as raised:
            await node.newest_snapshot()
        assert raised.value.remedy

    asyncio.run(run())
