"""Guessing passwords gets slower, and nobody is locked out by it."""

from __future__ import annotations

import contextlib

import pytest

from hostward.access.throttle import LIMITS, MAX_COUNTED, Throttle, TooManyAttempts
from hostward.domain.guesses import FORGOTTEN_AFTER_S, Limit

FREE = LIMITS["pair"].free


class Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    return Throttle(clock)


def test_a_limit_doubles_and_ends() -> None:
    limit = Limit(free=3, longest_s=10.0)
    assert [limit.delay_s(n) for n in range(9)] == [0, 0, 0, 1, 2, 4, 8, 10, 10]
    assert limit.delay_s(10_000) == 10


def test_each_further_wrong_guess_waits_longer(throttle: Throttle, clock: Clock) -> None:
    for _ in range(FREE):
        throttle.attempt("admin", "192.0.2.1")
    waits = []
    for _ in range(4):
        with pytest.raises(TooManyAttempts) as refused:
            throttle.attempt("admin", "192.0.2.1")
        waits.append(refused.value.retry_after_s)
        clock.now_s += refused.value.retry_after_s
        throttle.attempt("admin", "192.0.2.1")
    assert waits == [1, 2, 4, 8]
    assert "Wait" in refused.value.remedy


def test_a_refused_try_does_not_count(throttle: Throttle, clock: Clock) -> None:
    for _ in range(FREE):
        throttle.attempt("admin", "192.0.2.1")
    for _ in range(100):
        with pytest.raises(TooManyAttempts):
            throttle.attempt("admin", "192.0.2.1")
    clock.now_s += 1
    throttle.attempt("admin", "192.0.2.1")


def test_others_are_not_kept_waiting(throttle: Throttle) -> None:
    for _ in range(FREE):
        throttle.attempt("admin", "192.0.2.1")
    throttle.attempt("admin", "192.0.2.2")
    throttle.attempt("other", "192.0.2.1")


def test_guesses_from_many_addresses_slow_down_but_never_for_long(throttle: Throttle, clock: Clock) -> None:
    waits: list[float] = []
    for n in range(1000):
        try:
            throttle.attempt("admin", f"198.51.100.{n}")
        except TooManyAttempts as refused:
            waits.append(refused.retry_after_s)
            clock.now_s += refused.retry_after_s
    assert max(waits) == LIMITS["user"].longest_s
    assert len(waits) > 400


def test_many_users_from_one_address_slow_down(throttle: Throttle) -> None:
    for n in range(LIMITS["address"].free):
        throttle.attempt(f"user{n}", "192.0.2.1")
    with pytest.raises(TooManyAttempts):
        throttle.attempt("another", "192.0.2.1")


def test_success_and_time_make_it_forget(throttle: Throttle, clock: Clock) -> None:
    for _ in range(10):
        for _ in range(FREE - 1):
            throttle.attempt("admin", "192.0.2.1")
        throttle.attempt("admin", "192.0.2.1")
        throttle.succeeded("admin", "192.0.2.1")
        clock.now_s += FORGOTTEN_AFTER_S + 1


def test_programs_that_log_in_rightly_all_day_never_wait(throttle: Throttle) -> None:
    for _ in range(1000):
        throttle.attempt("admin", "192.0.2.1")
        throttle.succeeded("admin", "192.0.2.1")


def test_a_flood_of_made_up_names_and_addresses_is_bounded_and_wipes_out_no_guessers_count(throttle: Throttle) -> None:
    for _ in range(FREE):
        throttle.attempt("admin", "192.0.2.1")
    for n in range(MAX_COUNTED):
        throttle.attempt(f"user{n}", f"2001:db8:{n:x}::1")
    assert len(throttle._counts) <= MAX_COUNTED
    with pytest.raises(TooManyAttempts):
        throttle.attempt("admin", "192.0.2.1")
    # And whoever begins to guess while it is full of larger counts is counted too.
    for _ in range(FREE):
        throttle.attempt("other", "192.0.2.9")
        throttle.attempt(f"filler{_}", f"2001:db8:0:{_:x}::1")
    with pytest.raises(TooManyAttempts):
        throttle.attempt("other", "192.0.2.9")


def test_all_addresses_of_an_ipv6_network_count_as_one(throttle: Throttle) -> None:
    for n in range(FREE):
        throttle.attempt("admin", f"2001:db8::{n:x}")
    with pytest.raises(TooManyAttempts):
        throttle.attempt("admin", "2001:db8::ffff")
    throttle.attempt("admin", "2001:db8:0:1::1")
    for _ in range(FREE):
        throttle.attempt("admin", "::ffff:192.0.2.1")
    with pytest.raises(TooManyAttempts):
        throttle.attempt("admin", "192.0.2.1")


def test_guessing_from_everywhere_keeps_nobody_out_of_where_they_have_logged_in(
    throttle: Throttle, clock: Clock
) -> None:
    throttle.attempt("admin", "192.0.2.1")
    throttle.succeeded("admin", "192.0.2.1")
    for n in range(500):
        with contextlib.suppress(TooManyAttempts):
            throttle.attempt("admin", f"198.51.{n // 250}.{n % 250}")
        clock.now_s += 10
        throttle.attempt("admin", "192.0.2.1")
        throttle.succeeded("admin", "192.0.2.1")
    # Elsewhere it still slows down, and there too for who guesses there.
    throttle.attempt("admin", "203.0.113.1")
    with pytest.raises(TooManyAttempts):
        throttle.attempt("admin", "203.0.113.2")
    for _ in range(FREE):
        throttle.attempt("admin", "192.0.2.1")
    with pytest.raises(TooManyAttempts):
        throttle.attempt("admin", "192.0.2.1")


def test_guesses_on_other_servers_count_here_and_nothing_else_is_told(throttle: Throttle, clock: Clock) -> None:
    there = Throttle(clock)
    for n in range(FREE):
        there.attempt("admin", "192.0.2.1")
        there.attempt(f"mistyped {n}", f"198.51.100.{n}")
    told = there.to_tell()
    assert [count for _, count, _ in told] == [FREE] * 3, "one user, one address, both: no mistyped names"
    assert "admin" not in str(told)
    throttle.hear("there", told)
    with pytest.raises(TooManyAttempts):
        throttle.attempt("admin", "192.0.2.1")
    throttle.attempt("admin", "192.0.2.2")
    assert throttle.to_tell() == [], "what was told is not told on"
    throttle.hear_only(["another"])
    throttle.attempt("admin", "192.0.2.1")


def test_no_server_keeps_anybody_out_of_where_they_have_logged_in(throttle: Throttle, clock: Clock) -> None:
    liar = Throttle(clock)
    for _ in range(FREE + 5):
        liar.attempt("admin", "192.0.2.1")
        clock.now_s += 1000
    lies = [[key, 1000, 0] for key, _, _ in liar.to_tell()]
    throttle.attempt("admin", "192.0.2.1")
    throttle.succeeded("admin", "192.0.2.1")
    for _ in range(100):
        throttle.hear("liar", lies)
        throttle.attempt("admin", "192.0.2.1")
        throttle.succeeded("admin", "192.0.2.1")
        clock.now_s += 1
    # Who guesses there is slowed down by what this server has counted.
    for _ in range(FREE):
        throttle.attempt("admin", "192.0.2.1")
    with pytest.raises(TooManyAttempts):
        throttle.attempt("admin", "192.0.2.1")


def test_where_a_user_waits_is_known_and_forgotten_by_an_unlock(throttle: Throttle, clock: Clock) -> None:
    for _ in range(FREE):
        throttle.attempt("anna", "192.0.2.1")
        throttle.attempt("bert", "192.0.2.2")
    throttle.attempt("anna", "192.0.2.9")
    assert [(w.address, w.wrong, w.wait_s) for w in throttle.waits("ANNA")] == [("192.0.2.1", FREE, 1.0)]
    clock.now_s += 2
    assert [(w.wrong, w.wait_s) for w in throttle.waits("anna")] == [(FREE, 0.0)], "the next wrong one costs more"
    throttle.attempt("anna", "192.0.2.1")
    throttle.forget("anna", everywhere=True)
    assert throttle.waits("anna") == []
    throttle.attempt("anna", "192.0.2.1")
    assert len(throttle.waits("bert")) == 1


def test_an_unlock_leaves_what_counts_for_the_address(throttle: Throttle) -> None:
    for _ in range(LIMITS["address"].free):
        throttle.attempt("anna", "192.0.2.1")
        throttle.forget("anna", everywhere=True)
    with pytest.raises(TooManyAttempts):
        throttle.attempt("anna", "192.0.2.1")


def test_a_server_that_unlocks_all_the_time_leaves_what_counts_for_the_user_anywhere(throttle: Throttle) -> None:
    for n in range(LIMITS["user"].free):
        throttle.attempt("anna", f"198.51.100.{n}")
        throttle.forget("anna", everywhere=False)
    with pytest.raises(TooManyAttempts):
        throttle.attempt("anna", "198.51.100.200")
    assert [w.address for w in throttle.waits("anna")] == [""]
    throttle.forget("anna", everywhere=True)
    throttle.attempt("anna", "198.51.100.1")
