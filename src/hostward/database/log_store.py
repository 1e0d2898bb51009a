"""The port to the replication database's data: change log and snapshots. Two implementations (Cassandra, in-process)
pass one contract suite (tests/contract)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hostward.domain.changes import Epoch


@dataclass(frozen=True, slots=True)
class LogRow:
    """One row of the log: the changes `first_revision`..`last_revision` of one epoch, packed (domain.changes.pack).
    Its key is (epoch, first_revision); a key is never written with other content."""

    epoch: Epoch
    first_revision: int
    last_revision: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """What a snapshot is: where in history it was taken (`meta`, canonical JSON: position, group, signature, as
    replication.snapshots writes it), and its size."""

    epoch: Epoch
    revision: int
    chunks: int
    sha256: bytes
    meta: bytes


class LogStore(Protocol):
    """All methods are coroutines, have their own deadline (10 s) and raise DatabaseError when the database doesn't
    answer. What `append` or `put_snapshot` returned from is durable on at least one node."""

    async def append(self, row: LogRow) -> None:
        """Store a row; again with the same content is harmless. A payload of any size is stored as parts and a
        header, header last: read() shows it whole or not at all."""

    async def read(self, epoch: Epoch, after_revision: int, *, limit: int = 64, widely: bool = False) -> list[LogRow]:
        """Rows of the epoch whose last_revision is above `after_revision`, oldest first, at most `limit`; ends
        before a gap that is longer than one row can bridge only in that what isn't there isn't returned (the caller
        checks that revisions follow each other). Reads the local node, or a majority of nodes if `widely`."""

    async def put_snapshot(self, info: SnapshotInfo, chunks: list[bytes]) -> None:
        """Store a snapshot, its header last. Keeps the two newest of the epoch and removes older ones, and log rows
        that lie wholly at or before the older kept one."""

    async def newest_snapshot(self, epoch: Epoch | None = None) -> SnapshotInfo | None:
        """The newest complete snapshot by (epoch, revision), of one epoch or of all."""

    async def get_snapshot(self, info: SnapshotInfo) -> list[bytes] | None:
        """Its chunks, or None if it has been removed or isn't complete (a checksum differs)."""

    async def close(self) -> None:
        """Release connections. Safe to call twice."""
