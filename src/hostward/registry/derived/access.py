"""Who may use what: assignments, and sessions' own groups, put together for one user or one session."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from hostward.domain.assignments import FIELDS, KIND, Effect, Of, To
from hostward.domain.changes import Body
from hostward.domain.favourites import Order
from hostward.domain.texts import name_key
from hostward.registry.derived.table import Derived, Rows, anywhere, check_page

MAX_WORDS: Final = 8


def assignments(id_: str, body: Body, revision: int) -> Rows:
    return [(id_, *(body.get(name, "") for name in FIELDS))]


TABLES: Final = (Derived(KIND, "assignment_row", assignments),)


@dataclass(frozen=True, slots=True)
class Ground:
    """Why a user may use something, or may not: by an assignment (its id), or as the session's own Groups say (then it
    is empty). `to_kind` and `to_id` are whom it was given to: the user, a group they belong to, or everyone."""

    effect: Effect
    to_kind: To
    to_id: str
    until: str
    assignment: str


_SUBJECTS: Final = """
WITH RECURSIVE belongs(id) AS (
  SELECT group_id FROM member_of WHERE id = :user
  UNION SELECT n.group_id FROM nested_in n JOIN belongs b ON n.id = b.id
), subject(kind, id) AS (
  SELECT 'everyone', '' UNION ALL SELECT 'user', :user UNION ALL SELECT 'user-group', id FROM belongs
)"""
_GIVEN: Final = f"""{_SUBJECTS}, valid(id, effect) AS MATERIALIZED (
  SELECT a.of_id, a.effect FROM subject s JOIN assignment_row a ON a.to_kind = s.kind AND a.to_id = s.id
    WHERE a.of_kind = :kind AND (a.until = '' OR a.until > :now)
), allowed(id) AS MATERIALIZED (SELECT id FROM valid WHERE effect = 'allow'
), denied(id) AS MATERIALIZED (SELECT id FROM valid WHERE effect = 'deny'
), named(group_key) AS MATERIALIZED (
  SELECT r.name_key FROM belongs b JOIN group_row r ON r.id = b.id WHERE :kind = 'session'
)"""  # noqa: S608
"""What assignments say of the user, and the groups whose sessions are the user's."""
_OF_GROUPS: Final = "SELECT 1 FROM session_group g WHERE g.id = {} AND g.group_key IN (SELECT group_key FROM named)"
# Whoever belongs to one group, as most do, has none of its sessions twice.
_COUNT: Final = f"""{_GIVEN} SELECT (
  SELECT count(*) FROM session_group o WHERE o.group_key IN (SELECT group_key FROM named)
    AND o.id NOT IN (SELECT id FROM denied)
    AND ((SELECT count(*) FROM named) = 1 OR NOT EXISTS ({_OF_GROUPS.format("o.id")} AND g.group_key < o.group_key))
) + (
  SELECT count(DISTINCT a.id) FROM allowed a JOIN {{table}} t ON t.id = a.id
    WHERE a.id NOT IN (SELECT id FROM denied) AND NOT EXISTS ({_OF_GROUPS.format("a.id")})
)"""  # noqa: S608
_FEW: Final = (
    "(SELECT o.id FROM session_group o WHERE o.group_key IN (SELECT group_key FROM named)"
    " UNION SELECT id FROM allowed) u CROSS JOIN {table} t ON t.id = u.id"
    " WHERE t.id NOT IN (SELECT id FROM denied)"
)
"""All that is given, looked up: for whom that is little."""
_IS_GIVEN: Final = (
    f"(EXISTS ({_OF_GROUPS.format('t.id')}) OR t.id IN (SELECT id FROM allowed))"  # noqa: S608
    " AND t.id NOT IN (SELECT id FROM denied)"
)
_MANY: Final = f"{{table}} t WHERE {_IS_GIVEN}"
"""All there is, by name, asked whether it is given: for whom most is."""
_ALL: Final = "{table} t WHERE 1"
"""For whoever may use all there is."""
_MARKED: Final = "json_each(:marked) m CROSS JOIN {table} t ON t.id = m.value WHERE "
"""A few that are named, looked up."""
MANY: Final = 2_000
PAGES_BY_NAME: Final = 10
"""The first one of so many parts of a long list is read by name, which ends early."""


@dataclass(frozen=True, slots=True)
class Marked:
    """A user's favourites, and what they mean for the list."""

    ids: Collection[str] = ()
    order: Order = Order.NAME


UNMARKED: Final = Marked()
_TABLES: Final = {Of.SESSION: "session_row", Of.PACKAGE: "package_row"}


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is asked for: `searched` is the text, in SQL, that all words of `q` must be in; `marked` are ids."""

    kind: Of
    user: str
    now: str
    q: str
    searched: str
    marked: Collection[str] = ()

    @property
    def table(self) -> str:
        return _TABLES[self.kind]

    @property
    def words(self) -> Sequence[str]:
        return name_key(self.q).split()[:MAX_WORDS]

    def values(self) -> dict[str, object]:
        found: dict[str, object] = {"user": self.user, "kind": self.kind.value, "now": self.now}
        found |= {f"word{n}": word for n, word in enumerate(self.words)}
        found |= {f"glob{n}": anywhere(word) for n, word in enumerate(self.words)}
        return {**found, "marked": orjson.dumps(list(self.marked)).decode()}

    def having(self) -> str:
        # The text has more in it than is searched, and is looked through faster: it leaves few to look at.
        count = range(len(self.words))
        globs = "".join(f" AND t.text GLOB :glob{n}" for n in count)
        return globs + "".join(f" AND instr({self.searched}, :word{n}) > 0" for n in count)


class Access:
    """One consistent view. `now` is a moment in UTC, as assignments have it."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def sessions_of(
        self, user: str, now: str, q: str, *, page: int, per_page: int, marked: Marked = UNMARKED
    ) -> tuple[Sequence[str], int]:
        """The ids of one page, by name, of the sessions that the user may use and that have all the words of `q` in
        name, host or type, and how many there are. An empty user may use all. Raises InvalidInput."""
        check_page(page, per_page)
        wanted = _Wanted(Of.SESSION, user, now, q, "t.name_key || ' ' || t.host || ' ' || lower(t.type)", marked.ids)
        skipped = (page - 1) * per_page
        if marked.order is Order.NAME or not (marked.ids or marked.order is Order.ONLY):
            return self._usable(wanted, skipped, per_page)
        first = self._among(wanted)
        if marked.order is Order.ONLY:
            return first[skipped : skipped + per_page], len(first)
        here = first[skipped : skipped + per_page]
        others, total = self._usable(wanted, max(0, skipped - len(first)), per_page - len(here), but=first)
        return [*here, *others], len(first) + total

    def usable_among(self, user: str, now: str, ids: Collection[str]) -> Sequence[str]:
        """Those of some sessions, by name, that are there and that the user may use. An empty user may use all."""
        return self._among(_Wanted(Of.SESSION, user, now, "", "", ids))

    def sessions_after(self, user: str, now: str, key: str, count: int) -> Sequence[tuple[str, str, str, str]]:
        """Name, type, host and the name's key of the sessions that the user may use and that come next, by name, after
        the one with that key; from the first on for an empty one."""
        values = {"user": user, "kind": Of.SESSION.value, "now": now, "key": key, "count": count}
        given = (_MANY if self._count("session_row", values) > MANY else _FEW).format(table="session_row")
        rows = self._db.execute(
            f"{_GIVEN} SELECT t.name, t.type, t.host, t.name_key FROM {given}"  # noqa: S608
            " AND t.name_key > :key ORDER BY t.name_key LIMIT :count",
            values,
        )
        return rows.fetchall()

    def packages_of(self, user: str, now: str, q: str, *, page: int, per_page: int) -> tuple[Sequence[str], int]:
        """As `sessions_of`; searched are name, version and description."""
        check_page(page, per_page)
        return self._usable(_Wanted(Of.PACKAGE, user, now, q, "t.text"), (page - 1) * per_page, per_page)

    def _usable(self, wanted: _Wanted, skipped: int, count: int, but: Sequence[str] = ()) -> tuple[Sequence[str], int]:
        """So many by name, without those of `but`, all of which the user may use; and how many there are."""
        table = wanted.table
        values = {**wanted.values(), "count": count, "skipped": skipped, "but": orjson.dumps(but).decode()}
        total = self._count(table, values, every=not wanted.user)
        early = not wanted.words and skipped + count <= total // PAGES_BY_NAME
        given = _MANY if total > MANY and (wanted.words or early) else _FEW
        found = (given if wanted.user else _ALL).format(table=table) + wanted.having()
        found += " AND t.id NOT IN (SELECT value FROM json_each(:but))" if but else ""
        if not wanted.words:
            sql = f"{_GIVEN} SELECT t.id FROM {found} ORDER BY t.name_key LIMIT :count OFFSET :skipped"  # noqa: S608
            return [row[0] for row in self._db.execute(sql, values)], total - len(but)
        rows = self._db.execute(
            f"{_GIVEN}, found AS MATERIALIZED (SELECT t.id, t.name_key FROM {found})"  # noqa: S608
            " SELECT id, (SELECT count(*) FROM found) FROM found ORDER BY name_key LIMIT :count OFFSET :skipped",
            values,
        ).fetchall()
        if not rows:
            sql = f"{_GIVEN} SELECT count(*) FROM {found}"  # noqa: S608
            return [], int(self._db.execute(sql, values).fetchone()[0])
        return [row[0] for row in rows], rows[0][1]

    def _among(self, wanted: _Wanted) -> Sequence[str]:
        """All of those that are marked, by name."""
        given = "1" if not wanted.user else _IS_GIVEN
        found = f"{_MARKED.format(table=wanted.table)}{given}{wanted.having()}"
        sql = f"{_GIVEN} SELECT t.id FROM {found} ORDER BY t.name_key"  # noqa: S608
        return [row[0] for row in self._db.execute(sql, wanted.values())]

    def _count(self, table: str, values: Mapping[str, object], *, every: bool = False) -> int:
        """How many of a table's things the user may use."""
        if every:
            return int(self._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608
        return int(self._db.execute(_COUNT.format(table=table), values).fetchone()[0])

    def may_use(self, user: str, kind: Of, id_: str, now: str) -> bool:
        grounds = self.grounds(user, kind, id_, now)
        return bool(grounds) and all(g.effect is Effect.ALLOW for g in grounds)

    def grounds(self, user: str, kind: Of, id_: str, now: str) -> Sequence[Ground]:
        """All that counts now, denials first. Empty: nothing gives it to the user."""
        rows = self._db.execute(
            f"{_SUBJECTS} SELECT a.effect, a.to_kind, a.to_id, a.until, a.id FROM assignment_row a"  # noqa: S608
            " JOIN subject s ON a.to_kind = s.kind AND a.to_id = s.id"
            " WHERE a.of_kind = :kind AND a.of_id = :id AND (a.until = '' OR a.until > :now)"
            " UNION ALL SELECT 'allow', 'user-group', r.id, '', '' FROM belongs b JOIN group_row r ON r.id = b.id"
            " JOIN session_group g ON g.group_key = r.name_key WHERE g.id = :id AND :kind = 'session'",
            {"user": user, "kind": kind.value, "id": id_, "now": now},
        )
        found = [Ground(Effect(e), To(to_kind), to, until, by) for e, to_kind, to, until, by in rows]
        return sorted(found, key=lambda g: (g.effect is Effect.ALLOW, g.to_kind, g.to_id))

    def assignments(
        self, *, to: tuple[str, str] | None, of: tuple[str, str] | None, page: int, per_page: int
    ) -> tuple[Sequence[str], int]:
        """The ids of one page of assignments, to that subject and of that thing (kind, id), and how many there are.
        Raises InvalidInput."""
        check_page(page, per_page)
        conditions = [*(["to_kind = ? AND to_id = ?"] if to else []), *(["of_kind = ? AND of_id = ?"] if of else [])]
        values = [*(to or ()), *(of or ())]
        where = " AND ".join(conditions) or "1"
        total = self._db.execute(f"SELECT count(*) FROM assignment_row WHERE {where}", values).fetchone()[0]  # noqa: S608
        rows = self._db.execute(
            f"SELECT id FROM assignment_row WHERE {where} ORDER BY id LIMIT ? OFFSET ?",  # noqa: S608
            [*values, per_page, (page - 1) * per_page],
        )
        return [row[0] for row in rows], total

    def of_subject(self, kind: str, id_: str) -> Sequence[str]:
        """The ids of all assignments to a user or group."""
        rows = self._db.execute("SELECT id FROM assignment_row WHERE to_kind = ? AND to_id = ?", (kind, id_))
        return [row[0] for row in rows]

    def groups_of(self, session: str) -> Sequence[str]:
        """The ids of the groups that the session itself names."""
        rows = self._db.execute(
            "SELECT r.id FROM session_group g JOIN group_row r ON r.name_key = g.group_key WHERE g.id = ?", (session,)
        )
        return [row[0] for row in rows]
