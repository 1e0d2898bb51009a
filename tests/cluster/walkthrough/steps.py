"""The guide's numbered steps, as an administrator's clicks through the API. Its own words are in the comments."""

from __future__ import annotations

import shutil
import threading
from types import TracebackType
from typing import Any, Final

import httpx
import pytest
from tests.support.api import Refused
from tests.support.server import Server
from tests.support.waiting import eventually

DOWN, INITIALIZING, UP = "Down", "Initializing", "Up"
INFORMING: Final = "Status unavailable due to registry restart"
STEP_WITHIN_S = 180.0


class Statuses:
    """The Database Statuses that a server shows while something goes on."""

    def __init__(self, server: Server) -> None:
        self._server, self.seen = server, [str(server.api.status()["database_status"])]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Statuses:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join(30)
        if kind is None:
            assert set(self.seen) <= {DOWN, INITIALIZING, UP, INFORMING}, self.seen

    def _look(self) -> None:
        while not self._over.wait(0.03):
            try:
                status = str(self._server.api.status()["database_status"])
            except (httpx.TransportError, Refused):  # a server that is busy for a moment
                continue
            if status != self.seen[-1]:
                self.seen.append(status)


def apply_with_confirmation(server: Server, **wanted: Any) -> dict[str, Any]:
    """Click Apply; the Settings update confirmation appears, with what Yes would do; nothing has changed yet. Choose
    Yes, and wait until it is done and the Database Status is Up."""
    before = server.api.status()
    with pytest.raises(Refused) as refused:
        server.api.put("replication", wanted)
    assert (refused.value.status, refused.value.code) == (409, "confirmation-required")
    assert refused.value.problem["consequences"]
    assert server.api.status()["wanted_role"] == before["wanted_role"]
    done = server.apply(within_s=STEP_WITHIN_S, **wanted)
    server.wait_up()
    return done


def import_certificate(here: Server, other: Server) -> None:
    """5.13.3, Before you add the Master or Slave servers."""
    # 1, 2. Open Trusted Certificates; under Certificate Store, click Management and Security Server.
    # 3. In the list, confirm that a trusted certificate is present. If not, continue importing the certificate.
    listed = {c["friendly_name"] for c in here.api.get("trusted-certificates/mss")["items"]}
    if other.name in listed:
        return
    # 4. Copy the remote server certificate to <mss-data-dir>/certificates. Best practice is <server-name>.cer.
    shutil.copyfile(other.certificate_file, here.data_dir / "certificates" / f"{other.name}.cer")
    # 5 to 8. Click + Import, enter the file name, and for the friendly name the server name. Click Import.
    here.api.post("trusted-certificates/mss", {"file_name": f"{other.name}.cer", "friendly_name": other.name})


def configure_master(server: Server, protocol: str = "https") -> None:
    """5.13.6, Configure master server."""
    # 1. Click Master. 2. Check the Database Status. If Up, continue.
    assert server.wait_up()["database_status"] == UP
    # 3. Database Network Adapter: one with an IP address that the other servers can access.
    adapters = server.api.status()["adapters"]
    assert server.address in {a["address"] for a in adapters}
    # 4. Global protocol: HTTPS is the default. 5. Change the default Passphrase, if desired.
    status = server.api.status()
    assert (status["protocol"], status["passphrase_is_default"]) == ("https", True)
    # 6. Click Apply, choose Yes. This causes the database to restart to allow for remote communication.
    apply_with_confirmation(server, role="master", adapter=server.address, protocol=protocol)
    # 7. After the database is Up again, click Details: the Local Instance Address is Not 127.0.0.1.
    assert server.api.status()["local_instance_address"] == server.address != "127.0.0.1"
    assert [n["address"] for n in server.api.nodes() if n["local_instance"]] == [server.address]


def configure_slave(server: Server, master: Server, protocol: str = "https") -> None:
    """5.13.7, Configure slave server, and Add the master server."""
    # 1. Click Slave. 2. Check the Database Status. If Up, continue.
    server.wait_up()
    # 3 to 5. Database Network Adapter, Global protocol, Passphrase.
    # Add the master server: 1 to 5. Click + Add, enter host name, port and servlet context, click Save.
    target = master.target(protocol)
    # 6. Click Test Connection to ensure the slave servers can communicate with the master.
    tested = server.api.post("replication/test-connection", {**target, "protocol": protocol})
    assert tested["ok"], tested
    # 7. Click Apply, choose Yes. When the status transitions to Up, the initial replication is complete.
    with Statuses(server) as statuses:
        apply_with_confirmation(server, role="slave", adapter=server.address, master=target, protocol=protocol)
        eventually(lambda: statuses.seen[-1] == UP, within_s=30)
    assert INITIALIZING in statuses.seen
    assert server.api.status()["digest"] == master.api.status()["digest"]
    # 8. Click Details and ensure that all servers show 100% in the Owns section.
    eventually(lambda: all_own_everything(server), within_s=30)


def add_slave(master: Server, slave: Server) -> dict[str, Any]:
    """5.13.7, Add a slave to the master server."""
    # 1 to 3. Click + Add in the Slave Server table, enter host name and port, click Save.
    targets = slaves_of(master)
    if slave.target() not in targets:  # the Slave is entered by itself when it joins
        targets.append(slave.target())
    # 4. Click Test Connection to ensure the master can now communicate with the slave.
    tested = master.api.post("replication/test-connection", slave.target())
    assert tested["ok"], tested
    # 5. Click Apply, choose Yes. The Master then contacts all the slaves.
    return apply_with_confirmation(master, role="master", slaves=targets)


def slaves_of(master: Server) -> list[dict[str, Any]]:
    """The Slave table, as targets."""
    return [{k: s[k] for k in ("host", "port", "context")} for s in master.api.status()["slaves"]]


def all_own_everything(server: Server) -> bool:
    """Details: each node UP, Owns 100 %."""
    nodes = server.api.nodes()
    told = [(n["server_name"], n["status"], n["owns_percent"]) for n in nodes]
    assert all(n["status"] == "UP" and n["owns_percent"] == 100.0 for n in nodes), told
    return True


def remove_in_details(master: Server, host_id: str) -> dict[str, Any]:
    """Details, Remove, Yes; and the Database Status is Up in the end."""
    with pytest.raises(Refused) as refused:
        master.api.delete(f"replication/nodes/{host_id}")
    assert refused.value.code == "confirmation-required"
    done = master.follow(master.api.delete(f"replication/nodes/{host_id}", confirm=True)["job"], within_s=STEP_WITHIN_S)
    master.wait_up()
    return done


def wait_alone_in_details(server: Server) -> None:
    """Details shows this one server, at 127.0.0.1."""

    def alone() -> bool:
        nodes = server.api.nodes()
        assert [(n["address"], n["status"], n["owns_percent"]) for n in nodes] == [("127.0.0.1", "UP", 100.0)], nodes
        return True

    eventually(alone, within_s=30)
