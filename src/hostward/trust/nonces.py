"""The nonces of requests that a server remembers, so that none is answered twice."""

from __future__ import annotations

import threading
from typing import Final

MAX_REMEMBERED: Final = 1 << 18
"""Requests remembered against replay: 400 a second, all the time. About 130 bytes each."""


class Nonces:
    """In buckets of a minute by the time they claim, kept twice as long as the clocks may differ (`skew_s`). Small
    steps back of this server's clock therefore don't matter; a larger one is told by `went_back`."""

    _BUCKET_S = 60

    def __init__(self, skew_s: float) -> None:
        self._skew_s = skew_s
        self._lock = threading.Lock()
        self._buckets: dict[int, set[bytes]] = {}
        self._latest_s = 0.0

    def went_back(self, now_s: float) -> bool:
        """Whether the clock was set back so far that nonces already forgotten could be used again. Forgets the
        others too: the caller voids all requests."""
        with self._lock:
            back = now_s < self._latest_s - self._skew_s
            if back:
                self._buckets.clear()
            self._latest_s = now_s if back else max(now_s, self._latest_s)
            return back

    def add(self, nonce: str, time_s: int, now_s: float) -> bool | None:
        """Whether it was there already; None if there is no room."""
        with self._lock:
            for bucket in [b for b in self._buckets if (b + 1) * self._BUCKET_S < now_s - 2 * self._skew_s]:
                del self._buckets[bucket]
            bucket_of = self._buckets.setdefault(time_s // self._BUCKET_S, set())
            value = bytes.fromhex(nonce)
            if value in bucket_of:
                return True
            if sum(map(len, self._buckets.values())) >= MAX_REMEMBERED:
                return None
            bucket_of.add(value)
            return False
