"""What the contract suite needs of an implementation beside the port: ways to break what it has stored."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Protocol

import pytest

from hostward.database.cassandra_log import BUCKET_BITS, INLINE_BYTES, CassandraLogStore, Executor
from hostward.database.log_store import LogRow, LogStore, SnapshotInfo
from hostward.database.memory_log import MemoryLogStore
from hostward.database.session import Session, open_session
from hostward.database.settings import NodeSettings
from hostward.domain.errors import DatabaseError


class Bench(Protocol):
    """An empty store, and the faults that the suite puts into it."""

    @property
    def store(self) -> LogStore: ...

    async def empty(self) -> None:
        """Nothing is stored afterwards."""

    async def another_store(self) -> LogStore:
        """A store on the same data with connections of its own, which the caller closes."""
        ...

    async def append_interrupted(self, row: LogRow) -> None:
        """The writer dies just before append's last step."""

    async def put_snapshot_interrupted(self, info: SnapshotInfo, chunks: list[bytes]) -> None:
        """The writer dies just before put_snapshot's header."""

    async def damage_row(self, row: LogRow) -> None:
        """A bit of its payload is flipped."""

    async def lose_half_of_row(self, row: LogRow) -> None:
        """A large row's payload isn't all there."""

    async def damage_chunk(self, info: SnapshotInfo, number: int) -> None: ...

    async def lose_chunk(self, info: SnapshotInfo, number: int) -> None: ...


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


class MemoryBench:
    def __init__(self) -> None:
        self.store = MemoryLogStore()

    async def empty(self) -> None:
        self.store.ring.rows.clear()
        self.store.ring.snapshots.clear()

    async def another_store(self) -> LogStore:
        return MemoryLogStore(self.store.ring)

    async def append_interrupted(self, row: LogRow) -> None:
        """One step stores everything, so nothing was."""

    async def put_snapshot_interrupted(self, info: SnapshotInfo, chunks: list[bytes]) -> None:
        """One step stores everything, so nothing was."""

    async def damage_row(self, row: LogRow) -> None:
        self._replace_payload(row, flipped(row.payload))

    async def lose_half_of_row(self, row: LogRow) -> None:
        self._replace_payload(row, row.payload[: len(row.payload) // 2])

    async def damage_chunk(self, info: SnapshotInfo, number: int) -> None:
        _, chunks = self.store.ring.snapshots[info.epoch, info.revision]
        chunks[number] = flipped(chunks[number])

    async def lose_chunk(self, info: SnapshotInfo, number: int) -> None:
        _, chunks = self.store.ring.snapshots[info.epoch, info.revision]
        del chunks[number]

    def _replace_payload(self, row: LogRow, payload: bytes) -> None:
        damaged = LogRow(row.epoch, row.first_revision, row.last_revision, payload)
        self.store.ring.rows[row.epoch, row.first_revision] = (damaged, row.checksum())


class Dying:
    """Passes so many statements on to a real session, then fails as one does whose node has gone."""

    def __init__(self, session: Executor, statements: int) -> None:
        self._session, self._left = session, statements

    async def execute(self, cql: str, params: Sequence[object] = (), *, widely: bool = False) -> Sequence[Any]:
        if self._left == 0:
            raise DatabaseError("The node has gone.", remedy="Start it again.")
        self._left -= 1
        return await self._session.execute(cql, params, widely=widely)

    async def close(self) -> None: ...


class CassandraBench:
    def __init__(self, session: Session, node: NodeSettings) -> None:
        self.session, self._node = session, node
        self.store = CassandraLogStore(session)

    async def empty(self) -> None:
        for table in ("log", "log_part", "snapshot", "snapshot_chunk"):
            await self.session.execute(f"TRUNCATE hostward.{table}")

    async def another_store(self) -> LogStore:
        return CassandraLogStore(await open_session(self._node))

    async def append_interrupted(self, row: LogRow) -> None:
        parts = -(-len(row.payload) // INLINE_BYTES)
        with pytest.raises(DatabaseError):
            await CassandraLogStore(Dying(self.session, parts)).append(row)

    async def put_snapshot_interrupted(self, info: SnapshotInfo, chunks: list[bytes]) -> None:
        with pytest.raises(DatabaseError):
            await CassandraLogStore(Dying(self.session, len(chunks))).put_snapshot(info, chunks)

    async def damage_row(self, row: LogRow) -> None:
        await self.session.execute(
            "UPDATE hostward.log SET payload = ? WHERE epoch_number = ? AND epoch_server = ? AND bucket = ?"
            " AND first_revision = ?",
            (
                flipped(row.payload),
                row.epoch.number,
                row.epoch.server,
                row.first_revision >> BUCKET_BITS,
                row.first_revision,
            ),
        )

    async def lose_half_of_row(self, row: LogRow) -> None:
        await self.session.execute(
            "DELETE FROM hostward.log_part WHERE epoch_number = ? AND epoch_server = ? AND first_revision = ?"
            " AND part >= ?",
            (row.epoch.number, row.epoch.server, row.first_revision, len(row.payload) // INLINE_BYTES // 2),
        )

    async def damage_chunk(self, info: SnapshotInfo, number: int) -> None:
        key = (info.epoch.number, info.epoch.server, info.revision, number)
        await self.session.execute(
            "UPDATE hostward.snapshot_chunk SET payload = ? WHERE epoch_number = ? AND epoch_server = ?"
            " AND revision = ? AND chunk = ?",
            (hashlib.sha256(b"something else").digest(), *key),
        )

    async def lose_chunk(self, info: SnapshotInfo, number: int) -> None:
        await self.session.execute(
            "DELETE FROM hostward.snapshot_chunk WHERE epoch_number = ? AND epoch_server = ? AND revision = ?"
            " AND chunk = ?",
            (info.epoch.number, info.epoch.server, info.revision, number),
        )
