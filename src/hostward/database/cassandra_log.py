"""The log store on Cassandra: change log and snapshots in the keyspace `hostward`.

Why the tables look like this:

- Consistency ONE for writes and reads. The servers' registries are the durable truth and hashes prove what is read;
  a higher level would only make the Master wait for, or stop with, a node that is down. A wide read is at QUORUM, and
  repairs the local node as it goes; without a majority it fails rather than look wider than it was.
- Nothing is ever rewritten with other content, and nothing is written to a partition that was removed, so neither
  last-write-wins nor the servers' clocks decide anything.
- What goes is removed as whole partitions (one tombstone each), by the snapshot that makes it needless; no TTL, since
  an idle group's log must not fade away. A row that a long-absent node brings back is the same row, and is removed
  again by the next snapshot.
- gc_grace equals the hint window (cassandra.yaml): hints are kept no longer than gc_grace, and an absent node should
  get its removals too. The data itself is freed by compaction long before.
- Levelled compaction: a few tens of MB, written once and soon removed; it keeps few dead copies on disk and serves a
  read from one or two files. Compression stays the default: headers gain, compressed payloads cost little.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, Protocol, TypeVar

import structlog

from hostward.database.log_store import (
    MAX_READ_BYTES,
    MAX_ROW_CHANGES,
    SNAPSHOT_CHUNK_BYTES,
    LogRow,
    SnapshotInfo,
)
from hostward.domain.changes import Epoch
from hostward.domain.errors import DatabaseError

INLINE_BYTES: Final = 256 << 10
"""A larger payload goes to log_part, in parts of this size: a mutation must stay below half a commit log segment."""

BUCKET_BITS: Final = 12
"""4,096 revisions share a partition: at 2 KiB a change it stays below 10 MB."""

PAGE_ROWS: Final = 32
IN_FLIGHT: Final = 8

_GC_GRACE_S: Final = 24 * 24 * 3600
_OPTIONS: Final = f"compaction = {{'class': 'LeveledCompactionStrategy'}} AND gc_grace_seconds = {_GC_GRACE_S}"

TABLES: Final = (
    f"""CREATE TABLE IF NOT EXISTS hostward.log (
        epoch_number bigint, epoch_server text, bucket bigint, first_revision bigint,
        last_revision bigint, parts int, sha256 blob, payload blob,
        PRIMARY KEY ((epoch_number, epoch_server, bucket), first_revision)) WITH {_OPTIONS}""",
    f"""CREATE TABLE IF NOT EXISTS hostward.log_part (
        epoch_number bigint, epoch_server text, first_revision bigint, part int, payload blob,
        PRIMARY KEY ((epoch_number, epoch_server, first_revision), part)) WITH {_OPTIONS}""",
    f"""CREATE TABLE IF NOT EXISTS hostward.snapshot (
        epoch_number bigint, epoch_server text, revision bigint, chunks int, sha256 blob, meta blob,
        PRIMARY KEY ((epoch_number, epoch_server), revision))
        WITH CLUSTERING ORDER BY (revision DESC) AND {_OPTIONS}""",
    f"""CREATE TABLE IF NOT EXISTS hostward.snapshot_chunk (
        epoch_number bigint, epoch_server text, revision bigint, chunk int, payload blob,
        PRIMARY KEY ((epoch_number, epoch_server, revision), chunk)) WITH {_OPTIONS}""",
)

_INSERT_ROW: Final = """INSERT INTO hostward.log
    (epoch_number, epoch_server, bucket, first_revision, last_revision, parts, sha256, payload)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""
_INSERT_PART: Final = """INSERT INTO hostward.log_part
    (epoch_number, epoch_server, first_revision, part, payload) VALUES (?, ?, ?, ?, ?)"""
_ROWS_FROM: Final = """SELECT first_revision, last_revision, parts, sha256, payload FROM hostward.log
    WHERE epoch_number = ? AND epoch_server = ? AND bucket = ? AND first_revision >= ? LIMIT ?"""
_ROW_BEFORE: Final = """SELECT first_revision, last_revision FROM hostward.log
    WHERE epoch_number = ? AND epoch_server = ? AND bucket = ? AND first_revision < ?
    ORDER BY first_revision DESC LIMIT 1"""
_PART: Final = """SELECT payload FROM hostward.log_part
    WHERE epoch_number = ? AND epoch_server = ? AND first_revision = ? AND part = ?"""
_BUCKETS: Final = "SELECT DISTINCT epoch_number, epoch_server, bucket FROM hostward.log"
_REMOVE_BUCKET: Final = "DELETE FROM hostward.log WHERE epoch_number = ? AND epoch_server = ? AND bucket = ?"
_PARTED_ROWS: Final = "SELECT DISTINCT epoch_number, epoch_server, first_revision FROM hostward.log_part"
_REMOVE_PARTS: Final = """DELETE FROM hostward.log_part
    WHERE epoch_number = ? AND epoch_server = ? AND first_revision = ?"""

_INSERT_SNAPSHOT: Final = """INSERT INTO hostward.snapshot
    (epoch_number, epoch_server, revision, chunks, sha256, meta) VALUES (?, ?, ?, ?, ?, ?)"""
_INSERT_CHUNK: Final = """INSERT INTO hostward.snapshot_chunk
    (epoch_number, epoch_server, revision, chunk, payload) VALUES (?, ?, ?, ?, ?)"""
_SNAPSHOTS: Final = """SELECT revision, chunks, sha256, meta FROM hostward.snapshot
    WHERE epoch_number = ? AND epoch_server = ? LIMIT ?"""
_SNAPSHOT_EPOCHS: Final = "SELECT DISTINCT epoch_number, epoch_server FROM hostward.snapshot"
_CHUNK: Final = """SELECT payload FROM hostward.snapshot_chunk
    WHERE epoch_number = ? AND epoch_server = ? AND revision = ? AND chunk = ?"""
_CHUNKED_SNAPSHOTS: Final = "SELECT DISTINCT epoch_number, epoch_server, revision FROM hostward.snapshot_chunk"
_REMOVE_OLDER_SNAPSHOTS: Final = """DELETE FROM hostward.snapshot
    WHERE epoch_number = ? AND epoch_server = ? AND revision < ?"""
_REMOVE_EPOCHS_SNAPSHOTS: Final = "DELETE FROM hostward.snapshot WHERE epoch_number = ? AND epoch_server = ?"
_REMOVE_CHUNKS: Final = """DELETE FROM hostward.snapshot_chunk
    WHERE epoch_number = ? AND epoch_server = ? AND revision = ?"""

_log = structlog.get_logger(__name__)
_T = TypeVar("_T")


class Executor(Protocol):
    """What the store needs of a session (database.session): runs a prepared statement with a deadline of 10 s and
    raises DatabaseError; at ONE on the local node, at QUORUM if `widely`. Rows have columns as attributes."""

    async def execute(self, cql: str, params: Sequence[object] = (), *, widely: bool = False) -> Sequence[Any]: ...

    async def close(self) -> None: ...


async def create_tables(session: Executor) -> None:
    """Make the store's tables where they are missing; the keyspace must be there. One server at a time (the Master):
    two that make the same table at once give it two identities. Raises DatabaseError."""
    for statement in TABLES:
        await session.execute(statement)


class CassandraLogStore:
    """The log store on this server's own node. Owns the session: close() closes it."""

    def __init__(self, session: Executor) -> None:
        self._session = session

    async def append(self, row: LogRow) -> None:
        key = (row.epoch.number, row.epoch.server)
        inline, parts = row.payload, _cut(row.payload) if len(row.payload) > INLINE_BYTES else []
        if parts:
            inline = b""
            await _in_parallel(
                self._job(_INSERT_PART, (*key, row.first_revision, number, part)) for number, part in enumerate(parts)
            )
        await self._session.execute(
            _INSERT_ROW,
            (
                *key,
                _bucket_of(row.first_revision),
                row.first_revision,
                row.last_revision,
                len(parts),
                row.checksum(),
                inline,
            ),
        )

    async def read(self, epoch: Epoch, after_revision: int, *, limit: int = 64, widely: bool = False) -> list[LogRow]:
        found: list[LogRow] = []
        size = 0
        following = after_revision + 1
        while len(found) < limit and size < MAX_READ_BYTES:
            asked = min(limit - len(found), PAGE_ROWS)
            bucket, page = _bucket_of(following), await self._rows_from(epoch, following, asked, widely)
            if not found and (not page or page[0].first_revision != following):
                beginning = await self._beginning_of_row_with(epoch, following, widely)
                asked, page = 1, [] if beginning is None else await self._rows_from(epoch, beginning, 1, widely)
            for stored in page:
                if found and stored.first_revision != following:
                    return found
                row = await self._whole(epoch, stored, widely)
                if row is None:
                    return found
                found.append(row)
                size += len(row.payload)
                following = row.last_revision + 1
                if size >= MAX_READ_BYTES:
                    break
            if not page or (len(page) < asked and _bucket_of(following) == bucket):
                break
        return found

    async def put_snapshot(self, info: SnapshotInfo, chunks: list[bytes]) -> None:
        assert info.chunks == len(chunks)
        assert all(len(chunk) <= SNAPSHOT_CHUNK_BYTES for chunk in chunks)
        key = (info.epoch.number, info.epoch.server, info.revision)
        await _in_parallel(self._job(_INSERT_CHUNK, (*key, number, chunk)) for number, chunk in enumerate(chunks))
        await self._session.execute(_INSERT_SNAPSHOT, (*key, info.chunks, info.sha256, info.meta))
        newest = await self._snapshots(info.epoch, 2)
        if len(newest) == 2:
            await self._remove_before(newest[1])

    async def newest_snapshot(self, epoch: Epoch | None = None) -> SnapshotInfo | None:
        epochs = [epoch] if epoch is not None else sorted(await self._snapshot_epochs(), reverse=True)
        for candidate in epochs:
            newest = await self._snapshots(candidate, 1)
            if newest:
                return newest[0]
        return None

    async def get_snapshot(self, info: SnapshotInfo) -> list[bytes] | None:
        chunks = await self._chunks(info, widely=False)
        if chunks is not None:
            return chunks
        try:  # a header may reach this node before its chunks do
            return await self._chunks(info, widely=True)
        except DatabaseError:
            return None

    async def close(self) -> None:
        await self._session.close()

    def _job(
        self, cql: str, params: Sequence[object], *, widely: bool = False
    ) -> Callable[[], Awaitable[Sequence[Any]]]:
        return lambda: self._session.execute(cql, params, widely=widely)

    async def _rows_from(self, epoch: Epoch, revision: int, limit: int, widely: bool) -> Sequence[Any]:
        """Stored rows that begin at `revision` or later in its bucket, oldest first."""
        key = (epoch.number, epoch.server, _bucket_of(revision), revision)
        return await self._session.execute(_ROWS_FROM, (*key, limit), widely=widely)

    async def _beginning_of_row_with(self, epoch: Epoch, revision: int, widely: bool) -> int | None:
        """Where the row begins that holds `revision` but begins before it; it can begin in the bucket before."""
        buckets = {_bucket_of(revision), _bucket_of(max(1, revision - MAX_ROW_CHANGES + 1))}
        for bucket in sorted(buckets, reverse=True):
            key = (epoch.number, epoch.server, bucket, revision)
            for stored in await self._session.execute(_ROW_BEFORE, key, widely=widely):
                return stored.first_revision if stored.last_revision >= revision else None
        return None

    async def _whole(self, epoch: Epoch, stored: Any, widely: bool) -> LogRow | None:
        """The row with its payload, or None if a part isn't there or it isn't what was written."""
        about = {"epoch": str(epoch), "first_revision": stored.first_revision}
        payload = stored.payload
        if stored.parts:
            key = (epoch.number, epoch.server, stored.first_revision)
            jobs = [self._job(_PART, (*key, number), widely=widely) for number in range(stored.parts)]
            parts = await _in_parallel(jobs)
            if not all(parts):
                _log.warning("log-row-incomplete", parts=stored.parts, here=sum(map(bool, parts)), **about)
                return None
            payload = b"".join(part[0].payload for part in parts)
        if 0 <= stored.last_revision - stored.first_revision < MAX_ROW_CHANGES:
            row = LogRow(epoch, stored.first_revision, stored.last_revision, payload)
            if row.checksum() == stored.sha256:
                return row
        _log.warning("log-row-damaged", **about)
        return None

    async def _snapshots(self, epoch: Epoch, limit: int) -> list[SnapshotInfo]:
        """The epoch's newest snapshots, newest first."""
        stored = await self._session.execute(_SNAPSHOTS, (epoch.number, epoch.server, limit))
        return [SnapshotInfo(epoch, s.revision, s.chunks, s.sha256, s.meta) for s in stored]

    async def _snapshot_epochs(self) -> list[Epoch]:
        return [Epoch(s.epoch_number, s.epoch_server) for s in await self._session.execute(_SNAPSHOT_EPOCHS)]

    async def _chunks(self, info: SnapshotInfo, *, widely: bool) -> list[bytes] | None:
        key = (info.epoch.number, info.epoch.server, info.revision)
        jobs = [self._job(_CHUNK, (*key, number), widely=widely) for number in range(info.chunks)]
        stored = await _in_parallel(jobs)
        chunks: list[bytes] = [rows[0].payload for rows in stored if rows]
        if len(chunks) == info.chunks and await asyncio.to_thread(_sha256, chunks) == info.sha256:
            return chunks
        about = {"epoch": str(info.epoch), "revision": info.revision, "widely": widely}
        _log.warning("stored-snapshot-damaged", chunks=info.chunks, here=len(chunks), **about)
        return None

    async def _remove_before(self, kept: SnapshotInfo) -> None:
        """Remove what `kept` makes needless, whole partitions at a time; headers before what they point to. The
        distinct keys also show what an append or snapshot that was never finished has left behind."""
        jobs = []
        for epoch in await self._snapshot_epochs():
            key = (epoch.number, epoch.server)
            if epoch < kept.epoch:
                jobs.append(self._job(_REMOVE_EPOCHS_SNAPSHOTS, key))
            elif epoch == kept.epoch:
                jobs.append(self._job(_REMOVE_OLDER_SNAPSHOTS, (*key, kept.revision)))
        for number, server, bucket in await self._session.execute(_BUCKETS):
            if Epoch(number, server) <= kept.epoch and _last_revision_of(bucket) <= kept.revision:
                jobs.append(self._job(_REMOVE_BUCKET, (number, server, bucket)))
        await _in_parallel(jobs)
        jobs = []
        for number, server, first in await self._session.execute(_PARTED_ROWS):
            if Epoch(number, server) <= kept.epoch and _last_revision_of(_bucket_of(first)) <= kept.revision:
                jobs.append(self._job(_REMOVE_PARTS, (number, server, first)))
        for number, server, revision in await self._session.execute(_CHUNKED_SNAPSHOTS):
            if (Epoch(number, server), revision) < (kept.epoch, kept.revision):
                jobs.append(self._job(_REMOVE_CHUNKS, (number, server, revision)))
        await _in_parallel(jobs)


def _bucket_of(first_revision: int) -> int:
    return first_revision >> BUCKET_BITS


def _last_revision_of(bucket: int) -> int:
    """The highest revision that a row of the bucket can hold."""
    return ((bucket + 1) << BUCKET_BITS) - 1 + MAX_ROW_CHANGES - 1


def _cut(payload: bytes) -> list[bytes]:
    return [payload[at : at + INLINE_BYTES] for at in range(0, len(payload), INLINE_BYTES)]


def _sha256(chunks: Iterable[bytes]) -> bytes:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.digest()


async def _in_parallel(jobs: Iterable[Callable[[], Awaitable[_T]]]) -> list[_T]:
    """Run the jobs, at most IN_FLIGHT at a time; their results in order. The first DatabaseError ends the others."""
    waiting = enumerate(jobs)
    results: dict[int, _T] = {}

    async def work() -> None:
        for number, job in waiting:
            results[number] = await job()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(work())
    except* DatabaseError as errors:
        raise _first(errors) from None
    return [results[number] for number in sorted(results)]


def _first(errors: BaseExceptionGroup[DatabaseError]) -> DatabaseError:
    """One of the errors that parallel requests met; they have the same cause."""
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
