"""Whatever is committed, whoever follows has the same: by its changes, and by a snapshot."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.registry.support import Content, after, any_change, content, following, kept, opened, session

from hostward.domain.changes import GENESIS_HASH, Delete, Operation, Put, canonical
from hostward.domain.errors import RegistryError
from hostward.registry.content import operations_to_become

IDS = st.sampled_from(["1", "2", "3", "ü"])
# A name is its session's own, but for its case, so that none is taken.
SESSIONS = st.builds(
    lambda i, upper, host, revised: session(i, f"N{i}" if upper else f"n{i}", host=host, comment=revised),
    IDS, st.booleans(), st.sampled_from(["a.example.com", "b.example.com"]), st.text(max_size=5),
)  # fmt: skip
NOTES = st.builds(lambda i, v: Put("note", i, canonical({"v": v})), IDS, st.integers(0, 9) | st.text(max_size=5))
DELETIONS = st.builds(Delete, st.sampled_from(["session", "note"]), IDS)
CHANGES = st.lists(st.lists(SESSIONS | NOTES | DELETIONS, max_size=6), max_size=8)
small = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.feature("R10")
@small
@given(CHANGES, st.integers(1, 4))
def test_who_applies_the_changes_has_the_same_content_and_digest(changes: list[list[Operation]], at_once: int) -> None:
    async def run(directory: Path) -> None:
        master = opened(directory / "master.db")
        slave = await following(directory / "slave.db", master)
        expected: Content = {}
        for operations in changes:
            before = master.position
            committed = await master.commit("admin", lambda _, o=operations: o)  # type: ignore[misc]
            assert committed.changed == (after(expected, operations) != expected)
            assert master.position.revision == before.revision + committed.changed
            expected = after(expected, operations)
        assert content(master) == expected
        history = kept(master)
        for i in range(0, len(history), at_once):
            await slave.apply(history[i : i + at_once], any_change)
        assert (slave.position, slave.group_id) == (master.position, master.group_id)
        assert content(slave) == expected
        assert kept(slave) == history
        assert [c.previous for c in history] == [GENESIS_HASH, *(c.hash for c in history)][: len(history)]
        for registry in (master, slave):
            check = registry.verify()
            assert check.ok
            assert check.digest_computed == master.position.digest
            with registry.read() as reader:
                assert reader.count("session") == sum(kind == "session" for kind, _ in expected)
                for e in reader.list("session"):
                    found = reader.find_session_by_name(e.json()["name"].swapcase())
                    assert found is not None
                    assert found.id == e.id
            registry.close()

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(run(Path(directory)))


@pytest.mark.feature("R10")
@small
@given(CHANGES, CHANGES)
def test_a_snapshot_and_a_restore_give_the_same_content(
    first: list[list[Operation]], second: list[list[Operation]]
) -> None:
    async def run(directory: Path) -> None:
        master = opened(directory / "master.db")
        for operations in first:
            await master.commit("admin", lambda _, o=operations: o)  # type: ignore[misc]
        then, kept_content = master.snapshot(), content(master)
        for operations in second:
            await master.commit("admin", lambda _, o=operations: o)  # type: ignore[misc]

        other = opened(directory / "other.db", "b")
        await other.commit("admin", lambda _: [session("x", "its own")])
        await other.replace(then)
        assert (other.position, other.group_id) == (then.position, then.group_id)
        assert content(other) == kept_content
        assert other.verify().ok

        revision = master.position.revision
        await master.commit("admin", lambda reader: operations_to_become(reader, then, ("session", "note")))
        assert content(master) == kept_content
        assert master.position.digest == then.position.digest
        assert master.position.revision >= revision
        await other.apply([c for c in kept(master) if c.revision > then.position.revision], any_change)
        assert other.position == master.position
        for registry in (master, other):
            registry.close()

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(run(Path(directory)))


async def _refused(slave_path: Path, master_path: Path, which: str) -> str:
    """The code with which a follower refuses; it has changed nothing."""
    master = opened(master_path)
    slave = await following(slave_path, master)
    for n in range(4):
        await master.commit("admin", lambda _, n=n: [session(str(n), f"n{n}")])  # type: ignore[misc]
    history = kept(master)
    await slave.apply(history[:1], any_change)
    before, was = slave.position, content(slave)

    def refuse(change: object, reader: object) -> None:
        if which == "check":
            raise RegistryError("The signature isn't good.", code="signature")

    given = {"gap": history[2:], "check": history[1:], "same": history[:1]}.get(which, history[1:])
    if which == "differs":
        fork = opened(slave_path.with_name("fork.db"))
        await fork.commit("admin", lambda _: [session("9", "n9")])
        given = kept(fork)
        fork.close()
    try:
        await slave.apply(given, refuse)
        code = ""
    except RegistryError as error:
        code = error.code
    assert (slave.position, content(slave)) == (before, was)
    assert slave.verify().ok
    master.close()
    slave.close()
    return code


@pytest.mark.parametrize(
    ("which", "code"), [("gap", "gap"), ("check", "signature"), ("differs", "history-differs"), ("same", "")]
)
def test_a_follower_refuses_the_whole_of_what_does_not_follow(tmp_path: Path, which: str, code: str) -> None:
    assert asyncio.run(_refused(tmp_path / "slave.db", tmp_path / "master.db", which)) == code


def test_content_that_differs_is_noticed_by_the_next_change(tmp_path: Path) -> None:
    async def run() -> None:
        master = opened(tmp_path / "master.db")
        slave = await following(tmp_path / "slave.db", master)
        await master.commit("admin", lambda _: [session("1", "n1")])
        await slave.apply(kept(master), any_change)
        db = sqlite3.connect(tmp_path / "slave.db")
        db.execute("UPDATE element SET hash = ?", (bytes(32),))
        db.commit()
        db.close()
        await master.commit("admin", lambda _: [session("1", "n1", comment="new")])
        with pytest.raises(RegistryError) as refused:
            await slave.apply(kept(master), any_change)
        assert refused.value.code == "digest-differs"
        assert slave.position.revision == 1
        master.close()
        slave.close()

    asyncio.run(run())


def test_pruned_changes_need_a_snapshot(tmp_path: Path) -> None:
    async def run() -> None:
        master = opened(tmp_path / "master.db")
        for n in range(5):
            await master.commit("admin", lambda _, n=n: [session(str(n), f"n{n}")])  # type: ignore[misc]
        await master.prune(3)
        assert master.changes_after(2, max_bytes=1 << 20, max_count=9) is None
        found = master.changes_after(3, max_bytes=1, max_count=9)
        assert found is not None
        assert [c.revision for c in found] == [4], "one at least, however small the limit"
        assert master.changes_after(5, max_bytes=1, max_count=9) == []
        assert master.change(3) is None
        assert master.verify().ok
        master.close()

    asyncio.run(run())
