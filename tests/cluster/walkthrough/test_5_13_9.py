"""5.13.9 Upgrading Replication Servers: all to Standalone and set up again, in both orders that administrators use.

It is also how a whole group changes its Global protocol (5.13.6): here it is set up again with HTTP.
"""

from __future__ import annotations

import pytest
from tests.cluster.walkthrough.conftest import Three
from tests.cluster.walkthrough.steps import apply_with_confirmation, wait_alone_in_details
from tests.support.inventory import rows

pytestmark = pytest.mark.cluster


@pytest.mark.feature("R16")
@pytest.mark.feature("R14")
@pytest.mark.feature("R5")
@pytest.mark.parametrize("order", ["Master first", "Slaves first"])
def test_disable_replication_upgrade_and_set_up_again(servers: Three, order: str) -> None:
    servers.grouped()
    servers.master.api.post("sessions", rows(1, prefix=f"Before the upgrade, {order}")[0], headers={})
    kept = servers.master.api.export()
    # 1. Set each Master server to Standalone, and 2. each Slave server, and wait for Up.
    for server in servers.all if order == "Master first" else [*servers.all[1:], servers.master]:
        apply_with_confirmation(server, role="standalone")
        wait_alone_in_details(server)
    assert [s.api.export() for s in servers.all] == [kept] * 3
    # 3. Upgrade all the servers: each starts again, with its data.
    for server in servers.all:
        server.restart()
    assert [s.api.export() for s in servers.all] == [kept] * 3
    assert servers.roles() == ["standalone"] * 3
    # 4. Follow the steps to set up replication again.
    if order == "Master first":
        servers.grouped("http")
        assert [s.api.export() for s in servers.all] == [kept] * 3
        assert {s.api.status()["protocol"] for s in servers.all} == {"http"}
