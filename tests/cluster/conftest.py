"""One group of three for all tests that need one. A test that leaves it broken costs the next one a new group, nothing
more. Two processes share the tests: those of the one group stay together, and so do those of a module's own servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.group import Group
from tests.support.history import History, assert_kept
from tests.support.keeper import Keeper
from tests.support.light import LightGroup
from tests.support.server import Server, end_all


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function):
            together = _together(item)
            if together is not None:
                item.add_marker(pytest.mark.xdist_group(together))


def _together(item: pytest.Function) -> str | None:
    for name, definitions in item._fixtureinfo.name2fixturedefs.items():
        if definitions[-1].baseid:  # else it is pytest's own
            match definitions[-1].scope:
                case "session":
                    return name
                case "module":
                    return item.path.name
    return None


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
