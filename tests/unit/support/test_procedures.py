"""The generator of long sequences: what it draws makes sense, and a seed always draws the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.faults.procedures import Act, Seen, World, after, allowed, possible, schedule, without

START: World = (Seen("master"), Seen("slave"), Seen("slave"))
SEEDS = st.integers(min_value=0, max_value=1 << 32)


@given(SEEDS)
def test_each_step_is_possible_and_there_is_never_a_second_master(seed: int) -> None:
    world = START
    for step in schedule(seed, 30, world):
        assert allowed(world, step)
        world = after(world, step.act, step.server)
        assert sum(seen.role == "master" for seen in world) <= 1
        assert possible(world), "nothing may follow"


@given(SEEDS)
def test_a_seed_draws_the_same_again(seed: int) -> None:
    steps = schedule(seed, 10, START)
    assert schedule(seed, 10, START) == steps
    assert without(steps, [1, 10]) == steps[1:9]


def test_every_act_comes_up() -> None:
    drawn = {step.act for seed in range(30) for step in schedule(seed, 10, START)}
    assert drawn == set(Act)


def test_slaves_of_a_master_that_went_standalone_are_outcast() -> None:
    world = after(START, Act.STANDALONE, 0)
    assert [(s.role, s.outcast) for s in world] == [("standalone", False), ("slave", True), ("slave", True)]
    assert all(act is not Act.SLAVE for act, _, _ in possible(world)), "there is no Master to follow"
