"""How many registries have a change."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Replicated:
    """Of the `of` servers that there are, `have` hold the change fsynced in their registries, the Master's own
    included. `confirmed`: at least one further server has it, so that no single machine's loss can undo it."""

    have: int
    of: int
    confirmed: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
