"""5.13.5 Standalone Server Role: the default, and what resets replication."""

from __future__ import annotations

import pytest
from tests.cluster.walkthrough.steps import apply_with_confirmation, configure_master, wait_alone_in_details
from tests.support.inventory import rows
from tests.support.server import Server

pytestmark = pytest.mark.cluster


@pytest.mark.feature("R14")
def test_this_is_the_default_role_and_resets_replication(alone: Server) -> None:
    status = alone.wait_up()
    assert (status["role"], status["local_instance_address"], status["slaves"]) == ("standalone", "127.0.0.1", [])
    wait_alone_in_details(alone)
    alone.api.post("sessions", rows(1, prefix="Its own")[0])
    kept = alone.api.export()
    # To set up Replication, configure a Master server …
    configure_master(alone)
    # … the Standalone server role is used to reset Replication.
    apply_with_confirmation(alone, role="standalone")
    wait_alone_in_details(alone)
    assert alone.jvm_pid is None
    assert alone.api.export() == kept
