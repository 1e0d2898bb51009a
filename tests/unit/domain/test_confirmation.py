"""Whether users are let in: after a start or a halt only once it is known what has become of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostward.domain.confirmation import FRESH_S, WAIT_S, Verdict, judge

pytestmark = pytest.mark.feature("F16")

SECONDS = st.floats(0, 1e7)


@given(SECONDS, st.none() | SECONDS, st.none() | SECONDS, st.integers(0, 8760))
def test_only_a_slave_can_have_missed_something(
    waited: float, confirmed: float | None, last: float | None, hours: int
) -> None:
    assert judge(slave=False, waited_s=waited, confirmed_s=confirmed, last_s=last, hours=hours) is Verdict.IN


@given(SECONDS, st.none() | SECONDS, st.none() | SECONDS, st.integers(0, 8760))
def test_nobody_waits_for_long_and_who_gets_in_unconfirmed_is_within_what_is_allowed(
    waited: float, confirmed: float | None, last: float | None, hours: int
) -> None:
    found = judge(slave=True, waited_s=waited, confirmed_s=confirmed, last_s=last, hours=hours)
    if found is Verdict.WAIT:
        assert confirmed is None
        assert waited < WAIT_S
    elif found is Verdict.IN:
        fresh = confirmed is not None and confirmed <= FRESH_S
        assert fresh or (last is not None and last <= hours * 3600)
    else:
        assert last is None or last > hours * 3600


@pytest.mark.parametrize(
    ("waited", "confirmed", "last", "hours", "expected"),
    [
        (0.0, None, 60.0, 24, Verdict.WAIT),  # started a moment ago
        (WAIT_S, None, 60.0, 24, Verdict.IN),  # nobody answers; it was the same as another a minute ago
        (WAIT_S, None, 86_401.0, 24, Verdict.OUT),
        (WAIT_S, None, None, 8760, Verdict.OUT),  # never confirmed at all
        (3600.0, 1.0, 1.0, 0, Verdict.IN),  # confirmed now: the setting doesn't matter
        (3600.0, 3600.0, 3600.0, 0, Verdict.OUT),  # the others have been away for an hour
        (3600.0, 3600.0, 3600.0, 1, Verdict.IN),
    ],
)
def test_the_setting_decides_where_no_member_answers(
    waited: float, confirmed: float | None, last: float | None, hours: int, expected: Verdict
) -> None:
    assert judge(slave=True, waited_s=waited, confirmed_s=confirmed, last_s=last, hours=hours) is expected
