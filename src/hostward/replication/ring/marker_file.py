"""Which ring a database node's data belongs to, written among that data: whoever loses the one loses the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import orjson

from hostward.replication.goals import Marker

NAME: Final = "hostward.json"


class MarkerFile:
    """In the directory that holds the node's own files."""

    def __init__(self, storage: Path) -> None:
        self._storage = storage

    def read(self) -> Marker | None:
        """None where there is none."""
        value = self._value()
        try:
            return Marker(str(value["group"]), int(value["generation"]))
        except (KeyError, TypeError, ValueError):
            return None

    @property
    def has_joined(self) -> bool:
        """Whether the node with this data has ever been ready."""
        return bool(self._value().get("joined"))

    def write(self, marker: Marker, *, joined: bool) -> None:
        """All of it or nothing. Raises OSError, where the directory is gone too."""
        new = self._storage / f"{NAME}.new"
        new.write_bytes(orjson.dumps({"group": marker.group_id, "generation": marker.generation, "joined": joined}))
        new.replace(self._storage / NAME)

    def _value(self) -> dict[str, Any]:
        try:
            value = orjson.loads((self._storage / NAME).read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return {}
        return value if isinstance(value, dict) else {}
