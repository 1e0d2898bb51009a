"""The roles' goals, decided without I/O: always the first that isn't met, for every picture there can be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostward.domain.replication import Role
from hostward.replication.goals import RULES, Admission, Goal, Marker, Observed, Process, decide, goal_names

HERE = Marker("g", 3)

UP = Observed(
    wanted=Role.MASTER,
    group_id="g",
    epoch_begun=True,
    epoch_adopted=True,
    own_member_current=True,
    generation=3,
    ring_to_form=0,
    runtime=True,
    marker=HERE,
    node_joined=True,
    process=Process.READY,
    address_here=True,
    address_fits=True,
    node_in_ring=True,
    owns_all=True,
    keyspaces_ready=True,
    log_published=True,
    ring_tidy=True,
    caught_up=True,
    admission=Admission("g", 3),
    backup_kept=True,
    content_loaded=True,
    in_step=True,
    confirmed=True,
    farewell_said=True,
    membership_left=False,
)

markers = st.one_of(st.none(), st.builds(Marker, st.sampled_from(["g", "h"]), st.integers(0, 4)))
observations = st.builds(
    Observed,
    wanted=st.sampled_from(Role),
    group_id=st.just("g"),
    generation=st.integers(0, 4),
    ring_to_form=st.integers(0, 4),
    marker=markers,
    process=st.sampled_from(Process),
    admission=st.one_of(st.none(), st.builds(Admission, st.sampled_from(["g", "h"]), st.integers(0, 4))),
)


@pytest.mark.feature("R1")
@given(observations)
def test_the_first_unmet_goal_is_decided(o: Observed) -> None:
    decision = decide(o)
    rules = RULES[o.wanted]
    assert all(rule.met(o) for rule in rules[: decision.index])
    if decision.goal is None:
        assert decision.index == len(rules)
    else:
        assert rules[decision.index].goal is decision.goal
        assert not rules[decision.index].met(o)
        assert decision.waiting.endswith(".")


@pytest.mark.parametrize("role", [Role.MASTER, Role.SLAVE])
def test_all_well_means_no_goal(role: Role) -> None:
    assert decide(replace(UP, wanted=role)).goal is None


@pytest.mark.feature("R14")
def test_standalone_never_waits_for_anybody_else() -> None:
    """Its goals are met by what this server alone can do."""
    alone = replace(UP, wanted=Role.STANDALONE, farewell_said=True, process=Process.NONE, marker=None)
    assert decide(alone).goal is None
    assert decide(replace(alone, process=Process.READY)).goal is Goal.STOPPED
    assert decide(replace(alone, marker=HERE)).goal is Goal.WIPED
    assert decide(replace(alone, membership_left=True)).goal is Goal.OWN_HISTORY


def test_a_masters_lost_data_makes_a_new_generation() -> None:
    assert decide(replace(UP, marker=None)).goal is Goal.GENERATION
    assert decide(replace(UP, marker=None, ring_to_form=2)).goal is Goal.GENERATION


@pytest.mark.feature("R27")
def test_a_slave_promoted_while_its_node_joined_anew_makes_a_new_generation() -> None:
    joining = replace(UP, node_joined=False, process=Process.NONE)
    assert decide(joining).goal is Goal.GENERATION
    assert decide(replace(joining, process=Process.STARTING)).goal is Goal.GENERATION


def test_a_first_ring_starts_without_data() -> None:
    first = replace(UP, marker=None, generation=1, ring_to_form=1, process=Process.NONE)
    assert decide(first).goal is Goal.NODE
    assert decide(replace(first, marker=Marker("g", 1), node_joined=False)).goal is Goal.NODE
    assert decide(replace(first, generation=0)).goal is Goal.GENERATION


def test_a_slave_never_runs_a_node_it_was_not_admitted_with() -> None:
    slave = replace(UP, wanted=Role.SLAVE)
    assert decide(replace(slave, admission=None)).goal is Goal.ADMISSION
    assert decide(replace(slave, admission=Admission("g", 4))).goal is Goal.CLEAN_NODE
    assert decide(replace(slave, admission=Admission("h", 3))).goal is Goal.CLEAN_NODE


def test_up_needs_equal_content() -> None:
    slave = replace(UP, wanted=Role.SLAVE)
    assert decide(replace(slave, in_step=False)).goal is Goal.IN_STEP
    assert decide(replace(slave, content_loaded=False, in_step=False)).goal is Goal.CONTENT


@pytest.mark.parametrize("role", list(Role))
def test_goal_names_are_unique(role: Role) -> None:
    names = goal_names(role)
    assert len(set(names)) == len(names)
