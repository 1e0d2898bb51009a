"""5.13.6 Master Server Role and 5.13.7 Slave Server Role, with what the guide says of adding and removing Slaves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.cluster.walkthrough.conftest import Three
from tests.cluster.walkthrough.steps import (
    INFORMING,
    UP,
    Statuses,
    add_slave,
    all_own_everything,
    apply_with_confirmation,
    configure_master,
    configure_slave,
    import_certificate,
    remove_in_details,
    slaves_of,
    wait_alone_in_details,
)
from tests.support.api import Refused
from tests.support.inventory import rows
from tests.support.server import Server
from tests.support.waiting import eventually

pytestmark = pytest.mark.cluster


def host_id_of(master: Server, server: Server) -> str:
    return next(str(n["host_id"]) for n in master.api.nodes() if n["server_name"] == server.name)


@pytest.mark.feature("R8")
def test_configure_slave_server_and_add_the_master_server(servers: Three) -> None:
    servers.grouped()
    slave = servers.second
    slave.apply(role="standalone")
    slave.api.post("sessions", rows(1, prefix="Of the Slave alone")[0])
    own = slave.api.export()
    # Any existing configuration for the Slave server will be overwritten, and existing sessions deleted.
    with pytest.raises(Refused) as refused:
        slave.api.put("replication", {"role": "slave", "master": servers.master.target()})
    said = " ".join(refused.value.problem["consequences"])
    assert "overwritten" in said
    assert f"{len(own)} sessions" in said
    assert "backup" in said
    assert "The last time this took" in said
    configure_slave(slave, servers.master)
    assert slave.api.export() == servers.master.api.export()
    # The backup is whole: once it is Standalone again, what was its own can be restored.
    slave.apply(role="standalone")
    backup = next(b["name"] for b in slave.api.get("backups")["items"] if b["name"].startswith("before-joining"))
    slave.api.post(f"backups/{backup}/restore", {"confirm": True})
    assert slave.api.export() == own
    configure_slave(slave, servers.master)


@pytest.fixture
def other_master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The Master of another group."""
    server = Server("other", tmp_path_factory.mktemp("other"))
    server.start()
    configure_master(server)
    yield server
    server.destroy()


@pytest.mark.feature("R1")
def test_a_slave_server_can_be_associated_with_only_one_master(servers: Three, other_master: Server) -> None:
    servers.grouped()
    slave = servers.first
    for here, there in ((slave, other_master), (servers.master, other_master)):
        import_certificate(here, there)
        import_certificate(there, here)
    with pytest.raises(Refused) as refused:
        slave.api.put("replication", {"role": "slave", "master": other_master.target(), "confirm": True})
    assert refused.value.code == "other-group", refused.value
    assert "Standalone first" in refused.value.problem["remedy"]
    with pytest.raises(Refused) as refused:
        other_master.api.put("replication", {"role": "master", "slaves": [slave.target()], "confirm": True})
    assert "is a Slave of another group" in refused.value.problem["detail"]
    with pytest.raises(Refused) as refused:
        servers.master.api.put(
            "replication",
            {"role": "master", "slaves": [*slaves_of(servers.master), other_master.target()], "confirm": True},
        )
    assert "is the Master of a group of its own" in refused.value.problem["detail"]
    assert slave.api.status()["master"] == servers.master.target()
    assert (other_master.api.status()["slaves"], len(slaves_of(servers.master))) == ([], 2)


@pytest.mark.feature("R9")
@pytest.mark.feature("R2")
def test_add_a_slave_to_the_master_server(servers: Three) -> None:
    servers.grouped()
    # While the Master contacts the Slaves, the status says so: long enough to be seen where one is slow to answer.
    servers.first.sigstop()
    with Statuses(servers.master) as statuses:
        done = servers.master.apply(role="master", slaves=slaves_of(servers.master))
        eventually(lambda: INFORMING in statuses.seen and statuses.seen[-1] == UP, within_s=60)
    servers.first.sigcont()
    assert any(servers.first.name in n for n in servers.master.api.get(f"jobs/{done['id']}")["notices"])
    add_slave(servers.master, servers.first)
    eventually(lambda: all_own_everything(servers.master), within_s=60)


@pytest.mark.feature("R12")
def test_remove_a_running_slave_from_a_cluster(servers: Three) -> None:
    servers.grouped()
    master, slave = servers.master, servers.first
    host_id, kept = host_id_of(master, slave), slave.api.export()
    # 1 to 4. On the Slave: delete the Master, set the Server Role to Standalone, Apply, Yes; finally Up.
    apply_with_confirmation(slave, role="standalone")
    # 5. Click Details and verify that the address is 127.0.0.1.
    wait_alone_in_details(slave)
    assert slave.api.export() == kept
    # 6, 7. On the Master, click Details and then Remove on the slave you removed; finally Up.
    remove_in_details(master, host_id)
    # 8, 9. Delete it from the Slave Server table, Apply, Yes: the Master informs the other Slaves; finally Up.
    others = [t for t in slaves_of(master) if t != slave.target()]
    apply_with_confirmation(master, role="master", slaves=others)
    assert slaves_of(master) == [servers.second.target()]
    for server in (master, servers.second):
        eventually(lambda server=server: len(server.api.nodes()) == 2, within_s=30)  # type: ignore[misc]
        eventually(lambda server=server: all_own_everything(server), within_s=30)  # type: ignore[misc]
    # The server will no longer receive replicated data.
    made = master.api.post("sessions", rows(1, prefix="After a removal")[0])
    eventually(lambda: servers.second.api.status()["revision"] >= made["revision"], within_s=10)
    assert slave.api.export() == kept


@pytest.mark.feature("R13")
def test_remove_a_down_slave_from_a_cluster(servers: Three) -> None:
    servers.grouped()
    master, slave = servers.master, servers.second
    slave.kill()
    # 1, 2. On the Master, open Details and click Remove for the down server, Yes; completes with Up.
    done = remove_in_details(master, host_id_of(master, slave))
    # Since the down server can't be contacted you will receive a message stating that it could not be updated. This is
    # expected and you can safely dismiss it.
    assert any("could not be updated" in n and "expected" in n for n in done["notices"]), done
    # 3, 4. Delete it from the Slave Server table, Apply, Yes; completes with Up.
    apply_with_confirmation(master, role="master", slaves=[t for t in slaves_of(master) if t != slave.target()])
    eventually(lambda: len(master.api.nodes()) == 2, within_s=30)
    eventually(lambda: all_own_everything(master), within_s=30)
    # If a down server is ever restarted, the guide's cluster is stuck in Initializing. This one isn't.
    slave.start()
    eventually(lambda: slave.api.status()["removed"], within_s=30)
    assert master.api.status()["database_status"] == UP
    # To bring the server back: Standalone, and add it as a Slave again.
    slave.apply(role="standalone")
    apply_with_confirmation(master, role="master", slaves=[*slaves_of(master), slave.target()])
    configure_slave(slave, master)
