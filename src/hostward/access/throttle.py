"""A brake on guessing passwords: after a few wrong ones, each further try has to wait longer.

Counted are a user at an address, an address whichever the user, and a user whichever the address. The last is what
stops guesses spread over many addresses; its delay stays short, so that nobody can lock an administrator out by
guessing. What is counted is forgotten a while after the last wrong guess, and when the server restarts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil
from typing import Final

from hostward.domain.errors import Unauthenticated

CODE: Final = "too-many-attempts"
FORGOTTEN_AFTER_S: Final = 3600.0
MAX_COUNTED: Final = 10_000

_Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Limit:
    """`free` wrong guesses cost nothing; each further one doubles the delay from 1 s up to `longest_s`."""

    free: int
    longest_s: float

    def delay_s(self, failures: int) -> float:
        beyond = failures - self.free
        return 0.0 if beyond < 0 else min(self.longest_s, 2.0 ** min(beyond, 32))


LIMITS: Final = {"pair": Limit(10, 900.0), "address": Limit(30, 900.0), "user": Limit(50, 10.0)}


class TooManyAttempts(Unauthenticated):
    """The next try has to wait. It says nothing about whether the password was right: it wasn't looked at."""

    code = CODE

    def __init__(self, wait_s: float) -> None:
        self.retry_after_s = max(1, ceil(wait_s))
        super().__init__("Too many wrong passwords were given.", remedy=f"Wait {self.retry_after_s} s, then try again.")


@dataclass(slots=True)
class _Count:
    failures: int
    last_s: float


class Throttle:
    """`clock_s` is monotonic. Bounded: the counts unused for longest are forgotten first."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._counts: OrderedDict[_Key, _Count] = OrderedDict()

    def attempt(self, user: str, address: str) -> None:
        """Before a password is looked at; it counts as wrong until `succeeded`, so that tries made at the same time
        can't get past. Raises TooManyAttempts; then it isn't counted."""
        now = self._clock_s()
        waits = [0.0]
        for key in _keys(user, address):
            count = self._counts.get(key)
            if count is not None and now - count.last_s > FORGOTTEN_AFTER_S:
                del self._counts[key]
            elif count is not None:
                waits.append(count.last_s + LIMITS[key[0]].delay_s(count.failures) - now)
        if max(waits) > 0:
            raise TooManyAttempts(max(waits))
        for key in _keys(user, address):
            count = self._counts.setdefault(key, _Count(0, now))
            count.failures, count.last_s = count.failures + 1, now
            self._counts.move_to_end(key)
        while len(self._counts) > MAX_COUNTED:
            self._counts.popitem(last=False)

    def succeeded(self, user: str, address: str) -> None:
        """The password was right: what was counted for this user at this address is forgotten, and this attempt no
        longer counts for the address or the user."""
        for key in _keys(user, address):
            count = self._counts.get(key)
            if count is not None and key[0] != "pair" and count.failures > 1:
                count.failures -= 1
            else:
                self._counts.pop(key, None)


def _keys(user: str, address: str) -> Iterator[_Key]:
    yield "pair", user, address
    yield "address", "", address
    yield "user", user, ""
