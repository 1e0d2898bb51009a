"""Who may use what: assignments, and sessions' own groups, put together for one user or one session."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from hostward.domain.assignments import FIELDS, KIND, Effect, Of, To
from hostward.domain.changes import Body
from hostward.domain.favourites import Order
from hostward.domain.folders import BETWEEN
from hostward.registry.derived.table import Derived, Rows, check_page
from hostward.registry.derived.usable import BELONGS, PLACED, Groups, Usable, groups_of


def assignments(id_: str, body: Body, revision: int) -> Rows:
    return [(id_, *(body.get(name, "") for name in FIELDS))]


TABLES: Final = (Derived(KIND, "assignment_row", assignments),)


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
            f"{_SUBJECTS} SELECT a.effect, a.to_kind, a.to_id, a.until, a.id FROM assignment_row a"  # noqa: S608
            " JOIN subject s ON a.to_kind = s.kind AND a.to_id = s.id"
            " WHERE a.of_kind = :kind AND a.of_id = :id AND (a.until = '' OR a.until > :now)"
            " UNION ALL SELECT 'allow', 'user-group', r.id, '', '' FROM belongs b JOIN group_row r ON r.id = b.id"
            " JOIN session_in g ON g.group_key = r.name_key WHERE g.id = :id AND :kind = 'session'",
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

    def of_directory(self, directory: str) -> Sequence[str]:
        """The ids of all assignments to folders of the directory with that id."""
        rows = self._db.execute(
            "SELECT id FROM assignment_row WHERE to_kind = 'directory-folder' AND to_id >= ? AND to_id < ?",
            (directory + BETWEEN, directory + chr(ord(BETWEEN) + 1)),
        )
        return [row[0] for row in rows]

    def groups_of(self, session: str) -> Sequence[str]:
        """The ids of the groups that the session itself names."""
        rows = self._db.execute(
            "SELECT r.id FROM session_in g JOIN group_row r ON r.name_key = g.group_key WHERE g.id = ?", (session,)
        )
        return [row[0] for row in rows]
