"""The change log's types: elements, operations, epochs, changes and the proof that two histories are the same.

A registry's replicated content is a set of *elements*, each named by (kind, id) with a JSON object as its body.
A *change* is a list of upserts and deletions, one revision. Changes form a chain: each header holds the hash of the
one before, and the digest of the whole content after it, and is signed by the Master of its epoch.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from hostward.domain.errors import RegistryError

Body = dict[str, Any]

GENESIS_HASH = bytes(32)
EMPTY_DIGEST = bytes(32)
FORMAT = 1
MAX_OPS_BYTES = 1 << 30
_DIGEST_MODULUS = 1 << 256


def canonical(value: object) -> bytes:
    """JSON with sorted keys and no spaces, UTF-8: equal values give equal bytes."""
    # Copied: the bytes that the encoder returns hold on to the 4 KiB they were made in.
    return b"%b" % orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


@dataclass(frozen=True, slots=True, order=True)
class Epoch:
    """A Master's term of office, ordered by (number, server)."""

    number: int
    server: str

    def __str__(self) -> str:
        return f"{self.number}.{self.server}"

    @staticmethod
    def parse(text: str) -> Epoch:
        """Raises ValueError."""
        number, _, server = str(text).partition(".")
        return Epoch(int(number), server)


@dataclass(frozen=True, slots=True)
class Put:
    """Create the element, or replace its body. `body` is canonical JSON."""

    kind: str
    id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove the element; removing what isn't there is allowed."""

    kind: str
    id: str


Operation = Put | Delete


@dataclass(frozen=True, slots=True)
class Position:
    """Where a registry stands. Equal epoch, revision and hash on two servers prove the same history; equal digest
    the same content."""

    epoch: Epoch
    revision: int
    hash: bytes
    digest: bytes

    def to_json(self) -> dict[str, Any]:
        return {
            "epoch": str(self.epoch),
            "revision": self.revision,
            "hash": self.hash.hex(),
            "digest": self.digest.hex(),
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> Position:
        return Position(
            Epoch.parse(value["epoch"]),
            int(value["revision"]),
            bytes.fromhex(value["hash"]),
            bytes.fromhex(value["digest"]),
        )


@dataclass(frozen=True, slots=True)
class Change:
    """One revision. `header` is canonical JSON, `ops` the compressed operations whose SHA-256 the header holds,
    `signature` the Master's over `hash`."""

    epoch: Epoch
    revision: int
    previous: bytes
    hash: bytes
    digest: bytes
    author: str
    origin: str
    time: str
    header: bytes
    ops: bytes
    signature: bytes

    def operations(self) -> list[Operation]:
        """The operations, in order. Raises RegistryError if `ops` isn't what the header says."""
        return decode_operations(self.ops)

    @property
    def size(self) -> int:
        """Bytes that the change takes in a log row."""
        return len(self.header) + len(self.ops) + len(self.signature) + 16


def element_hash(kind: str, id_: str, body: bytes) -> bytes:
    """SHA-256 of an element's kind, id and canonical body, each with its length so that none runs into the next."""
    k, i = kind.encode(), id_.encode()
    return hashlib.sha256(b"%d:%d:%d:" % (len(k), len(i), len(body)) + k + i + body).digest()


def digest_add(digest: bytes, added: Iterable[bytes] = (), removed: Iterable[bytes] = ()) -> bytes:
    """The content's digest after adding and removing elements, by their hashes. It is the sum of all element hashes
    modulo 2**256, so it doesn't depend on order and is kept up to date change by change."""
    total = int.from_bytes(digest)
    for h in added:
        total += int.from_bytes(h)
    for h in removed:
        total -= int.from_bytes(h)
    return (total % _DIGEST_MODULUS).to_bytes(32)


def encode_operations(operations: Iterable[Operation]) -> bytes:
    """Operations as one compressed JSON array. Bodies go in as they are, without being parsed again."""
    rows = []
    for op in operations:
        name = orjson.dumps([op.kind, op.id])[1:-1]
        rows.append(b"[%b,%b]" % (name, op.body) if isinstance(op, Put) else b"[%b]" % name)
    return zlib.compress(b"[" + b",".join(rows) + b"]", 1)


def decode_operations(ops: bytes) -> list[Operation]:
    """The inverse of encode_operations. Raises RegistryError on anything else, or more than 1 GiB of it."""
    try:
        inflater = zlib.decompressobj()
        raw = inflater.decompress(ops, MAX_OPS_BYTES)
        if not inflater.eof:
            raise RegistryError("A change's operations are cut off or too large.", code="change-damaged")
        rows = orjson.loads(raw)
        return [Put(row[0], row[1], canonical(row[2])) if len(row) == 3 else Delete(row[0], row[1]) for row in rows]
    except (zlib.error, orjson.JSONDecodeError, IndexError, TypeError) as error:
        raise RegistryError(f"A change's operations can't be read: {error}.", code="change-damaged") from error


def make_header(
    *,
    group: str,
    epoch: Epoch,
    revision: int,
    previous: bytes,
    digest: bytes,
    author: str,
    origin: str,
    time: str,
    ops: bytes,
) -> bytes:
    """A change's header: everything that the signature covers. `time` is ISO 8601 UTC, for people only: order comes
    from revisions, never from clocks."""
    return canonical(
        {
            "format": FORMAT,
            "group": group,
            "epoch": str(epoch),
            "revision": revision,
            "previous": previous.hex(),
            "digest": digest.hex(),
            "author": author,
            "origin": origin,
            "time": time,
            "ops": hashlib.sha256(ops).hexdigest(),
        }
    )


def header_position(header: bytes) -> tuple[str, Position]:
    """The group that a change's header names, and where a registry stands after that change. Raises RegistryError."""
    try:
        h = orjson.loads(header)
        at = Position(
            Epoch.parse(h["epoch"]), h["revision"], hashlib.sha256(header).digest(), bytes.fromhex(h["digest"])
        )
        return str(h["group"]), at
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise RegistryError(f"A change's header can't be read: {error}.", code="change-damaged") from error


def change_from_parts(header: bytes, ops: bytes, signature: bytes) -> Change:
    """A change from what was stored or received; checks that the operations are those the header names. The
    signature is not checked here. Raises RegistryError if they differ or the format is unknown."""
    try:
        h = orjson.loads(header)
        if h["format"] != FORMAT:
            raise RegistryError(
                f"A change has format {h['format']}; this version reads {FORMAT}.",
                remedy="Upgrade this server.",
                code="change-format",
            )
        if h["ops"] != hashlib.sha256(ops).hexdigest():
            raise RegistryError("A change's operations don't have the hash in its header.", code="change-damaged")
        return Change(
            epoch=Epoch.parse(h["epoch"]),
            revision=h["revision"],
            previous=bytes.fromhex(h["previous"]),
            hash=hashlib.sha256(header).digest(),
            digest=bytes.fromhex(h["digest"]),
            author=h["author"],
            origin=h["origin"],
            time=h["time"],
            header=header,
            ops=ops,
            signature=signature,
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise RegistryError(f"A change's header can't be read: {error}.", code="change-damaged") from error


def pack(changes: Iterable[Change]) -> bytes:
    """Changes as one run of bytes, for a log row or an envelope: for each, three lengths (4 bytes, big-endian) and
    then header, operations and signature."""
    out = bytearray()
    for c in changes:
        for part in (c.header, c.ops, c.signature):
            out += len(part).to_bytes(4)
        out += c.header + c.ops + c.signature
    return bytes(out)


def unpack(data: bytes) -> list[Change]:
    """The inverse of pack. Raises RegistryError if the bytes end in the middle of a change."""
    changes, at = [], 0
    while at < len(data):
        lengths = [int.from_bytes(data[at + 4 * i : at + 4 * i + 4]) for i in range(3)]
        at += 12
        if at + sum(lengths) > len(data):
            raise RegistryError("A row of the change log ends in the middle of a change.", code="change-damaged")
        parts = []
        for length in lengths:
            parts.append(data[at : at + length])
            at += length
        changes.append(change_from_parts(*parts))
    return changes
