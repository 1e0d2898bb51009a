"""The shapes of reports, for the API's description."""

from __future__ import annotations

from hostward.http.requests import Shown


class Reach(Shown):
    server: str
    since: str
    until: str
    """Of the newest entry of its audit log that is here."""


class Span(Shown):
    span: str
    """A day (2026-01-31) or a month (2026-01), in UTC."""
    launches: int


class TopSession(Shown):
    id: str
    name: str
    launches: int


class TopUser(Shown):
    user: str
    launches: int


class Launches(Shown):
    since: str
    until: str
    total: int
    spans: list[Span]
    sessions: list[TopSession]
    """What was opened most."""
    users: list[TopUser]
    """Who opened most."""
    reach: list[Reach]
    """How far the logs go that this server has."""


class SessionUse(Shown):
    id: str
    name: str
    last: str
    """Empty where nobody has used it since `known_since`."""
    by: str
    times: int
    users: int
    """By how many it was used."""


class LastUse(Shown):
    items: list[SessionUse]
    next: str
    """For `after`, to see more; empty where there are none."""
    known_since: str


class Login(Shown):
    name: str
    full_name: str
    role: str
    disabled: bool
    last: str
    """Empty where the user hasn't logged in since `known_since`."""
    times: int


class Logins(Shown):
    items: list[Login]
    next: str
    known_since: str


class MayUse(Shown):
    user: str
    full_name: str
    disabled: bool
    session: str
    type: str
    host: str


class WhoMay(Shown):
    items: list[MayUse]
    next: str
