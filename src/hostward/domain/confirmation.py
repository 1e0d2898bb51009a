"""Whether a server lets users of the group in: it must know what has become of them.

A Slave that has just started, or was halted, may have missed that a user was disabled. So it first compares itself with
another member; while it hasn't, whoever comes waits, for at most WAIT_S. Where no member answers, the setting "Logins
without confirmation" decides. Its own administrators always get in: they aren't users of the group.

    started, halted ──a member has nothing newer──► confirmed ──(no member answers any more)──► the setting decides
          └──────────── WAIT_S are over ───────────────────────────────────────────────────────►
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

WAIT_S: Final = 10.0
FRESH_S: Final = 30.0
"""A confirmation is asked for every second; one not older than this counts as one of this moment."""


class Verdict(StrEnum):
    """What becomes of who comes."""

    IN = "in"
    WAIT = "wait"
    OUT = "out"


def judge(*, slave: bool, waited_s: float, confirmed_s: float | None, last_s: float | None, hours: int) -> Verdict:
    """`waited_s`: since this server started or was halted; `confirmed_s`: how long ago it was confirmed since then,
    None for not yet; `last_s`: how long ago it was confirmed at all, None for never; `hours` is the setting."""
    if not slave or (confirmed_s is not None and confirmed_s <= FRESH_S):
        return Verdict.IN
    if confirmed_s is None and waited_s < WAIT_S:
        return Verdict.WAIT
    return Verdict.IN if last_s is not None and last_s <= hours * 3600 else Verdict.OUT
