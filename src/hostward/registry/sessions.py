"""Sessions as they are searched: a derived table, kept in step in the transaction that changes the elements.

A search looks for each of its words as a part of name, host, type, groups or comment, without regard to case.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from hostward.domain.errors import Conflict, InvalidInput
from hostward.domain.sessions import KIND, name_key

__all__ = ["KIND", "name_key"]

SORTS = {"name": "name_key", "type": "type", "host": "host", "revision": "revision"}
MAX_PER_PAGE = 1_000
MAX_WORDS = 8


def row_of(id_: str, body: dict[str, Any], revision: int) -> tuple[str, str, str, str, str, int, str]:
    """The derived row of a session with this body."""
    name, host = body["name"], body.get("host", "")
    text = "\n".join((name, host, body["type"], body.get("lu", ""), *body.get("groups", ()), body.get("comment", "")))
    return (id_, name, name_key(name), body["type"], host, revision, name_key(text))


def differing_rows(db: sqlite3.Connection) -> list[str]:
    """The sessions whose derived row isn't what its element says: somebody edited it."""
    rows = db.execute(
        "SELECT e.id, CAST(e.body AS BLOB), e.revision, s.id, s.name, s.name_key, s.type, s.host, s.revision, s.text"
        " FROM element e LEFT JOIN session_row s ON s.id = e.id WHERE e.kind = ?",
        (KIND,),
    )
    return [row[0] for row in rows if row_of(row[0], orjson.loads(row[1]), row[2]) != row[3:]]


def put_rows(db: sqlite3.Connection, bodies: Iterable[tuple[str, bytes, int]]) -> None:
    """Bring the derived rows to the new bodies (id, body, revision). Raises Conflict "name-taken" where two sessions
    would share a name."""
    rows = [row_of(id_, orjson.loads(raw), revision) for id_, raw, revision in bodies]
    try:
        # Deleted first, so that sessions may swap their names within one change.
        db.executemany("DELETE FROM session_row WHERE id = ?", [(row[0],) for row in rows])
        db.executemany("INSERT INTO session_row VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    except sqlite3.IntegrityError as error:
        taken = _taken(db, rows)
        raise Conflict(
            f"There is a session named {taken!r} already.", remedy="Choose another name.", code="name-taken"
        ) from error


def delete_rows(db: sqlite3.Connection, ids: Iterable[str]) -> None:
    db.executemany("DELETE FROM session_row WHERE id = ?", [(i,) for i in ids])


def _taken(db: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> str:
    seen: set[str] = set()
    for row in rows:
        found = db.execute("SELECT name FROM session_row WHERE name_key = ? AND id <> ?", (row[2], row[0])).fetchone()
        if found or row[2] in seen:
            return str(row[1])
        seen.add(row[2])
    return "?"


def find_page(
    db: sqlite3.Connection, q: str | None, type_: str | None, *, page: int, per_page: int, sort: str
) -> tuple[list[str], int]:
    """The ids of one page of what matches, and how many match. `sort` is a column of SORTS, with - before it for
    descending. Raises InvalidInput."""
    column, order = SORTS.get(sort.lstrip("-")), "DESC" if sort.startswith("-") else "ASC"
    if column is None:
        raise InvalidInput(f"Sessions can't be sorted by {sort}.", remedy=f"Use one of {', '.join(SORTS)}.")
    if page < 1 or not 1 <= per_page <= MAX_PER_PAGE:
        raise InvalidInput(
            "There is no such page.", remedy=f"Pages start at 1, with 1 to {MAX_PER_PAGE} sessions each."
        )
    where, values = _matching(q, type_)
    then = "" if column == "name_key" else ", name_key"
    window = [per_page, (page - 1) * per_page]
    if not values:
        total = db.execute("SELECT count(*) FROM session_row").fetchone()[0]
        found = db.execute(f"SELECT id FROM session_row ORDER BY {column} {order}{then} LIMIT ? OFFSET ?", window)  # noqa: S608
        return [row[0] for row in found], total
    # Looked for once, for the count and the page alike: reading every row is nearly all of what a search costs.
    rows = db.execute(
        f"WITH matching AS MATERIALIZED (SELECT id, {column} AS first, name_key FROM session_row WHERE {where})"  # noqa: S608
        f" SELECT id, (SELECT count(*) FROM matching) FROM matching ORDER BY first {order}, name_key LIMIT ? OFFSET ?",
        [*values, *window],
    ).fetchall()
    if rows or page == 1:
        return [row[0] for row in rows], rows[0][1] if rows else 0
    return [], db.execute(f"SELECT count(*) FROM session_row WHERE {where}", values).fetchone()[0]  # noqa: S608


def find_ids(db: sqlite3.Connection, q: str | None, type_: str | None) -> list[str]:
    """All that match, by name."""
    where, values = _matching(q, type_)
    found = db.execute(f"SELECT id FROM session_row WHERE {where} ORDER BY name_key", values)  # noqa: S608
    return [row[0] for row in found]


def _matching(q: str | None, type_: str | None) -> tuple[str, list[str]]:
    """The condition of a search, and its values. Sessions of a type that isn't there don't exist."""
    words = name_key(q or "").split()[:MAX_WORDS]
    conditions = [*(["type = ?"] if type_ else []), *(["instr(text, ?) > 0"] * len(words))]
    return " AND ".join(conditions) or "1", [*([type_] if type_ else []), *words]
