"""Changes of the schema that don't count: Cassandra keeps the one of the later clock, and says nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from hostward.database.session import KEYSPACE, SYSTEM_KEYSPACES, Session, ensure_keyspaces
from hostward.database.yaml import DATACENTER
from hostward.domain.errors import DatabaseError

pytestmark = [pytest.mark.anyio, pytest.mark.feature("F6")]

AHEAD_US = 1_800_000_000_000_000


class Schema:
    """As a node whose keyspaces were last changed by a clock that was ahead: it answers every ALTER, and only those of
    `counting` count. (A real one under libfaketime did so; it isn't steady enough to be started by tests.)"""

    def __init__(self, counting: set[str]) -> None:
        self.counting = counting
        self.factors = dict.fromkeys((KEYSPACE, *SYSTEM_KEYSPACES), "1")

    async def execute(self, statement: str) -> list[Any]:
        if statement.startswith("ALTER KEYSPACE"):
            name = statement.split()[2]
            if name in self.counting:
                self.factors[name] = statement.rstrip("'}").rpartition("'")[2]
            return []
        return [
            SimpleNamespace(
                keyspace_name=name,
                replication={"class": "org.apache.cassandra.locator.NetworkTopologyStrategy", DATACENTER: factor},
                written=AHEAD_US,
            )
            for name, factor in self.factors.items()
        ]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_factor_that_a_clock_ahead_has_set_is_named_with_its_time() -> None:
    with pytest.raises(DatabaseError, match=r"2027-01-15T08:00:00.*whose clock was ahead") as refused:
        await ensure_keyspaces(cast(Session, Schema(set())), 2)
    assert refused.value.code == "clock"
    assert "rebuild-database" in refused.value.remedy


async def test_a_factor_that_counts_is_set_in_all() -> None:
    schema = Schema({KEYSPACE, *SYSTEM_KEYSPACES})
    await ensure_keyspaces(cast(Session, schema), 3)
    assert set(schema.factors.values()) == {"3"}
    await ensure_keyspaces(cast(Session, schema), 3)
