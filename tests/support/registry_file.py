"""A server's group.db, read directly and by the format's description alone: what is on the disk, not what is said."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """One change. `operations`: (kind, id, body), the body None for a deletion."""

    revision: int
    hash: str
    previous: str
    digest: str
    epoch: str
    operations: list[tuple[str, str, dict[str, Any] | None]]


@dataclass(frozen=True, slots=True)
class Registry:
    """All of a registry at one moment. `digest` is computed from the rows; `position` is what the file says of itself:
    (epoch, revision, hash, digest)."""

    elements: dict[tuple[str, str], dict[str, Any]]
    log: list[Entry]
    digest: str
    position: tuple[str, int, str, str]


def read_registry(path: Path) -> Registry:
    """The file as another program sees it, also while its server runs."""
    with _opened(path) as db:
        elements = {}
        total = 0
        for kind, id_, body in db.execute("SELECT kind, id, body FROM element"):
            elements[kind, id_] = json.loads(body)
            total += int.from_bytes(_element_hash(kind, id_, body))
        log = [_entry(*row) for row in db.execute("SELECT revision, header, ops, hash FROM change ORDER BY revision")]
        meta = dict(db.execute("SELECT name, value FROM meta"))
    digest = (total % (1 << 256)).to_bytes(32).hex()
    return Registry(elements, log, digest, _position(meta))


def alter_session(path: Path, session_id: str, comment: str) -> None:
    """Change a session's comment behind the server's back."""
    with closing(sqlite3.connect(path, timeout=10)) as db:
        row = db.execute("SELECT body FROM element WHERE kind = 'session' AND id = ?", (session_id,)).fetchone()
        body = json.dumps({**json.loads(row[0]), "comment": comment}, sort_keys=True, separators=(",", ":")).encode()
        db.execute("UPDATE element SET body = ? WHERE kind = 'session' AND id = ?", (body, session_id))
        db.commit()


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10, isolation_level=None)) as db:
        db.execute("BEGIN")
        yield db
        db.execute("COMMIT")


def _element_hash(kind: str, id_: str, body: bytes) -> bytes:
    k, i = kind.encode(), id_.encode()
    return hashlib.sha256(b"%d:%d:%d:" % (len(k), len(i), len(body)) + k + i + body).digest()


def _entry(revision: int, header: bytes, ops: bytes, hash_: bytes) -> Entry:
    h = json.loads(header)
    assert hashlib.sha256(header).digest() == hash_, f"revision {revision}: the header doesn't have its hash"
    assert hashlib.sha256(ops).hexdigest() == h["ops"], f"revision {revision}: the operations don't have their hash"
    assert h["revision"] == revision, f"revision {revision}: the header says {h['revision']}"
    rows = json.loads(zlib.decompress(ops))
    operations = [(row[0], row[1], row[2] if len(row) == 3 else None) for row in rows]
    return Entry(revision, hash_.hex(), h["previous"], h["digest"], h["epoch"], operations)


def _position(meta: dict[str, bytes]) -> tuple[str, int, str, str]:
    return meta["epoch"].decode(), int(meta["revision"]), meta["hash"].hex(), meta["digest"].hex()
