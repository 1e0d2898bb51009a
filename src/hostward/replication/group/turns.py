"""Whose turn it is to join: one server at a time, the others in the order in which they first asked.

Held in the Master's memory only: after its restart whoever asks first goes on, and a join's time is counted anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hostward.domain.errors import PeerError
from hostward.replication.group.members import Member

SILENCE_S = 120.0
JOIN_S = 900.0
QUEUE_S = 15.0

QUEUE = "queue"


class Turns:
    """A join ends when nothing was heard of the server for SILENCE_S, or it isn't through after `join_s`. Who asks
    again after that goes to the end of the queue. `monotonic` gives seconds."""

    def __init__(self, monotonic: Callable[[], float], join_s: float = JOIN_S) -> None:
        self._monotonic, self._join_s = monotonic, join_s
        self._began: dict[str, float] = {}
        self._heard: dict[str, float] = {}
        self._queue: dict[str, tuple[str, float]] = {}

    def heard(self, server_id: str) -> None:
        """It has said something."""
        self._heard[server_id] = self._monotonic()

    def ended(self, server_id: str) -> None:
        """It has joined, or was given up or removed."""
        for known in (self._began, self._heard, self._queue):
            known.pop(server_id, None)

    def take(self, them: Member, joining: Sequence[Member]) -> None:
        """Begin or go on with this server's join. Raises PeerError "queue", with who is before it."""
        now = self._monotonic()
        for other in joining:
            if other.server_id != them.server_id:
                self._wait(them, now)
                began = self._began.setdefault(other.server_id, now)
                raise PeerError(
                    f"The server {other.name} is joining, since {now - began:.0f} s; one server joins at a time.",
                    remedy=f"This one follows by itself. A join ends after {self._join_s / 60:.0f} minutes at most;"
                    " Remove in the Master's Details ends it at once.",
                    code=QUEUE,
                )
        if them.server_id not in self._began:
            self._wait(them, now)
            first = next(s for s, (_, asked) in self._queue.items() if now - asked <= QUEUE_S)
            if first != them.server_id:
                raise PeerError(
                    f"The server {self._queue[first][0]} asked before this one; one server joins at a time.",
                    remedy="This one follows by itself.",
                    code=QUEUE,
                )
            self._queue.pop(them.server_id)
            self._began[them.server_id] = now
        self._heard[them.server_id] = now

    def waiting(self) -> list[str]:
        """The names of the servers in the queue."""
        now = self._monotonic()
        return [name for name, asked in self._queue.values() if now - asked <= QUEUE_S]

    def expired(self, joining: Sequence[Member]) -> list[tuple[Member, str]]:
        """The joins that must end now, each with the reason."""
        now, found = self._monotonic(), []
        for m in joining:
            silent_s = now - self._heard.setdefault(m.server_id, now)
            took_s = now - self._began.setdefault(m.server_id, now)
            if silent_s > SILENCE_S:
                found.append((m, f"nothing was heard of it for {silent_s:.0f} s"))
            elif took_s > self._join_s:
                found.append((m, f"it wasn't through after {took_s / 60:.0f} minutes"))
        return found

    def _wait(self, them: Member, now: float) -> None:
        """In the queue, at its old place if it has asked lately."""
        self._queue = {s: (name, asked) for s, (name, asked) in self._queue.items() if now - asked <= QUEUE_S}
        self._queue[them.server_id] = (them.name, now)
