"""Bounded waiting: the only place where tests let time pass."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

import httpx
from tests.support.api import Refused

T = TypeVar("T")

NOT_YET: Final = (AssertionError, Refused, httpx.TransportError, OSError, LookupError)
"""What a look may raise while it isn't so yet."""


def eventually(look: Callable[[], T], *, within_s: float, every_s: float = 0.1) -> T:
    """What `look` gives as soon as that is true. Fails with the last look's own words when the time is over."""
    deadline = time.monotonic() + within_s
    while True:
        last: object
        try:
            found = look()
            if found:
                return found
            last = found
        except NOT_YET as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {within_s:g} s: {last!s}")
        time.sleep(every_s)


def always(look: Callable[[], object], *, for_s: float, every_s: float = 0.05) -> None:
    """Fails as soon as `look` gives something untrue, or raises, within `for_s`."""
    deadline = time.monotonic() + for_s
    while time.monotonic() < deadline:
        assert look(), "it did not stay so"
        time.sleep(every_s)
