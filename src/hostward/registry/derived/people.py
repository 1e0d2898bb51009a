"""Users and user groups as they are searched, and who belongs to what."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from hostward.domain.changes import Body
from hostward.domain.people import GROUP_KIND, USER_KIND
from hostward.domain.texts import name_key
from hostward.registry.derived.table import MAX_WORDS, Derived, Rows, anywhere, check_page


def users(id_: str, body: Body, revision: int) -> Rows:
    name, full_name = body["name"], body.get("full_name", "")
    text = name_key(f"{name}\n{full_name}\n{body.get('comment', '')}")
    return [(id_, name, name_key(name), full_name, body.get("role", ""), int(body.get("disabled", False)), text)]


def groups(id_: str, body: Body, revision: int) -> Rows:
    name = body["name"]
    return [(id_, name, name_key(name), name_key(f"{name}\n{body.get('comment', '')}"))]


def belongs_to(id_: str, body: Body, revision: int) -> Rows:
    """The groups that a user or a group belongs to directly."""
    return sorted((id_, group) for group in body.get("groups", ()))


TABLES: Final = (
    Derived(USER_KIND, "user_row", users, unique_noun="user"),
    Derived(USER_KIND, "member_of", belongs_to),
    Derived(GROUP_KIND, "group_row", groups, unique_noun="user group"),
    Derived(GROUP_KIND, "nested_in", belongs_to),
)


class People:
    """The users and groups of one consistent view. Ids of users and groups throughout, unless it says names."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def user_named(self, name: str) -> str | None:
        """Whatever the case."""
        return self._named("user_row", name)

    def group_named(self, name: str) -> str | None:
        """Whatever the case."""
        return self._named("group_row", name)

    def group_names(self) -> dict[str, str]:
        """Of all groups, by their ids, in the order of names."""
        return dict(self._db.execute("SELECT id, name FROM group_row ORDER BY name_key"))

    def users(self, q: str | None, group: str | None, *, page: int, per_page: int) -> tuple[Sequence[str], int]:
        """One page, by name, of the users that have all the words of `q` and belong to that group directly, and how
        many there are. Raises InvalidInput."""
        return self._page("user_row", "member_of", q, group, page, per_page)

    def groups(self, q: str | None, group: str | None, *, page: int, per_page: int) -> tuple[Sequence[str], int]:
        """As `users`."""
        return self._page("group_row", "nested_in", q, group, page, per_page)

    def groups_of(self, user: str) -> Sequence[str]:
        """All groups that the user belongs to, also by way of other groups."""
        return self._all_above("member_of", user)

    def groups_above(self, group: str) -> Sequence[str]:
        """All groups that the group belongs to, also by way of others."""
        return self._all_above("nested_in", group)

    def users_in(self, group: str) -> Sequence[str]:
        """Who belongs to it directly."""
        return [row[0] for row in self._db.execute("SELECT id FROM member_of WHERE group_id = ?", (group,))]

    def groups_in(self, group: str) -> Sequence[str]:
        """The groups that belong to it directly."""
        return [row[0] for row in self._db.execute("SELECT id FROM nested_in WHERE group_id = ?", (group,))]

    def sessions_for(self, group_name: str) -> Sequence[str]:
        """The ids of the sessions that name this group."""
        rows = self._db.execute("SELECT id FROM session_group WHERE group_key = ?", (name_key(group_name),))
        return [row[0] for row in rows]

    def sizes(self) -> dict[str, int]:
        """How many users belong to each group directly, where there are any."""
        return dict(self._db.execute("SELECT group_id, count(*) FROM member_of GROUP BY group_id"))

    def _named(self, table: str, name: str) -> str | None:
        row = self._db.execute(f"SELECT id FROM {table} WHERE name_key = ?", (name_key(name),)).fetchone()  # noqa: S608
        return str(row[0]) if row else None

    def _page(
        self, table: str, links: str, q: str | None, group: str | None, page: int, per_page: int
    ) -> tuple[Sequence[str], int]:
        check_page(page, per_page)
        words = name_key(q or "").split()[:MAX_WORDS]
        conditions = ["text GLOB ?"] * len(words)
        values: list[str | int] = [*map(anywhere, words)]
        if group is not None:
            conditions.append(f"id IN (SELECT id FROM {links} WHERE group_id = ?)")  # noqa: S608
            values.append(group)
        where = " AND ".join(conditions) or "1"
        total = self._db.execute(f"SELECT count(*) FROM {table} WHERE {where}", values).fetchone()[0]  # noqa: S608
        rows = self._db.execute(
            f"SELECT id FROM {table} WHERE {where} ORDER BY name_key LIMIT ? OFFSET ?",  # noqa: S608
            [*values, per_page, (page - 1) * per_page],
        )
        return [row[0] for row in rows], total

    def _all_above(self, links: str, start: str) -> Sequence[str]:
        rows = self._db.execute(
            f"WITH RECURSIVE above(id) AS (SELECT group_id FROM {links} WHERE id = ?"  # noqa: S608
            " UNION SELECT n.group_id FROM nested_in n JOIN above a ON n.id = a.id) SELECT id FROM above",
            (start,),
        )
        return [row[0] for row in rows]
