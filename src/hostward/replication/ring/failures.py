"""The database node's failed starts: when the next one may be, and what the Database Status says meanwhile. No I/O.

A start that fails in the same way again and again must not flap between Down and Initializing: a retry counts as Down
until it has lived longer than the one that failed. Nor may damaged files be tried for ever: everything in them can be
made again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from hostward.domain.errors import DatabaseError

BACK_OFF_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
STEADY_AFTER_S = 60.0
LONGER_S = 3.0
LOOK_AGAIN_S = 2.0
_SEEN_BEFORE = ("port-in-use", "port-refused", "address-missing", "disk-full", "unwritable", "no-java", "wrong-java")
"""Diagnoses that mostly are found before a process is started: to look again costs nothing, so it is done soon."""
_WITHOUT_ITS_DATA = {"removed": 1, "other-ring": 1, "damaged": 2}
"""Starts after which a node's files are given up, by their diagnosis: with them it will never start again."""
_ASK_AGAIN = ("address-taken", "no-seeds", "join-busy")
"""Diagnoses of a Slave's node that the Master can do something about."""


class Cure(Enum):
    """What else than trying again a failure calls for."""

    RETRY = "retry"
    ASK_MASTER = "ask"
    WIPE = "wipe"


@dataclass(slots=True)
class Failures:
    """What became of the node's starts, from the first since it last ran steadily. `error` is the last one's, None once
    a start has succeeded; `count` how many failed, `alike` how many of the last ones in the same way."""

    monotonic: Callable[[], float]
    error: DatabaseError | None = None
    not_before: float = 0.0
    alike: int = 0
    asked: bool = False
    count: int = 0
    _code: str = ""
    _started_at: float = 0.0
    _hidden_s: float = 0.0

    @property
    def message(self) -> str:
        """What the operator reads: cause and remedy; empty while all is well."""
        return str(self.error) if self.error else ""

    @property
    def may_start(self) -> bool:
        return self.monotonic() >= self.not_before

    def cure(self) -> Cure:
        """What the failures so far call for."""
        if self.alike >= _WITHOUT_ITS_DATA.get(self._code, 1 << 30):
            return Cure.WIPE
        return Cure.ASK_MASTER if self.error and self._code in _ASK_AGAIN and not self.asked else Cure.RETRY

    def down(self, *, starting: bool) -> bool:
        """Whether the node counts as Down; `starting`: its process is there, but isn't ready yet."""
        if self.error is None:
            return False
        return not starting or self.monotonic() - self._started_at < self._hidden_s

    def started(self) -> None:
        """A start is tried now."""
        self._started_at = self.monotonic()

    def failed(self, error: DatabaseError, *, was_ready: bool) -> None:
        """The start failed, or the node ended later (`was_ready`)."""
        lasted_s = self.monotonic() - self._started_at
        if was_ready and (lasted_s > STEADY_AFTER_S or error.code != self._code):
            self.count = 0  # what had failed before is over: it ran
        self.alike = self.alike + 1 if error.code == self._code else 1
        self._code, self.error, self.asked = error.code, error, False
        self._hidden_s = 0.0 if was_ready else lasted_s + LONGER_S
        pause_s = BACK_OFF_S[min(self.count, len(BACK_OFF_S) - 1)]
        self.not_before = self.monotonic() + (min(pause_s, LOOK_AGAIN_S) if error.code in _SEEN_BEFORE else pause_s)
        self.count += 1

    def mended(self) -> None:
        """Somebody did something about it: the next start needn't wait."""
        self.not_before = 0.0

    def well(self) -> None:
        """It is ready."""
        self.error = None

    def clear(self) -> None:
        """Ended as wanted, or its data removed: the next start is a first one."""
        self.error, self.not_before, self.alike, self.count, self._code = None, 0.0, 0, 0, ""
