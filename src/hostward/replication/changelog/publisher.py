"""The publisher: on the Master, appends the registry's changes to the change log in Cassandra, in order.

The change table of group.db is the outbox. Many changes that were committed at once become one row. The boundaries of
a row are committed to server.db before it is sent, so that after a crash the same key gets the same content again.
"""

from __future__ import annotations

import asyncio

import structlog

from hostward.database.log_store import LogRow, LogStore
from hostward.domain.changes import Change, pack
from hostward.domain.errors import HostwardError
from hostward.registry.group import GroupRegistry
from hostward.registry.server import ServerRegistry
from hostward.replication.changelog.snapshots import store_snapshot
from hostward.trust.identity import ServerIdentity

KEY = "outbox"
MAX_ROW_CHANGES = 256
MAX_ROW_BYTES = 256 << 10
SNAPSHOT_EVERY_CHANGES = 5_000
SNAPSHOT_EVERY_BYTES = 16 << 20
RETRY_S = 1.0
LINGER_S = 0.02

log = structlog.get_logger()


class Publisher:
    """Runs while this server is Master and its node is ready. `generation` is the ring's: what was published to an
    older one must be published again."""

    def __init__(
        self, group: GroupRegistry, server: ServerRegistry, identity: ServerIdentity, store: LogStore, generation: int
    ) -> None:
        self._group, self._server, self._identity, self._store = group, server, identity, store
        self._ring = f"{group.group_id}/{generation}/{group.position.epoch}"
        kept = server.get(KEY) or {}
        mine = kept.get("ring") == self._ring
        self._published: int | None = kept["published"] if mine else None
        self._row_end: int | None = kept.get("row_end") if mine else None
        self._snapshot_revision: int = kept.get("snapshot", 0) if mine else 0
        self._signed_by: str = kept.get("signed_by", "")
        self._bytes_since_snapshot = 0
        self._wake = asyncio.Event()
        self._wake.set()
        self.problem = ""

    @property
    def published(self) -> int | None:
        """The newest revision that the change log holds; None before the first snapshot."""
        return self._published

    def announce(self) -> None:
        """The registry has a new revision."""
        self._wake.set()

    async def run(self) -> None:
        """Publish until cancelled. A database that doesn't answer is tried again; `problem` says why meanwhile."""
        while True:
            await self._wake.wait()
            # The Slaves have it from the nudge by now; a moment's patience makes one row of many changes.
            await asyncio.sleep(LINGER_S)
            self._wake.clear()
            try:
                await self._publish()
                self.problem = ""
            except HostwardError as error:
                if not self.problem:
                    log.warning("publisher-waits", reason=error.message)
                self.problem = error.message
                await asyncio.sleep(RETRY_S)
                self._wake.set()

    async def _publish(self) -> None:
        if self._published is None or self._signed_by != self._identity.fingerprint:
            await self._snapshot()  # a new Slave knows this server's present certificate only
        while self._published is not None and self._published < self._group.position.revision:
            changes = self._next_row(self._published)
            if changes is None:  # the registry no longer holds what comes next: it was loaded from a snapshot
                await self._snapshot()
                continue
            await self._append(changes)
            self._bytes_since_snapshot += sum(c.size for c in changes)
            if (
                self._published - self._snapshot_revision >= SNAPSHOT_EVERY_CHANGES
                or self._bytes_since_snapshot >= SNAPSHOT_EVERY_BYTES
            ):
                await self._snapshot()

    def _next_row(self, published: int) -> list[Change] | None:
        """The changes of the next row: those whose boundary is already committed, else as many as fit."""
        count = self._row_end - published if self._row_end and self._row_end > published else MAX_ROW_CHANGES
        size = (1 << 62) if self._row_end and self._row_end > published else MAX_ROW_BYTES
        return self._group.changes_after(published, max_bytes=size, max_count=count)

    async def _append(self, changes: list[Change]) -> None:
        first, last = changes[0], changes[-1]
        self._row_end = last.revision
        self._keep()
        payload = await asyncio.to_thread(pack, changes) if len(changes) > 16 else pack(changes)
        await self._store.append(LogRow(first.epoch, first.revision, last.revision, payload))
        self._published = last.revision

    async def _snapshot(self) -> None:
        """Store a snapshot. The log goes on where it was, so that no follower needs a snapshot that has the log; only
        where the registry can't give what comes next does it go on after the snapshot."""
        content = await asyncio.to_thread(self._group.snapshot)
        self._signed_by = self._identity.fingerprint
        await store_snapshot(self._store, content, self._identity)
        revision = content.position.revision
        held = self._published is not None and self._next_row(self._published) is not None
        if not held:
            self._published, self._row_end = revision, None
        self._snapshot_revision = revision
        self._bytes_since_snapshot = 0
        self._keep()

    def _keep(self) -> None:
        self._server.put(
            KEY,
            {
                "ring": self._ring,
                "published": self._published,
                "row_end": self._row_end,
                "snapshot": self._snapshot_revision,
                "signed_by": self._signed_by,
            },
        )
