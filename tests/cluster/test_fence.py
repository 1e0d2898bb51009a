"""Removed servers that return with their old data: three of the rounds that `make fence` runs at random."""

from __future__ import annotations

import pytest
from tests.faults.fence import Round, run_round
from tests.support.group import Group

pytestmark = pytest.mark.cluster

CHOSEN = [
    Round(1, victim=0, removal="cut off", third="there", returns="JVM by hand", master="there", absence_s=1),
    Round(2, victim=1, removal="down", third="away", returns="server", master="away at the return", absence_s=0),
    Round(3, victim=0, removal="halted", third="away", returns="server", master="there", absence_s=0),
]


@pytest.mark.feature("R13")
@pytest.mark.parametrize("chosen", CHOSEN, ids=lambda r: f"{r.removal}, {r.returns}")
def test_a_removed_server_leaves_the_group_untouched(group: Group, chosen: Round) -> None:
    outcome = run_round(group, chosen)
    assert outcome.problems == []
