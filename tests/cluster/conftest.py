"""One group of three for all tests that need one. A test that leaves it broken costs the next one a new group, nothing
more. Two processes share the modules; each has a group of its own, where its modules need one."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from tests.support.group import Group
from tests.support.history import History, assert_kept
from tests.support.keeper import Keeper
from tests.support.light import LightGroup
from tests.support.server import Server, end_all
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

WALKS = "walkthrough"
OF_THE_GROUP = "test_5_13_10.py"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByServers:
    return ByServers(config, log)


class ByServers(LoadScopeScheduling):  # type: ignore[misc]
    """A module's tests stay in one process, and so do the walks through the guide, which share three servers. (xdist's
    own groups go by ids that pytest no longer lets it change.)"""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return WALKS if f"/{WALKS}/" in module and not module.endswith(OF_THE_GROUP) else module


@pytest.fixture(autouse=True)
def leaks_are_its_own() -> Iterator[None]:
    """What a test leaves open fails that test, not the one during which it is noticed."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def keeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keeper]:
    yield Keeper(lambda: Group(tmp_path_factory.mktemp("group"), gated=True))
    end_all()


@pytest.fixture
def group(keeper: Keeper) -> Group:
    """Three servers, Up and equal; the first is the Master."""
    return keeper.group()


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LightGroup]:
    """Three servers without database nodes, equal; the first is the Master. A module's tests share it."""
    group = LightGroup(tmp_path_factory.mktemp("light"), count=3)
    try:
        group.form()
        yield group
    finally:
        group.destroy()


@pytest.fixture
def history(group: Group) -> Iterator[History]:
    """Notes of what was written; at the test's end they are compared with every server."""
    notes = History()
    yield notes
    group.wait_equal()
    assert_kept(notes, group.servers)


@pytest.fixture
def master(group: Group) -> Server:
    return group.master


@pytest.fixture
def slave(group: Group) -> Server:
    return group.slaves[0]
