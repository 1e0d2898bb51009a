"""How often users change what is their own.

Such a change waits for no administrator, but fills the change log as any other does, and the log keeps the newest
alone. So somebody without a role could push out the group's history with it; and a server that was taken over could, in
the name of all its users. Therefore both are limited: a user, and all that come by way of one server together.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import ceil
from typing import Final

import structlog

from hostward.domain.allowances import Allowances
from hostward.domain.errors import Unavailable

CODE: Final = "too-often"
USER_AT_ONCE: Final = 40
USER_EVERY_S: Final = 300.0
SERVER_AT_ONCE: Final = 5_000
SERVER_EVERY_S: Final = 20.0
"""One server alone needs ten days to push out what the change log keeps. The log file says from the beginning that it
tries."""
SAID_EVERY_S: Final = 3_600.0

log = structlog.get_logger()


class TooOften(Unavailable):
    """Nothing was changed; it can be tried again later."""

    code = CODE

    def __init__(self, wait_s: float) -> None:
        self.retry_after_s = max(1, ceil(wait_s))
        super().__init__("That was done very often just now.", remedy=f"Wait {self.retry_after_s} s, then try again.")


class OwnPace:
    """For one kind of change: who has set very many favourites must still be able to log out everywhere. `clock_s` is
    monotonic."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._users = Allowances(USER_AT_ONCE, USER_EVERY_S)
        self._servers = Allowances(SERVER_AT_ONCE, SERVER_EVERY_S)
        self._said = Allowances(1, SAID_EVERY_S)

    def take(self, user: str | None, server: str) -> None:
        """Before a change of that user (None: it is counted already), asked for by way of that server ("" for this
        one). Raises TooOften; then it isn't counted."""
        now_s = self._clock_s()
        server_s = self._servers.wait_s(server, now_s)
        if server_s and not self._said.wait_s(server, now_s):
            self._said.take(server, now_s)
            log.warning("own-changes-held-back", server=server or "this one", reason="Users there change very much.")
        wait_s = max(server_s, self._users.wait_s(user, now_s) if user is not None else 0.0)
        if wait_s:
            raise TooOften(wait_s)
        if user is not None:
            self._users.take(user, now_s)
        self._servers.take(server, now_s)
