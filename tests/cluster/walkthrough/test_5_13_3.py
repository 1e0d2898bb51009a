"""5.13.3 Importing Server Certificates, on a server that trusts nobody yet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.cluster.walkthrough.conftest import Three
from tests.cluster.walkthrough.steps import import_certificate
from tests.support.server import Server

pytestmark = pytest.mark.cluster


@pytest.fixture
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server("newcomer", tmp_path_factory.mktemp("newcomer"))
    server.start()
    yield server
    server.destroy()


def checks_of(here: Server, there: Server) -> dict[str, bool | None]:
    tested = here.api.post("replication/test-connection", there.target())
    return {c["name"]: c["ok"] for c in tested["checks"]}


@pytest.mark.feature("R7")
def test_before_you_add_the_master_or_slave_servers(servers: Three, newcomer: Server) -> None:
    # The certificate of the current Administrative Server must be included in the list.
    items = newcomer.api.get("trusted-certificates/mss")["items"]
    assert [c["own"] for c in items] == [True]
    # This step is required for all servers: without it here, then without it there, there is no connection.
    assert checks_of(newcomer, servers.master)["certificate"] is False
    import_certificate(newcomer, servers.master)
    assert servers.master.name in {
        c["friendly_name"] for c in newcomer.api.get("trusted-certificates/mss")["items"] if not c["own"]
    }
    checks = checks_of(newcomer, servers.master)
    assert (checks["certificate"], checks["certificate-there"]) == (True, False)
    import_certificate(servers.master, newcomer)
    checks = checks_of(newcomer, servers.master)
    assert (checks["certificate"], checks["certificate-there"]) == (True, True)
