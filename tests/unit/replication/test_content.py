"""Watching over a server's own content, on real registries."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.unit.registry.support import any_change, kept, opened, session

from hostward.domain.errors import PeerError
from hostward.registry.group import GroupRegistry
from hostward.replication.changelog import content as content_module
from hostward.replication.changelog.content import ContentWatch

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def watched(registry: GroupRegistry) -> ContentWatch:
    """A watch that has looked once, where nobody else has the content."""
    looked = asyncio.Event()

    def now() -> str:
        looked.set()
        return "2026-01-01T00:00:00Z"

    async def heal() -> None:
        raise PeerError("There is nobody.")

    watch = ContentWatch(registry, heal, lambda: None, now)
    running = asyncio.create_task(watch.run())
    async with asyncio.timeout(20):
        await looked.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return watch


async def test_a_slave_forgets_old_changes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content_module, "KEEP_CHANGES", 3)
    master, slave = opened(tmp_path / "master.db"), opened(tmp_path / "slave.db", "b")
    await slave.replace(master.snapshot())
    for n in range(5):
        await master.commit("admin", lambda _, n=n: [session(str(n), f"n{n}")])  # type: ignore[misc]
    await slave.apply(kept(master), any_change)
    assert (await watched(slave)).ok
    with slave.read() as reader:
        assert reader.oldest_change() == 3
    assert slave.position == master.position
    for registry in (master, slave):
        registry.close()
