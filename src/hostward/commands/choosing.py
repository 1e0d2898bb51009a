"""What is chosen for an act on many, one by one or as all that match a search; and that nothing else is ever acted on
than what the caller has seen."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from hostward.domain.errors import Conflict, InvalidInput
from hostward.domain.suggestions import shown
from hostward.domain.texts import name_key
from hostward.registry.group import Element, Reader

MAX_NAMED: Final = 5
MAX_IDS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Selection:
    """Those with the `ids`; or, where that is None, all that match the search that comes with it. `expected`: how many
    the caller takes them to be; where there are more or fewer, nothing is done."""

    ids: tuple[str, ...] | None = None
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class Noun:
    """What is chosen, in words, and the kind of its elements."""

    kind: str
    one: str
    many: str

    def counted(self, count: int) -> str:
        """Such as "1 session" or "1,000 sessions"."""
        return f"1 {self.one}" if count == 1 else f"{count:,} {self.many}"


def chosen(reader: Reader, noun: Noun, selection: Selection, matching: Sequence[str], plan: str) -> list[Element]:
    """Where no ids were given, those `matching`. `plan` is the confirmation's (`tag`), empty before it. Raises Conflict
    "selection-changed" where they aren't what the caller has seen, InvalidInput where there are none."""
    ids = matching if selection.ids is None else selection.ids
    found = [e for e in (reader.get(noun.kind, i) for i in dict.fromkeys(ids)) if e is not None]
    expected = len(set(ids)) if selection.expected is None else selection.expected
    if len(found) != expected:
        raise Conflict(
            f"{expected:,} {noun.many} were chosen, and now there are {len(found):,} of them; nothing was changed.",
            remedy="Look at the list again, and choose anew.",
            code="selection-changed",
        )
    if plan and plan != tag(found):
        raise Conflict(
            f"Other {noun.many} match now than when the confirmation was asked for; nothing was changed.",
            remedy="Look at the list again, and choose anew.",
            code="selection-changed",
        )
    if not found:
        raise InvalidInput(f"No {noun.one} is chosen.", remedy="Choose at least one.")
    return found


def tag(found: Sequence[Element]) -> str:
    """Names exactly these."""
    return hashlib.sha256("\n".join(sorted(e.id for e in found)).encode()).hexdigest()[:32]


def by_name(found: Iterable[Element]) -> list[Element]:
    return sorted(found, key=lambda e: name_key(e.json()["name"]))


def named(found: Sequence[Element]) -> str:
    """The first few of them by name, and how many more."""
    names = [shown(e.json()["name"]) for e in found[:MAX_NAMED]]
    more = len(found) - len(names)
    return ", ".join(names) + (f" and {more:,} more." if more else ".")
