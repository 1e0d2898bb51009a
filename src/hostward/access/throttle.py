"""A brake on guessing passwords: after a few wrong ones, each further try has to wait longer.

Counted are a user at an address, an address whichever the user, and a user whichever the address. The last is what
stops guesses spread over many addresses; it doesn't hold for an address at which that user has logged in before, so
that guessing elsewhere locks no administrator out of the place where they work. One machine has all the addresses of an
IPv6 network (/64), which therefore counts as one. What is counted is forgotten a while after the last wrong guess, and
when the server restarts. What the other servers of the group have counted is added (domain.guesses), but for a user at
an address where they have logged in here: no other server can keep them out of there.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network, ip_address
from math import ceil
from typing import Any, Final

from hostward.domain.errors import Unauthenticated
from hostward.domain.guesses import (
    FORGOTTEN_AFTER_S,
    MAX_WAITS,
    NONE,
    Guesses,
    Limit,
    Wait,
    heard,
    to_tell,
    together,
    wait_s,
)
from hostward.domain.texts import name_key

CODE: Final = "too-many-attempts"
MAX_COUNTED: Final = 10_000
MAX_KNOWN: Final = 1_000

_Key = tuple[str, str, str]


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
    """`clock_s` is monotonic. Bounded: the smallest counts are forgotten first, of these the one unused for longest; so
    a flood of made-up names and addresses wipes out no guesser's count."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._counts: OrderedDict[_Key, _Count] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()
        """Who has logged in where, the longest ago first."""
        self._told: dict[str, dict[str, Guesses]] = {}
        """What each other server says."""

    def attempt(self, user: str, address: str) -> None:
        """Before a password is looked at; it counts as wrong until `succeeded`, so that tries made at the same time
        can't get past. Raises TooManyAttempts; then it isn't counted."""
        now = self._clock_s()
        keys = self._keys(user, address)
        known = (user, _place(address)) in self._known
        waits_s = 0.0
        for key in keys:
            own = self._counts.get(key)
            if own is not None and now - own.last_s > FORGOTTEN_AFTER_S:
                del self._counts[key]
                own = None
            here = Guesses(own.failures, own.last_s) if own else NONE
            there = NONE if known or not self._told else together(self._told.values(), _hashed(key), now)
            waits_s = max(waits_s, wait_s(LIMITS[key[0]], here, there, now))
        if waits_s > 0:
            raise TooManyAttempts(waits_s)
        for key in keys:
            count = self._counts.setdefault(key, _Count(0, now))
            count.failures, count.last_s = count.failures + 1, now
            self._counts.move_to_end(key)
        while len(self._counts) > MAX_COUNTED:
            others = list(self._counts)[: -len(keys)]
            del self._counts[min(others, key=lambda k: self._counts[k].failures)]

    def succeeded(self, user: str, address: str) -> None:
        """The password was right: what was counted for this user at this address is forgotten, and this attempt no
        longer counts for the address or the user."""
        for key in self._keys(user, address):
            count = self._counts.get(key)
            if count is not None and key[0] != "pair" and count.failures > 1:
                count.failures -= 1
            else:
                self._counts.pop(key, None)
        pair = user, _place(address)
        self._known[pair] = None
        self._known.move_to_end(pair)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    def not_looked_at(self, user: str, address: str) -> None:
        """Whether the password was right couldn't be found out: this attempt counts for nothing, the earlier ones as
        before."""
        for key in self._keys(user, address):
            count = self._counts.get(key)
            if count is not None and count.failures > 1:
                count.failures -= 1
            else:
                self._counts.pop(key, None)

    def waits(self, user: str) -> list[Wait]:
        """Where that user has given so many wrong passwords here that it costs time, the longest first."""
        now, key = self._clock_s(), name_key(user)
        found = []
        for (what, whose, place), count in self._counts.items():
            delays = LIMITS[what].delay_s(count.failures) > 0
            if whose == key and what != "address" and delays and now - count.last_s <= FORGOTTEN_AFTER_S:
                own = wait_s(LIMITS[what], Guesses(count.failures, count.last_s), NONE, now)
                found.append(Wait(place, count.failures, max(0.0, own)))
        return sorted(found, key=lambda one: -one.wait_s)[:MAX_WAITS]

    def forget(self, user: str, *, everywhere: bool) -> None:
        """What was counted for that user at any address; only with `everywhere` also what counts whichever the address:
        it is what slows guesses down that come from very many. What counts for an address stays."""
        key, whats = name_key(user), ("pair", "user") if everywhere else ("pair",)
        for counted in [k for k in self._counts if k[1] == key and k[0] in whats]:
            del self._counts[counted]

    def to_tell(self) -> list[list[Any]]:
        """What this server has counted, for the others (domain.guesses)."""
        counted: Iterator[tuple[_Key, _Count]] = iter(self._counts.items())
        return to_tell(((_hashed(k), Guesses(c.failures, c.last_s)) for k, c in counted), self._clock_s())

    def hear(self, server: str, said: object) -> None:
        """What another server has told, instead of what it told before."""
        self._told[server] = heard(self._told.get(server, {}), said, self._clock_s())

    def hear_only(self, servers: Collection[str]) -> None:
        """Whoever else has told anything is no longer one of the group."""
        self._told = {server: told for server, told in self._told.items() if server in servers}

    def _keys(self, user: str, address: str) -> list[_Key]:
        place = _place(address)
        keys = [("pair", user, place), ("address", "", place)]
        return keys if (user, place) in self._known else [*keys, ("user", user, "")]


def _hashed(key: _Key) -> str:
    """Names and addresses are nothing that another server must know."""
    return hashlib.sha256("\0".join(("hostward-guesses", *key)).encode("utf-8", "replace")).hexdigest()[:16]


def _place(address: str) -> str:
    """The address, or the IPv6 network that it is in."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Network((int(found), 64), strict=False))
