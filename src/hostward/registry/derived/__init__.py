"""The derived tables: what is searched and asked for by something else than an element's id, a module for each matter.

They are not content: no digest covers them, and they can be made anew from the elements at any time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

import orjson

from hostward.domain.changes import Body
from hostward.registry.derived import access, packages, people, sessions
from hostward.registry.derived.table import Derived

TABLES: Final[Sequence[Derived]] = (*sessions.TABLES, *people.TABLES, *access.TABLES, *packages.TABLES)
_KNOWN: Final = "derived"

Row = tuple[str, str, bytes, bytes, int]
"""Of an element: kind, id, body, hash, revision."""


def put_rows(db: sqlite3.Connection, elements: Sequence[Row]) -> None:
    """Bring the rows to these elements. Raises Conflict "name-taken" where two of a kind would share a name."""
    kinds = {t.kind for t in TABLES}
    bodies: dict[str, list[tuple[str, Body, int]]] = {}
    for kind, id_, raw, _, revision in elements:
        if kind in kinds:
            bodies.setdefault(kind, []).append((id_, orjson.loads(raw), revision))
    for table in TABLES:
        table.put(db, bodies.get(table.kind, ()))


def find_first(db: sqlite3.Connection, kind: str, q: str, limit: int) -> Sequence[str]:
    """The ids of a few of a kind that match, as its table with unique names has them."""
    return next(t for t in TABLES if t.kind == kind and t.unique_noun).first(db, q, limit)


def find_named(db: sqlite3.Connection, kind: str, name: str) -> str | None:
    """The id of the element of a kind with unique names that has that name, whatever the case."""
    return next(t for t in TABLES if t.kind == kind and t.unique_noun).named(db, name)


def names_after(db: sqlite3.Connection, kind: str, key: str, count: int) -> Sequence[tuple[str, str]]:
    """Id and name of a few of a kind with unique names, by name, after the one with that key."""
    return next(t for t in TABLES if t.kind == kind and t.unique_noun).after(db, key, count)


def delete_rows(db: sqlite3.Connection, gone: Iterable[tuple[str, str]]) -> None:
    """Of elements (kind, id) that are no longer there."""
    ids: dict[str, list[str]] = {}
    for kind, id_ in gone:
        ids.setdefault(kind, []).append(id_)
    for table in TABLES:
        table.delete(db, ids.get(table.kind, ()))


def clear_rows(db: sqlite3.Connection) -> None:
    for table in TABLES:
        table.clear(db)


def differing_elements(db: sqlite3.Connection) -> list[tuple[str, str]]:
    """The elements (kind, id) whose rows aren't what they say."""
    return list(dict.fromkeys((t.kind, id_) for t in TABLES for id_ in t.differing(db)))


def derive_unknown(db: sqlite3.Connection) -> None:
    """Fill the tables that the build which wrote the file didn't have: it kept their elements all the same."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", (_KNOWN,)).fetchone()
    known = bytes(row[0]).decode().split() if row else []
    wanted = [t.table for t in TABLES]
    if known == wanted:
        return
    db.execute("BEGIN IMMEDIATE")
    for table in TABLES:
        if table.table not in known:
            table.clear(db)
            rows = db.execute("SELECT id, body, revision FROM element WHERE kind = ?", (table.kind,)).fetchall()
            table.put(db, ((id_, orjson.loads(raw), revision) for id_, raw, revision in rows))
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_KNOWN, " ".join(wanted).encode()))
    db.execute("COMMIT")
