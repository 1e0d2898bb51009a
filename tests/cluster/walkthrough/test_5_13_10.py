"""Section 5.13.10, Troubleshooting Replication: its five problems, brought about on real Cassandra. Each is seen,
explained, and heals by itself once its cause is gone; and the guide's own workaround works as well. The fifth (DHCP)
is in tests/netns/test_changed_addresses.py, where hosts have addresses that can change.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.support.command import hostward
from tests.support.group import Group
from tests.support.inventory import rows
from tests.support.server import HOSTWARD, STORAGE_PORT, Server, clean_environment
from tests.support.waiting import eventually

from hostward.database.session import KEYSPACE, open_session
from hostward.database.settings import NodeSettings

pytestmark = [pytest.mark.cluster, pytest.mark.feature("R17")]

SEEN_WITHIN_S = 30.0
HEALED_WITHIN_S = 60.0
"""After the cause is gone, on a machine that isn't busy."""

SETTLED_WITHIN_S = 120.0


def nodetool(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`hostward nodetool`, as the guide has administrators use nodetool."""
    return hostward("nodetool", *where(server), *arguments, home=server.directory)


def where(server: Server) -> list[str]:
    return ["--data-dir", str(server.data_dir), "--config", str(server.config_file)]


def row_of(shown_on: Server, server: Server) -> dict[str, Any]:
    return next(n for n in shown_on.api.nodes() if n["server_name"] == server.name)


def findings(server: Server) -> dict[str, dict[str, Any]]:
    """The doctor's, by code; one of each."""
    return {f["code"]: f for f in server.api.get("doctor")["findings"]}


def resume(jvm: int) -> None:
    """Let a halted node go on, unless its server has ended it by now as one that hangs."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(jvm, signal.SIGCONT)


def lower_replication_factor(server: Server) -> None:
    """By hand, with the server's own certificate, as somebody with cqlsh on that machine could."""
    conf = server.data_dir / "database" / "conf"
    settings = NodeSettings(
        cluster_name="",
        listen_address=server.address,
        seeds=(),
        data_dir=server.data_dir / "database",
        log_dir=server.data_dir / "logs",
        key_path=conf / "keystore.pem",
        certificate_path=conf / "client-truststore.pem",
        loopback=server.place.loopback,
    )

    async def alter() -> None:
        session = await open_session(settings)
        try:
            words = "{'class': 'NetworkTopologyStrategy', 'dc1': '1'}"
            await session.execute(f"ALTER KEYSPACE {KEYSPACE} WITH replication = {words}")
        finally:
            await session.close()

    asyncio.run(alter())


def test_problem_1_owns_is_less_than_100_percent(group: Group, master: Server) -> None:
    """Database Status remains at Initializing, and the Owns value is less than 100 %."""
    halted = group.slaves[1].signal_jvm(signal.SIGSTOP)
    try:
        lower_replication_factor(master)

        def explained() -> bool:
            """The Master may be quick: then it is said what was mended."""
            found = findings(master)
            causes = [found[code]["cause"] for code in ("owns-below-100", "waiting", "healed") if code in found]
            assert any("replication factor" in cause for cause in causes), found
            return True

        eventually(explained, within_s=SEEN_WITHIN_S)
        made = master.api.post("sessions", rows(1, prefix="While Owns is low")[0])
        assert made["replicated"]["confirmed"] is True  # the registries don't wait for the database
    finally:
        resume(halted)
    eventually(lambda: "replication factor" in findings(master)["healed"]["cause"], within_s=HEALED_WITHIN_S)
    group.wait_settled(SETTLED_WITHIN_S)
    assert {round(n["owns_percent"]) for n in master.api.nodes()} == {100}


def test_problem_1_a_joining_node_is_halted_and_the_guides_workaround(group: Group, master: Server) -> None:
    slave = group.slaves[1]
    slave.apply(role="standalone")
    wanted = {"role": "slave", "adapter": slave.address, "master": master.target(), "confirm": True}
    slave.api.put("replication", wanted)
    eventually(lambda: slave.jvm_pid is not None, within_s=HEALED_WITHIN_S)
    slave.signal_jvm(signal.SIGSTOP)
    assert slave.api.status()["database_status"] == "Initializing"
    assert "The database node is" in slave.api.status()["reason"]
    assert "waiting" in findings(slave)
    # 1. Set the server back to Standalone role and apply the change.
    slave.apply(role="standalone")
    # 2., 3. Details on the Master: Remove for the down server, if it is still there.
    for node in master.api.nodes():
        if node["server_name"] == slave.name:
            job = master.api.delete(f"replication/nodes/{node['host_id'] or node['server']}", confirm="true")["job"]
            master.follow(job, within_s=SETTLED_WITHIN_S)
    master.wait_up(SETTLED_WITHIN_S)
    # 4. Add the server as a Slave again, and Apply the settings.
    group.list_slaves()
    group.make_slave(slave)
    group.wait_settled(SETTLED_WITHIN_S)


def test_problem_2_a_node_left_by_hand_comes_back(group: Group, master: Server) -> None:
    slave = group.slaves[0]
    before = row_of(master, slave)["host_id"]
    assert nodetool(slave, "decommission", "--force").returncode == 0
    eventually(lambda: slave.api.status()["database_status"] != "Up", within_s=SEEN_WITHIN_S)
    group.wait_settled(SETTLED_WITHIN_S)
    assert row_of(master, slave)["host_id"] != before
    assert "nodetool decommission" in findings(slave)["healed"]["cause"]


@pytest.mark.parametrize("way", ["by itself", "nodetool removenode force"])
def test_problem_2_an_instance_remains_leaving(group: Group, master: Server, tmp_path: Path, way: str) -> None:
    """A removal that waits for a node which died in the middle."""
    helper, removed = group.slaves
    host_id = row_of(master, removed)["host_id"]
    removed.kill()
    eventually(lambda: row_of(master, removed)["status"] == "DOWN", within_s=90)
    halted = helper.signal_jvm(signal.SIGSTOP)
    removal = subprocess.Popen(
        [str(HOSTWARD), "nodetool", *where(master), "removenode", host_id],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**clean_environment(), "XDG_CONFIG_HOME": str(tmp_path)},
    )  # fmt: skip
    try:
        seen = eventually(lambda: row_of(master, removed)["state"] == "LEAVING", within_s=SEEN_WITHIN_S, every_s=0.2)
        assert seen
        assert "node-leaving" in findings(master)
        if way != "by itself":
            forced = nodetool(master, "removenode", "force")
            # On a busy machine the Master may have been quicker, or in the middle of it.
            said = forced.stdout + forced.stderr
            quicker = "No nodes to force removal on" in said or "NoSuchElementException" in said
            assert forced.returncode == 0 or quicker, said
        eventually(lambda: row_of(master, removed)["state"] != "LEAVING", within_s=HEALED_WITHIN_S, every_s=0.5)
    finally:
        removal.kill()
        removal.wait(30)
        resume(halted)
    assert "node-missing" in findings(master) or "node-down" in findings(master)
    removed.start()
    group.wait_settled(SETTLED_WITHIN_S)
    assert row_of(master, removed)["host_id"] != host_id


def test_problems_3_and_4_standalone_with_a_halted_node_then_slave_that_stays_down(
    group: Group, master: Server
) -> None:
    slave = group.slaves[0]
    # 3. Slave to Standalone, while its node can't end in order.
    slave.signal_jvm(signal.SIGSTOP)
    slave.apply(role="standalone", within_s=HEALED_WITHIN_S)
    (alone,) = slave.api.nodes()
    assert (alone["address"], alone["status"], alone["owns_percent"]) == ("127.0.0.1", "UP", 100.0)
    # The guide's commands do no harm where there is nothing left to remove.
    said = nodetool(slave, "removenode", "force")
    assert "Standalone" in said.stdout + said.stderr
    nodetool(master, "removenode", "force")
    eventually(lambda: len(master.api.nodes()) == 2, within_s=SETTLED_WITHIN_S)
    master.wait_up(SETTLED_WITHIN_S)
    # 4. Slave again, and its Database Status remains Down.
    with socket.create_server((slave.address, STORAGE_PORT)):
        wanted = {"role": "slave", "adapter": slave.address, "master": master.target(), "confirm": True}
        slave.api.put("replication", wanted)
        eventually(lambda: slave.api.status()["database_status"] == "Down", within_s=HEALED_WITHIN_S)
        assert f"port {STORAGE_PORT}" in slave.api.status()["reason"]
        assert findings(slave)["database-down"]["remedy"]
        # 1., 2. On the Master, open Details; remove the newly added Slave, if present.
        for node in master.api.nodes():
            if node["server_name"] == slave.name:
                master.api.delete(f"replication/nodes/{node['host_id'] or node['server']}", confirm="true")
        # 3. Restart the Slave server.
        slave.restart()
    group.wait_settled(SETTLED_WITHIN_S)
