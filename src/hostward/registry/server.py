"""server.db: what is this server's alone, as named JSON values. Every change is fsynced before it returns."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Any, Final

import orjson
import structlog

from hostward.domain.errors import RegistryError
from hostward.registry.schema import SERVER_TABLES, explained, open_reader, open_writer

_REWRITE: Final = "rewrite-files"
"""Kept while the files may still hold what `replace` has replaced."""
log = structlog.get_logger()


def read_value(path: Path, name: str) -> Any | None:
    """One value of a server.db, or None, for whoever only looks: also beside the server that has it open. Raises
    RegistryError."""
    with explained(path), contextlib.closing(open_reader(path)) as db:
        row = db.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
    return None if row is None else orjson.loads(row[0])


class ServerRegistry:
    """Small values, kept in memory as well. Any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._db = open_writer(path, SERVER_TABLES)
        self._values: dict[str, str] = dict(self._db.execute("SELECT name, value FROM setting"))
        if self.get(_REWRITE):
            self._rewrite()

    @classmethod
    def open(cls, path: Path) -> ServerRegistry:
        """Made when it is missing. Raises RegistryError."""
        return cls(path)

    def get(self, name: str) -> Any | None:
        """The value, or None."""
        value = self._values.get(name)
        return None if value is None else orjson.loads(value)

    def starting_with(self, prefix: str) -> dict[str, Any]:
        """The values whose names begin so, by name."""
        with self._lock:
            found = {name: text for name, text in self._values.items() if name.startswith(prefix)}
        return {name: orjson.loads(text) for name, text in found.items()}

    def put(self, name: str, value: Any) -> None:
        """Set one value. Raises RegistryError; then nothing was changed."""
        self.update(**{name: value})

    def delete(self, name: str) -> None:
        self.update(**{name: None})

    def update(self, **values: Any) -> None:
        """Set several values in one transaction; None deletes."""
        texts = {name: None if v is None else orjson.dumps(v).decode() for name, v in values.items()}
        with self._lock, explained(self._path):
            if all(self._values.get(name) == text for name, text in texts.items()):
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for name, text in texts.items():
                    if text is None:
                        self._db.execute("DELETE FROM setting WHERE name = ?", (name,))
                    else:
                        self._db.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, text))
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            for name, text in texts.items():
                if text is None:
                    self._values.pop(name, None)
                else:
                    self._values[name] = text

    def replace(self, **values: Any) -> None:
        """As `update`, and nothing of what the values were stays in the files. Where that part can't be done now, for
        want of space or because another program reads them, or where the server is killed, it is done at the next
        start: the values count all the same."""
        self.update(**values, **{_REWRITE: True})
        self._rewrite()

    def _rewrite(self) -> None:
        try:
            with self._lock, explained(self._path):
                self._db.execute("VACUUM")
                busy = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            if busy:
                raise RegistryError(
                    f"{self._path} is being read by another program.", remedy="Close what has it open.", code="locked"
                )
            self.delete(_REWRITE)
        except RegistryError as error:
            log.warning(
                "replaced-secrets-not-removed",
                file=str(self._path),
                reason=error.message,
                remedy=f"{error.remedy} Then restart this server: it removes them when it starts.",
            )

    def close(self) -> None:
        with self._lock:
            self._db.close()
