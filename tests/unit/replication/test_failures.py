"""Failed starts of the database node: no flapping, growing pauses, and an end to trying what can't succeed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostward.domain.errors import DatabaseError
from hostward.replication.ring.failures import BACK_OFF_S, LONGER_S, LOOK_AGAIN_S, STEADY_AFTER_S, Cure, Failures


@dataclass(slots=True)
class Clock:
    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s


def failure(code: str) -> DatabaseError:
    return DatabaseError(f"It failed: {code}.", remedy="Mend it.", code=code)


def fail(failures: Failures, clock: Clock, code: str, *, lasts_s: float = 4.0, was_ready: bool = False) -> None:
    failures.started()
    clock.now_s += lasts_s
    if was_ready:
        failures.well()
    failures.failed(failure(code), was_ready=was_ready)


@pytest.mark.feature("R17")
def test_a_start_that_fails_alike_again_and_again_stays_down() -> None:
    clock = Clock()
    failures = Failures(clock)
    for _ in range(8):
        fail(failures, clock, "bad-yaml")
        assert failures.down(starting=False)
        clock.now_s = failures.not_before
        failures.started()
        for _ in range(40):
            assert failures.down(starting=True)
            clock.now_s += 0.1
        assert "Mend it." in failures.message


def test_a_retry_that_gets_further_than_the_failure_is_no_longer_down() -> None:
    clock = Clock()
    failures = Failures(clock)
    fail(failures, clock, "no-seeds", lasts_s=2.0)
    failures.started()
    clock.now_s += 2.0 + LONGER_S + 0.1
    assert not failures.down(starting=True)
    failures.well()
    assert not failures.down(starting=False)
    assert failures.message == ""


def test_pauses_grow_to_half_a_minute_and_begin_anew_after_a_steady_run() -> None:
    clock = Clock()
    failures = Failures(clock)
    pauses = []
    for _ in range(len(BACK_OFF_S) + 2):
        fail(failures, clock, "node-exited")
        pauses.append(failures.not_before - clock.now_s)
        assert not failures.may_start
        clock.now_s = failures.not_before
        assert failures.may_start
    assert pauses == [*BACK_OFF_S, BACK_OFF_S[-1], BACK_OFF_S[-1]]
    fail(failures, clock, "node-exited", lasts_s=STEADY_AFTER_S + 1, was_ready=True)
    assert failures.not_before - clock.now_s == BACK_OFF_S[0]


@pytest.mark.feature("R17")
def test_what_is_seen_before_a_start_is_looked_at_again_soon_and_another_end_begins_anew() -> None:
    clock = Clock()
    failures = Failures(clock)
    for _ in range(8):
        fail(failures, clock, "port-in-use", lasts_s=0.0)
        assert failures.not_before - clock.now_s <= LOOK_AGAIN_S
        clock.now_s = failures.not_before
    fail(failures, clock, "node-exited", was_ready=True)  # it ran: the port was free in the end
    assert failures.not_before - clock.now_s == BACK_OFF_S[0]
    fail(failures, clock, "node-exited", was_ready=True)
    assert failures.not_before - clock.now_s == BACK_OFF_S[1]
    failures.mended()
    assert failures.may_start


@pytest.mark.feature("R17")
def test_damage_that_a_node_meets_long_after_its_start_is_counted_too() -> None:
    clock = Clock()
    failures = Failures(clock)
    for _ in range(2):
        assert failures.cure() is Cure.RETRY
        fail(failures, clock, "damaged", lasts_s=10 * STEADY_AFTER_S, was_ready=True)
    assert failures.cure() is Cure.WIPE


@pytest.mark.feature("R17")
@pytest.mark.parametrize(("code", "starts"), [("damaged", 2), ("other-ring", 1), ("removed", 1)])
def test_files_that_will_never_start_are_given_up(code: str, starts: int) -> None:
    clock = Clock()
    failures = Failures(clock)
    for _ in range(starts):
        assert failures.cure() is Cure.RETRY
        fail(failures, clock, code)
    assert failures.cure() is Cure.WIPE
    failures.clear()
    assert failures.cure() is Cure.RETRY
    assert failures.may_start


def test_the_master_is_asked_once_for_each_failure_that_it_can_do_something_about() -> None:
    clock = Clock()
    failures = Failures(clock)
    fail(failures, clock, "address-taken")
    assert failures.cure() is Cure.ASK_MASTER
    failures.asked = True
    assert failures.cure() is Cure.RETRY
    fail(failures, clock, "address-taken")
    assert failures.cure() is Cure.ASK_MASTER


@given(st.lists(st.sampled_from(["disk-full", "port-in-use", "no-memory", "bad-yaml", "node-exited", "trust-manager"])))
def test_nothing_but_damage_ever_costs_a_node_its_data(codes: list[str]) -> None:
    clock = Clock()
    failures = Failures(clock)
    for code in codes:
        fail(failures, clock, code)
        assert failures.cure() is not Cure.WIPE
