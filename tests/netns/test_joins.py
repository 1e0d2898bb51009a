"""A server whose join is disturbed."""

from __future__ import annotations

import signal

import pytest
from tests.support.group import Group
from tests.support.namespaces import Network
from tests.support.server import STORAGE_PORT, Server
from tests.support.waiting import eventually

pytestmark = pytest.mark.cluster


@pytest.mark.feature("R8")
@pytest.mark.feature("R9")
def test_a_joining_node_that_dies_and_finds_no_other_forms_no_ring_of_its_own(
    group: Group, hosts: Network, master: Server
) -> None:
    joining = group.slaves[1]
    joining.apply(role="standalone")
    eventually(lambda: len(master.api.nodes()) == 2, within_s=60)
    group.list_slaves()
    group.make_slave(joining, follow=False)
    eventually(lambda: joining.jvm_pid is not None, within_s=60)
    here = [hosts.host(joining.name)]
    others = [h for h in hosts.hosts if h not in here]
    hosts.rule(here, others, cut=True, ports=[STORAGE_PORT])
    hosts.rule(others, here, cut=True, ports=[STORAGE_PORT])
    joining.signal_jvm(signal.SIGKILL)
    eventually(lambda: "No database node of the group can be reached" in joining.api.status()["reason"], within_s=60)
    assert joining.jvm_pid is None
    hosts.heal()
    group.wait_settled(120)
