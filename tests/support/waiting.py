"""Bounded waiting: the only place where tests let time pass. HOSTWARD_TEST_PATIENCE=3 makes each bound three times as
long, for a busy machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Final, TypeVar

import httpx
from tests.support.api import Refused

T = TypeVar("T")

PATIENCE: Final = float(os.environ.get("HOSTWARD_TEST_PATIENCE", "1"))

NOT_YET: Final = (AssertionError, Refused, httpx.TransportError, OSError, LookupError, StopIteration)
"""What a look may raise while it isn't so yet."""


def eventually(look: Callable[[], T], *, within_s: float, every_s: float = 0.25) -> T:
    """What `look` gives as soon as that is true. Fails with the last look's own words when the time is over."""
    within_s *= PATIENCE
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
