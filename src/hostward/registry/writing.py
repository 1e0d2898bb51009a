"""Writing elements: operations into rows, with the digest and the derived tables kept in step."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from hostward.domain.changes import Epoch, Operation, Position, Put, canonical, digest_add, element_hash
from hostward.registry.content import ElementRow
from hostward.registry.derived import clear_rows, delete_rows, put_rows
from hostward.registry.past import forget_all


@dataclass(frozen=True, slots=True)
class Head:
    """Where the registry stands, as the table `meta` holds it."""

    group_id: str
    position: Position

    def rows(self) -> list[tuple[str, bytes]]:
        p = self.position
        return [
            ("group", self.group_id.encode()),
            ("epoch", str(p.epoch).encode()),
            ("revision", b"%d" % p.revision),
            ("hash", p.hash),
            ("digest", p.digest),
        ]

    @staticmethod
    def of(meta: dict[str, bytes]) -> Head:
        position = Position(Epoch.parse(meta["epoch"].decode()), int(meta["revision"]), meta["hash"], meta["digest"])
        return Head(meta["group"].decode(), position)


@dataclass(frozen=True, slots=True)
class Effect:
    """What operations did: those that changed something, the bodies before them of the elements that were there, and
    the content's digest after them."""

    operations: Sequence[Operation]
    before: Mapping[tuple[str, str], bytes]
    digest: bytes


def write_operations(db: sqlite3.Connection, operations: Sequence[Operation], digest: bytes, revision: int) -> Effect:
    """Carry out the operations as `revision`. An element named twice gets the last of its operations. Raises Conflict
    for elements of a kind that would share a name."""
    last = {(op.kind, op.id): op for op in operations}
    effective: list[Operation] = []
    puts: list[ElementRow] = []
    gone: list[tuple[str, str]] = []
    added: list[bytes] = []
    removed: list[bytes] = []
    before: dict[tuple[str, str], bytes] = {}
    there = _there(db, last)
    for (kind, id_), op in last.items():
        old, body = there.get((kind, id_), (None, b""))
        if isinstance(op, Put):
            new = element_hash(kind, id_, op.body)
            if new == old:
                continue
            puts.append((kind, id_, op.body, new, revision))
            added.append(new)
        elif old is None:
            continue
        else:
            gone.append((kind, id_))
        if old is not None:
            removed.append(old)
            before[kind, id_] = body
        effective.append(op)
    puts.sort(key=lambda row: row[:2])  # in the order of the file: ids are random, and an import is large
    db.executemany("DELETE FROM element WHERE kind = ? AND id = ?", gone)
    db.executemany("INSERT OR REPLACE INTO element VALUES (?, ?, ?, ?, ?)", puts)
    delete_rows(db, gone)
    put_rows(db, puts)
    return Effect(effective, before, digest_add(digest, added, removed))


def _there(db: sqlite3.Connection, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], tuple[bytes, bytes]]:
    """Hash and body of those elements that are there; many at once, because a question each would be most of an
    import's time."""
    ids: dict[str, list[str]] = {}
    for kind, id_ in keys:
        ids.setdefault(kind, []).append(id_)
    found: dict[tuple[str, str], tuple[bytes, bytes]] = {}
    for kind, some in ids.items():
        for id_, hash_, body in db.execute(
            "SELECT id, CAST(hash AS BLOB), CAST(body AS BLOB) FROM element"
            " WHERE kind = ? AND id IN (SELECT value FROM json_each(?))",
            (kind, orjson.dumps(some).decode()),
        ):
            found[kind, id_] = hash_, body
    return found


def check_canonical(operations: Iterable[Operation]) -> None:
    """A body that isn't canonical would become other bytes at those who follow, and give them another digest. Raises
    ValueError."""
    for op in operations:
        if isinstance(op, Put) and canonical(orjson.loads(op.body)) != op.body:
            raise ValueError(f"the body of {op.kind}/{op.id} isn't canonical JSON")


def put_content(db: sqlite3.Connection, elements: Sequence[ElementRow]) -> None:
    """All content replaced by these elements; the changes before it are forgotten."""
    for table in ("element", "change", "answered"):
        db.execute(f"DELETE FROM {table}")  # noqa: S608
    clear_rows(db)
    forget_all(db)
    db.executemany("INSERT INTO element VALUES (?, ?, ?, ?, ?)", elements)
    put_rows(db, elements)


def mend_rows(db: sqlite3.Connection, kept: Iterable[ElementRow]) -> int:
    """Bring back what was committed from these elements, where a body was altered outside Hostward since, and derive
    the derived rows anew; how many bodies. Neither digest nor revisions change."""
    committed = {(row[0], row[1], row[3]): row[2] for row in kept}
    mended: list[ElementRow] = []
    whole_rows: list[ElementRow] = []
    # The casts give bytes whatever somebody wrote there.
    for kind, id_, body, hash_, revision in db.execute(
        "SELECT kind, id, CAST(body AS BLOB), CAST(hash AS BLOB), revision FROM element"
    ):
        whole = body if element_hash(kind, id_, body) == hash_ else committed.get((kind, id_, hash_))
        if whole is None:
            continue
        if whole != body:
            mended.append((kind, id_, whole, hash_, revision))
        whole_rows.append((kind, id_, whole, hash_, revision))
    db.executemany("INSERT OR REPLACE INTO element VALUES (?, ?, ?, ?, ?)", mended)
    clear_rows(db)
    put_rows(db, whole_rows)
    return len(mended)
