"""The shapes of what is answered about the audit log, for the API's description."""

from __future__ import annotations

from typing import Literal

from hostward.http.requests import Shown


class Entry(Shown):
    at: str
    server: str
    server_name: str
    number: int
    """Its place in that server's log."""
    user: str
    address: str
    act: str
    what: str
    """The act in words."""
    outcome: Literal["done", "submitted", "refused"]
    reason: str
    """Why it was refused."""
    revision: int | None
    """Of the change that it made."""
    request: str
    """The X-Request-Id of the answer."""
    about: dict[str, str]
    times: int
    """How many equal refusals these were."""
    since: str
    hash: str
    previous: str
    """The hash of the entry before it."""


class Page(Shown):
    items: list[Entry]
    next: str
    """For `before`, to see older ones; empty where there are none."""


class Trouble(Shown):
    server: str
    server_name: str
    code: Literal["altered", "cut", "fork", "gap", "seal", "lost"]
    number: int
    text: str


class Verified(Shown):
    ok: bool
    entries: int
    logs: int
    troubles: list[Trouble]
