"""How often something may be done, for each key by itself: so many times at once, then one more after each while."""

from __future__ import annotations

from typing import Final

MIN_SWEPT: Final = 1_000


class Allowances:
    """A pure table; times are monotonic seconds. Of each key it keeps only when all is allowed again (the generic cell
    rate algorithm, ITU-T I.371), and nothing of one where that is over."""

    def __init__(self, at_once: int, every_s: float) -> None:
        self._at_once, self._every_s = at_once, every_s
        self._all_again_s: dict[str, float] = {}
        self._sweep_at = MIN_SWEPT

    def __len__(self) -> int:
        return len(self._all_again_s)

    def wait_s(self, key: str, now_s: float) -> float:
        """Until it is allowed once; 0 where it is now."""
        return max(0.0, self._all_again_s.get(key, now_s) - now_s - (self._at_once - 1) * self._every_s)

    def take(self, key: str, now_s: float) -> None:
        """It is done, allowed or not."""
        self._all_again_s[key] = max(self._all_again_s.get(key, now_s), now_s) + self._every_s
        if len(self._all_again_s) > self._sweep_at:
            self._all_again_s = {k: at_s for k, at_s in self._all_again_s.items() if at_s > now_s}
            self._sweep_at = max(MIN_SWEPT, 2 * len(self._all_again_s))
