"""What a server's own configuration may be, when servers leave groups, lose them and found new ones.

A line is one history's content, write by write. A server that left a group holds some state of its line: not older than
the last time when it was seen to be equal, and never a mixture.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

Value = int | None
"""The number of the write that made a session what it is; None: there is no such session."""


@dataclass(frozen=True, slots=True)
class Note:
    """One write. `sure`: it was acknowledged; else its answer was lost, and nobody knows whether it acted.
    `confirmed`: a second server had it then."""

    name: str
    value: Value
    sure: bool
    confirmed: bool


class Line:
    """The writes to one history, in order, after what was there. Safe to use from several threads."""

    def __init__(self, base: Mapping[str, int] | None = None) -> None:
        self._base = dict(base or {})
        self._notes: list[Note] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        with self._lock:
            return len(self._notes)

    def note(self, name: str, value: Value, *, sure: bool = True, confirmed: bool = False) -> None:
        with self._lock:
            self._notes.append(Note(name, value, sure, confirmed))

    def confirmed(self) -> int:
        """How many writes there were when the last one was confirmed: they outlive any one server."""
        with self._lock:
            return max((n for n, note in enumerate(self._notes, 1) if note.confirmed), default=0)

    def problem(self, found: Mapping[str, int], since: int, until: int | None = None) -> str | None:
        """None where `found` is one of the states from `since` writes on (up to `until`); else how it differs from the
        one that it is nearest to."""
        with self._lock:
            notes = list(self._notes)
        last = len(notes) if until is None else until
        nearest: list[str] | None = None
        for at in range(since, last + 1):
            wrong = _differences(self._base, notes[:at], found)
            if not wrong:
                return None
            if nearest is None or len(wrong) <= len(nearest):
                nearest = wrong
        assert nearest is not None
        return f"no state of {since} to {last} writes; at best {len(nearest)} differ: {'; '.join(nearest[:3])}"


def _differences(base: Mapping[str, int], notes: list[Note], found: Mapping[str, int]) -> list[str]:
    possible: dict[str, set[Value]] = {name: {value} for name, value in base.items()}
    for note in notes:
        if note.sure:
            possible[note.name] = {note.value}
        else:
            possible.setdefault(note.name, {None}).add(note.value)
    return [
        f"{name} is {found.get(name)}, was {sorted(map(str, possible.get(name, {None})))}"
        for name in sorted(possible.keys() | found.keys())
        if found.get(name) not in possible.get(name, {None})
    ]
