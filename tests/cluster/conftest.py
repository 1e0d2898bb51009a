"""One group of three for all tests that need one. A test that leaves it broken costs the next one a new group, nothing
more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.group import Group
from tests.support.history import History, assert_kept
from tests.support.server import Server, end_all

HEALTHY_WITHIN_S = 60.0


class Keeper:
    """Holds the group that the tests share, and forms a new one where it isn't well any more."""

    def __init__(self, directories: pytest.TempPathFactory) -> None:
        self._directories = directories
        self._group: Group | None = None

    def group(self) -> Group:
        if self._group is not None and not self._is_well(self._group):
            self._group.destroy()
            self._group = None
        if self._group is None:
            group = Group(self._directories.mktemp("group"), gated=True)
            try:
                group.form()
            except BaseException:
                group.destroy()
                raise
            self._group = group
        return self._group

    def _is_well(self, group: Group) -> bool:
        try:
            group.mend()
            group.wait_settled(HEALTHY_WITHIN_S)
        except (AssertionError, RuntimeError, OSError):
            return False
        return True


@pytest.fixture(scope="session")
def keeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keeper]:
    yield Keeper(tmp_path_factory)
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
