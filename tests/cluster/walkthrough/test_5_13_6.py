"""5.13.6 Master Server Role: a passphrase of one's own, and HTTP. (The edit for z/Linux: test_database_starts.py.)"""

from __future__ import annotations

import pytest
from tests.cluster.walkthrough.steps import UP, apply_with_confirmation
from tests.support.api import Refused
from tests.support.server import Server

pytestmark = pytest.mark.cluster

PASSPHRASE = "one that the administrators chose"


@pytest.mark.feature("R2")
@pytest.mark.feature("R6")
def test_configure_master_server(alone: Server) -> None:
    # 1. Click Master. 2. Check the Database Status. If Up, continue.
    assert alone.wait_up()["database_status"] == UP
    # 3. Choose a network adapter that the other servers can access: one that isn't there is refused.
    with pytest.raises(Refused) as refused:
        alone.api.put("replication", {"role": "master", "adapter": "192.0.2.1", "confirm": True})
    assert alone.address in str(refused.value)
    assert alone.api.status()["role"] == "standalone"
    # 4. Clear the HTTPS requirement. 5. Change the default Passphrase. 6. Click Apply, choose Yes.
    apply_with_confirmation(alone, role="master", adapter=alone.address, protocol="http", passphrase=PASSPHRASE)
    status = alone.api.status()
    assert (status["role"], status["protocol"], status["passphrase_is_default"]) == ("master", "http", False)
    assert PASSPHRASE not in str(status)
    # Without Slaves the protocol may be changed.
    alone.apply(role="master", protocol="https")
    assert alone.wait_up()["protocol"] == "https"
    # 7. Click Details and confirm that the Local Instance Address is Not 127.0.0.1.
    assert [(n["address"], n["local_instance"]) for n in alone.api.nodes()] == [(alone.address, True)]
