"""What only one registry has, before another server's content takes its place: kept as requests, and as a backup."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from tests.unit.registry.support import any_change, kept, opened, session

from hostward.domain.changes import GENESIS_HASH, Epoch, Position
from hostward.domain.epochs import EpochRecord
from hostward.domain.replication import Target
from hostward.registry.content import content_of_backup
from hostward.registry.group import GroupRegistry
from hostward.registry.server import ServerRegistry
from hostward.replication.change_requests.outbox import Entry, Outbox
from hostward.replication.changelog.follower import Known, Point
from hostward.replication.masters.beyond import keep_beyond
from hostward.replication.parts import Life, Parts

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Pair:
    """A Master; a Slave that has loaded a snapshot of revision 10, and the changes 11 to 15; and the server that is
    promoted at some revision of the Master's history, and goes on for two changes."""

    directory: Path
    master: GroupRegistry
    slave: GroupRegistry
    server: ServerRegistry
    coming: list[EpochRecord] = field(default_factory=list)
    promoted: list[bytes] = field(default_factory=list)
    life: Life = field(default_factory=Life)

    def promote(self, revision: int) -> None:
        history = [GENESIS_HASH, *(c.hash for c in kept(self.master))]
        change = self.master.change(revision)
        assert change is not None
        start = Position(change.epoch, revision, change.hash, change.digest)
        self.promoted = [*history[: revision + 1], b"new1", b"new2"]
        self.coming = [
            EpochRecord(self.slave.group_id, Epoch(2, "b"), start, False, "then", "B", Target("b", 1, "mss"), "")
        ]

    async def known(self, server_id: str, points: Sequence[Point]) -> Known:
        answers = tuple(r < len(self.promoted) and self.promoted[r] == h for r, h in points)
        return Known(answers, self.slave.position)

    async def keep(self) -> list[Entry]:
        """What was set aside."""
        box = Outbox(self.server, self.slave, "s", "south")
        parts = SimpleNamespace(
            group=self.slave, outbox=box, data_dir=self.directory, life=self.life, now=lambda: "2026-01-01T00:00:00Z",
            follower=SimpleNamespace(sources=self), state=SimpleNamespace(now=SimpleNamespace(coming=self.coming)),
        )  # fmt: skip
        await keep_beyond(cast(Parts, parts), "b")
        return box.entries()

    def backups(self) -> list[int]:
        """The revisions of what is kept whole."""
        found = (self.directory / "backups").glob("before-following-*.db")
        return [content_of_backup(path).position.revision for path in found]


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    (tmp_path / "backups").mkdir()
    master, slave = opened(tmp_path / "master.db"), opened(tmp_path / "slave.db", "s")
    for n in range(1, 16):
        await master.commit("admin", lambda _, n=n: [session(f"{n:032x}", f"n{n}")])  # type: ignore[misc]
        if n == 10:
            await slave.replace(master.snapshot())
    await slave.apply(kept(master)[10:], any_change)
    server = ServerRegistry.open(tmp_path / "server.db")
    yield Pair(tmp_path, master, slave, server)
    for registry in (master, slave, server):
        registry.close()


@pytest.mark.feature("R27")
async def test_what_lies_beyond_the_start_is_set_aside(pair: Pair) -> None:
    pair.promote(12)
    entries = await pair.keep()
    assert [e.request.id for e in entries] == [c.hash.hex() for c in kept(pair.master)[12:]]
    assert {e.request.revision for e in entries} == {12}
    assert (pair.backups(), pair.life.not_set_aside) == ([15], "")


@pytest.mark.feature("R27")
async def test_all_that_is_held_is_set_aside_where_the_start_is_before_it(pair: Pair) -> None:
    """And what can't be, because it was loaded as a whole, is said, and is in the backup."""
    pair.promote(7)
    entries = await pair.keep()
    assert [e.request.id for e in entries] == [c.hash.hex() for c in kept(pair.master)[10:]]
    # What is the new Master's since revision 7 wasn't known to who made these.
    assert {e.request.revision for e in entries} == {7}
    assert pair.backups() == [15]
    assert "8 to 10" in pair.life.not_set_aside


@pytest.mark.feature("R27")
async def test_a_registry_that_holds_no_change_is_kept_whole(pair: Pair) -> None:
    pair.promote(7)
    await pair.slave.replace(pair.master.snapshot())
    assert await pair.keep() == []
    assert pair.backups() == [15]
    assert "8 to 15" in pair.life.not_set_aside


@pytest.mark.feature("R27")
async def test_where_nobody_can_tell_when_two_copies_parted_it_is_said(pair: Pair) -> None:
    pair.promote(7)
    pair.coming.clear()
    entries = await pair.keep()
    assert len(entries) == 5
    assert {e.request.revision for e in entries} == {0}
    assert "up to 10" in pair.life.not_set_aside


@pytest.mark.feature("R27")
async def test_nothing_is_kept_of_what_the_other_has(pair: Pair) -> None:
    pair.promote(15)
    assert await pair.keep() == []
    assert (pair.backups(), pair.life.not_set_aside) == ([], "")
