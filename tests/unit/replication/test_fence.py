"""When a node is started again to end the connections of one that isn't in the group any more."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from hostward.replication.acts.node import NodeActs
from hostward.replication.ring.fence import GRACE_S, REPEAT_S, STAGGER_S, Fence, RingNode

if TYPE_CHECKING:
    from hostward.replication.parts import Parts

STRANGER = RingNode("a", "10.0.0.9", up=True)
GONE_DOWN = RingNode("a", "10.0.0.9", up=False)


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.feature("R13")
def test_a_node_that_ends_by_itself_costs_nobody_a_restart() -> None:
    clock = Clock()
    fence = Fence(clock)
    fence.look([STRANGER], 0)
    clock.now = GRACE_S - 1
    fence.look([STRANGER], 0)
    fence.look([GONE_DOWN], 0)
    clock.now = GRACE_S + 1
    fence.look([GONE_DOWN], 0)
    assert not fence.due


@pytest.mark.feature("R13")
def test_the_members_restart_one_after_the_other_the_master_first() -> None:
    clock = Clock()
    fences = [Fence(clock) for _ in range(3)]
    for now in (0.0, GRACE_S):
        clock.now = now
        for turn, fence in enumerate(fences):
            fence.look([STRANGER], turn)
    assert [f.due for f in fences] == [True, False, False]
    # The Master has removed it from the ring: the others may be connected to it all the same.
    for fence in fences[1:]:
        fence.look([], 1)
    clock.now = GRACE_S + STAGGER_S
    assert [f.due for f in fences[1:]] == [True, False]
    clock.now = GRACE_S + 2 * STAGGER_S
    assert fences[2].due


@pytest.mark.feature("R13")
def test_no_endless_restarts_for_the_same_node() -> None:
    clock = Clock()
    fence = Fence(clock)
    for now in (0.0, GRACE_S):
        clock.now = now
        fence.look([STRANGER], 0)
    assert fence.due
    fence.node_started()
    for _ in range(10):
        clock.now += GRACE_S
        fence.look([STRANGER], 0)
        assert not fence.due
    clock.now += REPEAT_S
    fence.look([STRANGER], 0)
    assert fence.due


@pytest.mark.feature("R13")
def test_an_administrator_can_do_without_the_grace() -> None:
    fence = Fence(Clock())
    fence.hurry("a")
    assert fence.due


@pytest.mark.feature("R13")
@pytest.mark.parametrize(
    ("ring", "goodbye"),
    [([STRANGER], True), ([STRANGER, GONE_DOWN], False), (None, False)],
    ids=["all up", "cut off", "it doesn't say"],
)
def test_a_removed_node_ends_without_a_word_where_it_may_be_cut_off(ring: list[RingNode] | None, goodbye: bool) -> None:
    ends: list[bool] = []

    class OwnNode:
        async def ring(self) -> list[RingNode] | None:
            return ring

        async def stop(self, *, goodbye: bool) -> None:
            ends.append(goodbye)

    acts = NodeActs(cast("Parts", SimpleNamespace(node=OwnNode(), publisher=None)))
    asyncio.run(acts.end_as_stranger())
    assert ends == [goodbye]
