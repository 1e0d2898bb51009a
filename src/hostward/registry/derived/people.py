"""Users and user groups as they are searched, and who belongs to what."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from hostward.domain.changes import Body
from hostward.domain.folders import BETWEEN, above, dn_key
from hostward.domain.people import GROUP_KIND, PASSWORD_KIND, USER_KIND, State, UserSearch
from hostward.domain.texts import name_key
from hostward.registry.derived.table import Condition, Derived, Rows, Sort, find_all, find_page, with_words


def users(id_: str, body: Body, revision: int) -> Rows:
    name, full_name, directory = body["name"], body.get("full_name", ""), body.get("directory", "")
    text = name_key(f"{name}\n{full_name}\n{body.get('comment', '')}")
    role, disabled = body.get("role", ""), int(body.get("disabled", False))
    return [(id_, name, name_key(name), name_key(full_name), role, disabled, name_key(directory), text)]


def places(id_: str, body: Body, revision: int) -> Rows:
    """Where the user is in their directory."""
    try:
        return [(id_, name_key(body["directory"]), dn_key(body["dn"]))]
    except (KeyError, ValueError):  # none is known
        return []


def passwords(id_: str, body: Body, revision: int) -> Rows:
    """Who has one."""
    return [(id_,)] if body.get("hash") else []


def groups(id_: str, body: Body, revision: int) -> Rows:
    name = body["name"]
    return [(id_, name, name_key(name), name_key(f"{name}\n{body.get('comment', '')}"))]


def belongs_to(id_: str, body: Body, revision: int) -> Rows:
    """The groups that a user or a group belongs to directly."""
    return sorted((id_, group) for group in body.get("groups", ()))


TABLES: Final = (
    Derived(USER_KIND, "user_entry", users, unique_noun="user"),
    Derived(USER_KIND, "user_place", places),
    Derived(PASSWORD_KIND, "has_password", passwords),
    Derived(USER_KIND, "member_of", belongs_to),
    Derived(GROUP_KIND, "group_row", groups, unique_noun="user group"),
    Derived(GROUP_KIND, "nested_in", belongs_to),
)
USER_SORTS: Final = {
    "name": Sort("name_key"),
    "full_name": Sort("full_name_key", may_be_empty=True),
    "role": Sort("role", may_be_empty=True),
}
GROUP_SORTS: Final = {
    "name": Sort("name_key"),
    "users": Sort("(SELECT count(*) FROM member_of m WHERE m.group_id = group_row.id)"),
}
_STATES: Final = {
    State.ENABLED: "disabled = 0",
    State.DISABLED: "disabled = 1",
    State.NO_PASSWORD: "directory_key = '' AND id NOT IN (SELECT id FROM has_password)",
}


class People:
    """The users and groups of one consistent view. Ids of users and groups throughout, unless it says names."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def user_named(self, name: str) -> str | None:
        """Whatever the case."""
        return self._named("user_entry", name)

    def group_named(self, name: str) -> str | None:
        """Whatever the case."""
        return self._named("group_row", name)

    def group_names(self) -> dict[str, str]:
        """Of all groups, by their ids, in the order of names."""
        return dict(self._db.execute("SELECT id, name FROM group_row ORDER BY name_key"))

    def users(self, search: UserSearch, *, sort: str, page: int, per_page: int) -> tuple[Sequence[str], int]:
        """One page of these users, and how many there are. `sort` is one of USER_SORTS, with - before it the other way
        round; users that have nothing there come last. Raises InvalidInput."""
        return find_page(self._db, "user_entry", USER_SORTS, _those(search), sort=sort, page=page, per_page=per_page)

    def user_ids(self, search: UserSearch) -> Sequence[str]:
        """All of them, by name."""
        return find_all(self._db, "user_entry", _those(search))

    def groups(self, q: str, group: str | None, *, sort: str, page: int, per_page: int) -> tuple[Sequence[str], int]:
        """One page of the groups that have all the words of `q` and belong to that group directly, and how many there
        are. `sort` is one of GROUP_SORTS. Raises InvalidInput."""
        those = _with_words(q, "nested_in", group)
        return find_page(self._db, "group_row", GROUP_SORTS, those, sort=sort, page=page, per_page=per_page)

    def groups_of(self, user: str) -> Sequence[str]:
        """All groups that the user belongs to, also by way of other groups."""
        return self._all_above("member_of", user)

    def folders_of(self, user: str) -> Sequence[str]:
        """The ids of all folders that the user is in, and of the user's own place, in the user's directory."""
        rows = self._db.execute("SELECT directory_key, dn_key FROM user_place WHERE id = ?", (user,)).fetchall()
        return [f"{directory}{BETWEEN}{key}" for directory, dn in rows for key in (dn, *above(dn))]

    def folders(self) -> dict[str, int]:
        """How many users are at or below each folder that holds any, by its id."""
        found: dict[str, int] = {}
        rows = self._db.execute(
            "SELECT directory_key, substr(dn_key, instr(dn_key, ',') + 1), count(*) FROM user_place"
            " WHERE instr(dn_key, ',') > 0 GROUP BY 1, 2"
        )
        for directory, nearest, users in rows:
            for key in (nearest, *above(nearest)):
                id_ = f"{directory}{BETWEEN}{key}"
                found[id_] = found.get(id_, 0) + users
        return found

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
        rows = self._db.execute("SELECT id FROM session_in WHERE group_key = ?", (name_key(group_name),))
        return [row[0] for row in rows]

    def sizes(self) -> dict[str, int]:
        """How many users belong to each group directly, where there are any."""
        return dict(self._db.execute("SELECT group_id, count(*) FROM member_of GROUP BY group_id"))

    def _named(self, table: str, name: str) -> str | None:
        row = self._db.execute(f"SELECT id FROM {table} WHERE name_key = ?", (name_key(name),)).fetchone()  # noqa: S608
        return str(row[0]) if row else None

    def _all_above(self, links: str, start: str) -> Sequence[str]:
        rows = self._db.execute(
            f"WITH RECURSIVE above(id) AS (SELECT group_id FROM {links} WHERE id = ?"  # noqa: S608
            " UNION SELECT n.group_id FROM nested_in n JOIN above a ON n.id = a.id) SELECT id FROM above",
            (start,),
        )
        return [row[0] for row in rows]


def _those(search: UserSearch) -> Condition:
    conditions, values = map(list, _with_words(search.q, "member_of", search.group))
    if search.role is not None:
        conditions.append("role = ?")
        values.append(search.role.value)
    if search.directory is not None:
        conditions.append("directory_key = ?")
        values.append(name_key(search.directory))
    if search.state is not None:
        conditions.append(_STATES[search.state])
    return conditions, values


def _with_words(q: str, links: str, group: str | None) -> Condition:
    conditions, values = with_words(q)
    if group is None:
        return conditions, values
    return [*conditions, f"id IN (SELECT id FROM {links} WHERE group_id = ?)"], [*values, group]  # noqa: S608
