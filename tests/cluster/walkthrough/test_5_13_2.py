"""5.13.2 How to Configure Replication: the tasks in their order, and what the roles mean."""

from __future__ import annotations

import pytest
from tests.cluster.walkthrough.conftest import SESSIONS, Three
from tests.cluster.walkthrough.steps import add_slave, configure_master, configure_slave
from tests.support.api import Refused
from tests.support.inventory import rows
from tests.support.server import Server
from tests.support.waiting import eventually

pytestmark = pytest.mark.cluster


def refused_as_slave(server: Server, master: Server) -> str:
    with pytest.raises(Refused) as refused:
        server.api.put(
            "replication", {"role": "slave", "adapter": server.address, "master": master.target(), "confirm": True}
        )
    assert server.api.status()["role"] == "standalone"
    return f"{refused.value.code} {refused.value.problem['detail']}"


@pytest.mark.feature("R1")
@pytest.mark.feature("R10")
def test_perform_the_configuration_tasks_in_this_order(servers: Three) -> None:
    master, slave = servers.master, servers.first
    # 1. Identify which MSS server will be the Master, and which ones will be Slave servers.
    assert servers.roles() == ["standalone"] * 3
    assert "connection-certificate" in refused_as_slave(slave, master)
    # 2. For each server, import the certificates for the Master and all of the Slave servers.
    servers.trusting()
    assert "not a Master" in refused_as_slave(slave, master)
    # 3. Configure the Master server.
    configure_master(master)
    # 4. Configure each Slave server.
    configure_slave(slave, master)
    add_slave(master, slave)
    # Slave servers are configured according to the settings on this Master server.
    assert slave.api.total() == SESSIONS
    # Any subsequent changes to the Master server will be automatically replicated to the Slave servers.
    made = master.api.post("sessions", rows(1, prefix="After the set-up")[0])["session"]
    eventually(lambda: slave.api.get(f"sessions/{made['id']}") == made, within_s=10)
    # Only one Master server can be configured.
    with pytest.raises(Refused):
        slave.api.put("replication", {"role": "master", "confirm": True})
    # All configuration elements are replicated, except log files, some Certificates settings.
    own = [
        c["fingerprint"] for s in (master, slave) for c in s.api.get("trusted-certificates/mss")["items"] if c["own"]
    ]
    assert len(set(own)) == 2
