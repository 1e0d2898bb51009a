"""The shapes of answers about assignments, for the API's description."""

from __future__ import annotations

from hostward.domain.assignments import Effect, Of, To
from hostward.domain.sessions import SessionType
from hostward.http.api.shapes import Replicated
from hostward.http.requests import Shown


class Subject(Shown):
    kind: To
    id: str
    """Empty for everyone."""
    name: str
    """Empty where it isn't there any more."""


class Assignable(Shown):
    kind: Of
    id: str
    name: str
    """Empty where it isn't there any more."""


class Assignment(Shown):
    id: str
    to: Subject
    of: Assignable
    effect: Effect
    until: str
    """A moment in UTC; empty for always."""
    over: bool
    """It counts for nothing any more."""
    revision: int
    """The change that made it so."""


class AssignmentPage(Shown):
    items: list[Assignment]
    total: int
    page: int
    per_page: int


class Folder(Shown):
    name: str
    users: int
    """How many users of the group are at or below it."""


class Folders(Shown):
    items: list[Folder]


class Assigned(Shown):
    assignments: int
    revision: int
    replicated: Replicated


class Usable(Shown):
    id: str
    name: str
    type: SessionType
    host: str
    port: int
    tls: bool


class UsablePage(Shown):
    items: list[Usable]
    total: int
    page: int
    per_page: int


class Own(Usable):
    favourite: bool


class OwnPage(Shown):
    items: list[Own]
    total: int
    page: int
    per_page: int


class Favourites(Shown):
    items: list[Usable]
    """Those that you may use now."""
    most: int
    """As many can be kept."""
    ignored: list[str]
    """What was asked for that you have no such session of."""


class Ground(Shown):
    effect: Effect
    to: Subject
    by: str
    """assignment, or the session's groups"""
    assignment: str
    """The assignment's id; empty for the session's groups."""
    until: str


class Why(Shown):
    user: str
    of: Assignable
    allowed: bool
    disabled: bool
    """The user can't log in, whatever else is said."""
    because: list[Ground]
    """All that counts, denials first: one of these is enough to take it away. Empty: nothing gives it."""
