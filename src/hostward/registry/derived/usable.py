"""What a user may use, page by page: by assignments, and by the groups that sessions name.

A session's groups have a key (`groups_key`), the same for all sessions with the same groups. However many sessions
there are, they share their groups in few ways, which are counted (`session_way`): it is found which of those are the
user's, and then a page of their sessions, so that nobody's page reads all there is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from hostward.domain.assignments import Effect, Of
from hostward.domain.texts import name_key
from hostward.registry.derived.table import MAX_WORDS, anywhere

BELONGS: Final = """
WITH RECURSIVE belongs(id) AS (
  SELECT group_id FROM member_of WHERE id = :user
  UNION SELECT n.group_id FROM nested_in n JOIN belongs b ON n.id = b.id
)"""
"""The groups of a user, also by way of other groups."""
_GROUPS: Final = f"{BELONGS} SELECT b.id, r.name_key FROM belongs b LEFT JOIN group_row r ON r.id = b.id"  # noqa: S608
PLACED: Final = """placed(directory, dn) AS (
  SELECT directory_key, dn_key FROM user_place WHERE id = :user
  UNION ALL SELECT directory, substr(dn, instr(dn, ',') + 1) FROM placed WHERE instr(dn, ',') > 0
)"""
"""Where the user is in a directory, and each folder above that (domain.folders)."""
_ASSIGNED: Final = f"""
WITH RECURSIVE {PLACED}, subject(kind, id) AS (
  SELECT 'everyone', '' UNION ALL SELECT 'user', :user UNION ALL SELECT 'user-group', value FROM json_each(:groups)
  UNION ALL SELECT 'directory-folder', directory || char(9) || dn FROM placed
)
SELECT a.of_id, a.effect FROM subject s CROSS JOIN assignment_entry a ON a.to_kind = s.kind AND a.to_id = s.id
  WHERE a.of_kind = :kind AND (a.until = '' OR a.until > :now)"""  # noqa: S608
_WAYS: Final = """
SELECT groups_key, max(elements) FROM session_way WHERE group_key IN (SELECT value FROM json_each(:names))
  GROUP BY groups_key"""
_ALLOWED: Final = "id IN (SELECT value FROM json_each(:allowed))"
_DENIED: Final = "id IN (SELECT value FROM json_each(:denied))"
_BUT: Final = "(SELECT value FROM json_each(:but))"


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of thing that can be used: its table, by which its groups give it, and the text, in SQL, that all words of
    a search must be in. (A + before a column keeps SQLite from its index.)"""

    table: str
    by_groups: str
    searched: str

    @property
    def given(self) -> str:
        """Of a row `t`: whether it is the user's."""
        return f"(({self.by_groups.format('+')}) OR +t.{_ALLOWED}) AND NOT +t.{_DENIED}"

    @property
    def size(self) -> str:
        """How many there are: counted at once where it is asked alone."""
        return f"SELECT count(*) FROM {self.table}"  # noqa: S608

    @property
    def adjusted(self) -> str:
        """By how many what is given is more than what groups give."""
        of, by_groups = f"{self.size} t WHERE", self.by_groups.format("+")
        return f"SELECT ({of} t.{_ALLOWED} AND NOT ({by_groups})) - ({of} t.{_DENIED} AND {by_groups})"

    @property
    def looked_up(self) -> str:
        """All that is given, found by indexes: rowid and the name's key."""
        of = f"SELECT t.rowid AS at, t.name_key AS key FROM {self.table} t WHERE"  # noqa: S608
        denied = f"t.rowid NOT IN (SELECT t.rowid FROM {self.table} t WHERE t.{_DENIED})"  # noqa: S608
        by_groups = f"{of} {self.by_groups.format('')} AND {denied}"
        return f"{by_groups} UNION ALL {of} t.{_ALLOWED} AND NOT ({self.by_groups.format('+')})"


_Page = tuple[Sequence[str], int]
_KINDS: Final = {
    Of.SESSION: _Kind(
        "session_entry",
        "{0}t.groups_key <> '' AND {0}t.groups_key IN (SELECT value FROM json_each(:ways))",
        "t.name_key || ' ' || t.host || ' ' || lower(t.type)",
    ),
    Of.PACKAGE: _Kind("package_row", "0", "t.text"),
}


FEW: Final = 10_000
"""So many are soon sorted."""
NEAR: Final = 500
"""So far from an end of a longer list, what is given is soon found by reading all there is, by name."""


def row_by_row(total: int, size: int) -> bool:
    """Whether a search reads all there is, which is four times as fast a row as looking up what is given."""
    return 4 * total > size


Groups = Sequence[tuple[str, str | None]]
"""Ids, and keys of their names where they are there."""


def groups_of(db: sqlite3.Connection, user: str) -> Groups:
    """All that the user belongs to, also by way of others."""
    return db.execute(_GROUPS, {"user": user}).fetchall()


class Usable:
    """Of one kind, what one user, with these groups, may use now; an empty user may use all there is. `q` are words of
    a search."""

    def __init__(self, db: sqlite3.Connection, kind: Of, user: str, groups: Groups, now: str, q: str = "") -> None:
        self._db, self._kind, self._every = db, _KINDS[kind], not user
        self._by_groups, self._values = (0, {}) if self._every else _given(db, kind, user, groups, now)
        self._words = name_key(q).split()[:MAX_WORDS]
        self._values |= {f"word{n}": word for n, word in enumerate(self._words)}
        self._values |= {f"glob{n}": anywhere(word) for n, word in enumerate(self._words)}

    def page(self, skipped: int, count: int, but: Sequence[str] = ()) -> _Page:
        """The ids of so many, by name, without those of `but`, all of which match and may be used; and how many there
        are."""
        total = self._count()
        self._values |= {"but": _json(but)}
        if self._words:
            return self._search(total, skipped, count)
        left = total - len(but)
        count = max(0, min(count, left - skipped))
        # What is nearer to the end is read from there.
        late = skipped + count > left // 2
        first, order = (left - skipped - count, "DESC") if late else (skipped, "ASC")
        table, found = self._kind.table, self._listed(first + count, total)
        rows = self._db.execute(
            f"SELECT t.id FROM (SELECT at, key FROM ({found}) WHERE at NOT IN (SELECT t.rowid FROM {table} t"  # noqa: S608
            f" WHERE t.id IN {_BUT}) ORDER BY key {order} LIMIT :count OFFSET :first)"
            f" CROSS JOIN {table} t ON t.rowid = at ORDER BY key",
            {**self._values, "count": count, "first": first},
        )
        return [row[0] for row in rows], left

    def among(self, ids: Collection[str]) -> Sequence[str]:
        """Those of a few that match and may be used, by name."""
        given = "1" if self._every else self._kind.given
        rows = self._db.execute(
            f"SELECT t.id FROM json_each(:ids) m CROSS JOIN {self._kind.table} t ON t.id = m.value"  # noqa: S608
            f" WHERE {given}{self._having()} ORDER BY t.name_key",
            {**self._values, "ids": _json(ids)},
        )
        return [row[0] for row in rows]

    def after(self, key: str, count: int) -> Sequence[tuple[str, str, str, str]]:
        """Name, type, host and the name's key of sessions that come next, by name, after the one with that key; from
        the first on for an empty one."""
        found = self._listed(count, self._count())
        rows = self._db.execute(
            f"SELECT t.name, t.type, t.host, t.name_key FROM (SELECT at, key FROM ({found}) WHERE key > :key"  # noqa: S608
            f" ORDER BY key LIMIT :count) CROSS JOIN {self._kind.table} t ON t.rowid = at ORDER BY key",
            {**self._values, "key": key, "count": count},
        )
        return rows.fetchall()

    def _listed(self, distance: int, total: int) -> str:
        """Rowid and name's key of what may be used, where the list is read that far from one of its ends."""
        if self._every or (distance > NEAR and total > FEW and total == self._size()):
            given = "1"
        elif total > FEW and (distance <= NEAR or distance * self._size() < total * total):
            given = self._kind.given
        else:
            return self._kind.looked_up
        return f"SELECT t.rowid AS at, t.name_key AS key FROM {self._kind.table} t WHERE {given}"  # noqa: S608

    def _search(self, total: int, skipped: int, count: int) -> _Page:
        size = self._size()
        found = f"{self._kind.table} t WHERE {'1' if total == size else self._kind.given}"
        if total < size and not row_by_row(total, size):
            found = f"({self._kind.looked_up}) CROSS JOIN {self._kind.table} t ON t.rowid = at WHERE 1"
        found += f"{self._having()} AND +t.id NOT IN {_BUT}"
        rows = self._db.execute(
            f"WITH found AS MATERIALIZED (SELECT t.id, t.name_key FROM {found})"  # noqa: S608
            " SELECT id, (SELECT count(*) FROM found) FROM found ORDER BY name_key LIMIT :count OFFSET :skipped",
            {**self._values, "count": count, "skipped": skipped},
        ).fetchall()
        if rows or (count and not skipped):
            return [row[0] for row in rows], int(rows[0][1]) if rows else 0
        return [], int(self._db.execute(f"SELECT count(*) FROM {found}", self._values).fetchone()[0])  # noqa: S608

    def _count(self) -> int:
        """How many may be used."""
        if self._every:
            return self._size()
        return self._by_groups + int(self._db.execute(self._kind.adjusted, self._values).fetchone()[0])

    def _size(self) -> int:
        """How many there are."""
        return int(self._db.execute(self._kind.size).fetchone()[0])

    def _having(self) -> str:
        # The text has more in it than is searched, and is looked through faster: it leaves few to look at.
        count = range(len(self._words))
        globs = "".join(f" AND t.text GLOB :glob{n}" for n in count)
        return globs + "".join(f" AND instr({self._kind.searched}, :word{n}) > 0" for n in count)


def _given(db: sqlite3.Connection, kind: Of, user: str, groups: Groups, now: str) -> tuple[int, dict[str, object]]:
    """How many things groups give, and what the statements need to know."""
    values: dict[str, object] = {"user": user, "kind": kind.value, "now": now, "groups": _json([g[0] for g in groups])}
    assigned = db.execute(_ASSIGNED, values).fetchall()
    denied = {id_ for id_, effect in assigned if effect == Effect.DENY.value}
    allowed = {id_ for id_, effect in assigned if effect == Effect.ALLOW.value} - denied
    names = _json([g[1] for g in groups if g[1]]) if kind is Of.SESSION else "[]"
    ways: dict[str, int] = dict(db.execute(_WAYS, {"names": names}))
    return sum(ways.values()), {"ways": _json(ways), "allowed": _json(allowed), "denied": _json(denied)}


def _json(texts: Collection[str]) -> str:
    return orjson.dumps(list(texts)).decode()
