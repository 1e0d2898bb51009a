"""The contract of database.log_store.LogStore: runs unchanged on every implementation."""

from __future__ import annotations

import asyncio
import hashlib
import random

import pytest
from tests.contract.benches import Bench

from hostward.database.log_store import MAX_READ_BYTES, MAX_ROW_CHANGES, SNAPSHOT_CHUNK_BYTES, LogRow, SnapshotInfo
from hostward.domain.changes import Epoch
from hostward.domain.errors import DatabaseError

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R10")]

EPOCH = Epoch(7, "b2f1")
MIB = 1 << 20


def row(first: int, last: int, *, epoch: Epoch = EPOCH, size_bytes: int = 200) -> LogRow:
    """A row with a payload that is its own alone."""
    return LogRow(epoch, first, last, random.Random(f"{epoch}:{first}").randbytes(size_bytes))


def snapshot(revision: int, *, epoch: Epoch = EPOCH, chunks: int = 3) -> tuple[SnapshotInfo, list[bytes]]:
    source = random.Random(f"{epoch}:{revision}")
    data = [source.randbytes(SNAPSHOT_CHUNK_BYTES) for _ in range(chunks - 1)] + [source.randbytes(1000)]
    return SnapshotInfo(epoch, revision, chunks, hashlib.sha256(b"".join(data)).digest(), b'{"group":"g"}'), data


async def append_all(bench: Bench, rows: list[LogRow]) -> None:
    """Append with some in flight at once, in no particular order."""
    gate = asyncio.Semaphore(32)

    async def one(item: LogRow) -> None:
        async with gate:
            await bench.store.append(item)

    await asyncio.gather(*(one(item) for item in random.Random(1).sample(rows, len(rows))))


class TestReading:
    async def test_an_empty_log_gives_nothing(self, bench: Bench) -> None:
        assert await bench.store.read(EPOCH, 0) == []

    async def test_rows_come_in_the_order_of_revisions_however_they_were_appended(self, bench: Bench) -> None:
        rows = [row(1, 1), row(2, 40), row(41, 42), row(43, 43)]
        for item in (rows[2], rows[0], rows[3], rows[1]):
            await bench.store.append(item)
        assert await bench.store.read(EPOCH, 0) == rows

    async def test_appending_again_changes_nothing(self, bench: Bench) -> None:
        rows = [row(1, 5), row(6, 9, size_bytes=MIB)]
        for item in rows + rows:
            await bench.store.append(item)
        assert await bench.store.read(EPOCH, 0) == rows

    async def test_only_what_is_new_is_read(self, bench: Bench) -> None:
        rows = [row(1, 5), row(6, 9), row(10, 10)]
        await append_all(bench, rows)
        assert await bench.store.read(EPOCH, 5) == rows[1:]
        assert await bench.store.read(EPOCH, 9) == rows[2:]
        assert await bench.store.read(EPOCH, 10) == []
        assert await bench.store.read(EPOCH, 5000) == []

    async def test_a_revision_inside_a_row_gives_that_row(self, bench: Bench) -> None:
        rows = [row(1, 5), row(6, 5 + MAX_ROW_CHANGES), row(6 + MAX_ROW_CHANGES, 600)]
        await append_all(bench, rows)
        assert await bench.store.read(EPOCH, 3) == rows
        assert await bench.store.read(EPOCH, 6) == rows[1:]
        assert await bench.store.read(EPOCH, 4 + MAX_ROW_CHANGES) == rows[1:]
        assert await bench.store.read(EPOCH, 599) == rows[2:]

    async def test_a_row_that_reaches_over_a_round_number_is_found_from_both_sides(self, bench: Bench) -> None:
        rows = [row(3900, 4000), row(4001, 4000 + MAX_ROW_CHANGES), row(4001 + MAX_ROW_CHANGES, 4600)]
        await append_all(bench, rows)
        for after in (4000, 4094, 4095, 4096, 4097, 3999 + MAX_ROW_CHANGES):
            assert await bench.store.read(EPOCH, after) == rows[1:]

    async def test_no_more_than_the_limit(self, bench: Bench) -> None:
        rows = [row(n, n) for n in range(1, 100)]
        await append_all(bench, rows)
        assert await bench.store.read(EPOCH, 0, limit=1) == rows[:1]
        assert await bench.store.read(EPOCH, 10, limit=33) == rows[10:43]
        assert await bench.store.read(EPOCH, 0) == rows[:64]

    async def test_reading_ends_at_a_gap_and_goes_on_when_it_is_filled(self, bench: Bench) -> None:
        rows = [row(1, 3), row(4, 4), row(5, 6), row(7, 7)]
        for item in (rows[0], rows[2], rows[3]):
            await bench.store.append(item)
        assert await bench.store.read(EPOCH, 0) == rows[:1]
        assert await bench.store.read(EPOCH, 3) == []
        assert await bench.store.read(EPOCH, 4) == rows[2:]
        await bench.store.append(rows[1])
        assert await bench.store.read(EPOCH, 0) == rows

    async def test_a_log_may_begin_at_any_revision(self, bench: Bench) -> None:
        rows = [row(1_000_000_007, 1_000_000_100), row(1_000_000_101, 1_000_000_101)]
        await append_all(bench, rows)
        assert await bench.store.read(EPOCH, 1_000_000_006) == rows
        assert await bench.store.read(EPOCH, 0) == []

    async def test_epochs_are_kept_apart(self, bench: Bench) -> None:
        epochs = [Epoch(7, "b2f1"), Epoch(7, "b2f2"), Epoch(8, "b2f1")]
        for epoch in epochs:
            await append_all(bench, [row(1, 2, epoch=epoch), row(3, 3, epoch=epoch)])
        for epoch in epochs:
            assert await bench.store.read(epoch, 0) == [row(1, 2, epoch=epoch), row(3, 3, epoch=epoch)]
        assert await bench.store.read(Epoch(9, "b2f1"), 0) == []

    async def test_widely_gives_the_same_where_one_node_has_it_all(self, bench: Bench) -> None:
        rows = [row(1, 3), row(4, 4, size_bytes=MIB), row(5, 6)]
        await append_all(bench, rows)
        assert await bench.store.read(EPOCH, 1, widely=True) == rows

    async def test_thousands_of_rows_are_read_completely_from_wherever_one_starts(self, bench: Bench) -> None:
        source = random.Random(3)
        rows: list[LogRow] = []
        first = 1
        while len(rows) < 3000:
            last = first + (source.randrange(MAX_ROW_CHANGES) if source.random() < 0.02 else source.randrange(8))
            rows.append(row(first, last))
            first = last + 1
        await append_all(bench, rows)

        found: list[LogRow] = []
        while more := await bench.store.read(EPOCH, found[-1].last_revision if found else 0, limit=200):
            found += more
        assert found == rows
        for _ in range(30):
            after = source.randrange(first)
            expected = [item for item in rows if item.last_revision > after][:10]
            assert await bench.store.read(EPOCH, after, limit=10) == expected


class TestLargeAndDamagedRows:
    async def test_a_large_payload_comes_back_whole(self, bench: Bench) -> None:
        rows = [row(1, 1), row(2, 500, size_bytes=3 * MIB), row(501, 501)]
        await append_all(bench, rows)
        assert await bench.store.read(EPOCH, 0) == rows

    async def test_an_append_that_was_cut_off_shows_nothing_until_it_is_repeated(self, bench: Bench) -> None:
        before, large = row(1, 1), row(2, 500, size_bytes=3 * MIB)
        await bench.store.append(before)
        await bench.append_interrupted(large)
        assert await bench.store.read(EPOCH, 0) == [before]
        await bench.store.append(large)
        assert await bench.store.read(EPOCH, 0) == [before, large]

    async def test_a_row_that_is_only_half_there_is_not_shown(self, bench: Bench) -> None:
        rows = [row(1, 1), row(2, 500, size_bytes=3 * MIB), row(501, 501)]
        await append_all(bench, rows)
        await bench.lose_half_of_row(rows[1])
        assert await bench.store.read(EPOCH, 0) == rows[:1]
        assert await bench.store.read(EPOCH, 100, widely=True) == []
        assert await bench.store.read(EPOCH, 500) == rows[2:]

    async def test_a_damaged_row_is_never_shown(self, bench: Bench) -> None:
        rows = [row(1, 3), row(4, 4), row(5, 5)]
        await append_all(bench, rows)
        await bench.damage_row(rows[1])
        assert await bench.store.read(EPOCH, 0) == rows[:1]
        assert await bench.store.read(EPOCH, 3) == []
        assert await bench.store.read(EPOCH, 4) == rows[2:]
        await bench.store.append(rows[1])
        assert await bench.store.read(EPOCH, 0) == rows

    async def test_one_read_is_bounded_in_bytes(self, bench: Bench) -> None:
        rows = [row(n, n, size_bytes=3 * MIB) for n in range(1, 8)]
        for item in rows:
            await bench.store.append(item)
        found = await bench.store.read(EPOCH, 0)
        assert found == rows[: len(found)]
        assert MAX_READ_BYTES <= sum(len(item.payload) for item in found) < MAX_READ_BYTES + 3 * MIB

    def test_a_row_spans_a_bounded_number_of_changes(self) -> None:
        with pytest.raises(AssertionError):
            row(1, MAX_ROW_CHANGES + 1)


class TestSnapshots:
    async def test_none_at_first(self, bench: Bench) -> None:
        assert await bench.store.newest_snapshot() is None
        assert await bench.store.newest_snapshot(EPOCH) is None
        assert await bench.store.get_snapshot(snapshot(5)[0]) is None

    async def test_what_was_put_comes_back(self, bench: Bench) -> None:
        info, chunks = snapshot(5, chunks=20)
        await bench.store.put_snapshot(info, chunks)
        assert await bench.store.newest_snapshot() == info
        assert await bench.store.get_snapshot(info) == chunks

    async def test_the_newest_is_of_the_highest_epoch_then_revision(self, bench: Bench) -> None:
        later = Epoch(8, "a")
        for revision, epoch in ((70, EPOCH), (90, EPOCH), (80, EPOCH), (60, later)):
            info, chunks = snapshot(revision, epoch=epoch)
            await bench.store.put_snapshot(info, chunks)
        assert await bench.store.newest_snapshot() == snapshot(60, epoch=later)[0]
        assert await bench.store.newest_snapshot(EPOCH) == snapshot(90)[0]
        assert await bench.store.newest_snapshot(Epoch(8, "b")) is None

    async def test_two_are_kept(self, bench: Bench) -> None:
        for revision in (10, 20, 30):
            await bench.store.put_snapshot(*snapshot(revision))
        assert await bench.store.get_snapshot(snapshot(10)[0]) is None
        assert await bench.store.get_snapshot(snapshot(20)[0]) == snapshot(20)[1]
        assert await bench.store.get_snapshot(snapshot(30)[0]) == snapshot(30)[1]

    async def test_those_of_lower_epochs_go_when_two_of_a_higher_one_are_there(self, bench: Bench) -> None:
        later = Epoch(8, "a")
        await bench.store.put_snapshot(*snapshot(10))
        await bench.store.put_snapshot(*snapshot(20, epoch=later))
        assert await bench.store.get_snapshot(snapshot(10)[0]) == snapshot(10)[1]
        await bench.store.put_snapshot(*snapshot(30, epoch=later))
        assert await bench.store.newest_snapshot(EPOCH) is None
        assert await bench.store.get_snapshot(snapshot(10)[0]) is None

    async def test_one_that_was_cut_off_is_not_the_newest_until_it_is_repeated(self, bench: Bench) -> None:
        first, second = snapshot(10), snapshot(20)
        await bench.store.put_snapshot(*first)
        await bench.put_snapshot_interrupted(*second)
        assert await bench.store.newest_snapshot() == first[0]
        await bench.store.put_snapshot(*second)
        assert await bench.store.newest_snapshot() == second[0]
        assert await bench.store.get_snapshot(second[0]) == second[1]

    async def test_a_damaged_one_is_not_given(self, bench: Bench) -> None:
        info, chunks = snapshot(10)
        await bench.store.put_snapshot(info, chunks)
        await bench.damage_chunk(info, 1)
        assert await bench.store.get_snapshot(info) is None
        await bench.store.put_snapshot(info, chunks)
        assert await bench.store.get_snapshot(info) == chunks

    async def test_one_that_lacks_a_chunk_is_not_given(self, bench: Bench) -> None:
        info, chunks = snapshot(10)
        await bench.store.put_snapshot(info, chunks)
        await bench.lose_chunk(info, 1)
        assert await bench.store.get_snapshot(info) is None

    async def test_log_before_the_older_kept_snapshot_is_removed_and_the_rest_stays(self, bench: Bench) -> None:
        earlier, later = Epoch(6, "z"), Epoch(8, "a")
        rows = [row(n, n + 499, size_bytes=300_000 if n < 1000 else 200) for n in range(1, 15_000, 500)]
        await append_all(bench, rows)
        await append_all(bench, [row(1, 100, epoch=earlier), row(9_001, 9_100, epoch=earlier)])
        await append_all(bench, [row(1, 100, epoch=later)])

        await bench.store.put_snapshot(*snapshot(9_000))
        assert await bench.store.read(EPOCH, 0) == rows
        await bench.store.put_snapshot(*snapshot(14_000))

        assert await bench.store.read(EPOCH, 0) == []
        assert await bench.store.read(EPOCH, 700) == []
        assert await bench.store.read(EPOCH, 9_000) == rows[18:]
        assert await bench.store.read(earlier, 0) == []
        assert await bench.store.read(earlier, 9_000) == [row(9_001, 9_100, epoch=earlier)]
        assert await bench.store.read(later, 0) == [row(1, 100, epoch=later)]

    async def test_a_row_that_reaches_beyond_the_older_kept_snapshot_stays(self, bench: Bench) -> None:
        await append_all(bench, [row(1, 100), row(101, 500)])
        await bench.store.put_snapshot(*snapshot(499))
        await bench.store.put_snapshot(*snapshot(500))
        assert await bench.store.read(EPOCH, 499) == [row(101, 500)]


class TestClosing:
    async def test_closed_twice_and_then_silent(self, bench: Bench) -> None:
        store = await bench.another_store()
        await store.append(row(1, 1))
        await store.close()
        await store.close()
        with pytest.raises(DatabaseError) as raised:
            await store.read(EPOCH, 0)
        assert raised.value.remedy
        with pytest.raises(DatabaseError):
            await store.append(row(2, 2))
        assert await bench.store.read(EPOCH, 0) == [row(1, 1)]
