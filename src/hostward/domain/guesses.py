"""Wrong passwords, as the servers of a group tell each other of them: so guessing spread over all servers is slowed
down as it is on one. Pure: times are given, in seconds of the one clock of whoever hears.

Each server tells what it has counted itself, never what it was told. A key names a user, an address or both by a hash.
What another server says is its word alone: it makes nobody wait for longer than LONGEST_S, nor says so again sooner
than MOVES_EVERY_S, however often it is said; and it is asked about nobody at an address where they have logged in here.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

MIN_TOLD: Final = 3
"""Fewer are nothing that others need to know: a mistyped name may be a password."""
MAX_TOLD: Final = 100
MAX_KEPT: Final = 1_000
MAX_FAILURES: Final = 1_000
MAX_KEY: Final = 64
MAX_WAITS: Final = 50
MAX_ADDRESS: Final = 64
LONGEST_S: Final = 10.0
MOVES_EVERY_S: Final = 2 * LONGEST_S
FORGOTTEN_AFTER_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Limit:
    """`free` wrong guesses cost nothing; each further one doubles the delay from 1 s up to `longest_s`."""

    free: int
    longest_s: float

    def delay_s(self, failures: int) -> float:
        beyond = failures - self.free
        return 0.0 if beyond < 0 else min(self.longest_s, 2.0 ** min(beyond, 32))


@dataclass(frozen=True, slots=True)
class Guesses:
    """How many wrong ones of one key, and when the last of them was."""

    failures: int
    last_s: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Where a user has given `wrong` wrong passwords, and how long from now the next one waits (0: not any more).
    `address` is empty for what counts whichever the address; an IPv6 network stands for all of its addresses."""

    address: str
    wrong: int
    wait_s: float


@dataclass(frozen=True, slots=True)
class ServerWaits:
    """A user's on one server; `reason` is why they aren't known, empty where they are."""

    server: str
    waits: Sequence[Wait] = ()
    reason: str = ""


NONE: Final = Guesses(0, float("-inf"))


def to_tell(counted: Iterable[tuple[str, Guesses]], now_s: float) -> list[list[Any]]:
    """The most guessed of what a server has counted: key, failures, seconds since the last."""
    recent = ((k, g) for k, g in counted if g.failures >= MIN_TOLD and now_s - g.last_s <= FORGOTTEN_AFTER_S)
    most = heapq.nlargest(MAX_TOLD, recent, key=lambda item: (item[1].failures, item[1].last_s))
    return [[k, min(g.failures, MAX_FAILURES), round(now_s - g.last_s, 1)] for k, g in most]


def heard(before: Mapping[str, Guesses], said: object, now_s: float) -> dict[str, Guesses]:
    """What one server has told, now that it says this instead of what it said before. What can't be understood isn't
    there."""
    found: dict[str, Guesses] = {}
    for entry in said[:MAX_TOLD] if isinstance(said, list) else ():
        match entry:
            case [str(key), int(failures), int(age_s) | float(age_s)] if len(key) <= MAX_KEY and failures > 0:
                last_s = now_s - min(max(age_s, 0.0), FORGOTTEN_AFTER_S)
                known = before.get(key, NONE)
                moved = last_s - known.last_s >= MOVES_EVERY_S
                found[key] = Guesses(min(failures, MAX_FAILURES), last_s if moved else known.last_s)
    # Else whoever leaves a key out and names it again could say at once that there was another guess.
    gone = [(k, g.last_s) for k, g in before.items() if k not in found and now_s - g.last_s < MOVES_EVERY_S]
    for key, last_s in heapq.nlargest(MAX_KEPT - len(found), gone, key=lambda item: item[1]):
        found[key] = Guesses(0, last_s)
    return found


def waits_told(said: object, longest_s: float) -> list[Wait]:
    """What another server has said of one user. What can't be understood isn't there."""
    found = []
    for entry in said[:MAX_WAITS] if isinstance(said, list) else ():
        match entry:
            case [str(address), int(wrong), int(left_s) | float(left_s)] if wrong > 0:
                found.append(Wait(address[:MAX_ADDRESS], min(wrong, MAX_FAILURES), min(max(left_s, 0.0), longest_s)))
    return found


def together(told: Iterable[Mapping[str, Guesses]], key: str, now_s: float) -> Guesses:
    """What all the other servers say of one key."""
    of = [t[key] for t in told if key in t]
    counting = [g for g in of if g.failures and now_s - g.last_s <= FORGOTTEN_AFTER_S]
    return Guesses(sum(g.failures for g in counting), max((g.last_s for g in counting), default=NONE.last_s))


def wait_s(limit: Limit, own: Guesses, others: Guesses, now_s: float) -> float:
    """How long the next guess has to wait, for what was counted here and there; 0 or less for not at all."""
    here_s = own.last_s + limit.delay_s(own.failures)
    if not others.failures:
        return here_s - now_s
    shared_s = min(LONGEST_S, limit.delay_s(own.failures + others.failures))
    return max(here_s, max(own.last_s, others.last_s) + shared_s) - now_s
