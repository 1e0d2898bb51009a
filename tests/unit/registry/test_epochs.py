"""Epochs in a registry: begun exactly where their record says, kept, and crossed by whoever follows."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.registry.support import any_change, following, kept, opened, session

from hostward.domain.changes import Change, Epoch, Position
from hostward.domain.epochs import EpochRecord
from hostward.domain.errors import RegistryError, Unavailable
from hostward.domain.replication import Target
from hostward.registry.group import GroupRegistry


def record_at(start: Position, group: str, number: int, server: str, *, planned: bool = True) -> EpochRecord:
    return EpochRecord(
        group=group,
        epoch=Epoch(number, server),
        start=start,
        planned=planned,
        time="2026-01-01T00:00:00Z",
        name=server,
        target=Target("b.example.com", 443),
        certificate="PEM",
        not_asked=("c",),
        signature=b"signature",
    )


@pytest.mark.feature("R27")
def test_a_record_survives_its_way(tmp_path: Path) -> None:
    record = record_at(Position(Epoch(1, "a"), 7, b"h" * 32, b"d" * 32), "g", 2, "b", planned=False)
    assert EpochRecord.from_bytes(record.to_bytes()) == record
    assert (record.master, record.signer, replace(record, planned=True).signer) == ("b", "b", "a")
    assert replace(record, signature=b"").body == record.body


def _without(name: str) -> Callable[[dict[str, object]], object]:
    return lambda value: value.pop(name)


@pytest.mark.feature("R27")
@pytest.mark.parametrize(
    "damage",
    [
        _without("epoch"),
        _without("certificate"),
        lambda v: v.update(format=2),
        lambda v: v.update(epoch="1.a"),
        lambda v: v.update(epoch="0.z"),
        lambda v: v.update(epoch="two.b"),
        lambda v: v.update(signature="zz"),
        lambda v: v.update(target={"host": "b\nx", "port": 1}),
        lambda v: v.update(start={}),
    ],
)
def test_a_damaged_record_is_refused(damage: Callable[[dict[str, object]], object]) -> None:
    value = record_at(Position(Epoch(1, "a"), 7, b"h" * 32, b"d" * 32), "g", 2, "b").to_json()
    damage(value)
    with pytest.raises(RegistryError) as refused:
        EpochRecord.from_json(value)
    assert refused.value.code == "epoch-record"


@pytest.mark.feature("R27")
def test_an_epoch_begins_only_where_its_record_says(tmp_path: Path) -> None:
    async def run() -> None:
        a = opened(tmp_path / "a.db")
        await a.commit("admin", lambda _: [session("1", "one")])
        b = await following(tmp_path / "b.db", a)
        start = b.position
        for wrong in (
            replace(start, revision=2),
            replace(start, hash=bytes(32)),
            replace(start, digest=bytes(32)),
        ):
            with pytest.raises(RegistryError) as refused:
                await b.begin_epoch(record_at(wrong, a.group_id, 2, "b"))
            assert refused.value.code == "not-at-start"
        with pytest.raises(RegistryError):
            await b.begin_epoch(record_at(start, "another group", 2, "b"))
        assert b.position == start
        record = record_at(start, a.group_id, 2, "b")
        for _ in range(2):  # again is harmless
            began = await b.begin_epoch(record)
            assert (began.epoch, began.revision, began.hash, began.digest) == (
                Epoch(2, "b"), 1, start.hash, start.digest,
            )  # fmt: skip
        with pytest.raises(RegistryError):
            await b.begin_epoch(record_at(start, a.group_id, 1, "z"))
        await b.commit("admin", lambda _: [session("2", "two")])
        with pytest.raises(RegistryError) as refused:
            await a.begin_epoch(record_at(replace(b.position, epoch=start.epoch), a.group_id, 3, "a"))
        assert refused.value.code == "not-at-start"
        # Who followed the old Master goes on with the new one's changes.
        await a.begin_epoch(record)
        with pytest.raises(RegistryError) as refused:
            await a.commit("admin", lambda _: [session("3", "three")])
        assert refused.value.code == "not-owner"
        await a.apply(kept_after(b, 1), any_change)
        assert a.position == b.position
        for registry in (a, b):
            registry.close()
        again = opened(tmp_path / "b.db", "b")
        with again.read() as reader:
            assert list(reader.epoch_records(Epoch(1, "a"))) == [record]
            assert list(reader.epoch_records(Epoch(2, "b"))) == []
        again.close()

    asyncio.run(run())


def kept_after(registry: GroupRegistry, revision: int) -> list[Change]:
    return list(registry.changes_after(revision, max_bytes=1 << 40, max_count=1 << 20) or [])


@pytest.mark.feature("R27")
def test_who_was_away_crosses_epochs_with_the_changes(tmp_path: Path) -> None:
    async def run() -> None:
        a = opened(tmp_path / "a.db")
        c = await following(tmp_path / "c.db", a)
        b = await following(tmp_path / "b.db", a)
        await a.commit("admin", lambda _: [session("1", "one")])
        await b.apply(kept(a), any_change)
        await b.begin_epoch(record_at(b.position, a.group_id, 2, "b"))
        await b.commit("admin", lambda _: [session("2", "two")])
        await c.apply(kept_after(b, 0), any_change)
        assert c.position == b.position
        assert [ch.epoch for ch in kept(c)] == [Epoch(1, "a"), Epoch(2, "b")]
        for registry in (a, b, c):
            registry.close()

    asyncio.run(run())


@pytest.mark.feature("R27")
def test_a_held_registry_takes_no_commit_however_early_it_was_sent(tmp_path: Path) -> None:
    async def run() -> None:
        a = opened(tmp_path / "a.db")
        before = [asyncio.create_task(a.commit("admin", lambda _, n=n: [session(str(n), f"s{n}")])) for n in range(50)]  # type: ignore[misc]
        await asyncio.sleep(0)
        held = await a.hold(Unavailable("handing over", remedy="wait"))
        for n in range(50, 60):
            with pytest.raises(Unavailable):
                await a.commit("admin", lambda _, n=n: [session(str(n), f"s{n}")])  # type: ignore[misc]
        outcomes = await asyncio.gather(*before, return_exceptions=True)
        assert a.position == held
        assert sum(not isinstance(o, BaseException) for o in outcomes) == held.revision
        await a.hold(None)
        await a.commit("admin", lambda _: [session("x", "x")])
        assert a.position.revision == held.revision + 1
        a.close()

    asyncio.run(run())


@pytest.mark.feature("R27")
def test_a_file_of_an_earlier_build_gets_the_table(tmp_path: Path) -> None:
    a = opened(tmp_path / "a.db")
    asyncio.run(a.commit("admin", lambda _: [session("1", "one")]))
    a.close()
    with sqlite3.connect(tmp_path / "a.db") as db:
        db.execute("DROP TABLE epoch")
    db.close()
    again = opened(tmp_path / "a.db")
    with again.read() as reader:
        assert list(reader.epoch_records(Epoch(0, ""))) == []
        assert reader.count("session") == 1
    again.close()


@pytest.mark.feature("R27")
def test_standing_alone_forgets_the_epochs(tmp_path: Path) -> None:
    async def run() -> None:
        a = opened(tmp_path / "a.db")
        await a.begin_epoch(record_at(a.position, a.group_id, 2, "b"))
        await a.rebase(group_id="another", epoch=Epoch(3, "a"))
        with a.read() as reader:
            assert list(reader.epoch_records(Epoch(0, ""))) == []
        a.close()

    asyncio.run(run())
