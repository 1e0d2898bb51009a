"""Reading the registry: elements, positions and sessions, in one consistent transaction."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import structlog

from hostward.domain.changes import Change, Epoch, Position, change_from_parts
from hostward.domain.epochs import EpochRecord
from hostward.domain.errors import RegistryError
from hostward.registry.derived import find_first, find_named, names_after, packages, sessions
from hostward.registry.derived.access import Access
from hostward.registry.derived.people import People
from hostward.registry.past import Past

Changes = list[Change]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Element:
    """A replicated thing. `body` is canonical JSON; `revision` is that of its last change."""

    kind: str
    id: str
    body: bytes
    hash: bytes
    revision: int

    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = orjson.loads(self.body)
        return value

    @property
    def etag(self) -> str:
        """Names this content of the element."""
        return self.hash[:16].hex()


class Reader:
    """One consistent view. Given by GroupRegistry.read(), and to what decides in a commit."""

    def __init__(self, db: sqlite3.Connection, position: Position | None = None) -> None:
        self._db, self._position = db, position

    def get(self, kind: str, id_: str, /) -> Element | None:
        row = self._db.execute(
            "SELECT kind, id, body, hash, revision FROM element WHERE kind = ? AND id = ?", (kind, id_)
        ).fetchone()
        return Element(*row) if row else None

    def list(self, kind: str, /) -> list[Element]:
        """All of a kind, by id."""
        rows = self._db.execute(
            "SELECT kind, id, body, hash, revision FROM element WHERE kind = ? ORDER BY id", (kind,)
        )
        return [Element(*row) for row in rows]

    def count(self, kind: str) -> int:
        row = self._db.execute("SELECT count(*) FROM element WHERE kind = ?", (kind,)).fetchone()
        return int(row[0])

    def find_session_by_name(self, name: str) -> Element | None:
        """Without regard to case."""
        return self.find_by_name(sessions.KIND, name)

    def find_by_name(self, kind: str, name: str) -> Element | None:
        """Of a kind with unique names, without regard to case."""
        found = find_named(self._db, kind, name)
        return self.get(kind, found) if found else None

    def names_after(self, kind: str, key: str, count: int) -> Sequence[tuple[str, str]]:
        """Id and name of a few of a kind with unique names, by name, after the one whose name has that key
        (domain.texts.name_key); from the first on for an empty one."""
        return names_after(self._db, kind, key, count)

    def session_bodies_by_name_key(self) -> dict[str, tuple[str, bytes]]:
        """Id and body of every session, by its name's key (domain.sessions.name_key)."""
        rows = self._db.execute(
            "SELECT s.name_key, s.id, e.body FROM session_entry s JOIN element e ON e.kind = 'session' AND e.id = s.id"
        )
        return {key: (id_, body) for key, id_, body in rows}

    def search_sessions(
        self, q: str | None = None, *, type: str | None = None, page: int = 1, per_page: int = 50, sort: str = "name"
    ) -> tuple[Sequence[Element], int]:
        """One page of the sessions that match, and how many match. Raises InvalidInput."""
        ids, total = sessions.find_page(self._db, q, type, page=page, per_page=per_page, sort=sort)
        found = [e for e in (self.get(sessions.KIND, i) for i in ids) if e]
        return found, total

    def search_packages(self, q: str, *, page: int, per_page: int) -> tuple[Sequence[str], int]:
        """The ids of one page, by name, of the packages that match, and how many match. Raises InvalidInput."""
        return packages.find_page(self._db, q, page=page, per_page=per_page)

    def first_matching(self, kind: str, q: str, limit: int) -> Sequence[Element]:
        """A few sessions, users or user groups that match, without counting the others; those whose name begins so
        come first."""
        return [e for i in find_first(self._db, kind, q, limit) if (e := self.get(kind, i))]

    def matching_sessions(self, q: str | None, type: str | None) -> Sequence[str]:
        """The ids of all that match, by name."""
        return sessions.find_ids(self._db, q, type)

    def all_sessions(self) -> Sequence[Element]:
        """Every session, by name."""
        rows = self._db.execute(
            "SELECT e.kind, e.id, e.body, e.hash, e.revision FROM session_entry s"
            " JOIN element e ON e.kind = 'session' AND e.id = s.id ORDER BY s.name_key"
        )
        return [Element(*row) for row in rows]

    def position(self) -> Position:
        """Of what this view shows: in a commit, of the change before it, which may share its transaction."""
        if self._position is not None:
            return self._position
        m = self.meta()
        return Position(Epoch.parse(m["epoch"].decode()), int(m["revision"]), m["hash"], m["digest"])

    def epoch_records(self, after: Epoch) -> Sequence[EpochRecord]:
        """The records of this history's later epochs, in order, as far as they are known."""
        rows = self._db.execute("SELECT record FROM epoch WHERE number >= ? ORDER BY number, server", (after.number,))
        return [record for (data,) in rows if (record := EpochRecord.from_bytes(data)).epoch > after]

    @property
    def group_id(self) -> str:
        return self.meta()["group"].decode()

    def meta(self) -> dict[str, bytes]:
        return dict(self._db.execute("SELECT name, value FROM meta"))

    def change(self, revision: int) -> Change | None:
        row = self._db.execute("SELECT header, ops, signature FROM change WHERE revision = ?", (revision,)).fetchone()
        return change_from_parts(*row) if row else None

    def last_change(self) -> tuple[bytes, bytes] | None:
        """Header and signature of the change that led to this position; None where it isn't known."""
        at, meta = self.position(), self.meta()
        row = self._db.execute("SELECT header, signature FROM change WHERE revision = ?", (at.revision,)).fetchone()
        header, signature = row or (meta.get("last_header", b""), meta.get("last_signature", b""))
        return (header, signature) if hashlib.sha256(header).digest() == at.hash else None

    @property
    def people(self) -> People:
        """Users and groups, and who belongs to what."""
        return People(self._db)

    @property
    def access(self) -> Access:
        """Who may use what."""
        return Access(self._db)

    @property
    def past(self) -> Past:
        """What the kept changes did."""
        return Past(self._db)

    def oldest_change(self) -> int | None:
        """The oldest revision whose change is kept."""
        row = self._db.execute("SELECT min(revision) FROM change").fetchone()
        return None if row[0] is None else int(row[0])

    def changes_after(self, revision: int, *, max_bytes: int, max_count: int) -> Sequence[Change] | None:
        """What comes next, at least one if there is any; None where the registry no longer holds it."""
        current = int(self.meta()["revision"])
        if revision == current:
            return []
        found: Changes = []
        size = 0
        for row in self._db.execute(
            "SELECT header, ops, signature FROM change WHERE revision > ? ORDER BY revision LIMIT ?",
            (revision, max_count),
        ):
            try:
                change = change_from_parts(*row)
            except RegistryError as error:
                # Whoever asks is given a snapshot instead, which mends what somebody edited.
                log.error("change-damaged", after=found[-1].revision if found else revision, reason=error.message)
                break
            size += change.size
            if found and size > max_bytes:
                break
            found.append(change)
        if not found or found[0].revision != revision + 1:
            return None
        return found
