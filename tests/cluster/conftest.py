"""One group of three for all tests that need one. A test that leaves it broken costs the next one a new group, nothing
more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.group import Group
from tests.support.history import History, assert_kept
from tests.support.keeper import Keeper
from tests.support.server import Server, end_all


@pytest.fixture(scope="session")
def keeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keeper]:
    yield Keeper(lambda: Group(tmp_path_factory.mktemp("group"), gated=True))
    end_all()


@pytest.fixture
def group(keeper: Keeper) -> Group:
    """Three servers, Up and equal; the first is the Master."""
    return keeper.group()


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
