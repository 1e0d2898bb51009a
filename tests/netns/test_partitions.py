"""Partitions (fault F4): one-way of a Slave, whole of the Master, and flapping. The group goes on, says who is missing,
and comes together by itself.
"""

from __future__ import annotations

import random
import time

import pytest
from tests.support.group import Group
from tests.support.history import History
from tests.support.namespaces import Network
from tests.support.server import Server
from tests.support.waiting import eventually
from tests.support.writers import Writers

pytestmark = pytest.mark.cluster

NOTICED_WITHIN_S = 20.0
HEALED_WITHIN_S = 90.0
FLAPS = 6


def in_sync_on(shown_on: Server, server: Server) -> bool:
    """As Details on one server show it."""
    return any(n["in_sync"] for n in shown_on.api.nodes() if n["server_name"] == server.name)


def says_that_it_is_behind(server: Server) -> bool:
    return server.api.health("in-sync")[0] == 503


@pytest.mark.feature("R8")
@pytest.mark.feature("R10")
@pytest.mark.parametrize("way", ["incoming", "outgoing"])
def test_a_slave_is_cut_off(group: Group, hosts: Network, master: Server, history: History, way: str) -> None:
    lost, other = group.slaves
    writers = Writers(master.api, history, count=2, seed=31, prefix=f"Cut off, {way}")
    writers.start()
    hosts.cut_off(hosts.host(lost.name), incoming=way == "incoming", outgoing=way == "outgoing")
    eventually(lambda: not in_sync_on(master, lost), within_s=NOTICED_WITHIN_S)
    eventually(lambda: says_that_it_is_behind(lost), within_s=NOTICED_WITHIN_S)
    read = lost.api.total()  # it goes on serving what it has
    alone = len(history.acknowledged)
    eventually(lambda: len(history.acknowledged) > alone + 20, within_s=30)
    writers.stop()
    since = history.acknowledged[alone + 5 :]
    assert all(w.replicated == {"have": 2, "of": 3, "confirmed": True} for w in since)
    assert says_that_it_is_behind(lost)
    assert lost.api.total() == read
    assert master.api.status()["database_status"] == other.api.status()["database_status"] == "Up"
    hosts.heal()
    group.wait_settled(HEALED_WITHIN_S)


@pytest.mark.feature("R8")
@pytest.mark.feature("R10")
def test_the_master_is_cut_off_from_all(group: Group, hosts: Network, master: Server, history: History) -> None:
    hosts.cut_off(hosts.host(master.name))
    for slave in group.slaves:
        eventually(lambda slave=slave: says_that_it_is_behind(slave), within_s=NOTICED_WITHIN_S)  # type: ignore[misc]
        assert "Master doesn't answer" in slave.api.health("in-sync")[1]["reason"]
    writers = Writers(master.api, history, count=2, seed=32, prefix="Master cut off", changes=5)
    writers.start()
    writers.join(60)
    assert all(w.replicated == {"have": 1, "of": 3, "confirmed": False} for w in history.acknowledged)
    eventually(lambda: "without" in master.api.status()["reason"], within_s=NOTICED_WITHIN_S)
    assert {n["server_name"] for n in master.api.nodes() if n["in_sync"]} == {master.name}
    hosts.heal()
    group.wait_settled(HEALED_WITHIN_S)


@pytest.mark.feature("R8")
@pytest.mark.feature("R10")
def test_links_that_flap(group: Group, hosts: Network, master: Server, history: History) -> None:
    random_ = random.Random(33)
    writers = Writers(master.api, history, count=4, seed=33, prefix="Flapping")
    writers.start()
    for _ in range(FLAPS):
        source, target = random_.sample(hosts.hosts, 2)
        hosts.rule([source], [target], cut=True)
        time.sleep(random_.uniform(0.2, 2.0))
        if random_.random() < 0.5:
            hosts.heal()
    hosts.heal()
    writers.stop()
    group.wait_settled(HEALED_WITHIN_S)
