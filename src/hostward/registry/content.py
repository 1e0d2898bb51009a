"""The whole content as one value: for snapshots, and for what a backup holds."""

from __future__ import annotations

import os
import sqlite3
import zlib
from dataclasses import dataclass
from pathlib import Path

import orjson

from hostward.domain.changes import (
    Delete,
    Operation,
    Position,
    Put,
    canonical,
    digest_add,
    element_hash,
)
from hostward.domain.errors import RegistryError
from hostward.registry.derived import differing_elements
from hostward.registry.reading import Reader
from hostward.registry.schema import explain, explained, open_reader

ElementRow = tuple[str, str, bytes, bytes, int]
"""kind, id, body, hash, revision."""

MAX_CONTENT_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class LastChange:
    """The header and signature of the change that led to a position: by them it is the Master's word, whoever has the
    content now."""

    header: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class SnapshotContent:
    """All elements at a position of a group. `elements` is zlib of a JSON array of [kind, id, body, revision]. `last`
    is None where no change has led there, or it isn't known any more."""

    group_id: str
    position: Position
    elements: bytes
    last: LastChange | None = None


@dataclass(frozen=True, slots=True)
class ContentCheck:
    """The content computed again from the rows. `altered` names elements whose body or derived rows aren't
    what was committed."""

    position: Position
    digest_computed: bytes
    ok: bool
    altered: list[tuple[str, str]]


def pack_elements(db: sqlite3.Connection) -> bytes:
    """Every element of an open view."""
    packer = zlib.compressobj(1)
    out = [packer.compress(b"[")]
    first = True
    for kind, id_, body, revision in db.execute("SELECT kind, id, body, revision FROM element ORDER BY kind, id"):
        name = orjson.dumps([kind, id_])[1:-1]
        out.append(packer.compress(b"%b[%b,%b,%d]" % (b"" if first else b",", name, body, revision)))
        first = False
    out.append(packer.compress(b"]"))
    out.append(packer.flush())
    return b"".join(out)


def elements_in(content: SnapshotContent) -> list[ElementRow]:
    """The rows of a snapshot. Raises RegistryError "snapshot-damaged" where they don't have the position's digest."""
    try:
        unpacker = zlib.decompressobj()
        raw = unpacker.decompress(content.elements, MAX_CONTENT_BYTES)
        if not unpacker.eof:
            raise RegistryError("A snapshot is cut off or too large.", code="snapshot-damaged")
        rows: list[ElementRow] = []
        for kind, id_, value, revision in orjson.loads(raw):
            body = canonical(value)
            rows.append((kind, id_, body, element_hash(kind, id_, body), revision))
    except (zlib.error, orjson.JSONDecodeError, TypeError, ValueError) as error:
        raise RegistryError(f"A snapshot can't be read: {error}.", code="snapshot-damaged") from error
    if digest_add(bytes(32), (row[3] for row in rows)) != content.position.digest:
        raise RegistryError("A snapshot's content doesn't have its digest.", code="snapshot-damaged")
    return rows


def check_content(db: sqlite3.Connection, reader: Reader) -> ContentCheck:
    """Compute the content's digest again from the rows of an open view."""
    altered, total = [], 0
    position = reader.position()
    # The casts give bytes whatever somebody wrote there.
    for kind, id_, body, kept in db.execute("SELECT kind, id, CAST(body AS BLOB), CAST(hash AS BLOB) FROM element"):
        found = element_hash(kind, id_, body)
        total += int.from_bytes(found)
        if found != kept:
            altered.append((kind, id_))
    digest = (total % (1 << 256)).to_bytes(32)
    if not altered:
        altered = differing_elements(db)
    ok = digest == position.digest and not altered
    return ContentCheck(position, digest, ok, altered)


def content_of_backup(path: Path) -> SnapshotContent:
    """What a backup file holds. Raises RegistryError where it is damaged or no backup."""
    with explained(path):
        db = open_reader(path)
        try:
            reader = Reader(db)
            return SnapshotContent(reader.group_id, reader.position(), pack_elements(db))
        except KeyError as error:
            raise RegistryError(f"{path.name} is not a backup of a registry.", code="registry-damaged") from error
        finally:
            db.close()


def operations_to_become(reader: Reader, content: SnapshotContent, kinds: tuple[str, ...]) -> list[Operation]:
    """What turns the elements of these kinds into those of the content: restoring is a new change, never an older
    revision."""
    wanted = {(row[0], row[1]): row for row in elements_in(content) if row[0] in kinds}
    ops: list[Operation] = [
        Delete(e.kind, e.id) for kind in kinds for e in reader.list(kind) if (e.kind, e.id) not in wanted
    ]
    ops += [Put(kind, id_, row[2]) for (kind, id_), row in wanted.items()]
    return ops


def copy_whole(registry: Path, path: Path) -> None:
    """A complete, checked copy of a registry's file; it appears under its name only when it is whole. Raises
    RegistryError."""
    part = path.with_name(path.name + ".part")
    try:
        part.unlink(missing_ok=True)
        part.touch(mode=0o600)
        target = sqlite3.connect(part)
        source = open_reader(registry)
        try:
            source.backup(target, pages=4096)
            found = target.execute("PRAGMA quick_check(1)").fetchone()[0]
        finally:
            source.close()
            target.close()
        if found != "ok":
            raise sqlite3.DatabaseError(f"the copy is malformed: {found}")
        os.replace(part, path)
    except (sqlite3.Error, OSError) as error:
        part.unlink(missing_ok=True)
        raise explain(path, error) from error
