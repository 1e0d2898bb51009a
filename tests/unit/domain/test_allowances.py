"""How often something may be done."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hostward.domain.allowances import MIN_SWEPT, Allowances

EVERY_S = 7


@given(at_once=st.integers(1, 5), pauses_s=st.lists(st.integers(0, 20), max_size=60))
def test_within_any_time_no_more_is_done_than_at_once_and_what_comes_back(at_once: int, pauses_s: list[int]) -> None:
    allowed, now_s, done = Allowances(at_once, EVERY_S), 0, list[int]()
    for pause_s in pauses_s:
        now_s += pause_s
        if not allowed.wait_s("a", now_s):
            allowed.take("a", now_s)
            done.append(now_s)
    for first, begun_s in enumerate(done):
        for last in range(first, len(done)):
            assert last - first + 1 <= at_once + (done[last] - begun_s) / EVERY_S


@given(at_once=st.integers(1, 5), pauses_s=st.lists(st.integers(0, 20), max_size=60))
def test_who_waits_as_long_as_is_said_is_allowed_and_not_before(at_once: int, pauses_s: list[int]) -> None:
    allowed, now_s = Allowances(at_once, EVERY_S), 0.0
    for pause_s in pauses_s:
        now_s += pause_s
        wait_s = allowed.wait_s("a", now_s)
        assert wait_s <= EVERY_S
        assert not wait_s or allowed.wait_s("a", now_s + wait_s - 1)
        now_s += wait_s
        assert not allowed.wait_s("a", now_s)
        allowed.take("a", now_s)
        assert not allowed.wait_s("b", now_s)


def test_who_may_do_all_again_is_forgotten() -> None:
    allowed = Allowances(1, EVERY_S)
    for n in range(20 * MIN_SWEPT):
        allowed.take(f"{n}", n)
    assert len(allowed) <= MIN_SWEPT
