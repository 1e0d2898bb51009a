"""What the rounds found."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is done in a round."""

    p1_changes: int = 1000
    p3_seconds: float = 10.0
    p4_sessions: int = 100_000
    p9_changes: int = 10_000
    memory_sessions: int = 100_000
    nested_groups: int = 100
    clients: int = 64


QUICK = Sizes(p1_changes=50, p3_seconds=2.0, p4_sessions=2_000, p9_changes=500, memory_sessions=2_000, nested_groups=5)


@dataclass(slots=True)
class Samples:
    """By name, a value for each round in which it was measured."""

    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, **found: float) -> None:
        for name, value in found.items():
            self.values.setdefault(name, []).append(value)

    def median(self, name: str) -> float | None:
        values = self.values.get(name)
        return statistics.median(values) if values else None


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent of the values don't exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]
