"""The clients. Each function here runs in a process of its own; times are in milliseconds or seconds, as named.

Ours: over the public API. Raw: Cassandra through its driver, rows of 2 KB, with the product's own session (one node is
asked, which answers at ONE, or at QUORUM: in a ring of one data centre that is LOCAL_QUORUM).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from bench.inventory import as_json
from bench.wire import Connection, Place
from hostward.database.session import Session, open_session
from hostward.database.settings import NodeSettings
from hostward.domain.errors import DatabaseError

SEEN_WITHIN_S = 20.0
OPEN_WITHIN_S = 60.0
ROW_BYTES = 2048
BUCKET_ROWS = 4096
COUNT_EVERY_S = 0.02

TABLE = "CREATE TABLE IF NOT EXISTS hostward.{table} (bucket int, id int, body blob, PRIMARY KEY (bucket, id))"
INSERT = "INSERT INTO hostward.{table} (bucket, id, body) VALUES (?, ?, ?)"
READ = "SELECT id FROM hostward.{table} WHERE bucket = ? AND id = ?"
COUNT = "SELECT count(*) AS n FROM hostward.{table}"


@dataclass(slots=True)
class Latencies:
    """A sample for each change, in ms from the request's start."""

    acknowledged_ms: list[float] = field(default_factory=list)
    seen_ms: list[float] = field(default_factory=list)
    """Until the last of the others gave it to a reader."""
    confirmed: int = 0


@dataclass(slots=True)
class Throughput:
    acknowledged: int
    confirmed: int
    seconds: float


# Ours


async def changes_one_at_a_time(master: Place, slaves: Sequence[Place], count: int, prefix: str) -> Latencies:
    """Create a session at the Master; then ask all Slaves for it, again and again, until it is there."""
    found = Latencies()
    writer = await Connection.connect(master)
    readers = [await Connection.connect(slave) for slave in slaves]
    for number in range(count):
        body = as_json(number, prefix)
        start = time.perf_counter()
        answer = await writer.request("POST", "sessions", body)
        acknowledged = time.perf_counter()
        written = _written(answer.status, answer.json())
        path = f"sessions/{written['session']['id']}"
        seen = await asyncio.gather(*(_until_readable(reader, path) for reader in readers))
        found.acknowledged_ms.append((acknowledged - start) * 1e3)
        found.seen_ms.append((max(seen) - start) * 1e3)
        found.confirmed += written["replicated"]["confirmed"] is True
    return found


async def changes_for(master: Place, clients: int, seconds: float, prefix: str) -> Throughput:
    """So many clients, each creating one session after the other, for so long."""
    end = 0.0

    def more(done: int) -> bool:
        return time.perf_counter() < end

    connections = [await Connection.connect(master) for _ in range(clients)]
    end = time.perf_counter() + seconds
    return await _changes(connections, prefix, more)


async def so_many_changes(master: Place, clients: int, count: int, prefix: str) -> Throughput:
    """So many changes, by so many clients."""
    connections = [await Connection.connect(master) for _ in range(clients)]
    return await _changes(connections, prefix, lambda done: done < count)


async def _changes(connections: Sequence[Connection], prefix: str, more: Callable[[int], bool]) -> Throughput:
    started = confirmed = 0

    async def client(connection: Connection) -> None:
        nonlocal started, confirmed
        while more(started):
            body = as_json(started, prefix)
            started += 1
            answer = await connection.request("POST", "sessions", body)
            confirmed += _written(answer.status, answer.json())["replicated"]["confirmed"] is True

    start = time.perf_counter()
    await asyncio.gather(*(client(connection) for connection in connections))
    return Throughput(started, confirmed, time.perf_counter() - start)


async def _until_readable(reader: Connection, path: str) -> float:
    """When it was."""
    deadline = time.perf_counter() + SEEN_WITHIN_S
    while True:
        answer = await reader.request("GET", path)
        now = time.perf_counter()
        if answer.status == 200:
            return now
        if answer.status != 404 or now > deadline:
            raise ConnectionError(f"a Slave answers {answer.status} after {SEEN_WITHIN_S:.0f} s or less: {path}")


def _written(status: int, answer: Any) -> Any:
    if status != 201:
        raise ConnectionError(f"the Master refused a change: {status} {answer}")
    return answer


# Raw Cassandra


async def rows_one_at_a_time(nodes: Sequence[NodeSettings], count: int, table: str) -> Latencies:
    """Acknowledged: written at LOCAL_QUORUM. Seen: another row written at ONE, until it is readable at ONE on each of
    the other nodes."""
    found = Latencies(confirmed=count)
    async with AsyncExitStack() as stack:
        writer, *readers = [await _opened(stack, node) for node in nodes]
        insert, read = INSERT.format(table=table), READ.format(table=table)
        for number in range(2 * count):
            key, start = (number // BUCKET_ROWS, number), time.perf_counter()
            await writer.execute(insert, (*key, _row(number)), widely=number % 2 == 0)
            if number % 2 == 0:
                found.acknowledged_ms.append((time.perf_counter() - start) * 1e3)
                continue
            seen = await asyncio.gather(*(_until_there(reader, read, key) for reader in readers))
            found.seen_ms.append((max(seen) - start) * 1e3)
    return found


async def rows_for(node: NodeSettings, in_flight: int, seconds: float, table: str) -> Throughput:
    """So many writes at LOCAL_QUORUM under way, for so long."""
    async with AsyncExitStack() as stack:
        session = await _opened(stack, node)
        end = time.perf_counter() + seconds
        return await _rows(session, in_flight, table, lambda done: time.perf_counter() < end, _row, widely=True)


async def so_many_rows(node: NodeSettings, in_flight: int, count: int, table: str) -> Throughput:
    """So many rows at LOCAL_QUORUM."""
    async with AsyncExitStack() as stack:
        session = await _opened(stack, node)
        return await _rows(session, in_flight, table, lambda done: done < count, _row, widely=True)


async def sessions_as_rows(nodes: Sequence[NodeSettings], in_flight: int, count: int, table: str) -> Throughput:
    """An inventory of so many sessions, a row each, written at ONE, until every node by itself has them all."""
    async with AsyncExitStack() as stack:
        sessions = [await _opened(stack, node) for node in nodes]
        start = time.perf_counter()

        def body(number: int) -> bytes:
            return as_json(number, "Inventory")

        found = await _rows(sessions[0], in_flight, table, lambda done: done < count, body, widely=False)
        await asyncio.gather(*(_until_counted(session, count, table) for session in sessions))
        return Throughput(found.acknowledged, found.confirmed, time.perf_counter() - start)


async def rows_there(nodes: Sequence[NodeSettings], count: int, table: str) -> float:
    """Until each node by itself has so many rows; `time.monotonic` then, which is the same clock in all processes."""
    async with AsyncExitStack() as stack:
        sessions = [await _opened(stack, node) for node in nodes]
        await asyncio.gather(*(_until_counted(session, count, table) for session in sessions))
        return time.monotonic()


async def _rows(
    session: Session,
    in_flight: int,
    table: str,
    more: Callable[[int], bool],
    body: Callable[[int], bytes],
    *,
    widely: bool,
) -> Throughput:
    started = 0
    insert = INSERT.format(table=table)

    async def writer() -> None:
        nonlocal started
        while more(started):
            number = started
            started += 1
            await session.execute(insert, (number // BUCKET_ROWS, number, body(number)), widely=widely)

    start = time.perf_counter()
    await asyncio.gather(*(writer() for _ in range(in_flight)))
    return Throughput(started, started, time.perf_counter() - start)


async def _until_counted(session: Session, count: int, table: str) -> None:
    statement = COUNT.format(table=table)
    while True:
        if (await session.execute(statement))[0].n >= count:
            return
        await asyncio.sleep(COUNT_EVERY_S)


async def _until_there(reader: Session, read: str, key: tuple[int, int]) -> float:
    deadline = time.perf_counter() + SEEN_WITHIN_S
    while not await reader.execute(read, key):
        if time.perf_counter() > deadline:
            raise ConnectionError(f"a row isn't on another node after {SEEN_WITHIN_S:.0f} s")
    return time.perf_counter()


async def _opened(stack: AsyncExitStack, node: NodeSettings) -> Session:
    """As soon as the node takes connections."""
    deadline = time.monotonic() + OPEN_WITHIN_S
    while True:
        try:
            session = await open_session(node)
            break
        except DatabaseError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(COUNT_EVERY_S)
    close: Callable[[], Awaitable[None]] = session.close
    stack.push_async_callback(close)
    return session


def _row(number: int) -> bytes:
    return random.Random(number).randbytes(ROW_BYTES)
