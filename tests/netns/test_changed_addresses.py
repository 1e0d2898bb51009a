"""Changed addresses, as DHCP makes them (fault F14; the guide's fifth problem): of the Master and a Slave at once.

The servers find each other by name, as the guide has them entered. Nobody edits seeds, and nobody restarts anything.
"""

from __future__ import annotations

import pytest
from tests.support.group import Group
from tests.support.history import History
from tests.support.inventory import rows
from tests.support.namespaces import Network
from tests.support.server import Server
from tests.support.waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.feature("R17"), pytest.mark.feature("R18")]

HEALED_WITHIN_S = 120.0


def test_addresses_change_under_running_servers(group: Group, hosts: Network, history: History) -> None:
    moving = group.servers[:2]
    host_ids = {n["server_name"]: n["host_id"] for n in group.master.api.nodes()}
    for server in moving:
        host = hosts.host(server.name)
        host.move()
        server.move(host.place)
    for server in moving:
        eventually(lambda server=server: address_of(server) == server.address, within_s=30)  # type: ignore[misc]
    group.wait_settled(HEALED_WITHIN_S)
    there = {n["server_name"]: n["address"] for n in group.master.api.nodes()}
    assert there == {s.name: s.address for s in group.servers}
    # The same nodes, with their data: none had to join anew.
    assert {n["server_name"]: n["host_id"] for n in group.master.api.nodes()} == host_ids
    for server in moving:
        healed = next(f for f in server.api.get("doctor")["findings"] if f["code"] == "healed")
        assert f"to {server.address}" in healed["cause"]
    made = group.master.api.post("sessions", rows(1, prefix="After two moved")[0])
    assert made["replicated"]["confirmed"] is True


def address_of(server: Server) -> str:
    return str(server.api.status()["local_instance_address"])
