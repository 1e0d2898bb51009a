"""What a follower does with what others give it that isn't so: real registries, identities and a log in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hostward.database.log_store import LogRow, LogStore
from hostward.database.memory_log import MemoryLogStore
from hostward.domain.changes import (
    Change,
    Position,
    Put,
    canonical,
    change_from_parts,
    encode_operations,
    make_header,
    pack,
)
from hostward.domain.errors import PeerError
from hostward.registry.group import GroupRegistry
from hostward.replication.changelog import follower as follower_module
from hostward.replication.changelog.follower import Follower, Following, Known, Point
from hostward.replication.changelog.snapshots import SignedSnapshot, sign_snapshot, store_snapshot
from hostward.replication.group.members import JOINED, Member
from hostward.trust.identity import ServerIdentity, load_or_create

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Others:
    """Implements follower.Sources: a log, the Master while it `answers`, and servers that give what a test says."""

    log: MemoryLogStore
    master: GroupRegistry
    identity: ServerIdentity
    answers: bool = True
    gives: dict[str, list[Change] | Exception] = field(default_factory=dict)
    hangs: bool = False
    snapshots: int = 0

    def store(self) -> LogStore | None:
        return self.log

    def peers(self) -> Sequence[str]:
        return [*self.gives, *([self.identity.server_id] if self.answers else [])]

    async def changes(self, server_id: str, after: Position) -> list[Change] | None:
        if self.hangs:
            await asyncio.Event().wait()
        if server_id == self.identity.server_id:
            return self.master.changes_after(after.revision, max_bytes=1 << 20, max_count=100)
        given = self.gives[server_id]
        if isinstance(given, Exception):
            raise given
        return given

    async def snapshot(self, server_id: str) -> SignedSnapshot:
        self.snapshots += 1
        assert server_id == self.identity.server_id
        return sign_snapshot(self.master.snapshot(), self.identity)

    async def known(self, server_id: str, points: Sequence[Point]) -> Known:
        return Known(tuple(True for _ in points), self.master.position)


@dataclass
class Two:
    """A Master, and a Slave that has all of its changes; a second Slave has an identity only."""

    directory: Path
    ids: dict[str, ServerIdentity]
    master: GroupRegistry
    slave: GroupRegistry
    others: Others
    follower: Follower

    def forged(self, by: str, *, ahead: int = 1, previous: bytes = b"", digest: bytes = b"") -> Change:
        """What comes next, as somebody would like it."""
        at = self.slave.position
        header = make_header(
            group=self.slave.group_id, epoch=at.epoch, revision=at.revision + ahead, previous=previous or at.hash,
            digest=digest or at.digest, author="x", origin="x", time=NOW.isoformat(), ops=EMPTY,
        )  # fmt: skip
        unsigned = change_from_parts(header, EMPTY, b"")
        return replace(unsigned, signature=self.ids[by].sign(unsigned.hash))

    async def log(self, *changes: Change) -> None:
        first, last = changes[0], changes[-1]
        await self.others.log.append(LogRow(first.epoch, first.revision, last.revision, pack(changes)))

    async def write(self, name: str) -> None:
        await self.master.commit("admin", lambda _: [Put("note", name, canonical({"name": name}))])


EMPTY = encode_operations([])


def opened(path: Path, identity: ServerIdentity) -> GroupRegistry:
    return GroupRegistry.open(path, server_id=identity.server_id, sign=identity.sign, now=NOW.isoformat)


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Two]:
    ids = {}
    for name in ("master", "slave", "evil"):
        (tmp_path / name).mkdir()
        ids[name] = load_or_create(tmp_path / name, f"{name}.example.com", [], NOW)
    master, slave = (opened(tmp_path / f"{name}.db", ids[name]) for name in ("master", "slave"))
    members = [
        Member(i.server_id, n, n, 443, "mss", "https", i.certificate_pem, "", "10.0.0.1", 7000, "1", JOINED).put()
        for n, i in ids.items()
    ]
    await master.commit("replication", lambda _: members)
    await slave.replace(master.snapshot())
    others = Others(MemoryLogStore(), master, ids["master"])
    follower = Follower(slave, others)
    follower.follow(Following(ids["master"].server_id, ids["master"].certificate_pem, master.group_id))
    made = Two(tmp_path, ids, master, slave, others, follower)
    for name in ("one", "two"):
        await made.write(name)
    await follower.take_from(ids["master"].server_id, master.position)
    assert slave.position == master.position
    yield made
    for registry in (master, slave):
        registry.close()


@pytest.mark.feature("R5")
@pytest.mark.parametrize("wrong", ["previous", "digest", "previous in the middle"])
async def test_a_difference_that_the_master_has_not_signed_means_nothing(two: Two, wrong: str) -> None:
    before = two.slave.position
    bytes_of: dict[str, Any] = {wrong: b"x" * 32} if wrong != "previous in the middle" else {}
    # Of a run the last one's signature is looked at; so something follows.
    await two.log(two.forged("evil", **bytes_of), two.forged("evil", ahead=2, previous=b"p" * 32))
    await two.follower.read_widely()
    assert (two.others.snapshots, two.slave.position) == (0, before)
    assert two.follower.reason


@pytest.mark.feature("R5")
@pytest.mark.parametrize("differs", ["previous", "digest"])
async def test_a_difference_that_the_master_has_signed_is_mended(two: Two, differs: str) -> None:
    await two.write("three")
    bytes_of: dict[str, Any] = {differs: b"x" * 32}
    await two.log(two.forged("master", **bytes_of))
    await two.follower.read_widely()
    assert (two.others.snapshots > 0, two.slave.position) == (True, two.master.position)


@pytest.mark.feature("R5")
async def test_a_snapshot_in_the_database_never_leads_back(two: Two) -> None:
    """With the Master away nobody can be asked what it hasn't: also where the Master itself made that snapshot."""
    content = two.master.snapshot()
    await store_snapshot(two.others.log, content, two.ids["master"])
    await two.write("three")
    await two.follower.take_from(two.ids["master"].server_id, two.master.position)
    two.others.answers = False
    with pytest.raises(PeerError):
        await two.follower.load()
    assert two.slave.position == two.master.position
    await two.write("four")
    await store_snapshot(two.others.log, two.master.snapshot(), two.ids["master"])
    await two.follower.load()
    assert two.slave.position == two.master.position


@pytest.mark.feature("R5")
async def test_who_says_it_is_ahead_and_gives_nothing_new_is_asked_once(two: Two) -> None:
    at = two.slave.position
    two.others.gives["evil"] = two.master.changes_after(1, max_bytes=1 << 20, max_count=9) or []
    with pytest.raises(PeerError) as refused:
        async with asyncio.timeout(5):
            await two.follower.take_from("evil", replace(at, revision=at.revision + 1))
    assert refused.value.code == "unproven"
    assert two.slave.position == at


@pytest.mark.feature("R5")
async def test_taking_what_another_server_has_ends(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower_module, "TAKING_TIMEOUT_S", 0.05)
    two.others.hangs = True
    with pytest.raises(PeerError) as refused:
        async with asyncio.timeout(5):
            await two.follower.take_from("evil", replace(two.slave.position, revision=99))
    assert refused.value.code == "timeout"


async def following(two: Two) -> None:
    """Run the follower until it has what the Master writes now, or fails."""
    await two.write("three")
    taken = asyncio.Event()
    two.slave.subscribe(taken.set)
    two.follower.master_is_at(two.master.position)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(two.follower.run())
        await taken.wait()
        running.cancel()


@pytest.mark.feature("R5")
async def test_a_peer_whose_changes_cannot_be_used_keeps_no_other_from_being_asked(two: Two) -> None:
    two.others.gives["evil"] = [two.forged("evil")]
    await following(two)
    assert two.slave.position == two.master.position


async def test_a_fault_while_a_peer_is_asked_is_not_silent(two: Two) -> None:
    two.others.gives["evil"] = ValueError("nobody expected this")
    with pytest.raises(ExceptionGroup) as failed:
        await following(two)
    assert [str(e) for e in failed.value.exceptions] == ["nobody expected this"]
