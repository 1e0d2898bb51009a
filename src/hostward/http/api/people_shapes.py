"""The shapes of answers about users and user groups, for the API's description."""

from __future__ import annotations

from pydantic import Field

from hostward.domain.people import Role
from hostward.http.api.shapes import Replicated
from hostward.http.requests import Shown


class User(Shown):
    id: str
    name: str
    """What the user logs in with. Unique, whatever the case."""
    full_name: str
    groups: list[str]
    """The names of the groups that the user belongs to directly."""
    role: Role
    disabled: bool
    """Nobody can log in as this user."""
    comment: str
    directory: str
    """The name of the directory that checks the password; empty for none."""
    dn: str
    """The distinguished name there; empty where it isn't known."""
    etag: str
    revision: int


class UserDetail(User):
    by_way_of: list[str]
    """The names of the groups that the user belongs to by way of others."""
    password: bool
    """Whether one is set."""
    password_changed_at: str
    """Empty where there is none."""


class UserPage(Shown):
    items: list[User]
    total: int
    page: int
    per_page: int


class UserWritten(Shown):
    user: User
    revision: int
    replicated: Replicated


class UsersChanged(Shown):
    users: int
    """How many were changed or deleted."""
    revision: int
    replicated: Replicated


class Group(Shown):
    id: str
    name: str
    """Unique, whatever the case. Sessions name it."""
    groups: list[str]
    """The names of the groups that it belongs to."""
    comment: str
    etag: str
    revision: int


class GroupRow(Group):
    users: int
    """How many belong to it directly."""


class GroupDetail(GroupRow):
    subgroups: list[str]
    """The names of the groups that belong to it."""
    sessions: int
    """How many sessions name it."""


class GroupPage(Shown):
    items: list[GroupRow]
    total: int
    page: int
    per_page: int


class GroupWritten(Shown):
    group: Group
    revision: int
    replicated: Replicated


class Wait(Shown):
    server: str
    address: str
    """Empty for what counts whichever the address; an IPv6 network stands for all of its addresses."""
    wrong: int
    """How many wrong passwords."""
    until: str | None
    """Null once it is over; the next wrong one has to wait longer all the same."""


class Waits(Shown):
    items: list[Wait]
    servers: list[str]
    """That have answered."""
    silent: list[str]
    """That haven't."""


class Deleted(Shown):
    id: str
    revision: int
    replicated: Replicated


class UsersImported(Shown):
    created: int
    changed: int
    unchanged: int
    groups_created: list[str]
    disabled: int
    """Whom a directory doesn't have any more."""
    first: list[str] = Field(max_length=100)
    """The first users that are new or changed, by name."""
    revision: int
    replicated: Replicated | None
    """Null for a dry run."""
