"""A log store in this process's memory, for tests: several stores on one ring are several servers' nodes.

It keeps the contract of log_store.LogStore, and adds two faults: a node that is stopped, and one that rows haven't
reached yet.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import structlog

from hostward.database.log_store import MAX_READ_BYTES, SNAPSHOT_CHUNK_BYTES, LogRow, SnapshotInfo
from hostward.domain.changes import Epoch
from hostward.domain.errors import DatabaseError

_log = structlog.get_logger(__name__)

_RowKey = tuple[Epoch, int]


@dataclass(slots=True)
class MemoryRing:
    """What all nodes of a ring hold: rows with their checksums by (epoch, first revision), snapshots by (epoch,
    revision)."""

    rows: dict[_RowKey, tuple[LogRow, bytes]] = field(default_factory=dict)
    snapshots: dict[_RowKey, tuple[SnapshotInfo, list[bytes]]] = field(default_factory=dict)


class MemoryLogStore:
    """One node's view of a MemoryRing. Set `stopped` and it answers with DatabaseError; put row keys into `not_here`
    and only a wide read finds them."""

    def __init__(self, ring: MemoryRing | None = None) -> None:
        self.ring = ring if ring is not None else MemoryRing()
        self.stopped = False
        self.not_here: set[_RowKey] = set()

    async def append(self, row: LogRow) -> None:
        self._check_running()
        self.ring.rows[row.epoch, row.first_revision] = (row, row.checksum())

    async def read(self, epoch: Epoch, after_revision: int, *, limit: int = 64, widely: bool = False) -> list[LogRow]:
        self._check_running()
        found: list[LogRow] = []
        reached, size = after_revision, 0
        for key in sorted(key for key in self.ring.rows if key[0] == epoch):
            row, checksum = self.ring.rows[key]
            if row.last_revision <= reached:
                continue
            if row.first_revision > reached + 1 or (key in self.not_here and not widely):
                break
            if row.checksum() != checksum:
                _log.warning("log-row-damaged", epoch=str(epoch), first_revision=row.first_revision)
                break
            if len(found) == limit or size >= MAX_READ_BYTES:
                break
            found.append(row)
            reached, size = row.last_revision, size + len(row.payload)
        return found

    async def put_snapshot(self, info: SnapshotInfo, chunks: list[bytes]) -> None:
        self._check_running()
        assert info.chunks == len(chunks)
        assert all(len(chunk) <= SNAPSHOT_CHUNK_BYTES for chunk in chunks)
        self.ring.snapshots[info.epoch, info.revision] = (info, list(chunks))
        kept = sorted((key for key in self.ring.snapshots if key[0] == info.epoch), reverse=True)[:2]
        if len(kept) < 2:
            return
        older_epoch, older_revision = kept[1]
        for key in [key for key in self.ring.snapshots if key < kept[1]]:
            del self.ring.snapshots[key]
        for key, (row, _) in list(self.ring.rows.items()):
            if row.epoch <= older_epoch and row.last_revision <= older_revision:
                del self.ring.rows[key]

    async def newest_snapshot(self, epoch: Epoch | None = None) -> SnapshotInfo | None:
        self._check_running()
        keys = [key for key in self.ring.snapshots if epoch is None or key[0] == epoch]
        return self.ring.snapshots[max(keys)][0] if keys else None

    async def get_snapshot(self, info: SnapshotInfo) -> list[bytes] | None:
        self._check_running()
        _, chunks = self.ring.snapshots.get((info.epoch, info.revision), (info, None))
        if chunks is None:
            return None
        if hashlib.sha256(b"".join(chunks)).digest() != info.sha256:
            _log.warning("stored-snapshot-damaged", epoch=str(info.epoch), revision=info.revision)
            return None
        return list(chunks)

    async def close(self) -> None:
        self.stopped = True

    def _check_running(self) -> None:
        if self.stopped:
            raise DatabaseError(
                "The replication database doesn't answer.", remedy="Start its node, or wait until it has started."
            )
