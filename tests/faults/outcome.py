"""What became of a seed."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Outcome:
    """What a seed came to. `problems` is empty if all promises were kept; `recovered_s` is how long it took from the
    last fault until all servers were Up and equal."""

    seed: int
    faults: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    recovered_s: float = 0.0
    took_s: float = 0.0
    problems: list[str] = field(default_factory=list)
