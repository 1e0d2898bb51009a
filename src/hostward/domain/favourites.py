"""Favourites: the sessions that a user wants first. They are the group's, so that they are the same on every server.

A user's are one element, with the user's id. What is asked for is said as a difference (Marking), never as a whole
list: so two browsers, or a browser that couldn't save for a while, take nothing away from each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from hostward.domain.changes import Body, Delete, Operation
from hostward.domain.errors import InvalidInput
from hostward.domain.fields import Checks, checked
from hostward.domain.people import USER_KIND
from hostward.domain.suggestions import shown
from hostward.domain.texts import Wrong

KIND: Final = "favourites"
NOUN: Final = "favourites list"
MAX_FAVOURITES: Final = 500
MAX_ID: Final = 100
TOO_MANY: Final = "too-many-favourites"


class Order(StrEnum):
    """What favourites mean for a list of sessions: nothing, it is by name; they come first; they are all of it."""

    NAME = "name"
    FIRST = "first"
    ONLY = "only"


@dataclass(frozen=True, slots=True)
class Marking:
    """Sessions, by id, that become favourites, and others that no longer are."""

    add: frozenset[str] = frozenset()
    remove: frozenset[str] = frozenset()

    def then(self, later: Marking) -> Marking:
        """Both as one; the later one wins."""
        return Marking((self.add - later.remove) | later.add, (self.remove - later.add) | later.remove)

    def of(self, before: Iterable[str]) -> list[str]:
        """The favourites after it."""
        return sorted((set(before) | self.add) - self.remove)


def check_favourites(given: Body) -> Body:
    """The body of a user's favourites: `sessions`, their ids. Raises InvalidInput."""
    return checked(NOUN, _CHECKS, given)


def check_room(favourites: Sequence[str]) -> None:
    """Raises InvalidInput where they are more than are kept."""
    if len(favourites) > MAX_FAVOURITES:
        raise InvalidInput(
            f"That would be {len(favourites):,} favourites; at most {MAX_FAVOURITES} are kept. Nothing was changed.",
            remedy="Take some away first.",
            code=TOO_MANY,
        )


def gone_with(operations: Iterable[Operation]) -> list[Delete]:
    """What goes with the users that are deleted. It is the writer's to add, so that no change request names somebody's
    favourites: it would contradict each star that the user has set since."""
    return [Delete(KIND, op.id) for op in operations if isinstance(op, Delete) and op.kind == USER_KIND]


def _ids(value: object) -> list[str] | Wrong:
    fine = isinstance(value, list | tuple) and all(isinstance(v, str) and 0 < len(v) <= MAX_ID for v in value)
    if not fine:
        return Wrong(f"{shown(value)} isn't a list of sessions.", "Write a list of their ids.")
    found: list[Any] = sorted(set(value)) if isinstance(value, list | tuple) else []
    if len(found) > MAX_FAVOURITES:
        return Wrong(f"There are {len(found):,} favourites.", f"Keep at most {MAX_FAVOURITES}.")
    return found


_CHECKS: Final[Checks] = {"sessions": ((), _ids)}
