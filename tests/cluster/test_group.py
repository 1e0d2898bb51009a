"""A group formed through the API: what an administrator sees of it, and what becomes of a Slave's own configuration."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from tests.support.api import Refused
from tests.support.command import hostward
from tests.support.group import Group
from tests.support.inventory import rows
from tests.support.registry_file import read_registry
from tests.support.server import Server
from tests.support.waiting import eventually

pytestmark = pytest.mark.cluster


@pytest.mark.feature("R3")
def test_details_show_every_server_as_the_ring_has_it(group: Group) -> None:
    for server in group.servers:
        nodes = server.api.nodes()
        assert {n["server_name"] for n in nodes} == {s.name for s in group.servers}
        for node in nodes:
            assert (node["status"], node["state"], node["owns_percent"]) == ("UP", "NORMAL", 100.0)
            assert len(node["host_id"].split("-")) == 5, node
            assert node["in_sync"] is True
            assert node["lag_changes"] == 0
            assert node["compared_at"]
            assert node["role"] == ("master" if node["server_name"] == group.master.name else "slave")
        local = [n for n in nodes if n["local_instance"]]
        assert [n["server_name"] for n in local] == [server.name]
        assert local[0]["address"] == server.address
        assert ipaddress.ip_address(local[0]["address"]) != ipaddress.ip_address("127.0.0.1")
        assert server.api.status()["local_instance_address"] == server.address


@pytest.mark.feature("R3")
def test_nodetool_says_the_same_as_details(group: Group, tmp_path: Path) -> None:
    shown = {n["host_id"]: n for n in group.master.api.nodes()}
    arguments = ["nodetool", "--data-dir", str(group.master.data_dir), "--config", str(group.master.config_file)]
    said = hostward(*arguments, "status", "hostward", home=tmp_path)
    assert said.returncode == 0, said.stderr
    lines = [line.split() for line in said.stdout.splitlines() if line.startswith("UN")]
    assert {line[-2] for line in lines} == set(shown)
    for line in lines:
        assert "100.0%" in line
        assert shown[line[-2]]["address"] == line[1]


@pytest.mark.feature("R2")
def test_status_names_role_master_and_slaves(group: Group) -> None:
    status = group.master.api.status()
    assert (status["role"], status["database_status"], status["protocol"]) == ("master", "Up", "https")
    assert status["adapter"] == group.master.address
    assert {(s["host"], s["joined"]) for s in status["slaves"]} == {(s.host, True) for s in group.slaves}
    for slave in group.slaves:
        status = slave.api.status()
        assert (status["role"], status["database_status"]) == ("slave", "Up")
        assert status["master"] == group.master.target()


@pytest.mark.feature("R5")
def test_the_default_passphrase_is_warned_of_on_every_server(group: Group) -> None:
    for server in group.servers:
        status = server.api.status()
        assert status["passphrase_is_default"] is True
        assert any("passphrase" in w for w in status["warnings"]), status["warnings"]


@pytest.mark.feature("R6")
def test_the_servers_own_certificate_is_in_its_list(group: Group) -> None:
    for server in group.servers:
        items = server.api.get("trusted-certificates/mss")["items"]
        own = [c for c in items if c["own"]]
        assert [c["fingerprint"] for c in own] == [server.api.get("server")["fingerprint"]]
        others = {c["server"] for c in items if not c["own"]}
        assert others >= {s.api.get("server")["server"] for s in group.servers if s is not server}


@pytest.mark.feature("R2")
@pytest.mark.parametrize("wanted", ["standalone", "slave", "master"])
def test_apply_asks_for_the_confirmation_and_names_the_consequences(group: Group, wanted: str) -> None:
    server = group.master if wanted == "master" else group.slaves[0]
    before = server.api.status()
    with pytest.raises(Refused) as refused:
        server.api.put("replication", {"role": wanted})
    assert (refused.value.status, refused.value.code) == (409, "confirmation-required")
    assert refused.value.problem["consequences"]
    assert server.api.status()["wanted_role"] == before["wanted_role"]


@pytest.mark.feature("R9")
def test_health_of_master_and_slaves(group: Group) -> None:
    assert group.master.api.health("master")[0] == 200
    for slave in group.slaves:
        code, answer = slave.api.health("master")
        assert (code, answer["reason"]) == (503, "This server's role is Slave.")
    for server in group.servers:
        assert server.api.health("ready")[0] == 200
        eventually(lambda server=server: server.api.health("in-sync")[0] == 200, within_s=5)  # type: ignore[misc]


@pytest.mark.feature("R4")
def test_a_slave_that_leaves_keeps_everything_and_may_come_back(group: Group) -> None:
    leaving: Server = group.slaves[1]
    group.master.api.post("sessions", rows(1, prefix="Before leaving")[0])
    group.wait_equal()
    kept = leaving.api.export()
    leaving.apply(role="standalone")
    assert leaving.api.export() == kept
    assert [(n["address"], n["status"], n["owns_percent"]) for n in leaving.api.nodes()] == [("127.0.0.1", "UP", 100.0)]
    leaving.api.post("sessions", rows(1, prefix="Its own")[0])
    mine = leaving.api.export()
    remaining = [s for s in group.servers if s is not leaving]
    eventually(lambda: len(group.master.api.nodes()) == len(remaining), within_s=60)
    group.list_slaves()
    group.make_slave(leaving)
    group.wait_settled()
    assert leaving.api.export() == kept == group.master.api.export()
    backups = [b["name"] for b in leaving.api.get("backups")["items"] if b["name"].startswith("before-joining")]
    backed_up = read_registry(leaving.data_dir / "backups" / max(backups))
    names = {body["name"] for (kind, _), body in backed_up.elements.items() if kind == "session"}
    assert names == {s["name"] for s in mine}
