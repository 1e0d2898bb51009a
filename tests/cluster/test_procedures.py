"""Three long sequences of all procedures and faults; `make faults SEEDS=100` runs more."""

from __future__ import annotations

import pytest
from tests.faults.machine import run_procedures
from tests.support.group import Group

pytestmark = pytest.mark.cluster

SEEDS = (86, 97, 120)
"""Replaced, and promoted when the Master dies; the Master founds another group; removed, back, and handed over to."""
LENGTH = 4


@pytest.mark.feature("R12")
@pytest.mark.feature("R13")
@pytest.mark.feature("R14")
@pytest.mark.parametrize("seed", SEEDS)
def test_every_server_ends_where_it_was_sent_with_its_data(group: Group, seed: int) -> None:
    outcome = run_procedures(group, seed, length=LENGTH)
    assert not outcome.problems, f"after {outcome.faults}: {outcome.problems[:20]}"
    assert outcome.counts["acknowledged"] > 20
