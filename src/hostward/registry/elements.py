"""What is read of the registry: elements, as one moment has them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import orjson

from hostward.domain.changes import Position
from hostward.domain.sessions import KIND as SESSION
from hostward.domain.sessions import name_key
from hostward.registry.schema import State

_LOOKED_UP_AT_ONCE: Final = 1_000

# The cast gives bytes whatever was stored, also where somebody edited the file.
COLUMNS: Final = "e.kind, e.id, CAST(e.body AS BLOB), CAST(e.hash AS BLOB), e.revision"


@dataclass(frozen=True, slots=True)
class Element:
    """One element of the replicated content. `body` is canonical JSON, `revision` that of its last change."""

    kind: str
    id: str
    body: bytes
    hash: bytes
    revision: int

    def json(self) -> dict[str, Any]:
        """The body, parsed anew at each call."""
        value: dict[str, Any] = orjson.loads(self.body)
        return value

    @property
    def etag(self) -> str:
        """Equal on two servers if and only if the element is."""
        return self.hash[:16].hex()


Elements = list[Element]


class Reader:
    """The content at one moment: inside `GroupRegistry.read()`, or where the writer decides on a change. Use it only
    there, by one thread. `db` is the registry's own modules' alone."""

    __slots__ = ("_state", "db")

    def __init__(self, db: sqlite3.Connection, state: State) -> None:
        self.db, self._state = db, state

    @property
    def group_id(self) -> str:
        return self._state.group_id

    @property
    def session_count(self) -> int:
        return self._state.sessions

    def position(self) -> Position:
        return self._state.position

    def get(self, kind: str, id_: str, /) -> Element | None:
        row = self.db.execute(f"SELECT {COLUMNS} FROM elements e WHERE kind = ? AND id = ?", (kind, id_)).fetchone()  # noqa: S608
        return Element(*row) if row else None

    def find_session_by_name(self, name: str) -> Element | None:
        """The session of that name; upper and lower case are the same (domain.sessions.name_key)."""
        return self.find_sessions_by_name([name]).get(name_key(name))

    def find_sessions_by_name(self, names: Iterable[str]) -> dict[str, Element]:
        """The sessions that have one of the names, by `name_key`; for many at once."""
        sql = (
            f"SELECT s.name_key, {COLUMNS} FROM json_each(?) j JOIN sessions s ON s.name_key = j.value "  # noqa: S608
            "JOIN elements e ON e.kind = ? AND e.id = s.id"
        )
        found: dict[str, Element] = {}
        keys = iter({name_key(name) for name in names})
        while some := list(islice(keys, _LOOKED_UP_AT_ONCE)):
            for row in self.db.execute(sql, (orjson.dumps(some).decode(), SESSION)):
                found[row[0]] = Element(*row[1:])
        return found

    def iterate(self, kind: str) -> Iterator[Element]:
        """All elements of the kind, by id; end it before the reader does."""
        for row in self.db.execute(f"SELECT {COLUMNS} FROM elements e WHERE kind = ? ORDER BY id", (kind,)):  # noqa: S608
            yield Element(*row)

    def list(self, kind: str, /) -> Elements:
        return [*self.iterate(kind)]
