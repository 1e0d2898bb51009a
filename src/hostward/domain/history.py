"""Kept changes as people read them, and what turning back to an earlier revision means.

Only what an administrator writes is turned back. Replication's own records (who belongs to the group, the ring, the
passphrase's changes, change requests) say what is so, and would be wrong if they were what they once were.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hostward.domain import favourites, sessions, settings
from hostward.domain.people import PASSWORD_KIND
from hostward.domain.requests import CONTENT_KIND, KIND, KINDS, counted, rules_of

Counts = Mapping[str, tuple[int, int, int]]
"""How many elements of each kind a change made, changed and deleted."""

NEVER_TURNED_BACK: Final[Mapping[str, str]] = {
    "member": "member",
    "slave": "row of the Slave table",
    "removed-member": "removal",
    "ring": "ring",
    "passphrase": "passphrase change",
    KIND: "change request",
    CONTENT_KIND: "change request",
    PASSWORD_KIND: "password",
    favourites.KIND: favourites.NOUN,
}
"""Replication's own records, passwords and favourites, and what each is called. What is in them is never shown, nor
kept a second time; whoever turns something back must not bring back an old password."""

NOT_LISTED: Final = favourites.KIND
"""A change of nothing but one of this kind is in no list of changes that doesn't ask for the kind: it is a user's own
matter, and there are many."""

SHOWN: Final = tuple(kind for kind in KINDS if kind not in NEVER_TURNED_BACK)
"""The kinds whose fields a history shows."""
TURNED_BACK: Final = (sessions.KIND, settings.KIND)
"""The kinds that undo and restore write. Not users and groups: who turns back an earlier change of the configuration
must not let somebody in again by that."""

_VERBS: Final = ("Create", "Change", "Delete")


def summary_of_counts(counts: Counts) -> str:
    """What a change did, in a line; replication's own records only where it did nothing else."""
    own = {kind: n for kind, n in counts.items() if kind not in NEVER_TURNED_BACK}
    if own:
        rows = [(rules_of(kind).noun, n) for kind, n in own.items()]
    else:
        rows = [(NEVER_TURNED_BACK[kind], n) for kind, n in counts.items() if kind != CONTENT_KIND]
    return counted((verb, noun, n) for noun, three in rows for verb, n in zip(_VERBS, three, strict=True) if n)


def records_of(counts: Counts) -> list[str]:
    """What of replication's own a change wrote, each once."""
    return list(dict.fromkeys(NEVER_TURNED_BACK[kind] for kind in counts if kind in NEVER_TURNED_BACK))


def elements_of(counts: Counts) -> int:
    """How many elements a change touched that aren't replication's own."""
    return sum(sum(n) for kind, n in counts.items() if kind not in NEVER_TURNED_BACK)
