"""5.13.4 Securing Replication Connections: HTTP or HTTPS. (The Security Proxy isn't part of the product yet; a group
over HTTP is formed in test_steps.py.)"""

from __future__ import annotations

import pytest
from tests.cluster.walkthrough.conftest import Three
from tests.support.api import Refused

pytestmark = pytest.mark.cluster


@pytest.mark.feature("R5")
def test_https_or_http_as_your_server_to_server_communication_transport(servers: Three) -> None:
    servers.grouped()
    # HTTPS is recommended: it is what all use unless told otherwise.
    assert {s.api.status()["protocol"] for s in servers.all} == {"https"}
    # You cannot change the transport and retain previously configured Slave servers.
    with pytest.raises(Refused) as refused:
        servers.master.api.put("replication", {"role": "master", "protocol": "http", "confirm": True})
    assert refused.value.code == "slaves-configured"
    assert "retain previously configured Slave servers" in refused.value.problem["detail"]
    assert servers.master.api.status()["protocol"] == "https"
