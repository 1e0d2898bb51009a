"""Registries in a temporary directory, without a server around them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from hostward.domain.changes import Change, Operation, Put, canonical
from hostward.registry.group import GroupRegistry, Reader

Content = dict[tuple[str, str], bytes]


def opened(path: Path, server_id: str = "a") -> GroupRegistry:
    """Signs with a checksum: who signed is checked elsewhere."""
    return GroupRegistry.open(
        path,
        server_id=server_id,
        sign=lambda h: hashlib.sha256(b"signed" + h).digest(),
        now=lambda: "2026-01-01T00:00:00Z",
    )


async def following(path: Path, master: GroupRegistry) -> GroupRegistry:
    """A server that has loaded the Master's empty or full content, and may follow its changes."""
    registry = opened(path, "b")
    await registry.replace(master.snapshot())
    return registry


def session(id_: str, name: str, **fields: Any) -> Put:
    return Put("session", id_, canonical({"name": name, "type": "VT", "host": "vt.example.com", "groups": []} | fields))


def any_change(change: Change, reader: Reader) -> None:
    """A check that lets every change in."""


def kept(registry: GroupRegistry) -> list[Change]:
    found = registry.changes_after(0, max_bytes=1 << 40, max_count=1 << 20)
    assert found is not None
    return found


def content(registry: GroupRegistry, kinds: tuple[str, ...] = ("session", "note")) -> Content:
    with registry.read() as reader:
        return {(e.kind, e.id): e.body for kind in kinds for e in reader.list(kind)}


def after(content: Content, operations: list[Operation]) -> Content:
    """The content as it should be after the operations."""
    result = dict(content)
    for op in operations:
        if isinstance(op, Put):
            result[op.kind, op.id] = op.body
        else:
            result.pop((op.kind, op.id), None)
    return result
