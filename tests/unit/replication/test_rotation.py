"""What followers believe while the Master's certificate is renewed, on real registries."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hostward.domain.changes import Change, Put, canonical
from hostward.domain.errors import TrustError
from hostward.registry.group import GroupRegistry
from hostward.replication.changelog.follower import Follower, Following
from hostward.replication.changelog.sources import PeerSources
from hostward.replication.group.members import JOINED, Member
from hostward.replication.keys.rotation import signer_for
from hostward.trust.identity import KeyPair, ServerIdentity, load_or_create
from hostward.trust.renewals import forget_previous, new_pair, prepare, switch

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def entry(server_id: str, certificate: str) -> Put:
    """A member's entry with that certificate."""
    member = Member(
        server_id, "m", "m.example.com", 443, "mss", "https", certificate, "", "10.0.0.1", 7000, "1", JOINED
    )
    return member.put()


def registry(path: Path, identity: ServerIdentity) -> GroupRegistry:
    path.mkdir(exist_ok=True)
    found = GroupRegistry.open(
        path / "group.db", server_id=identity.server_id, sign=identity.sign, now=lambda: NOW.isoformat()
    )
    found.signer = signer_for(identity)
    return found


@dataclass
class Pair:
    """A Master with its registry, and a Slave's registry that follows it."""

    directory: Path
    identity: ServerIdentity
    master: GroupRegistry
    slave: GroupRegistry
    follower: Follower

    async def write(self, name: str) -> None:
        await self.master.commit("admin", lambda _: [Put("note", name, canonical({"name": name}))])

    def renew(self) -> None:
        key, pem = new_pair(self.identity.server_id, "m.example.com", [], NOW)
        prepare(self.directory / "m", self.identity, NOW, key=key, certificate_pem=pem)
        switch(self.directory / "m", self.identity)

    async def enter(self) -> None:
        await self.master.commit(
            "replication", lambda _: [entry(self.identity.server_id, self.identity.certificate_pem)]
        )

    def lacking(self) -> list[Change]:
        """What the Slave hasn't got yet."""
        return self.master.changes_after(self.slave.position.revision, max_bytes=1 << 20, max_count=100) or []

    async def follow(self, changes: list[Change]) -> None:
        await self.follower.nudged(self.master.position, changes)


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    (tmp_path / "m").mkdir()
    (tmp_path / "s").mkdir()
    identity = load_or_create(tmp_path / "m", "m.example.com", [], NOW)
    master = registry(tmp_path / "m", identity)
    slave = registry(tmp_path / "s", load_or_create(tmp_path / "s", "s.example.com", [], NOW))
    await master.commit("replication", lambda _: [entry(identity.server_id, identity.certificate_pem)])
    await slave.replace(master.snapshot())
    follower = Follower(slave, PeerSources())
    follower.follow(Following(identity.server_id, identity.certificate_pem, master.group_id))
    yield Pair(tmp_path, identity, master, slave, follower)
    master.close()
    slave.close()


@pytest.mark.feature("R7")
@pytest.mark.parametrize("one_by_one", [False, True])
async def test_changes_of_before_during_and_after_a_renewal_are_all_believed(pair: Pair, one_by_one: bool) -> None:
    for _ in range(2):
        await pair.write(f"before {one_by_one}")
        pair.renew()
        await pair.write(f"in between {pair.identity.fingerprint}")
        await pair.enter()
        forget_previous(pair.directory / "m", pair.identity)
        await pair.write(f"after {pair.identity.fingerprint}")
    changes = pair.lacking()
    assert len(changes) == 8 - 1, "the same write again changes nothing"
    if one_by_one:
        for change in changes:
            await pair.follow([change])
    else:
        await pair.follow(changes)
    assert pair.slave.position == pair.master.position


@pytest.mark.feature("R7")
async def test_a_crash_before_the_entry_leaves_the_old_key_to_sign_it_with(pair: Pair) -> None:
    pair.renew()
    pair.master.close()
    pair.identity = load_or_create(pair.directory / "m", "m.example.com", [], NOW)
    pair.master = registry(pair.directory / "m", pair.identity)
    await pair.enter()
    await pair.write("after")
    await pair.follow(pair.lacking())
    assert pair.slave.position == pair.master.position


@pytest.mark.feature("R7")
async def test_nobody_else_can_put_his_certificate_in_the_masters_place(pair: Pair) -> None:
    """Two changes at once: the first makes another key the Master's, the second is signed with that key."""
    await pair.follow(pair.lacking())
    before = pair.slave.position
    key, pem = new_pair(pair.identity.server_id, "m.example.com", [], NOW)
    thief = KeyPair(pem, key, Path("none"), Path("none"), Path("none"))
    pair.master.close()
    shutil.copytree(pair.directory / "m", pair.directory / "t")
    forged = GroupRegistry.open(
        pair.directory / "t" / "group.db", server_id=pair.identity.server_id, sign=thief.sign, now=lambda: "now"
    )
    await forged.commit("replication", lambda _: [entry(pair.identity.server_id, pem)])
    await forged.commit("thief", lambda _: [Put("note", "mine", canonical({}))])
    changes = forged.changes_after(before.revision, max_bytes=1 << 20, max_count=100)
    assert changes is not None
    assert len(changes) == 2
    with pytest.raises(TrustError) as refused:
        await pair.follower.nudged(forged.position, changes)
    assert refused.value.code == "signature"
    assert pair.slave.position == before
    forged.close()
    pair.master = registry(pair.directory / "m", pair.identity)
