"""What only the store on Cassandra has: its tables, what unfinished writes leave behind, and nodes that are missing."""

from __future__ import annotations

import pytest
from tests.contract.benches import CassandraBench
from tests.contract.test_log_store import EPOCH, MIB, row, snapshot

from hostward.database.cassandra_log import create_tables
from hostward.domain.errors import DatabaseError

pytestmark = [pytest.mark.anyio, pytest.mark.cluster, pytest.mark.feature("R10")]


async def partitions(bench: CassandraBench) -> dict[str, int]:
    keys = {
        "log": "epoch_number, epoch_server, bucket",
        "log_part": "epoch_number, epoch_server, first_revision",
        "snapshot": "epoch_number, epoch_server",
        "snapshot_chunk": "epoch_number, epoch_server, revision",
    }
    return {
        table: len(await bench.session.execute(f"SELECT DISTINCT {key} FROM hostward.{table}"))
        for table, key in keys.items()
    }


async def test_making_the_tables_again_keeps_what_is_in_them(cassandra: CassandraBench) -> None:
    await cassandra.store.append(row(1, 1))
    await create_tables(cassandra.session)
    assert await cassandra.store.read(EPOCH, 0) == [row(1, 1)]


async def test_snapshots_remove_what_unfinished_writes_left_behind(cassandra: CassandraBench) -> None:
    await cassandra.append_interrupted(row(10, 10, size_bytes=MIB))
    await cassandra.put_snapshot_interrupted(*snapshot(100))
    assert await partitions(cassandra) == {"log": 0, "log_part": 1, "snapshot": 0, "snapshot_chunk": 1}
    await cassandra.store.append(row(9_000, 9_001, size_bytes=MIB))
    for revision in (8_000, 9_001):
        await cassandra.store.put_snapshot(*snapshot(revision))
    assert await partitions(cassandra) == {"log": 1, "log_part": 1, "snapshot": 1, "snapshot_chunk": 2}
    assert await cassandra.store.read(EPOCH, 8_999) == [row(9_000, 9_001, size_bytes=MIB)]


async def test_many_snapshots_leave_a_bounded_log(cassandra: CassandraBench) -> None:
    for last in range(500, 50_001, 500):
        await cassandra.store.append(row(last - 499, last))
        if last % 5_000 == 0:
            await cassandra.store.put_snapshot(*snapshot(last))
            left = await partitions(cassandra)
            assert left["log"] <= 4
            assert left["snapshot_chunk"] <= 2
    assert (await cassandra.store.read(EPOCH, 45_000))[-1].last_revision == 50_000


async def test_with_nodes_missing_one_writes_and_reads_on_but_not_widely(cassandra: CassandraBench) -> None:
    info, chunks = snapshot(10)
    await cassandra.session.execute(
        "ALTER KEYSPACE hostward WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 3}"
    )
    try:
        await cassandra.store.append(row(1, 1))
        assert await cassandra.store.read(EPOCH, 0) == [row(1, 1)]
        with pytest.raises(DatabaseError) as raised:
            await cassandra.store.read(EPOCH, 0, widely=True)
        assert raised.value.code == "not-enough-nodes"
        assert raised.value.remedy
        await cassandra.store.put_snapshot(info, chunks)
        assert await cassandra.store.get_snapshot(info) == chunks
        await cassandra.lose_chunk(info, 0)
        assert await cassandra.store.get_snapshot(info) is None
    finally:
        await cassandra.session.execute(
            "ALTER KEYSPACE hostward WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 1}"
        )
