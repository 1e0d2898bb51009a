"""Where a session comes from in a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hostward.domain.errors import Mistake
from hostward.domain.launching.remarks import UNSAID


@dataclass(frozen=True, slots=True)
class Source:
    """A row: its number, and what it gives, unchecked, or what is wrong with it as a whole. `notes` say what it has
    that a session has no place for. `place` is the file or name by which the row is known, where a number says little.
    `unsaid` are fields that such a file doesn't say."""

    number: int
    given: Mapping[str, Any] | Mistake
    notes: tuple[Mistake, ...] = ()
    place: str = ""
    unsaid: tuple[str, ...] = ()


def emulators_row(number: int, place: str, fields: Mapping[str, Any] | Mistake, notes: tuple[Mistake, ...]) -> Source:
    """A row of an emulator's file, which has groups and comment only where Hostward wrote them."""
    if isinstance(fields, Mistake):
        return Source(number, fields, place=place)
    return Source(number, fields, notes, place, tuple(field for field in UNSAID if field not in fields))
