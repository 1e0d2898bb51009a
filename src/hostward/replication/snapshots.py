"""Snapshots of the replicated content: what a new Slave loads before it follows the log, and what heals a damaged
registry. Signed by the server that made them; a snapshot proves its own content by the digest in its position."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import orjson

from hostward.database.log_store import LogStore, SnapshotInfo
from hostward.domain.changes import Position, canonical
from hostward.domain.errors import RegistryError
from hostward.registry.group import SnapshotContent
from hostward.trust.identity import ServerIdentity, verify

CHUNK_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class SignedSnapshot:
    """A snapshot with its maker's signature over `meta`."""

    meta: bytes
    signature: bytes
    elements: bytes

    def content(self, certificate: str) -> SnapshotContent:
        """The content, if `certificate` (PEM) signed it. Raises TrustError or RegistryError."""
        verify(certificate, self.meta, self.signature)
        meta = orjson.loads(self.meta)
        if hashlib.sha256(self.elements).hexdigest() != meta["elements"]:
            raise RegistryError("A snapshot isn't what was signed.", code="snapshot-damaged")
        return SnapshotContent(meta["group"], Position.from_json(meta["position"]), self.elements)

    def to_bytes(self) -> bytes:
        head = canonical({"meta": self.meta.decode(), "signature": self.signature.hex()})
        return len(head).to_bytes(4) + head + self.elements

    @staticmethod
    def from_bytes(data: bytes) -> SignedSnapshot:
        """Raises RegistryError if the bytes are no snapshot."""
        try:
            size = int.from_bytes(data[:4])
            head = orjson.loads(data[4 : 4 + size])
            return SignedSnapshot(head["meta"].encode(), bytes.fromhex(head["signature"]), data[4 + size :])
        except (orjson.JSONDecodeError, KeyError, ValueError) as error:
            raise RegistryError(f"A snapshot can't be read: {error}.", code="snapshot-damaged") from error


def sign_snapshot(content: SnapshotContent, identity: ServerIdentity) -> SignedSnapshot:
    meta = canonical(
        {
            "group": content.group_id,
            "position": content.position.to_json(),
            "elements": hashlib.sha256(content.elements).hexdigest(),
            "by": identity.server_id,
        }
    )
    return SignedSnapshot(meta, identity.sign(meta), content.elements)


async def store_snapshot(store: LogStore, content: SnapshotContent, identity: ServerIdentity) -> None:
    """Keep the snapshot in the replication database. Raises DatabaseError."""
    data = sign_snapshot(content, identity).to_bytes()
    chunks = [data[i : i + CHUNK_BYTES] for i in range(0, len(data), CHUNK_BYTES)]
    info = SnapshotInfo(
        epoch=content.position.epoch,
        revision=content.position.revision,
        chunks=len(chunks),
        sha256=hashlib.sha256(data).digest(),
        meta=canonical({"group": content.group_id}),
    )
    await store.put_snapshot(info, chunks)


async def newest_stored(store: LogStore, certificate: str) -> SnapshotContent | None:
    """The newest snapshot in the replication database that `certificate` signed, or None. Raises DatabaseError,
    RegistryError, TrustError."""
    info = await store.newest_snapshot()
    if info is None:
        return None
    chunks = await store.get_snapshot(info)
    if chunks is None:
        return None
    return SignedSnapshot.from_bytes(b"".join(chunks)).content(certificate)
