"""What the registry remembers of its kept changes, on the Master and on who follows."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from tests.unit.registry.support import Content, after, any_change, content, following, kept, opened, session
from tests.unit.registry.test_histories import CHANGES, small

from hostward.domain.changes import Change, Delete, Operation, Put, canonical
from hostward.domain.favourites import KIND as FAVOURITES
from hostward.domain.history import NEVER_TURNED_BACK, summary_of_counts
from hostward.domain.people import PASSWORD_KIND
from hostward.registry.group import GroupRegistry
from hostward.registry.past import PART_ELEMENTS, PastChange
from hostward.replication.change_requests.depositing import FORBIDDEN_KINDS

pytestmark = pytest.mark.feature("R30")

TABLES = ("past", "reverse", "touched")


def all_past(registry: GroupRegistry) -> list[PastChange]:
    with registry.read() as reader:
        return reader.past.changes(before=None, max_count=1_000)


@small
@given(CHANGES)
def test_every_kept_change_can_be_turned_back_step_by_step(changes: list[list[Operation]]) -> None:
    async def run(directory: Path) -> None:
        master = opened(directory / "master.db")
        slave = await following(directory / "slave.db", master)
        contents: list[Content] = [{}]
        for operations in changes:
            committed = await master.commit("admin", lambda _, o=operations: o)  # type: ignore[misc]
            if committed.changed:
                contents.append(after(contents[-1], operations))
        await slave.apply(kept(master), any_change)
        for registry in (master, slave):
            found = contents[-1]
            with registry.read() as reader:
                for revision in range(len(contents) - 1, 0, -1):
                    before = contents[revision - 1]
                    reverse = list(reader.past.reverse(revision))
                    assert after(found, reverse) == before
                    assert {(op.kind, op.id) for op in reverse} == {
                        name for name in found.keys() | before.keys() if found.get(name) != before.get(name)
                    }
                    for kind, id_ in found.keys() | before.keys():
                        assert reader.past.body_after(kind, id_, revision - 1) == before.get((kind, id_))
                        assert reader.past.body_after(kind, id_, revision) == found.get((kind, id_))
                    found = before
        assert all_past(slave) == all_past(master)
        master.close()
        slave.close()

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(run(Path(directory)))


@pytest.mark.anyio
async def test_one_element_of_a_large_change_is_found_in_its_part(tmp_path: Path) -> None:
    registry = opened(tmp_path / "group.db")
    count = 3 * PART_ELEMENTS + 7
    first = [session(f"{n:05}", f"n{n}") for n in range(count)]
    await registry.commit("admin", lambda _: first)
    await registry.commit("eve", lambda _: [session(p.id, f"n{n}", host="b") for n, p in enumerate(first)])
    await registry.commit("admin", lambda _: [Delete("session", first[5].id), Put("member", "m", canonical({"a": 1}))])
    with registry.read() as reader:
        past = reader.past
        for n in (0, 5, PART_ELEMENTS, count - 1):
            assert past.body_after("session", first[n].id, 0) is None
            assert past.body_after("session", first[n].id, 1) == first[n].body
            assert past.body_before("session", first[n].id, 2) == first[n].body
        assert past.revisions_of("session", first[5].id, before=None, max_count=9) == [3, 2, 1]
        assert past.revisions_of("session", first[5].id, before=3, max_count=1) == [2]
        assert past.body_after("session", first[5].id, 3) is None
        assert [op.kind for op in past.reverse(3)] == ["session"]
        assert len(list(past.reverse(2))) == count
        summaries = [summary_of_counts(c.counts) for c in past.changes(before=None, max_count=9)]
        assert summaries == ["Delete 1 session", f"Change {count} sessions", f"Create {count} sessions"]
        assert [c.revision for c in past.changes(before=None, max_count=9, author="eve")] == [2]
        assert [c.revision for c in past.changes(before=None, max_count=9, kind="member")] == [3]
        assert [c.revision for c in past.changes(before=3, max_count=9, kind="session", element=first[5].id)] == [2, 1]
        assert past.changes(before=None, max_count=9, kind="member", element=first[5].id) == []
    registry.close()


@pytest.mark.anyio
async def test_it_is_forgotten_with_the_changes_and_with_a_snapshot(tmp_path: Path) -> None:
    registry = opened(tmp_path / "group.db")
    for n in range(6):
        await registry.commit("admin", lambda _, n=n: [session("1", "one", comment=str(n)), session(f"x{n}", f"x{n}")])  # type: ignore[misc]
    await registry.prune(4)
    assert [c.revision for c in all_past(registry)] == [6, 5]
    with registry.read() as reader:
        assert reader.past.oldest() == 5
        assert reader.past.revisions_of("session", "1", before=None, max_count=9) == [6, 5]
        assert reader.past.revisions_of("session", "x1", before=None, max_count=9) == []
    other = await following(tmp_path / "other.db", registry)
    await registry.commit("admin", lambda _: [Delete("session", "x1")])
    await other.apply(kept_after(registry, 6), any_change)
    assert [c.revision for c in all_past(other)] == [7]
    await other.replace(registry.snapshot())
    assert all_past(other) == []
    assert content(other) == content(registry)
    registry.close()
    other.close()


@pytest.mark.anyio
async def test_a_file_of_an_earlier_build_is_opened_and_its_history_begins_there(tmp_path: Path) -> None:
    path = tmp_path / "group.db"
    registry = opened(path)
    await registry.commit("admin", lambda _: [session("1", "one")])
    registry.close()
    with contextlib.closing(sqlite3.connect(path)) as db:
        for table in TABLES:
            db.execute(f"DROP TABLE {table}")
    registry = opened(path)
    assert all_past(registry) == []
    await registry.commit("admin", lambda _: [session("1", "one", host="b")])
    assert [c.revision for c in all_past(registry)] == [2]
    registry.close()
    with contextlib.closing(sqlite3.connect(path)) as db:  # it has written once more, without remembering
        db.execute("DELETE FROM past WHERE revision = 2")
        db.execute("INSERT INTO past SELECT 1, 'admin', '', '{}'")
        db.commit()
    registry = opened(path)
    assert all_past(registry) == []
    assert registry.verify().ok
    await registry.commit("admin", lambda _: [session("1", "one", host="c")])
    with registry.read() as reader:
        assert reader.past.revisions_of("session", "1", before=None, max_count=9) == [3]
    registry.close()


def kept_after(registry: GroupRegistry, revision: int) -> list[Change]:
    found = registry.changes_after(revision, max_bytes=1 << 30, max_count=100)
    assert found is not None
    return list(found)


def test_what_is_never_turned_back_is_what_no_request_may_touch_or_a_users_own() -> None:
    assert set(NEVER_TURNED_BACK) == {*FORBIDDEN_KINDS, PASSWORD_KIND, FAVOURITES}
