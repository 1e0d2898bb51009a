"""The port to the replication database's data: change log and snapshots. Two implementations (Cassandra, in-process)
pass one contract suite (tests/contract).

What it does not do: it neither orders changes nor decides who may write (the Master of an epoch alone does), and it
is not the durable truth. That is the servers' registries: everything here can be written again from them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, Protocol

from hostward.domain.changes import Epoch

MAX_ROW_CHANGES: Final = 512
"""Revisions that one row of the log may span. The publisher cuts its rows accordingly."""

MAX_READ_BYTES: Final = 16 << 20
"""read() ends after the row whose payload takes it past this, so that catching up is bounded in memory."""

SNAPSHOT_CHUNK_BYTES: Final = 256 << 10
"""The most that one chunk of a snapshot may hold."""


@dataclass(frozen=True, slots=True)
class LogRow:
    """One row of the log: the changes `first_revision`..`last_revision` of one epoch, packed (domain.changes.pack).
    Its key is (epoch, first_revision); a key is never written with other content. Rows of an epoch don't overlap."""

    epoch: Epoch
    first_revision: int
    last_revision: int
    payload: bytes

    def __post_init__(self) -> None:
        assert 0 < self.first_revision <= self.last_revision, "a row holds at least one change"
        assert self.last_revision - self.first_revision < MAX_ROW_CHANGES, "a row of the log spans too many changes"

    def checksum(self) -> bytes:
        """SHA-256 over key, extent and payload: stored beside the row, compared whenever it is read."""
        extent = f"{self.epoch}:{self.first_revision}:{self.last_revision}:".encode()
        return hashlib.sha256(extent + self.payload).digest()


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """What a snapshot is: where in history it was taken (`meta`, canonical JSON: position, group, signature, as
    replication.snapshots writes it), its size in chunks, and the SHA-256 of its chunks joined together."""

    epoch: Epoch
    revision: int
    chunks: int
    sha256: bytes
    meta: bytes


class LogStore(Protocol):
    """All methods are coroutines and raise DatabaseError when the database doesn't answer; every request they make of
    it has a deadline of 10 s. What `append` or `put_snapshot` returned from is written on at least one node and
    outlives that node's process; a power cut may take a node's last second. How many servers have a change is what
    their registries answer, never what the database says."""

    async def append(self, row: LogRow) -> None:
        """Store a row; again with the same content is harmless, and is what to do after a DatabaseError. A payload
        of any size is stored as parts and a header, header last: read() shows it whole or not at all."""

    async def read(self, epoch: Epoch, after_revision: int, *, limit: int = 64, widely: bool = False) -> list[LogRow]:
        """Rows of the epoch that follow each other without a gap, oldest first: the first one holds the change
        `after_revision` + 1 (and may begin before it), at most `limit` of them and about MAX_READ_BYTES.

        Nothing is returned where that row isn't: it has not been written, has not arrived at this node, is damaged
        (which is logged), or has been removed because a snapshot holds it. A caller who knows that there is more
        reads widely, then asks peers. Reads the local node, or a majority of the nodes if `widely`; that raises
        DatabaseError (code "not-enough-nodes") while no majority is there."""

    async def put_snapshot(self, info: SnapshotInfo, chunks: list[bytes]) -> None:
        """Store a snapshot, its header last; each chunk at most SNAPSHOT_CHUNK_BYTES. Then, of this epoch, the two
        newest are kept. What lies before the older of these two is removed: snapshots of this and lower epochs, and
        log of this and lower epochs (log in blocks: some of it may stay longer)."""

    async def newest_snapshot(self, epoch: Epoch | None = None) -> SnapshotInfo | None:
        """The newest complete snapshot by (epoch, revision), of one epoch or of all."""

    async def get_snapshot(self, info: SnapshotInfo) -> list[bytes] | None:
        """Its chunks, or None if it has been removed or isn't complete (a checksum differs). Then ask for the newest
        one again."""

    async def close(self) -> None:
        """Release connections. Safe to call twice; every other method raises DatabaseError afterwards."""
