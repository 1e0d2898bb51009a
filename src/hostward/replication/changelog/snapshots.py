"""Snapshots of the replicated content: what a new Slave loads before it follows the log, and what heals a damaged
registry. Signed by the server that made them; a snapshot proves its own content by the digest in its position."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import orjson

from hostward.database.log_store import LogStore, SnapshotInfo
from hostward.domain.changes import Position, canonical, header_position
from hostward.domain.epochs import EpochRecord
from hostward.domain.errors import RegistryError, TrustError
from hostward.registry.content import LastChange
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
        last = meta.get("last")
        return SnapshotContent(
            meta["group"],
            Position.from_json(meta["position"]),
            self.elements,
            LastChange(last["header"].encode(), bytes.fromhex(last["signature"])) if last else None,
        )

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
    last = content.last
    meta = canonical(
        {
            "group": content.group_id,
            "position": content.position.to_json(),
            "elements": hashlib.sha256(content.elements).hexdigest(),
            "by": identity.server_id,
            "last": {"header": last.header.decode(), "signature": last.signature.hex()} if last else None,
        }
    )
    return SignedSnapshot(meta, identity.sign(meta), content.elements)


def check_masters(
    content: SnapshotContent, certificates_of: Callable[[str], Sequence[str]], records: Iterable[EpochRecord]
) -> None:
    """That the Master of its epoch has made what a snapshot holds, whichever server gave it: by the change that led
    there, and its signature. `certificates_of` gives those (PEM) by which a server is known; `records` are of epochs
    that may have begun just there. Raises TrustError "unproven"."""
    at, last = content.position, content.last
    if last is None:
        raise _unproven()
    group, made = header_position(last.header)
    begun = any(r.epoch == at.epoch and r.start == made for r in records)
    if group != content.group_id or (at != made and not (begun and at == replace(made, epoch=at.epoch))):
        raise _unproven()
    for certificate in certificates_of(made.epoch.server):
        with contextlib.suppress(TrustError):
            verify(certificate, made.hash, last.signature)
            return
    raise _unproven()


def _unproven() -> TrustError:
    return TrustError(
        "A server gave content that no Master of this group has signed.",
        remedy="Look at that server: its files are damaged, or somebody else speaks for it.",
        code="unproven",
    )


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
