"""What the kept changes did: how many elements each made, changed and deleted, which, and what they were before.

A change's operations say only what is after it. Its reverse is kept beside it, in parts of few elements, so that one
element's past is read without unpacking all of a large import. It is derived from the content and the changes, on each
server by itself; no hash covers it. It begins anew where a snapshot replaces the content.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson

from hostward.domain.changes import Change, Delete, Operation, Put, decode_operations, encode_operations
from hostward.domain.history import NEVER_TURNED_BACK, NOT_LISTED, Counts

PART_ELEMENTS = 256
MAX_REVISION = (1 << 63) - 1
"""SQLite's largest number."""

_COLUMNS = "revision, author, time, counts"
_ONE_NOT_LISTED = [orjson.dumps({NOT_LISTED: n}).decode() for n in ([1, 0, 0], [0, 1, 0], [0, 0, 1])]


@dataclass(frozen=True, slots=True)
class PastChange:
    """A kept change, without what it did to each element."""

    revision: int
    author: str
    time: str
    counts: Counts


class Past:
    """The past of one consistent view."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._unpacked: tuple[tuple[int, int], dict[tuple[str, str], Operation]] | None = None

    def oldest(self) -> int | None:
        """The oldest revision whose change is known; None where there is none."""
        row = self._db.execute("SELECT min(revision) FROM past").fetchone()
        return None if row[0] is None else int(row[0])

    def change(self, revision: int) -> PastChange | None:
        row = self._db.execute(f"SELECT {_COLUMNS} FROM past WHERE revision = ?", (revision,)).fetchone()  # noqa: S608
        return _past_change(row) if row else None

    def changes(
        self,
        *,
        before: int | None,
        max_count: int,
        author: str | None = None,
        kind: str | None = None,
        element: str | None = None,
    ) -> list[PastChange]:
        """The newest first: those before a revision, by an author, that touched a kind of element, or one by its id."""
        where = ["revision < ?"]
        values: list[object] = [_before(before)]
        if author is not None:
            where.append("author = ?")
            values.append(author)
        if element is not None:
            where.append("revision IN (SELECT revision FROM touched WHERE id = ? AND kind = coalesce(?, kind))")
            values += [element, kind]
        elif kind is not None:
            where.append("EXISTS (SELECT 1 FROM json_each(counts) WHERE key = ?)")
            values.append(kind)
        else:
            where.append(f"counts NOT IN ({', '.join('?' * len(_ONE_NOT_LISTED))})")
            values += _ONE_NOT_LISTED
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM past WHERE {' AND '.join(where)} ORDER BY revision DESC LIMIT ?",  # noqa: S608
            [*values, max_count],
        )
        return [_past_change(row) for row in rows]

    def reverse(self, revision: int) -> Iterator[Operation]:
        """What turns back that change's effects on the content after it, of all kinds but NEVER_TURNED_BACK."""
        for (part,) in self._db.execute("SELECT operations FROM reverse WHERE revision = ? ORDER BY part", (revision,)):
            yield from decode_operations(part)

    def reverses_after(self, revision: int) -> Iterator[Operation]:
        """That of all later changes, one after the other, the oldest change first."""
        for (part,) in self._db.execute(
            "SELECT operations FROM reverse WHERE revision > ? ORDER BY revision, part", (revision,)
        ):
            yield from decode_operations(part)

    def revisions_of(self, kind: str, id_: str, *, before: int | None, max_count: int) -> list[int]:
        """The kept changes that touched an element, the newest first."""
        rows = self._db.execute(
            "SELECT revision FROM touched WHERE kind = ? AND id = ? AND revision < ? ORDER BY revision DESC LIMIT ?",
            (kind, id_, _before(before), max_count),
        )
        return [int(row[0]) for row in rows]

    def body_before(self, kind: str, id_: str, revision: int) -> bytes | None:
        """What an element was before a change that touched it; None where it wasn't there."""
        return self._before_at(kind, id_, self._place("revision = ?", kind, id_, revision))

    def body_after(self, kind: str, id_: str, revision: int) -> bytes | None:
        """What an element was after a revision that the kept changes reach back to; None where it wasn't there."""
        later = self._place("revision > ?", kind, id_, revision)
        if later is not None:
            return self._before_at(kind, id_, later)
        row = self._db.execute("SELECT body FROM element WHERE kind = ? AND id = ?", (kind, id_)).fetchone()
        return bytes(row[0]) if row else None

    def next_touched(self, kind: str, id_: str, revision: int) -> int | None:
        """The first change after a revision that touched an element."""
        later = self._place("revision > ?", kind, id_, revision)
        return later[0] if later else None

    def _place(self, which: str, kind: str, id_: str, revision: int) -> tuple[int, int] | None:
        """Revision and part of the first of an element's changes."""
        row = self._db.execute(
            f"SELECT revision, part FROM touched WHERE kind = ? AND id = ? AND {which} ORDER BY revision LIMIT 1",  # noqa: S608
            (kind, id_, min(revision, MAX_REVISION)),
        ).fetchone()
        return (row[0], row[1]) if row else None

    def _before_at(self, kind: str, id_: str, place: tuple[int, int] | None) -> bytes | None:
        if place is None:
            return None
        if self._unpacked is None or self._unpacked[0] != place:
            row = self._db.execute("SELECT operations FROM reverse WHERE revision = ? AND part = ?", place).fetchone()
            self._unpacked = place, {(op.kind, op.id): op for op in decode_operations(row[0])}
        op = self._unpacked[1][kind, id_]
        return op.body if isinstance(op, Put) else None


def remember(
    db: sqlite3.Connection, change: Change, operations: Sequence[Operation], before: Mapping[tuple[str, str], bytes]
) -> None:
    """Keep what a change did: its operations that had an effect, and the bodies before it of those elements that were
    there."""
    counts: dict[str, list[int]] = {}
    for op in operations:
        which = 2 if isinstance(op, Delete) else 1 if (op.kind, op.id) in before else 0
        counts.setdefault(op.kind, [0, 0, 0])[which] += 1
    db.execute(
        "INSERT INTO past VALUES (?, ?, ?, ?)",
        (change.revision, change.author, change.time, orjson.dumps(counts).decode()),
    )
    touched = sorted((op.kind, op.id) for op in operations if op.kind not in NEVER_TURNED_BACK)
    for part, at in enumerate(range(0, len(touched), PART_ELEMENTS)):
        names = touched[at : at + PART_ELEMENTS]
        reverse = [Put(*name, before[name]) if name in before else Delete(*name) for name in names]
        db.execute("INSERT INTO reverse VALUES (?, ?, ?)", (change.revision, part, encode_operations(reverse)))
        db.executemany("INSERT INTO touched VALUES (?, ?, ?, ?)", [(*name, change.revision, part) for name in names])


def forget(db: sqlite3.Connection, up_to_revision: int) -> None:
    """The changes at or below a revision."""
    for revision, part in db.execute(
        "SELECT revision, operations FROM reverse WHERE revision <= ?", (up_to_revision,)
    ).fetchall():
        names = [(op.kind, op.id, revision) for op in decode_operations(part)]
        db.executemany("DELETE FROM touched WHERE kind = ? AND id = ? AND revision = ?", names)
    db.execute("DELETE FROM reverse WHERE revision <= ?", (up_to_revision,))
    db.execute("DELETE FROM past WHERE revision <= ?", (up_to_revision,))


def forget_all(db: sqlite3.Connection) -> None:
    for table in ("past", "reverse", "touched"):
        db.execute(f"DELETE FROM {table}")  # noqa: S608


def forget_broken(db: sqlite3.Connection, revision: int) -> None:
    """All of it, unless it leads up to the registry's revision: an earlier build has written changes without it."""
    row = db.execute("SELECT max(revision) FROM past").fetchone()
    if row[0] is not None and row[0] != revision:
        forget_all(db)


def _before(revision: int | None) -> int:
    return MAX_REVISION if revision is None else min(revision, MAX_REVISION)


def _past_change(row: tuple[int, str, str, str]) -> PastChange:
    counts = {kind: (n[0], n[1], n[2]) for kind, n in orjson.loads(row[3]).items()}
    return PastChange(row[0], row[1], row[2], counts)
