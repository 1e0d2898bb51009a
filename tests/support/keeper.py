"""One group for all tests that need one. A test that leaves it broken costs the next one a new group, nothing more."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.group import Group

HEALTHY_WITHIN_S = 60.0


class Keeper:
    """Holds the group that the tests share, and forms a new one where it isn't well any more. `make`: a group that
    isn't formed yet."""

    def __init__(self, make: Callable[[], Group]) -> None:
        self._make = make
        self._group: Group | None = None

    def group(self) -> Group:
        if self._group is not None and not self._is_well(self._group):
            self._group.destroy()
            self._group = None
        if self._group is None:
            group = self._make()
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
