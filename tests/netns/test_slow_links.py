"""Slow and lossy links between hosts (fault F5), and a join that is disturbed besides."""

from __future__ import annotations

import signal
import time

import pytest
from tests.support.group import Group
from tests.support.history import History
from tests.support.namespaces import Network
from tests.support.server import STORAGE_PORT, Server
from tests.support.waiting import eventually
from tests.support.writers import Writers

pytestmark = pytest.mark.cluster

ONE_WAY_MS = 100
BAD_FOR_S = 12.0
ANSWER_WITHIN_S = 10.0


@pytest.mark.feature("R8")
@pytest.mark.feature("R10")
def test_200_ms_and_every_fifth_packet_lost_on_1_mbit(
    group: Group, hosts: Network, master: Server, history: History
) -> None:
    hosts.everywhere(delay_ms=ONE_WAY_MS, loss=0.2, kbit_s=1_000)
    writers = Writers(master.api, history, count=2, seed=51, prefix="Bad link")
    writers.start()
    time.sleep(BAD_FOR_S)
    writers.stop()
    assert max(w.answered - w.sent for w in history.acknowledged) < ANSWER_WITHIN_S
    assert len(history.acknowledged) > BAD_FOR_S / 2
    last = max(w.revision or 0 for w in history.acknowledged)
    for slave in group.slaves:  # all of it comes through, still over that link
        eventually(lambda slave=slave: slave.api.status()["revision"] >= last, within_s=60)  # type: ignore[misc]
    hosts.heal()
    group.wait_settled(90)


@pytest.mark.feature("R8")
@pytest.mark.feature("R9")
def test_a_slave_leaves_and_joins_over_200_ms_though_its_node_dies_and_finds_no_other(
    group: Group, hosts: Network, master: Server, history: History
) -> None:
    leaving = group.slaves[1]
    hosts.everywhere(delay_ms=ONE_WAY_MS)
    writers = Writers(master.api, history, count=2, seed=52, prefix="Far away")
    writers.start()
    leaving.apply(role="standalone")
    eventually(lambda: len(master.api.nodes()) == 2, within_s=60)
    group.list_slaves()
    group.make_slave(leaving, follow=False)
    eventually(lambda: leaving.jvm_pid is not None, within_s=60)
    here = [hosts.host(leaving.name)]
    others = [h for h in hosts.hosts if h not in here]
    for sources, targets in ((here, others), (others, here)):
        hosts.rule(sources, targets, cut=True, ports=[STORAGE_PORT])
    leaving.signal_jvm(signal.SIGKILL)
    eventually(lambda: "No database node of the group can be reached" in leaving.api.status()["reason"], within_s=60)
    assert leaving.jvm_pid is None, "its node forms a ring of its own"
    hosts.everywhere(delay_ms=ONE_WAY_MS)
    eventually(lambda: leaving.api.status()["database_status"] == "Up", within_s=120)
    writers.stop()
    group.wait_settled(120)
    confirmed = sum(w.replicated["confirmed"] for w in history.acknowledged)
    assert confirmed > 0.9 * len(history.acknowledged), "the other Slave was there all the while"
