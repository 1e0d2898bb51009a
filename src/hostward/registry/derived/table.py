"""Derived tables: what elements say, in rows that can be searched, in step with them in every transaction.

A table belongs to one kind of element. Its first column is the element's id; what its rows are follows from the element
alone, so they can be made anew at any time, and a row that somebody edited is found.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

import orjson

from hostward.domain.changes import Body
from hostward.domain.errors import Conflict, InvalidInput
from hostward.domain.suggestions import listed, shown
from hostward.domain.texts import name_key

MAX_PER_PAGE: Final = 1_000

MAX_WORDS: Final = 8
"""Of what is searched for; more are left out."""
_SPECIAL: Final = re.compile(r"[*?\[]")
_LAST: Final = "\U0010ffff"
"""Sorts behind every other character."""

Rows = Sequence[tuple[Any, ...]]
"""Of one element, in the order of their columns."""
Bodies = Iterable[tuple[str, Body, int]]
"""Elements of the table's kind: id, body, revision."""
Condition = tuple[Sequence[str], Sequence[str]]
"""Of a query: what must all hold, and the values."""


@dataclass(frozen=True, slots=True)
class Derived:
    """`rows_of` gives the rows of an element, sorted. Where names are unique, the second column is the name as it was
    written, the third its key (`name_key`), and `unique_noun` what has that name."""

    kind: str
    table: str
    rows_of: Callable[[str, Body, int], Rows]
    unique_noun: str = ""
    counted_in: str = ""
    """A table of how many elements have each row: the same columns but the id, then `elements`."""

    def put(self, db: sqlite3.Connection, bodies: Bodies) -> None:
        """Bring the rows to the new bodies. Raises Conflict "name-taken" where two elements would share a name."""
        rows: list[tuple[Any, ...]] = []
        ids: list[tuple[str]] = []
        for id_, body, revision in bodies:
            ids.append((id_,))
            rows += self.rows_of(id_, body, revision)
        self._count(db, [id_ for (id_,) in ids], rows)
        try:
            # Deleted first, so that elements may swap their names within one change.
            db.executemany(f"DELETE FROM {self.table} WHERE id = ?", ids)  # noqa: S608
            if rows:
                db.executemany(f"INSERT INTO {self.table} VALUES ({', '.join('?' * len(rows[0]))})", rows)  # noqa: S608
        except sqlite3.IntegrityError as error:
            raise Conflict(
                f"There is a {self.unique_noun} named {self._taken(db, rows)!r} already.",
                remedy="Choose another name.",
                code="name-taken",
            ) from error

    def delete(self, db: sqlite3.Connection, ids: Iterable[str]) -> None:
        gone = list(ids)
        self._count(db, gone, ())
        db.executemany(f"DELETE FROM {self.table} WHERE id = ?", [(i,) for i in gone])  # noqa: S608

    def clear(self, db: sqlite3.Connection) -> None:
        for table in filter(None, (self.table, self.counted_in)):
            db.execute(f"DELETE FROM {table}")  # noqa: S608

    def named(self, db: sqlite3.Connection, name: str) -> str | None:
        """The id of the element with that name, whatever the case. For tables with unique names."""
        row = db.execute(f"SELECT id FROM {self.table} WHERE name_key = ?", (name_key(name),)).fetchone()  # noqa: S608
        return str(row[0]) if row else None

    def after(self, db: sqlite3.Connection, key: str, count: int) -> list[tuple[str, str]]:
        """Id and name of those that come next, by name, after the one with that key; from the first on for an empty
        one. For tables with unique names."""
        sql = f"SELECT id, name FROM {self.table} WHERE name_key > ? ORDER BY name_key LIMIT ?"  # noqa: S608
        return list(db.execute(sql, (key, count)))

    def first(self, db: sqlite3.Connection, q: str, limit: int) -> list[str]:
        """The ids of a few elements that have all the words of `q` in the column `text`, not counting the others: those
        whose name begins so, by name, then any, by name too; every name begins with no words. For tables
        with unique names."""
        begins = name_key(q).strip()
        sql = f"SELECT id FROM {self.table} WHERE name_key >= ? AND name_key < ? ORDER BY name_key LIMIT ?"  # noqa: S608
        found = [row[0] for row in db.execute(sql, (begins, begins + _LAST, limit))]
        conditions, words = with_words(q)
        if len(found) == limit or not words:
            return found
        where = " AND ".join(conditions)
        # Not sorted before it is cut: that would read every row where many match.
        sql = f"SELECT id, name_key FROM {self.table} WHERE {where} LIMIT ?"  # noqa: S608
        rows = db.execute(sql, [*words, 2 * limit])
        others = sorted((row for row in rows if row[0] not in found), key=lambda row: str(row[1]))
        return [*found, *(row[0] for row in others)][:limit]

    def differing(self, db: sqlite3.Connection) -> list[str]:
        """The elements whose rows aren't what they say: somebody edited them."""
        wrong: list[str] = []
        found = groupby(db.execute(f"SELECT * FROM {self.table} ORDER BY id"), lambda row: row[0])  # noqa: S608
        there = next(found, None)
        # The cast gives bytes whatever somebody wrote there.
        for id_, raw, revision in db.execute(
            "SELECT id, CAST(body AS BLOB), revision FROM element WHERE kind = ? ORDER BY id", (self.kind,)
        ):
            while there is not None and there[0] < id_:  # rows of no element
                wrong.append(str(there[0]))
                there = next(found, None)
            rows: list[tuple[Any, ...]] = []
            if there is not None and there[0] == id_:
                rows = sorted(there[1])
                there = next(found, None)
            if rows != list(self.rows_of(id_, orjson.loads(raw), revision)):
                wrong.append(id_)
        while there is not None:
            wrong.append(str(there[0]))
            there = next(found, None)
        return [*wrong, *self._miscounted(db)]

    def _count(self, db: sqlite3.Connection, ids: Sequence[str], rows: Rows) -> None:
        """Bring the counts to what they are once these elements have these rows."""
        if not self.counted_in or not ids:
            return
        # One statement for each row that differs, not for each element: an import has many elements, and few of those.
        more = Counter(row[1:] for row in rows)
        before = f"SELECT * FROM {self.table} WHERE id IN (SELECT value FROM json_each(?))"  # noqa: S608
        more.subtract(row[1:] for row in db.execute(before, (orjson.dumps(ids).decode(),)))
        changed = [(*row, count) for row, count in more.items() if count]
        if changed:
            db.executemany(
                f"INSERT INTO {self.counted_in} VALUES ({', '.join('?' * len(changed[0]))})"  # noqa: S608
                " ON CONFLICT DO UPDATE SET elements = elements + excluded.elements",
                changed,
            )
            db.execute(f"DELETE FROM {self.counted_in} WHERE elements = 0")  # noqa: S608

    def _miscounted(self, db: sqlite3.Connection) -> list[str]:
        """An element of each row whose count somebody edited, or what the row begins with where it has none."""
        if not self.counted_in:
            return []
        names = [str(row[1]) for row in db.execute(f"PRAGMA table_info({self.table})")][1:]
        columns = ", ".join(names)
        counted = f"SELECT {columns}, count(*) FROM {self.table} GROUP BY {columns}"  # noqa: S608
        kept = f"SELECT * FROM {self.counted_in}"  # noqa: S608
        same = " AND ".join(f"t.{name} = w.{name}" for name in names)
        rows = db.execute(
            f"SELECT coalesce((SELECT min(t.id) FROM {self.table} t WHERE {same}), w.{names[0]}) FROM"  # noqa: S608
            f" (SELECT * FROM ({kept} EXCEPT {counted}) UNION SELECT * FROM ({counted} EXCEPT {kept})) w"
        )
        return [str(row[0]) for row in rows]

    def _taken(self, db: sqlite3.Connection, rows: Rows) -> str:
        seen: set[str] = set()
        for row in rows:
            found = db.execute(
                f"SELECT name FROM {self.table} WHERE name_key = ? AND id <> ?",  # noqa: S608
                (row[2], row[0]),
            ).fetchone()
            if found or row[2] in seen:
                return str(row[1])
            seen.add(row[2])
        return "?"


@dataclass(frozen=True, slots=True)
class Sort:
    """What an order goes by, in SQL. Rows in which a text that `may_be_empty` is so come last, either way round."""

    sql: str
    may_be_empty: bool = False


def with_words(q: str, column: str = "text") -> Condition:
    """What has all the words of `q` in that column."""
    words = name_key(q).split()[:MAX_WORDS]
    return [f"{column} GLOB ?"] * len(words), [anywhere(word) for word in words]


def find_page(
    db: sqlite3.Connection,
    table: str,
    sorts: Mapping[str, Sort],
    those: Condition,
    *,
    sort: str,
    page: int,
    per_page: int,
    usual: str = "name",
    given: str = "",
) -> tuple[Sequence[str], int]:
    """The ids of one page of those, and how many there are. `sort` is one of `sorts`, with - before it the other way
    round; what is equal in it is in the `usual` order. `given` makes the table, as a part of WITH, where it isn't in
    the file; its values come first. Raises InvalidInput."""
    name, usual_name = sort.removeprefix("-"), usual.removeprefix("-")
    if name not in sorts:
        raise InvalidInput(f"They can't be sorted by {shown(name)}.", remedy=f"Use {listed(sorts)}.")
    check_page(page, per_page)
    first, then = sorts[name], sorts[usual_name]
    order, usual_order = ("DESC" if one.startswith("-") else "ASC" for one in (sort, usual))

    def by(column: str, after: str) -> str:
        if name == usual_name:  # an index has it so
            return f"{column} {order}, id {order}"
        empty = f"{column} = '', " if first.may_be_empty else ""
        return f"{empty}{column} {order}, {after} {usual_order}, id {usual_order}"

    conditions, values = those
    window = [per_page, (page - 1) * per_page]
    if not conditions and not given:
        rows = db.execute(f"SELECT id FROM {table} ORDER BY {by(first.sql, then.sql)} LIMIT ? OFFSET ?", window)  # noqa: S608
        return [row[0] for row in rows], db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
    # Looked for once, for the count and the page alike: reading every row is nearly all of what a search costs.
    those_found = (
        f"WITH {given and given + ','} those AS MATERIALIZED (SELECT id, {first.sql} AS first, {then.sql} AS after"  # noqa: S608
        f" FROM {table} WHERE {' AND '.join(conditions) or '1'})"
    )
    found = db.execute(
        f"{those_found} SELECT id, (SELECT count(*) FROM those) FROM those ORDER BY {by('first', 'after')}"  # noqa: S608
        " LIMIT ? OFFSET ?",
        [*values, *window],
    ).fetchall()
    if found or page == 1:
        return [row[0] for row in found], found[0][1] if found else 0
    return [], db.execute(f"{those_found} SELECT count(*) FROM those", values).fetchone()[0]  # noqa: S608


def find_all(db: sqlite3.Connection, table: str, those: Condition) -> list[str]:
    """The ids of all of those, by name."""
    conditions, values = those
    where = " AND ".join(conditions) or "1"
    return [row[0] for row in db.execute(f"SELECT id FROM {table} WHERE {where} ORDER BY name_key", values)]  # noqa: S608


def check_page(page: int, per_page: int) -> None:
    """Raises InvalidInput where there can't be such a page."""
    if page < 1 or not 1 <= per_page <= MAX_PER_PAGE:
        raise InvalidInput("There is no such page.", remedy=f"Pages start at 1, with 1 to {MAX_PER_PAGE} rows each.")


def anywhere(word: str) -> str:
    """The pattern of what has this word in it: GLOB compares in half the time that instr() takes. A pattern would end
    at a NUL, which no text has, so that becomes one that nothing fits."""
    return "" if "\0" in word else "*" + _SPECIAL.sub(r"[\g<0>]", word) + "*"
