"""audit.db: this server's audit log, and what other servers have sent of theirs.

Each log is a chain of entries, added at its end alone. This server's own is the chain that was made with the file: a
file that was lost is a new chain, and can't be taken for the old one. What a server has sent is kept as it was, also
where that server says something else later: then a further row of `chain` begins where the two part.

Removing the oldest entries is itself an entry, which names the last one removed and its hash, so that what is left can
still be checked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from hostward.domain.audit import BEGUN, GENESIS, PRUNED, Entry, Event, clipped, hash_of
from hostward.domain.errors import PeerError
from hostward.registry import uses
from hostward.registry.schema import AUDIT_TABLES, explained, open_writer

T = TypeVar("T")

MAX_LOGS_A_SERVER: Final = 16
"""How many logs of one server are kept: each time that it says something else than before is a further one."""
POINTS: Final = 32
SHRINK_PAGES: Final = 512
"""2 MiB, that are given back at once: nobody who records something waits for longer than for that."""
KEPT_PAGES: Final = 256
"""Are left free, for what comes next."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where a log stands: its id, the number of its last entry, and that entry's hash."""

    chain: str
    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Points:
    """Entries that this server has of another's log, by number: what to ask it about."""

    chain: str
    hashes: dict[int, bytes]


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a server's log: the entries that come `after` a number, whose entry has that hash; `base` is the
    number before the first entry that the server still has."""

    chain: str
    after: int
    after_hash: bytes
    base: int
    bodies: Sequence[bytes]


@dataclass(slots=True)
class _Log:
    """A row of `chain`, with its end."""

    id: int
    server: str
    chain: str
    after: int
    number: int
    hash: bytes


class AuditLog:
    """The file's one writer. Any thread; each call returns once what it wrote is fsynced. `now` gives a moment as
    entries have it."""

    def __init__(self, path: Path, server: str, name: str, now: Callable[[], str], new_id: Callable[[], str]) -> None:
        self.path, self.server, self._name, self._now = path, server, name, now
        self._lock = threading.Lock()
        self._db = open_writer(path, AUDIT_TABLES, uses.TABLES, shrinks=True)
        found = self._db.execute("SELECT id FROM chain WHERE server = ? ORDER BY id LIMIT 1", (server,)).fetchone()
        self.is_new = found is None
        if found is None:
            row = (server, name, new_id(), 0, GENESIS, "", b"")
            with explained(path):
                self._db.execute(_NEW_CHAIN, row)
            found = self._db.execute("SELECT last_insert_rowid()").fetchone()
        else:
            self._db.execute("UPDATE chain SET server_name = ? WHERE id = ?", (name, found[0]))
        self._own = self._log(int(found[0]))
        self._transact(lambda: uses.make_where_missing(self._db))

    @property
    def head(self) -> Head:
        """Of this server's own log."""
        with self._lock:
            return Head(self._own.chain, self._own.number, self._own.hash)

    @property
    def own_seal(self) -> bytes:
        """The newest signature of this server's own log; empty where there is none yet."""
        with self._lock:
            found = self._db.execute("SELECT seal FROM chain WHERE id = ?", (self._own.id,)).fetchone()
            return bytes(found[0])

    def begin(self, about: dict[str, str]) -> None:
        """A new log's first entry."""
        self.add(Event(BEGUN, about=about))

    def add(self, *events: Event) -> None:
        """Put events at the end of this server's own log, in one transaction. Raises RegistryError; then none of them
        is there."""
        with self._lock:
            self._transact(lambda: self._append(events))

    def check_end(self, known: Head) -> None:
        """Compare with where this log stood when it was last remembered outside the file. Where that isn't in it any
        more, it stays known as this log's trouble: new entries would soon hide it."""
        with self._lock:
            own = self._own
            if known.chain == own.chain and known.number <= own.after:
                return
            if known.chain != own.chain:
                text = f"altered:1:It isn't the log that was here before, which had {known.number} entries."
            elif known.number > own.number:
                missing = own.number + 1
                text = f"cut:{missing}:The entries {missing} to {known.number} were missing when the server started."
            elif self._hashes(own, [known.number])[known.number] != known.hash:
                text = f"altered:{known.number}:Entry {known.number} isn't the one that was there before."
            else:
                return
            self._set_trouble(own, text)

    def seal(self, seal: bytes) -> None:
        """Keep the signature of this server's head, in the place of the one before."""
        with self._lock:
            self._transact(lambda: self._db.execute("UPDATE chain SET seal = ? WHERE id = ?", (seal, self._own.id)))

    def prune(self, *, before: str, max_bytes: int) -> int:
        """Remove entries that are older than a moment, and the oldest of each server that has more than so many bytes;
        never a log's last one. How many were removed. Raises RegistryError."""
        with self._lock:
            ids = [row[0] for row in self._db.execute("SELECT id FROM chain ORDER BY id")]
            self._transact(lambda: uses.cut(self._db))
            return sum(self._prune(self._log(i), before, max_bytes) for i in ids)

    def shrink(self) -> bool:
        """Give a piece of what removed entries have left free back to the disk; whether there is more. Raises
        RegistryError."""
        with self._lock, explained(self.path):
            if self._free_pages() <= KEPT_PAGES:
                return False
            # By executescript: execute takes a statement without columns for done after its first page.
            self._db.executescript(f"PRAGMA incremental_vacuum({SHRINK_PAGES})")
            if self._free_pages() > KEPT_PAGES:
                return True
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            return False

    # What other servers have sent

    def points(self, server: str) -> Points | None:
        """What to ask that server about: the end of what it has sent, and points ever further apart before it. None
        where it has sent nothing yet."""
        with self._lock:
            log = self._newest(server)
            return None if log is None else Points(log.chain, self._hashes(log, _apart(log.after, log.number)))

    def points_between(self, server: str, low: int, high: int) -> Points:
        """Further points, evenly spread between two numbers, both left out; and the lower one, which that server has
        confirmed."""
        with self._lock:
            log = self._newest(server)
            assert log is not None, "there is nothing between the points of an empty log"
            step = max(1, (high - low) // POINTS)
            return Points(log.chain, self._hashes(log, [low, *range(low + 1, high, step)][: POINTS * 2]))

    def piece(self, points: Points | None, *, max_count: int, max_bytes: int) -> Piece:
        """What another server lacks of this server's own log, after the last of its points that this log has too."""
        with self._lock:
            own = self._own
            after, hash_ = own.after, self._hashes(own, [own.after])[own.after]
            if points is not None and points.chain == own.chain:
                here = self._hashes(own, sorted(points.hashes))
                same = [n for n, h in points.hashes.items() if here.get(n) == h]
                after = max([after, *same])
                hash_ = here.get(after, hash_)
            bodies: list[bytes] = []
            size = 0
            query = "SELECT body FROM entry WHERE chain = ? AND number > ? ORDER BY number LIMIT ?"
            for (body,) in self._db.execute(query, (own.id, after, max_count)):
                size += len(body)
                if size > max_bytes and bodies:
                    break
                bodies.append(body)
            return Piece(own.chain, after, hash_, own.after, bodies)

    def take(self, server: str, name: str, piece: Piece) -> int:
        """Keep what another server has sent, where it continues what it had sent before. Where it doesn't, that stays,
        and a further log begins. How many entries were new. Raises PeerError for what is no log of that server."""
        entries = _checked(server, piece)
        with self._lock:
            return self._transact(lambda: self._take(server, clipped(name), piece, entries))

    def ends_earlier(self, server: str, number: int) -> None:
        """That server's log ends at a number, though it had sent more: what it had sent stays."""
        with self._lock:
            log = self._newest(server)
            if log is not None:
                text = f"cut:{number}:It had sent entries up to {log.number}; its log ends at {number} now."
                self._set_trouble(log, text)

    def sealed(self, server: str, chain: str, seal: bytes) -> None:
        """Keep another server's checked signature."""
        with self._lock:
            log = self._newest(server)
            if log is not None and log.chain == chain:
                self._transact(lambda: self._db.execute("UPDATE chain SET seal = ? WHERE id = ?", (seal, log.id)))

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # With the lock held

    def _free_pages(self) -> int:
        """What can be given back; a large file of an earlier build can't."""
        shrinks = self._db.execute("PRAGMA auto_vacuum").fetchone()[0] != 0
        return int(self._db.execute("PRAGMA freelist_count").fetchone()[0]) if shrinks else 0

    def _transact(self, write: Callable[[], T]) -> T:
        before = self._own.number, self._own.hash, self._own.after
        with explained(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                done = write()
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                self._own.number, self._own.hash, self._own.after = before
                raise
        return done

    def _append(self, events: Sequence[Event]) -> None:
        own = self._own
        for event in events:
            entry = Entry(self.server, own.chain, own.number + 1, own.hash, self._now(), event)
            self._keep(own, entry, entry.to_bytes())

    def _keep(self, log: _Log, entry: Entry, body: bytes) -> None:
        e, hash_ = entry.event, hash_of(body)
        row = (log.id, entry.number, entry.at, e.user, e.act, e.outcome, body, hash_)
        self._db.execute(_NEW_ENTRY, row)
        uses.note(self._db, entry.at, e)
        log.number, log.hash = entry.number, hash_

    def _take(self, server: str, name: str, piece: Piece, entries: Sequence[tuple[Entry, bytes]]) -> int:
        log = self._newest(server)
        continued = log is not None and log.chain == piece.chain and log.number == piece.after
        if not continued or (log is not None and log.hash != piece.after_hash):
            if not entries:
                return 0
            log = self._begin(server, name, piece, log)
        assert log is not None
        for entry, body in entries:
            self._keep(log, entry, body)
        self._db.execute("UPDATE chain SET server_name = ? WHERE id = ? AND server_name != ?", (name, log.id, name))
        return len(entries)

    def _begin(self, server: str, name: str, piece: Piece, before: _Log | None) -> _Log:
        """A further log of that server. Raises PeerError where there are too many."""
        if (
            self._db.execute("SELECT count(*) FROM chain WHERE server = ?", (server,)).fetchone()[0]
            >= MAX_LOGS_A_SERVER
        ):
            raise PeerError(
                f"The audit log of {name} has begun anew too often; what it sends is no longer kept.",
                remedy="See who alters its file audit.db.",
                code="audit",
            )
        trouble, first = "", piece.after + 1
        if before is not None and before.chain == piece.chain and piece.after < before.number:
            trouble = f"fork:{first}:From entry {first} on, it is another log than the one that it had sent before."
        elif before is not None and before.chain != piece.chain:
            trouble = f"lost:{first}:It is a new log; the one before it ended, for this server, at {before.number}."
        elif piece.after:
            trouble = f"gap:{first}:The entries before {first} were removed there before this server had them."
        row = (server, name, piece.chain, piece.after, piece.after_hash, trouble, b"")
        self._db.execute(_NEW_CHAIN, row)
        return self._log(int(self._db.execute("SELECT last_insert_rowid()").fetchone()[0]))

    def _log(self, id_: int) -> _Log:
        query = "SELECT server, chain, after, after_hash FROM chain WHERE id = ?"
        server, chain, after, after_hash = self._db.execute(query, (id_,)).fetchone()
        query = "SELECT number, hash FROM entry WHERE chain = ? ORDER BY number DESC LIMIT 1"
        last = self._db.execute(query, (id_,)).fetchone() or (after, after_hash)
        return _Log(id_, server, chain, after, int(last[0]), bytes(last[1]))

    def _newest(self, server: str) -> _Log | None:
        query = "SELECT id FROM chain WHERE server = ? ORDER BY id DESC LIMIT 1"
        found = self._db.execute(query, (server,)).fetchone()
        return None if found is None else self._log(int(found[0]))

    def _hashes(self, log: _Log, numbers: Sequence[int]) -> dict[int, bytes]:
        found = {}
        for number in numbers:
            query = "SELECT hash FROM entry WHERE chain = ? AND number = ?"
            row = self._db.execute(query, (log.id, number)).fetchone()
            if row is None and number == log.after:
                row = self._db.execute("SELECT after_hash FROM chain WHERE id = ?", (log.id,)).fetchone()
            if row is not None:
                found[number] = bytes(row[0])
        return found

    def _set_trouble(self, log: _Log, text: str) -> None:
        update = "UPDATE chain SET trouble = ? WHERE id = ? AND trouble != ?"
        self._transact(lambda: self._db.execute(update, (text, log.id, text)))

    def _prune(self, log: _Log, before: str, max_bytes: int) -> int:
        query = "SELECT max(number) FROM entry WHERE chain = ? AND number < ? AND at < ?"
        old = self._db.execute(query, (log.id, log.number, before)).fetchone()[0] or 0
        query = (
            "SELECT number FROM (SELECT number, sum(length(body) + 200) OVER (ORDER BY number DESC) AS size FROM entry"
            " WHERE chain = ?) WHERE size > ? AND number < ? ORDER BY number DESC LIMIT 1"
        )
        large = (self._db.execute(query, (log.id, max_bytes, log.number)).fetchone() or (0,))[0]
        last = max(old, large)
        if last <= log.after:
            return 0
        hash_ = self._hashes(log, [last])[last]
        trouble = str(self._db.execute("SELECT trouble FROM chain WHERE id = ?", (log.id,)).fetchone()[0])
        troubled = int(trouble.split(":")[1]) if trouble else 0

        def remove() -> int:
            if log.id == self._own.id:
                self._append([Event(PRUNED, about={"up_to": str(last), "hash": hash_.hex()})])
                self._own.after = last
            update = "UPDATE chain SET after = ?, after_hash = ?, trouble = ? WHERE id = ?"
            self._db.execute(update, (last, hash_, "" if troubled <= last else trouble, log.id))
            return self._db.execute("DELETE FROM entry WHERE chain = ? AND number <= ?", (log.id, last)).rowcount

        return self._transact(remove)


_NEW_CHAIN: Final = (
    "INSERT INTO chain (server, server_name, chain, after, after_hash, trouble, seal) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_NEW_ENTRY: Final = (
    "INSERT INTO entry (chain, number, at, user, act, outcome, body, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


def _apart(first: int, last: int) -> list[int]:
    """The last number, and others ever further before it, down to the first."""
    numbers, step = [last], 1
    while len(numbers) < POINTS * 2 and last - step > first:
        numbers.append(last - step)
        step *= 2
    return [*numbers, first]


def _checked(server: str, piece: Piece) -> list[tuple[Entry, bytes]]:
    """The entries of a piece. Raises PeerError where they are no chain of that server's."""
    found, number, previous = [], piece.after, piece.after_hash
    for body in piece.bodies:
        try:
            entry = Entry.from_bytes(body)
        except ValueError as error:
            raise PeerError(f"An audit entry isn't one: {error}.", code="audit") from error
        number += 1
        mine = (entry.server, entry.chain, entry.number, entry.previous) == (server, piece.chain, number, previous)
        if not mine:
            raise PeerError(f"The audit entry {number} isn't the next one of that server's log.", code="audit")
        previous = hash_of(body)
        found.append((entry, body))
    return found
