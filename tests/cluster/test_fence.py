"""A removed server that returns with its old data: a round such as `make fence` runs at random."""

from __future__ import annotations

import pytest
from tests.faults.fence import Round, run_round
from tests.support.group import Group

pytestmark = pytest.mark.cluster

# By its JVM alone, started by hand, while the third server, which never heard of the removal, starts too.
CHOSEN = Round(1, victim=1, removal="down", third="away", returns="JVM by hand", master="there", absence_s=0)


@pytest.mark.feature("R13")
@pytest.mark.feature("A16")
def test_a_removed_server_leaves_the_group_untouched(group: Group) -> None:
    outcome = run_round(group, CHOSEN)
    assert outcome.problems == []
