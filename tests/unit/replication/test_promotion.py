"""Handing over, against a Slave that lags: on a real registry and identities, with what the Slave answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hostward.domain.changes import Epoch, Position, Put, canonical
from hostward.domain.epochs import EpochRecord
from hostward.domain.errors import Conflict, HostwardError, Unavailable
from hostward.domain.replication import Role
from hostward.registry.group import GroupRegistry
from hostward.replication.group.members import JOINED, Member
from hostward.replication.masters.claims import Claims
from hostward.replication.masters.promotion import Promotion
from hostward.replication.parts import Parts
from hostward.replication.peers.messages import Message
from hostward.trust.identity import ServerIdentity, load_or_create

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class FakeClaims:
    """Follows at once, as the real ones do, and keeps what it followed."""

    def __init__(self, scene: Scene) -> None:
        self._scene, self.followed = scene, list[EpochRecord]()

    @property
    def epoch(self) -> Epoch:
        return self._scene.group.position.epoch

    def newest_number(self) -> int:
        return max(self.epoch.number, *(r.epoch.number for r in self.followed), 0)

    def follow(self, chain: Sequence[EpochRecord], kind: str, author: str) -> str:
        self.followed.append(chain[-1])
        self._scene.state.now = SimpleNamespace(role=Role.SLAVE, coming=tuple(chain))
        return "job"


class Scene:
    """A Master with two Slaves that lack the last change until the test lets them have it."""

    def __init__(self, directory: Path) -> None:
        self.master, *self.slaves = (_identity(directory / name, name) for name in ("north", "south", "west"))
        self.group = GroupRegistry.open(
            directory / "group.db", server_id=self.master.server_id, sign=self.master.sign, now=NOW.isoformat
        )
        self.state = SimpleNamespace(now=SimpleNamespace(role=Role.MASTER, coming=()))
        self.caught_up, self.members = asyncio.Event(), [_member(i) for i in self.slaves]
        self.claims = FakeClaims(self)
        parts = SimpleNamespace(
            group=self.group, state=self.state, life=SimpleNamespace(caught_up=True), server_id=self.master.server_id,
            identity=self.master, now=NOW.isoformat, everyone=lambda: self.members, others=list,
            links=SimpleNamespace(ask=self._answer),
        )  # fmt: skip
        self.promotion = Promotion(cast(Parts, parts), cast(Claims, self.claims))

    async def _answer(self, them: Member, question: Message, timeout_s: float) -> Message:
        await asyncio.sleep(0)
        mine = self.group.position
        behind = Position(mine.epoch, mine.revision - 1, mine.hash, mine.digest)
        status: dict[str, Any] = {
            "content_ok": True,
            "role": "slave",
            "database_status": "Up",
            "group": "",
            "master": "",
        }
        return Message("ok", {**status, "position": (mine if self.caught_up.is_set() else behind).to_json()})

    async def hand_over(self, to: int) -> str:
        return await self.promotion.switch_over(self.members[to].server_id, "admin", confirmed=True)


def _identity(directory: Path, name: str) -> ServerIdentity:
    directory.mkdir()
    return load_or_create(directory, f"{name}.example.com", [], NOW)


def _member(identity: ServerIdentity) -> Member:
    return Member(
        identity.server_id, "m", f"{identity.server_id}.example.com", 443, "mss", "https", identity.certificate_pem, "",
        "10.0.0.1", 7000, "1", JOINED, "host id",
    )  # fmt: skip


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    found = Scene(tmp_path)
    await found.group.commit("admin", lambda _: [Put("note", "1", canonical({}))])
    yield found
    found.group.close()


@pytest.mark.feature("R27")
@pytest.mark.parametrize("second", [0, 1])
async def test_one_epoch_is_handed_over_once_however_often_it_is_asked_for(scene: Scene, second: int) -> None:
    first = asyncio.create_task(scene.hand_over(0))
    await asyncio.sleep(0.05)
    with pytest.raises(Unavailable) as refused:
        await scene.hand_over(second)
    assert refused.value.code == "handing-over"
    with pytest.raises(Unavailable):  # the second one hasn't lifted the first one's hold
        await scene.group.commit("admin", lambda _: [Put("note", "2", canonical({}))])
    scene.caught_up.set()
    assert await first == "job"
    (record,) = scene.claims.followed
    assert record.epoch.server == scene.members[0].server_id
    with pytest.raises(Conflict):
        await scene.hand_over(second)


@pytest.mark.feature("R27")
async def test_a_master_that_has_become_something_else_while_it_waited_hands_nothing_over(scene: Scene) -> None:
    handing = asyncio.create_task(scene.hand_over(0))
    await asyncio.sleep(0.05)
    scene.state.now = SimpleNamespace(role=Role.STANDALONE, coming=())
    scene.caught_up.set()
    with pytest.raises(HostwardError):
        await handing
    assert scene.claims.followed == []
    await scene.group.commit("admin", lambda _: [Put("note", "2", canonical({}))])
