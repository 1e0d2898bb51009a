"""group.db: what is replicated. One writer thread; any number of readers.

Many commits that come at the same time share one fsynced transaction, each its own change and revision.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hostward.domain.changes import (
    EMPTY_DIGEST,
    GENESIS_HASH,
    Change,
    Epoch,
    Operation,
    Position,
    change_from_parts,
    encode_operations,
    make_header,
)
from hostward.domain.epochs import EpochRecord
from hostward.domain.errors import HostwardError, RegistryError
from hostward.domain.favourites import gone_with
from hostward.registry.content import (
    ContentCheck,
    LastChange,
    SnapshotContent,
    check_content,
    copy_whole,
    elements_in,
    pack_elements,
)
from hostward.registry.derived import derive_unknown
from hostward.registry.past import forget, forget_broken, remember
from hostward.registry.reading import Element, Reader
from hostward.registry.schema import GROUP_TABLES, LATER_GROUP_TABLES, explain, open_reader, open_writer
from hostward.registry.writing import Effect, Head, check_canonical, mend_rows, put_content, write_operations

__all__ = ["Committed", "ContentCheck", "Element", "GroupRegistry", "Reader", "SnapshotContent"]

MAX_QUEUED = 10_000
MAX_GROUP = 256
ANSWERED_FOR_S = 24 * 3600

T = TypeVar("T")
Decide = Callable[[Reader], Sequence[Operation]]
Check = Callable[[Change, Reader], None]
Sign = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Committed:
    """A commit's outcome. `changed` is false where the operations changed nothing: the revision is then the current
    one. `repeated`: the idempotency key had been answered before, with this revision. `hash` is the revision's, while
    the registry knows it: the change's name, whatever becomes of it."""

    revision: int
    changed: bool
    repeated: bool = False
    hash: bytes = b""


@dataclass(slots=True)
class _Job:
    """Work for the writer thread. A commit is put together with others; anything else runs alone."""

    run: Callable[[], Any]
    done: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    joins: bool
    result: Any = None
    error: BaseException | None = None


class GroupRegistry:
    """The registry's replicated file. Coroutines belong to one event loop; reads to any thread."""

    def __init__(self, path: Path, server_id: str, sign: Sign, now: Callable[[], str]) -> None:
        self._path, self._server_id, self._now = path, server_id, now
        # Chooses what a change is signed with, seeing the state before it.
        self.signer: Callable[[Reader], Sign] = lambda _: sign
        self._db = open_writer(path, GROUP_TABLES, LATER_GROUP_TABLES)
        self._reader = Reader(self._db)
        if not self._reader.meta():
            self._begin_history()
        self._head = Head.of(self._reader.meta())
        derive_unknown(self._db)
        forget_broken(self._db, self._head.position.revision)
        self._position, self._group_id = self._head.position, self._head.group_id
        self._data_version = self._read_data_version()
        self._forget_answered()
        self._held: HostwardError | None = None
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._subscribers: list[Callable[[], None]] = []
        self._queue: queue.Queue[_Job | None] = queue.Queue(MAX_QUEUED)
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="registry-writer", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, path: Path, *, server_id: str, sign: Sign, now: Callable[[], str]) -> GroupRegistry:
        """Made with a group id of its own when it is missing. `sign` signs each change's hash. Raises RegistryError:
        "registry-damaged" (naming the newest backup), "registry-newer", "unwritable", "disk-full"."""
        return cls(path, server_id, sign, now)

    # Reading

    @property
    def position(self) -> Position:
        """Of the last committed transaction."""
        return self._position

    @property
    def group_id(self) -> str:
        return self._group_id

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """A consistent view; in one thread a view within a view is the same view."""
        db = self._connection()
        within = db.in_transaction
        if not within:
            db.execute("BEGIN")
        try:
            yield Reader(db)
        finally:
            if not within:
                db.execute("COMMIT")

    def change(self, revision: int) -> Change | None:
        """The change with that revision, while it is kept."""
        with self.read() as reader:
            return reader.change(revision)

    def changes_after(self, revision: int, *, max_bytes: int, max_count: int) -> list[Change] | None:
        """What comes next, at least one change if there is any, then as many as the limits allow. None: the registry
        no longer holds it, a snapshot is needed."""
        with self.read() as reader:
            found = reader.changes_after(revision, max_bytes=max_bytes, max_count=max_count)
            return None if found is None else list(found)

    def snapshot(self) -> SnapshotContent:
        """All content, consistent."""
        with self.read() as reader:
            last = reader.last_change()
            elements = pack_elements(self._connection())
            return SnapshotContent(reader.group_id, reader.position(), elements, LastChange(*last) if last else None)

    def verify(self) -> ContentCheck:
        """Compute the content's digest again from the rows."""
        with self.read() as reader:
            return check_content(self._connection(), reader)

    def altered_outside(self) -> bool:
        """Whether another program has written the file since this was last asked."""
        found = self._read_data_version()
        changed, self._data_version = found != self._data_version, found
        return changed

    # Writing

    async def commit(
        self, author: str, decide: Decide, *, origin: str | None = None, idempotency_key: str | None = None
    ) -> Committed:
        """One change. `decide` sees the state that the change will follow, and answers the operations or raises what is
        then raised here; operations that change nothing are left out. When this returns, the change is fsynced.

        Raises RegistryError "not-owner" on a server that isn't the writer of its epoch."""

        def run() -> Committed:
            return self._commit(author, decide, origin or self._server_id, idempotency_key)

        return await self._submit(run, joins=True)

    async def apply(self, changes: Sequence[Change], check: Check) -> Position:
        """Another server's changes, all in one transaction or none. Those at or below the current revision are skipped
        where they are the same. `check` verifies each (signature) and raises to refuse.

        Raises RegistryError: "history-differs", "gap", "digest-differs"."""
        return await self._submit(lambda: self._apply(changes, check))

    async def replace(self, content: SnapshotContent, *, only_at: Position | None = None) -> Position:
        """Take over all of a snapshot: its elements, group, position. Raises RegistryError "snapshot-damaged"."""
        elements = await asyncio.to_thread(elements_in, content)

        def run() -> Position:
            if only_at is not None and self._head.position != only_at:
                raise RegistryError("The registry has changed meanwhile.", remedy="It is tried again.", code="busy")
            put_content(self._db, elements)
            if content.group_id != self._head.group_id:
                self._db.execute("DELETE FROM epoch")
            if content.last is not None:  # the change itself isn't here
                kept = [("last_header", content.last.header), ("last_signature", content.last.signature)]
                self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", kept)
            self._head = Head(content.group_id, content.position)
            return content.position

        return await self._submit(run)

    async def mend(self, content: SnapshotContent) -> int:
        """Bring back from a backup's content what was altered outside Hostward, where it holds what was committed; how
        many elements. Position and history stay. Raises RegistryError "snapshot-damaged"."""
        elements = await asyncio.to_thread(elements_in, content)
        return await self._submit(lambda: mend_rows(self._db, elements))

    async def rebase(self, *, group_id: str, epoch: Epoch) -> Position:
        """Keep the content, as the beginning of a history of this server's own."""

        def run() -> Position:
            at = self._head.position
            self._db.execute("DELETE FROM epoch")
            self._head = Head(group_id, Position(epoch, at.revision, at.hash, at.digest))
            return self._head.position

        return await self._submit(run)

    async def begin_epoch(self, record: EpochRecord) -> Position:
        """Go on in a new epoch, exactly where its record says that it starts; again is harmless. Raises RegistryError
        "not-at-start": then nothing was changed."""

        def run() -> Position:
            at = self._head.position
            if at.epoch == record.epoch:
                return at
            if at.epoch > record.epoch or self._head.group_id != record.group or not record.starts_at(at):
                raise RegistryError(
                    f"This registry is at revision {at.revision}; the new epoch starts at {record.start.revision}.",
                    remedy="It catches up with that first.",
                    code="not-at-start",
                )
            self._keep_record(record)
            self._head = Head(record.group, Position(record.epoch, at.revision, at.hash, at.digest))
            return self._head.position

        return await self._submit(run)

    async def keep_records(self, records: Sequence[EpochRecord]) -> None:
        """Remember further records of this history's epochs, so that others can be told of them."""

        def run() -> None:
            for record in records:
                self._keep_record(record)

        await self._submit(run)

    async def hold(self, why: HostwardError | None) -> Position:
        """Refuse every commit from now on with this error, or no longer (None). Once it returns nothing is under way:
        the position stays what it answers until the hold is taken off, or another server's changes are applied."""

        def run() -> Position:
            self._held = why
            return self._head.position

        return await self._submit(run)

    async def prune(self, keep_after_revision: int) -> None:
        """Forget the changes at or below a revision; the content stays."""

        def run() -> None:
            self._db.execute("DELETE FROM change WHERE revision <= ?", (keep_after_revision,))
            forget(self._db, keep_after_revision)
            self._forget_answered()

        await self._submit(run)

    async def backup(self, path: Path) -> None:
        """A complete, checked copy of the file; it appears under its name only when it is whole."""
        await asyncio.to_thread(copy_whole, self._path, path)

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Called on the event loop after each transaction."""
        self._subscribers.append(callback)

    def close(self) -> None:
        """Finish what is queued and close the file."""
        self._closed = True
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
        for db in (*self._connections, self._db):
            db.close()

    # The writer thread

    async def _submit(self, run: Callable[[], T], *, joins: bool = False) -> T:
        if self._closed:
            raise RegistryError("The registry is closed.", remedy="Start the server again.", code="closed")
        loop = asyncio.get_running_loop()
        job = _Job(run, loop.create_future(), loop, joins)
        try:
            self._queue.put_nowait(job)
        except queue.Full as error:
            raise RegistryError(
                "Too many changes are waiting.", remedy="Try again in a few seconds.", code="busy"
            ) from error
        result: T = await job.done
        return result

    def _work(self) -> None:
        held: _Job | None = None
        closing = False
        while True:
            job = held or self._queue.get()
            held = None
            if job is None:
                return
            batch = [job]
            while job.joins and len(batch) < MAX_GROUP and held is None and not closing:
                try:
                    following = self._queue.get_nowait()
                except queue.Empty:
                    break
                if following is not None and following.joins:
                    batch.append(following)
                    continue
                held, closing = following, following is None
            self._transaction(batch)
            if closing:
                return

    def _transaction(self, batch: list[_Job]) -> None:
        """One transaction for the batch; a job that raises is undone alone."""
        before = self._head
        changed = False
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for job in batch:
                self._run(job)
            if self._head is not before:
                self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", self._head.rows())
            self._db.execute("COMMIT")
            changed = self._head is not before
        except (sqlite3.Error, OSError) as error:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            self._head = before
            explained = explain(self._path, error)
            for job in batch:
                job.error = explained
        self._position, self._group_id = self._head.position, self._head.group_id
        self._tell(batch, changed=changed)

    def _run(self, job: _Job) -> None:
        before = self._head
        self._db.execute("SAVEPOINT job")
        try:
            job.result = job.run()
        except BaseException as error:  # it belongs to who awaits the job; this thread has to live on
            if isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError:
                raise  # the file is at fault, not this job
            self._db.execute("ROLLBACK TO job")
            self._head, job.error = before, error
        self._db.execute("RELEASE job")

    def _tell(self, batch: list[_Job], *, changed: bool) -> None:
        def on_loop() -> None:
            if changed:
                for callback in self._subscribers:
                    callback()
            for job in batch:
                if job.done.done():
                    continue
                if job.error is not None:
                    job.done.set_exception(job.error)
                else:
                    job.done.set_result(job.result)

        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            batch[0].loop.call_soon_threadsafe(on_loop)

    def _commit(self, author: str, decide: Decide, origin: str, key: str | None) -> Committed:
        if self._head.position.epoch.server != self._server_id:
            raise RegistryError(
                "This server isn't the one that writes this configuration.",
                remedy="Make the change on the Master.",
                code="not-owner",
            )
        if self._held is not None:
            raise self._held
        if key is not None:
            row = self._db.execute(
                "SELECT revision, changed FROM answered WHERE key = ? AND at > ?", (key, time.time() - ANSWERED_FOR_S)
            ).fetchone()
            if row is not None:
                return Committed(row[0], bool(row[1]), repeated=True, hash=self._hash_of(row[0]))
        at = self._head.position
        operations = decide(Reader(self._db, at))
        operations = [*operations, *gone_with(operations)]
        check_canonical(operations)
        sign = self.signer(self._reader)
        effect = write_operations(self._db, operations, at.digest, at.revision + 1)
        if effect.operations:
            self._append(author, origin, effect, sign)
        if key is not None:
            self._db.execute(
                "INSERT OR REPLACE INTO answered VALUES (?, ?, ?, ?)",
                (key, self._head.position.revision, bool(effect.operations), time.time()),
            )
        return Committed(self._head.position.revision, bool(effect.operations), hash=self._head.position.hash)

    def _hash_of(self, revision: int) -> bytes:
        row = self._db.execute("SELECT hash FROM change WHERE revision = ?", (revision,)).fetchone()
        return bytes(row[0]) if row else b""

    def _append(self, author: str, origin: str, effect: Effect, sign: Sign) -> None:
        at = self._head.position
        ops = encode_operations(effect.operations)
        header = make_header(
            group=self._head.group_id,
            epoch=at.epoch,
            revision=at.revision + 1,
            previous=at.hash,
            digest=effect.digest,
            author=author,
            origin=origin,
            time=self._now(),
            ops=ops,
        )
        change = change_from_parts(header, ops, b"")
        self._keep(change, sign(change.hash), effect)

    def _keep(self, change: Change, signature: bytes, effect: Effect) -> None:
        self._db.execute(
            "INSERT INTO change VALUES (?, ?, ?, ?, ?)",
            (change.revision, change.header, change.ops, signature, change.hash),
        )
        remember(self._db, change, effect.operations, effect.before)
        position = Position(change.epoch, change.revision, change.hash, change.digest)
        self._head = Head(self._head.group_id, position)

    def _apply(self, changes: Sequence[Change], check: Check) -> Position:
        for change in changes:
            at = self._head.position
            if change.revision <= at.revision:
                self._check_same(change)
                continue
            if change.revision != at.revision + 1:
                raise RegistryError(f"Revision {change.revision} can't follow revision {at.revision}.", code="gap")
            check(change, self._reader)
            if change.previous != at.hash:
                raise RegistryError(
                    f"Revision {change.revision} follows another history than this server's.", code="history-differs"
                )
            effect = write_operations(self._db, change.operations(), at.digest, change.revision)
            if effect.digest != change.digest:
                raise RegistryError(
                    f"Revision {change.revision} doesn't give the Master's content here.", code="digest-differs"
                )
            self._keep(change, change.signature, effect)
        return self._head.position

    def _check_same(self, change: Change) -> None:
        at = self._head.position
        row = self._db.execute("SELECT hash FROM change WHERE revision = ?", (change.revision,)).fetchone()
        known = at.hash if change.revision == at.revision else row[0] if row else change.hash
        if known != change.hash:
            raise RegistryError(f"Revision {change.revision} is another one here.", code="history-differs")

    def _keep_record(self, record: EpochRecord) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO epoch VALUES (?, ?, ?)",
            (record.epoch.number, record.epoch.server, record.to_bytes()),
        )

    # Below: helpers

    def _begin_history(self) -> None:
        position = Position(Epoch(1, self._server_id), 0, GENESIS_HASH, EMPTY_DIGEST)
        self._db.executemany("INSERT INTO meta VALUES (?, ?)", Head(uuid.uuid4().hex, position).rows())

    def _forget_answered(self) -> None:
        self._db.execute("DELETE FROM answered WHERE at < ?", (time.time() - ANSWERED_FOR_S,))

    def _connection(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = self._local.db = open_reader(self._path)
            self._connections.append(db)
        return db

    def _read_data_version(self) -> int:
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])
