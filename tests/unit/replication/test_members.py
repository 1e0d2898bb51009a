"""Who is believed to have left the group."""

from __future__ import annotations

import pytest

from hostward.replication.group.members import JOINED, JOINING, Member, has_left


def slave(state: str) -> Member:
    return Member("id", "slave", "h", 443, "mss", "https", "", "", "10.0.0.2", 7000, "1", state)


@pytest.mark.feature("R8")
def test_a_joining_server_that_speaks_for_its_own_group_has_not_left() -> None:
    assert not has_left(slave(JOINING), "group")
    assert has_left(slave(JOINED), "group")


@pytest.mark.feature("R12")
def test_a_standalone_server_has_left_and_a_silent_one_has_not() -> None:
    for state in (JOINING, JOINED):
        assert has_left(slave(state), "left")
        assert not has_left(slave(state), "timeout")
