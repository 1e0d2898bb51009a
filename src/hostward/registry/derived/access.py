"""Who may use what: assignments, and sessions' own groups, put together for one user or one session."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from hostward.domain.assignments import FIELDS, KIND, Effect, Of, To
from hostward.domain.changes import Body
from hostward.domain.favourites import Order
from hostward.domain.folders import BETWEEN
from hostward.registry.derived.table import Derived, Rows, Sort, check_page, find_page, with_words
from hostward.registry.derived.usable import BELONGS, PLACED, Groups, Usable, groups_of


def assignments(id_: str, body: Body, revision: int) -> Rows:
    return [(id_, *(body.get(name, "") for name in FIELDS), revision)]


TABLES: Final = (Derived(KIND, "assignment_entry", assignments),)
_GONE: Final = "char(0x10ffff)"
"""In place of a name: behind all names."""
_NAMED: Final = f"""named AS MATERIALIZED (SELECT id, effect, until, revision,
  coalesce(CASE of_kind WHEN 'session' THEN (SELECT name_key FROM session_entry t WHERE t.id = of_id)
    ELSE (SELECT name_key FROM package_row t WHERE t.id = of_id) END, {_GONE}) AS of_name,
  coalesce(CASE to_kind WHEN 'user' THEN (SELECT name_key FROM user_entry t WHERE t.id = to_id)
    WHEN 'user-group' THEN (SELECT name_key FROM group_row t WHERE t.id = to_id)
    WHEN 'everyone' THEN 'all users' ELSE replace(to_id, char(9), ': ') END, {_GONE}) AS to_name
  FROM assignment_entry WHERE """  # noqa: S608
"""Assignments with the keys of both names: those are in other elements, which may be renamed."""
SORTS: Final = {
    "revision": Sort("revision"),
    "what": Sort("of_name || char(10) || to_name"),
    "to": Sort("to_name || char(10) || of_name"),
    "effect": Sort("effect"),
    "until": Sort("until", may_be_empty=True),
}


@dataclass(frozen=True, slots=True)
class Ground:
    """Why a user may use something, or may not: by an assignment (its id), or as the session's own Groups say (then it
    is empty). `to_kind` and `to_id` are whom it was given to: the user, a group they belong to, a folder that they are
    in, or everyone."""

    effect: Effect
    to_kind: To
    to_id: str
    until: str
    assignment: str


_SUBJECTS: Final = f"""{BELONGS}, {PLACED}, subject(kind, id) AS (
  SELECT 'everyone', '' UNION ALL SELECT 'user', :user UNION ALL SELECT 'user-group', id FROM belongs
  UNION ALL SELECT 'directory-folder', directory || char(9) || dn FROM placed
)"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Marked:
    """A user's favourites, and what they mean for the list."""

    ids: Collection[str] = ()
    order: Order = Order.NAME


UNMARKED: Final = Marked()


class Access:
    """One consistent view. `now` is a moment in UTC, as assignments have it."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._groups: dict[str, Groups] = {}

    def sessions_of(
        self, user: str, now: str, q: str, *, page: int, per_page: int, marked: Marked = UNMARKED
    ) -> tuple[Sequence[str], int]:
        """The ids of one page, by name, of the sessions that the user may use and that have all the words of `q` in
        name, host or type, and how many there are. An empty user may use all. Raises InvalidInput."""
        check_page(page, per_page)
        usable = self._usable(Of.SESSION, user, now, q)
        skipped = (page - 1) * per_page
        if marked.order is Order.NAME or not (marked.ids or marked.order is Order.ONLY):
            return usable.page(skipped, per_page)
        first = usable.among(marked.ids)
        here = first[skipped : skipped + per_page]
        if marked.order is Order.ONLY:
            return here, len(first)
        others, total = usable.page(max(0, skipped - len(first)), per_page - len(here), but=first)
        return [*here, *others], len(first) + total

    def usable_among(self, user: str, now: str, ids: Collection[str]) -> Sequence[str]:
        """Those of some sessions, by name, that are there and that the user may use. An empty user may use all."""
        return self._usable(Of.SESSION, user, now).among(ids)

    def sessions_after(self, user: str, now: str, key: str, count: int) -> Sequence[tuple[str, str, str, str]]:
        """Name, type, host and the name's key of the sessions that the user may use and that come next, by name, after
        the one with that key; from the first on for an empty one."""
        return self._usable(Of.SESSION, user, now).after(key, count)

    def packages_of(self, user: str, now: str, q: str, *, page: int, per_page: int) -> tuple[Sequence[str], int]:
        """As `sessions_of`; searched are name, version and description."""
        check_page(page, per_page)
        return self._usable(Of.PACKAGE, user, now, q).page((page - 1) * per_page, per_page)

    def _usable(self, kind: Of, user: str, now: str, q: str = "") -> Usable:
        if user not in self._groups:
            self._groups[user] = groups_of(self._db, user) if user else ()
        return Usable(self._db, kind, user, self._groups[user], now, q)

    def may_use(self, user: str, kind: Of, id_: str, now: str) -> bool:
        grounds = self.grounds(user, kind, id_, now)
        return bool(grounds) and all(g.effect is Effect.ALLOW for g in grounds)

    def grounds(self, user: str, kind: Of, id_: str, now: str) -> Sequence[Ground]:
        """All that counts now, denials first. Empty: nothing gives it to the user."""
        rows = self._db.execute(
            f"{_SUBJECTS} SELECT a.effect, a.to_kind, a.to_id, a.until, a.id FROM assignment_entry a"  # noqa: S608
            " JOIN subject s ON a.to_kind = s.kind AND a.to_id = s.id"
            " WHERE a.of_kind = :kind AND a.of_id = :id AND (a.until = '' OR a.until > :now)"
            " UNION ALL SELECT 'allow', 'user-group', r.id, '', '' FROM belongs b JOIN group_row r ON r.id = b.id"
            " JOIN session_in g ON g.group_key = r.name_key WHERE g.id = :id AND :kind = 'session'",
            {"user": user, "kind": kind.value, "id": id_, "now": now},
        )
        found = [Ground(Effect(e), To(to_kind), to, until, by) for e, to_kind, to, until, by in rows]
        return sorted(found, key=lambda g: (g.effect is Effect.ALLOW, g.to_kind, g.to_id))

    def assignments(
        self, q: str, *, to: tuple[str, str] | None, of: tuple[str, str] | None, sort: str, page: int, per_page: int
    ) -> tuple[Sequence[str], int]:
        """The ids of one page of assignments to that subject and of that thing (kind, id), with all words of `q` in the
        names of the two, and how many there are. `sort` is one of SORTS, with - before it the other way round. Raises
        InvalidInput."""
        conditions: list[str] = []
        values: list[str] = []
        for side, given in (("to", to), ("of", of)):
            if given is not None:
                conditions.append(f"{side}_kind = ? AND {side}_id = ?")
                values += given
        page_of = partial(find_page, self._db, sort=sort, page=page, per_page=per_page, usual="-revision")
        found, words = with_words(q, SORTS["what"].sql)
        if not words and sort.removeprefix("-") not in ("what", "to"):
            return page_of("assignment_entry", SORTS, (conditions, values))
        named = f"{_NAMED}{' AND '.join(conditions) or '1'})"
        return page_of("named", SORTS, (found, [*values, *words]), given=named)

    def of_subject(self, kind: str, id_: str) -> Sequence[str]:
        """The ids of all assignments to a user or group."""
        rows = self._db.execute("SELECT id FROM assignment_entry WHERE to_kind = ? AND to_id = ?", (kind, id_))
        return [row[0] for row in rows]

    def of_directory(self, directory: str) -> Sequence[str]:
        """The ids of all assignments to folders of the directory with that id."""
        rows = self._db.execute(
            "SELECT id FROM assignment_entry WHERE to_kind = 'directory-folder' AND to_id >= ? AND to_id < ?",
            (directory + BETWEEN, directory + chr(ord(BETWEEN) + 1)),
        )
        return [row[0] for row in rows]

    def groups_of(self, session: str) -> Sequence[str]:
        """The ids of the groups that the session itself names."""
        rows = self._db.execute(
            "SELECT r.id FROM session_in g JOIN group_row r ON r.name_key = g.group_key WHERE g.id = ?", (session,)
        )
        return [row[0] for row in rows]
