"""Two schedules of random faults; `make faults SEEDS=100` runs more."""

from __future__ import annotations

import pytest
from tests.faults.schedule import run_seed
from tests.support.group import Group

pytestmark = pytest.mark.cluster

SEEDS = 2


@pytest.mark.feature("R1")
@pytest.mark.feature("R8")
@pytest.mark.feature("R9")
@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_every_promise_is_kept(group: Group, seed: int) -> None:
    outcome = run_seed(group, seed)
    assert not outcome.problems, f"after {outcome.faults}: {outcome.problems[:20]}"
    assert outcome.counts["acknowledged"] >= 10
    assert outcome.counts["unknown"] == 0
