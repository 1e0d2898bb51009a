"""Who is admitted, decided by the Master on a real registry: order, deadlines, tombstones, replacement, names."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.unit.registry.support import opened

from hostward.domain.changes import Delete
from hostward.domain.errors import PeerError
from hostward.registry.group import GroupRegistry
from hostward.replication.goals import Marker
from hostward.replication.group.members import JOINED, JOINING, SLAVE, Member, SlaveRow, put_ring_generation, slave_rows
from hostward.replication.group.membership import Admitted, Asking, Membership
from hostward.replication.group.turns import JOIN_S, QUEUE_S, SILENCE_S
from hostward.replication.ring.fence import RingNode

pytestmark = pytest.mark.anyio

GENERATION = 1


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def described(name: str, *, id_: str = "", host: str = "", address: str = "") -> Member:
    number = sum(name.encode()) % 200
    return Member(
        server_id=id_ or f"id of {name}", name=name, host=host or f"{name}.example.com", port=443, context="mss",
        protocol="https", certificate=f"certificate of {name}", internode_certificate=f"node of {name}",
        address=address or f"10.0.0.{number}", storage_port=7000, version="1.0.0", state=JOINED,
    )  # fmt: skip


@dataclass
class Scene:
    """A Master with a clock that the test moves, and the ring as the test says."""

    group: GroupRegistry
    now: float = 0.0
    ring: list[RingNode] = field(default_factory=list)
    prepared: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.membership = Membership(self.group, "id of master", lambda: self.now, self._prepare)

    async def _prepare(self, everyone: Sequence[Member]) -> None:
        self.prepared.append(len(everyone))

    @property
    def here(self) -> Marker:
        return Marker(self.group.group_id, GENERATION)

    async def ask(
        self, them: Member, *, marker: Marker | None = None, fresh: bool = True, attempt: str = "first"
    ) -> Admitted:
        return await self.membership.admit(Asking(them, marker, fresh, attempt), self.ring)

    async def refused(
        self, them: Member, *, marker: Marker | None = None, fresh: bool = True, attempt: str = "first"
    ) -> PeerError:
        with pytest.raises(PeerError) as refused:
            await self.ask(them, marker=marker, fresh=fresh, attempt=attempt)
        return refused.value

    async def join(self, them: Member) -> Admitted:
        """From the first request to the report."""
        answer = await self.ask(them)
        host_id = f"node {len(self.prepared)}"
        self.ring.append(RingNode(host_id, them.address, up=True))
        await self.membership.joined(them.server_id, host_id, self.ring)
        return answer

    def states(self) -> dict[str, str]:
        return {m.name: m.state for m in self.membership.members() if m.name != "master"}

    async def enter(self, them: Member) -> None:
        """The administrator of the Master adds the server to the Slave table."""
        await self.group.commit("admin", lambda _: [SlaveRow(them.target, them.server_id).put()])


@pytest.fixture
async def scene(tmp_path: Path) -> Scene:
    group = opened(tmp_path / "group.db")
    master = replace(described("master"), host_id="node 0")
    await group.commit("admin", lambda _: [master.put(), put_ring_generation(GENERATION)])
    return Scene(group, ring=[RingNode("node 0", master.address, up=True)])


@pytest.fixture(autouse=True)
def closed(scene: Scene) -> Iterator[None]:
    yield
    scene.group.close()


NORTH, SOUTH, WEST = described("north"), described("south"), described("west")


@pytest.mark.feature("R9")
async def test_one_joins_at_a_time_and_the_others_wait_in_their_order(scene: Scene) -> None:
    assert (await scene.ask(NORTH)).wipe
    scene.now = 40.0
    waiting = await scene.refused(SOUTH)
    assert waiting.code == "queue"
    assert "north is joining, since 40 s" in waiting.message
    assert "15 minutes at most" in waiting.remedy
    scene.now = 41.0
    await scene.refused(WEST)
    assert scene.membership.turns.waiting() == ["south", "west"]
    assert [n.split()[0] for n in scene.membership.notices()] == ["south", "west"]
    scene.ring.append(RingNode("node 1", NORTH.address, up=True))
    await scene.membership.joined(NORTH.server_id, "node 1", scene.ring)
    assert "south asked before this one" in (await scene.refused(WEST)).message
    await scene.ask(SOUTH)
    assert scene.states() == {"north": JOINED, "south": JOINING}
    assert scene.prepared == [2, 3]


@pytest.mark.feature("R9")
async def test_a_server_that_asks_no_more_loses_its_place(scene: Scene) -> None:
    await scene.ask(NORTH)
    await scene.refused(SOUTH)
    scene.now = QUEUE_S + 1
    await scene.refused(WEST)
    await scene.membership.remove(NORTH.server_id, "admin")
    await scene.ask(WEST)


@pytest.mark.feature("R9")
@pytest.mark.parametrize("talks", [True, False])
async def test_a_join_ends_at_its_deadline_also_while_the_joiner_talks(scene: Scene, talks: bool) -> None:
    await scene.ask(NORTH)
    allowed = JOIN_S if talks else SILENCE_S
    while scene.now < allowed - 10:
        scene.now += 10
        if talks:
            await scene.ask(NORTH)
        await scene.refused(SOUTH)
    assert scene.states()["north"] == JOINING
    scene.now += 20
    await scene.ask(SOUTH)
    assert scene.states() == {"south": JOINING}
    assert "south is joining" in (await scene.refused(NORTH)).message


@pytest.mark.feature("R9")
async def test_a_joiner_that_died_begins_anew_unless_its_node_had_come_through(scene: Scene) -> None:
    await scene.ask(NORTH)
    scene.ring.append(RingNode("node 1", NORTH.address, up=False, joining=True))
    assert (await scene.ask(NORTH)).wipe
    scene.ring[-1] = RingNode("node 1", NORTH.address, up=True)
    assert not (await scene.ask(NORTH, marker=scene.here)).wipe
    assert scene.membership.strangers(scene.ring) == []
    # Its data is gone, but the ring still has its node: that one must go first.
    assert (await scene.refused(NORTH)).code == "queue"
    assert [n.host_id for n in scene.membership.strangers(scene.ring)] == ["node 1"]
    del scene.ring[-1]
    assert (await scene.ask(NORTH)).wipe


@pytest.mark.feature("R13")
async def test_a_removed_servers_own_word_does_not_let_it_in_again(scene: Scene) -> None:
    await scene.join(NORTH)
    await scene.membership.remove(NORTH.server_id, "admin")
    for fresh in (False, True):
        refused = await scene.refused(NORTH, marker=scene.here, fresh=fresh)
        assert refused.code == "removed"
        assert "add north.example.com:443 to the Slave table" in refused.remedy
    assert any("north was removed" in n for n in scene.membership.notices())
    # Not at another server's place either.
    with_row_of_another = replace(NORTH, host=SOUTH.host)
    await scene.enter(SOUTH)
    assert (await scene.refused(with_row_of_another)).code == "removed"
    await scene.enter(NORTH)
    scene.ring.pop()
    assert (await scene.ask(NORTH, marker=scene.here, fresh=False)).wipe
    assert scene.membership.notices() == []


@pytest.mark.feature("R12")
async def test_who_left_by_itself_joins_again_by_itself_until_it_is_removed(scene: Scene) -> None:
    await scene.join(NORTH)
    await scene.membership.remove(NORTH.server_id, "its own", left=True)
    scene.ring.pop()
    assert (await scene.refused(NORTH, fresh=False)).code == "removed"
    await scene.join(NORTH)
    await scene.membership.remove(NORTH.server_id, "its own", left=True)
    scene.ring.pop()
    await scene.enter(NORTH)
    await scene.membership.remove(NORTH.server_id, "admin")
    assert (await scene.refused(NORTH)).code == "removed"


@pytest.mark.feature("R13")
async def test_a_wiped_server_at_the_same_place_gets_in_once_the_old_one_is_removed(scene: Scene) -> None:
    await scene.join(NORTH)
    wiped = described("north", id_="another id")
    refused = await scene.refused(wiped)
    assert refused.code == "replaced"
    assert "id of north, not another id" in refused.message
    assert "click Remove" in refused.remedy
    assert any("another id" in n for n in scene.membership.notices())
    await scene.membership.remove(NORTH.server_id, "admin")
    assert (await scene.refused(wiped)).code == "queue"
    scene.ring.pop()
    assert (await scene.ask(wiped)).wipe
    with scene.group.read() as reader:
        assert [(r.target, r.server_id) for r in slave_rows(reader)] == [(wiped.target, "another id")]


@pytest.mark.feature("R9")
async def test_two_servers_of_one_name_or_one_adapter_are_told_apart(scene: Scene) -> None:
    await scene.join(NORTH)
    same_name = described("North", id_="another id", host="elsewhere.example.com", address="10.0.1.1")
    refused = await scene.refused(same_name)
    assert refused.code == "name"
    assert "another name" in refused.remedy
    same_adapter = described("south", address=NORTH.address)
    assert "Database Network Adapter" in (await scene.refused(same_adapter)).remedy


@pytest.mark.feature("R9")
@pytest.mark.feature("R18")
async def test_a_join_that_the_master_ends_does_not_go_on_but_may_begin_anew(scene: Scene) -> None:
    await scene.enter(NORTH)
    await scene.ask(NORTH)
    await scene.membership.remove(NORTH.server_id, "admin")
    assert scene.states() == {}
    for fresh in (True, False):
        refused = await scene.refused(NORTH, fresh=fresh)
        assert refused.code == "removed"
        assert "restart this server" in refused.remedy
    await scene.ask(SOUTH)
    await scene.membership.remove(SOUTH.server_id, "admin")
    # Restarted, or applied again, here or on the Master; but not if the administrator has deleted its row meanwhile.
    await scene.ask(NORTH, fresh=False, attempt="second")
    await scene.membership.remove(NORTH.server_id, "admin")
    assert (await scene.refused(NORTH, attempt="second")).code == "removed"
    scene.membership.try_anew()
    await scene.ask(NORTH, attempt="second")
    await scene.membership.remove(NORTH.server_id, "admin")
    row = SlaveRow(NORTH.target, NORTH.server_id)
    await scene.group.commit("admin", lambda _: [Delete(SLAVE, row.id)])
    assert "Slave table" in (await scene.refused(NORTH, attempt="third")).remedy


@pytest.mark.feature("R13")
async def test_a_member_that_joins_anew_is_no_newcomer(scene: Scene) -> None:
    await scene.join(NORTH)
    scene.ring.pop()
    await scene.ask(NORTH)  # with an empty node, which it says itself
    assert scene.states() == {"north": JOINING}
    await scene.membership.remove(NORTH.server_id, "admin")
    assert "Slave table" in (await scene.refused(NORTH, fresh=False, attempt="second")).remedy


@pytest.mark.feature("R13")
@pytest.mark.parametrize("what", ["report", "request"])
async def test_a_removal_that_meets_a_report_or_a_request_stands(scene: Scene, what: str) -> None:
    await scene.join(NORTH)
    if what == "report":
        ring = [*scene.ring, RingNode("another node", NORTH.address, up=True)]
        crossing: Awaitable[object] = scene.membership.joined(NORTH.server_id, "another node", ring)
    else:
        scene.ring.pop()
        crossing = scene.ask(NORTH, fresh=False)
    await asyncio.gather(scene.membership.remove(NORTH.server_id, "admin"), crossing, return_exceptions=True)
    assert scene.states() == {}
    assert (await scene.refused(NORTH)).code == "removed"
