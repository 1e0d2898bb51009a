"""The shapes of what is answered about the history, for the API's description."""

from __future__ import annotations

from typing import Any

from hostward.http.api.shapes import Replicated
from hostward.http.requests import Shown


class ChangeListed(Shown):
    revision: int
    time: str
    author: str
    summary: str
    elements: int
    """How many sessions and settings it touched; those are what undo reverses."""
    records: list[str]
    """What of replication's own it wrote, such as a change request; that is never turned back."""


class HistoryKept(Shown):
    newest: int
    """The newest revision."""
    oldest: int | None
    """The oldest revision whose change is kept; null where none is."""
    restorable_from: int
    """The oldest revision that can be restored."""


class ChangesListed(Shown):
    items: list[ChangeListed]
    """Newest first."""
    next_before: int | None
    """Send it as `before` for the next page; null where there is none."""
    history: HistoryKept


class FieldChanged(Shown):
    field: str
    before: Any
    after: Any


class ElementChanged(Shown):
    kind: str
    id: str
    label: str
    act: str
    """create, change or delete"""
    fields: list[FieldChanged]
    """Those that differ."""
    later: int | None
    """The next revision that touched it again; null where it is still so."""


class ChangeShown(ChangeListed):
    origin: str
    """The id of the server where it was made."""
    requests: list[str]
    """The ids of the change requests that it took in or decided."""
    changes: list[ElementChanged]
    """The first 100."""
    history: HistoryKept


class SessionChanged(Shown):
    revision: int
    time: str
    author: str
    act: str
    """create, change or delete"""
    fields: list[FieldChanged]


class SessionPast(Shown):
    id: str
    name: str
    exists: bool
    complete: bool
    """The last item is the session's creation; else earlier changes are on the next page, or aren't kept."""
    items: list[SessionChanged]
    """Newest first."""
    next_before: int | None
    history: HistoryKept


class TurnedBack(Shown):
    changed: bool
    revision: int
    replicated: Replicated
