"""Whose content is taken where the Master itself can't give it, on real registries."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hostward.database.log_store import LogStore
from hostward.domain.changes import Change, Epoch, Position, Put, canonical
from hostward.domain.epochs import EpochRecord
from hostward.domain.errors import TrustError
from hostward.domain.replication import Target
from hostward.registry.group import GroupRegistry
from hostward.replication.changelog.follower import Follower, Following, Known, Point
from hostward.replication.changelog.snapshots import SignedSnapshot, sign_snapshot
from hostward.replication.group.members import JOINED, Member
from hostward.trust.identity import ServerIdentity, load_or_create

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class OneSlave:
    """Implements follower.Sources: a Slave that has a snapshot only. Through JSON and back, as on the wire."""

    def __init__(self, identity: ServerIdentity, registry: GroupRegistry) -> None:
        self.identity, self.registry = identity, registry

    def store(self) -> LogStore | None:
        return None

    def peers(self) -> Sequence[str]:
        return [self.identity.server_id]

    async def changes(self, server_id: str, after: Position) -> list[Change] | None:
        return None

    async def snapshot(self, server_id: str) -> SignedSnapshot:
        return SignedSnapshot.from_bytes(sign_snapshot(self.registry.snapshot(), self.identity).to_bytes())

    async def known(self, server_id: str, points: Sequence[Point]) -> Known:
        return Known(tuple(None for _ in points), self.registry.position)


@dataclass
class Three:
    """A Master; a Slave with what the Master had; a Slave that lacks some of it."""

    directory: Path
    master: GroupRegistry
    ids: list[ServerIdentity]
    ahead: GroupRegistry
    behind: GroupRegistry
    sources: OneSlave
    follower: Follower

    async def take(self) -> None:
        await self.follower.take_from(self.sources.identity.server_id, self.sources.registry.position)


def opened(path: Path, identity: ServerIdentity, signer: ServerIdentity) -> GroupRegistry:
    path.mkdir(exist_ok=True)
    return GroupRegistry.open(
        path / "group.db", server_id=identity.server_id, sign=signer.sign, now=lambda: NOW.isoformat()
    )


def entry(identity: ServerIdentity) -> Put:
    pem = identity.certificate_pem
    return Member(
        identity.server_id, "m", "m.example.com", 443, "mss", "https", pem, "", "10.0.0.1", 7000, "1", JOINED
    ).put()


async def write(registry: GroupRegistry, name: str) -> None:
    await registry.commit("admin", lambda _: [Put("note", name, canonical({"name": name}))])


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[Three]:
    ids = []
    for name in "mab":
        (tmp_path / name).mkdir()
        ids.append(load_or_create(tmp_path / name, f"{name}.example.com", [], NOW))
    m, a, b = (opened(tmp_path / name, identity, identity) for name, identity in zip("mab", ids, strict=True))
    await m.commit("replication", lambda _: [entry(i) for i in ids])
    await b.replace(m.snapshot())
    await write(m, "one")
    await write(m, "two")
    await a.replace(m.snapshot())
    sources = OneSlave(ids[1], a)
    follower = Follower(b, sources)
    follower.follow(Following(ids[0].server_id, ids[0].certificate_pem, m.group_id))
    yield Three(tmp_path, m, ids, a, b, sources, follower)
    for registry in (m, a, b):
        registry.close()


async def test_a_slaves_snapshot_of_what_the_master_made_is_taken(three: Three) -> None:
    """Also one that has been handed on from Slave to Slave."""
    await three.take()
    assert three.behind.position == three.master.position
    await write(three.master, "three")
    await three.ahead.replace(three.master.snapshot())
    await three.take()
    assert three.behind.position == three.master.position
    assert three.behind.snapshot().last == three.master.snapshot().last is not None


@pytest.mark.feature("R5")
@pytest.mark.parametrize("header_of", ["nobody", "the slave", "an earlier change"])
async def test_what_a_slave_made_itself_is_not_taken(three: Three, header_of: str) -> None:
    before, slave = three.behind.position, three.ids[1]
    shutil.copytree(three.directory / "m", three.directory / "t", ignore=shutil.ignore_patterns("identity"))
    forged = opened(three.directory / "t", three.ids[0], slave)
    await write(forged, "forged")
    content = forged.snapshot()
    last = {"nobody": None, "the slave": content.last, "an earlier change": three.master.snapshot().last}[header_of]
    three.sources.registry = forged
    await forged.replace(replace(content, last=last))
    with pytest.raises(TrustError) as refused:
        await three.take()
    assert refused.value.code == "unproven"
    assert three.behind.position == before
    forged.close()


async def test_an_epoch_that_begins_there_needs_its_record(three: Three) -> None:
    at, new = three.ahead.position, three.ids[1]
    record = EpochRecord(
        three.ahead.group_id, Epoch(2, new.server_id), at, True, NOW.isoformat(), "a",
        Target("a.example.com", 443, "mss"), new.certificate_pem,
    )  # fmt: skip
    await three.ahead.begin_epoch(record)
    # Not from the new Master, whose own word would do, but from another Slave of it.
    three.sources.identity = three.ids[2]
    three.follower.follow(Following(new.server_id, new.certificate_pem, three.ahead.group_id))
    with pytest.raises(TrustError, match="no Master"):
        await three.take()
    await three.behind.keep_records([record])
    await three.take()
    assert three.behind.position == three.ahead.position
