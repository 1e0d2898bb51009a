"""Three hosts in network namespaces with one group on them, for all tests here. Each test finds the wire healed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.group import Group
from tests.support.history import History, assert_kept
from tests.support.keeper import Keeper
from tests.support.namespaces import Network
from tests.support.server import Server, end_all


@pytest.fixture(scope="session")
def hosts() -> Iterator[Network]:
    network = Network(["server1", "server2", "server3"])
    yield network
    end_all()
    network.close()


@pytest.fixture(scope="session")
def keeper(hosts: Network, tmp_path_factory: pytest.TempPathFactory) -> Keeper:
    return Keeper(lambda: Group(tmp_path_factory.mktemp("hosts"), places=[h.place for h in hosts.hosts]))


@pytest.fixture
def group(keeper: Keeper, hosts: Network) -> Iterator[Group]:
    """Three servers, each on a host of its own, Up and equal; the first is the Master."""
    hosts.heal()
    yield keeper.group()
    hosts.heal()


@pytest.fixture
def history(group: Group, hosts: Network) -> Iterator[History]:
    """Notes of what was written; at the test's end they are compared with every server."""
    notes = History()
    yield notes
    hosts.heal()
    group.wait_equal()
    assert_kept(notes, group.servers)


@pytest.fixture
def master(group: Group) -> Server:
    return group.master
