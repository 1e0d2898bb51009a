"""Commits: order is decided once; one that is refused changes nothing and disturbs no other."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.unit.registry.support import any_change, content, following, kept, opened, session

from hostward.domain.changes import Delete, Epoch, Operation, Put
from hostward.domain.errors import Conflict, RegistryError
from hostward.registry.group import Committed, Reader


@pytest.mark.feature("R10")
def test_64_at_once_get_a_revision_each(tmp_path: Path) -> None:
    async def run() -> None:
        registry = opened(tmp_path / "group.db")
        told: list[int] = []
        registry.subscribe(lambda: told.append(registry.position.revision))

        def decide(n: int, reader: Reader) -> Sequence[Operation]:
            have = reader.list("session")
            assert reader.position().revision == len(have)
            if n % 16 == 15:
                raise Conflict(f"{n} is refused")
            return [session(str(n), f"after {len(have)}")]

        answers = await asyncio.gather(
            *(registry.commit("admin", lambda r, n=n: decide(n, r)) for n in range(64)),  # type: ignore[misc]
            return_exceptions=True,
        )
        good = [a for a in answers if isinstance(a, Committed)]
        refused = [a for a in answers if isinstance(a, Conflict)]
        assert [str(e) for e in refused] == [f"{n} is refused" for n in (15, 31, 47, 63)]
        assert sorted(a.revision for a in good) == list(range(1, 61))
        assert all(a.changed for a in good)
        # Each saw what all before it had done, those in the same transaction too.
        names = {c.operations()[0].id: c.revision for c in kept(registry)}
        with registry.read() as reader:
            for e in reader.list("session"):
                assert e.json()["name"] == f"after {names[e.id] - 1}"
                assert e.revision == names[e.id]
        assert told[-1] == 60
        assert registry.verify().ok
        registry.close()

    asyncio.run(run())


def test_names_are_taken_whatever_their_case(tmp_path: Path) -> None:
    async def run() -> None:
        registry = opened(tmp_path / "group.db")
        await registry.commit("admin", lambda _: [session("1", "Straße"), session("2", "b")])
        was = content(registry)
        for operations in ([session("3", "STRASSE")], [session("3", "x"), session("4", "X")]):
            with pytest.raises(Conflict) as refused:
                await registry.commit("admin", lambda _, o=operations: o)  # type: ignore[misc]
            assert refused.value.code == "name-taken"
            assert content(registry) == was
        # Swapping two names in one change is none being taken; nor is a name that is given up in it.
        await registry.commit("admin", lambda _: [session("1", "b"), session("2", "Straße")])
        await registry.commit("admin", lambda _: [session("3", "b"), Delete("session", "1")])
        with registry.read() as reader:
            found = reader.find_session_by_name("B")
        assert found is not None
        assert found.id == "3"
        assert registry.verify().ok
        registry.close()

    asyncio.run(run())


def test_an_idempotency_key_gives_the_first_answer_again(tmp_path: Path) -> None:
    async def run() -> None:
        registry = opened(tmp_path / "group.db")
        first = await registry.commit("admin", lambda _: [session("1", "n1")], idempotency_key="k")
        again = await registry.commit("admin", lambda _: [session("2", "n2")], idempotency_key="k")
        assert (first.revision, first.changed, first.repeated) == (1, True, False)
        assert (again.revision, again.changed, again.repeated) == (1, True, True)
        with pytest.raises(Conflict):
            await registry.commit("admin", lambda _: [session("2", "N1")], idempotency_key="refused")
        later = await registry.commit("admin", lambda _: [session("2", "n2")], idempotency_key="refused")
        assert (later.revision, later.repeated) == (2, False), "what was refused isn't remembered"
        registry.close()
        registry = opened(tmp_path / "group.db")
        assert (await registry.commit("admin", lambda _: [], idempotency_key="k")).repeated, "also after a restart"
        registry.close()

    asyncio.run(run())


def test_only_the_epochs_server_commits(tmp_path: Path) -> None:
    async def run() -> None:
        master = opened(tmp_path / "master.db")
        await master.commit("admin", lambda _: [session("1", "n1")])
        slave = await following(tmp_path / "slave.db", master)
        with pytest.raises(RegistryError) as refused:
            await slave.commit("admin", lambda _: [session("2", "n2")])
        assert refused.value.code == "not-owner"
        position = await slave.rebase(group_id="f" * 32, epoch=Epoch(2, "b"))
        assert (position.revision, slave.group_id, position.digest) == (1, "f" * 32, master.position.digest)
        assert (await slave.commit("admin", lambda _: [session("2", "n2")])).revision == 2
        assert slave.verify().ok
        master.close()
        slave.close()

    asyncio.run(run())


def test_a_reader_sees_one_moment(tmp_path: Path) -> None:
    async def run() -> None:
        registry = opened(tmp_path / "group.db")
        await registry.commit("admin", lambda _: [session("1", "n1")])

        def look() -> tuple[int, int, int]:
            with registry.read() as reader:
                before = reader.count("session")
                asyncio.run_coroutine_threadsafe(registry.commit("admin", lambda _: [session("2", "n2")]), loop).result(
                    timeout=10
                )
                return before, reader.count("session"), reader.position().revision

        loop = asyncio.get_running_loop()
        assert await asyncio.to_thread(look) == (1, 1, 1)
        assert registry.position.revision == 2
        registry.close()

    asyncio.run(run())


def test_another_program_that_writes_is_noticed_and_our_own_writing_is_not(tmp_path: Path) -> None:
    async def run() -> None:
        registry = opened(tmp_path / "group.db")
        await registry.commit("admin", lambda _: [session("1", "n1")])
        await registry.backup(tmp_path / "backup.db")
        assert not registry.altered_outside()
        db = sqlite3.connect(tmp_path / "group.db")
        db.execute("UPDATE element SET body = ?", (session("1", "other").body,))
        db.commit()
        db.close()
        assert registry.altered_outside()
        assert not registry.altered_outside(), "until it is written again"
        registry.close()

    asyncio.run(run())


FORGERIES = {
    "body": ("UPDATE element SET body = ? WHERE id = '2'", (session("2", "other").body,)),
    "hash": ("UPDATE element SET hash = ? WHERE id = '2'", (bytes(32),)),
    "removed": ("DELETE FROM element WHERE id = '2'", ()),
    "added": ("INSERT INTO element SELECT kind, '9', body, hash, 1 FROM element WHERE id = '2'", ()),
    "renamed": ("UPDATE element SET id = '9' WHERE id = '2'", ()),
}


@pytest.mark.feature("R10")
@pytest.mark.parametrize("which", FORGERIES)
def test_a_row_altered_by_hand_is_found_and_a_snapshot_heals_it(tmp_path: Path, which: str) -> None:
    async def run() -> None:
        registry = opened(tmp_path / "group.db")
        await registry.commit("admin", lambda _: [session(str(n), f"n{n}") for n in range(1, 4)])
        good, was = registry.snapshot(), content(registry)
        db = sqlite3.connect(tmp_path / "group.db")
        db.execute(*FORGERIES[which])
        db.commit()
        db.close()
        check = registry.verify()
        assert not check.ok
        named = ["9"] if which in ("added", "renamed") else ["2"]
        assert [i for _, i in check.altered] == named
        await registry.replace(good)
        assert registry.verify().ok
        assert content(registry) == was
        registry.close()

    asyncio.run(run())


@pytest.mark.feature("R7")
def test_search_finds_parts_of_words_pages_and_sorts(tmp_path: Path) -> None:
    async def run() -> None:
        registry = opened(tmp_path / "group.db")
        hosts = ["beta", "alpha", "gamma"]
        await registry.commit(
            "admin",
            lambda _: [session(str(n), f"Payroll {n:02d}", host=f"{hosts[n % 3]}.example.com") for n in range(30)],
        )
        await registry.commit("admin", lambda _: [session("x", "Übergabe", groups=["Zürich Claims"], comment="naïve")])
        with registry.read() as reader:
            for q, total in (
                (None, 31),
                ("", 31),
                ("roll", 30),
                ("PAY lph", 10),
                ("übergabe", 1),
                ("rich cl", 1),
                ("zz", 0),
            ):
                items, found = reader.search_sessions(q, page=1, per_page=50)
                assert (len(items), found) == (total, total), q
            page, found = reader.search_sessions("payroll", page=2, per_page=7)
            assert ([e.json()["name"] for e in page], found) == ([f"Payroll {n:02d}" for n in range(7, 14)], 30)
            page, _ = reader.search_sessions(None, page=1, per_page=2, sort="-name")
            assert [e.json()["name"] for e in page] == ["Übergabe", "Payroll 29"]
            page, _ = reader.search_sessions("payroll", page=1, per_page=1, sort="host")
            assert page[0].json()["host"] == "alpha.example.com"
            page, _ = reader.search_sessions(None, page=1, per_page=1, sort="-revision")
            assert page[0].id == "x"
            assert reader.search_sessions("payroll", page=9, per_page=7) == ([], 30)
        registry.close()

    asyncio.run(run())


def test_changes_that_are_applied_keep_the_search_in_step(tmp_path: Path) -> None:
    async def run() -> None:
        master = opened(tmp_path / "master.db")
        slave = await following(tmp_path / "slave.db", master)
        await master.commit("admin", lambda _: [session("1", "old name"), session("2", "gone")])
        await master.commit("admin", lambda _: [session("1", "new name"), Delete("session", "2")])
        await slave.apply(kept(master), any_change)
        with slave.read() as reader:
            totals = [reader.search_sessions(q)[1] for q in ("new", "old", "gone", None)]
        assert totals == [1, 0, 0, 1]
        master.close()
        slave.close()

    asyncio.run(run())


def test_whatever_decide_raises_the_next_commit_goes_on(tmp_path: Path) -> None:
    async def run() -> None:
        registry = opened(tmp_path / "group.db")
        for error in (
            IndexError("i"),
            AttributeError("a"),
            RuntimeError("r"),
            OSError("o"),
            sqlite3.IntegrityError("s"),
        ):

            def decide(_: Reader, error: Exception = error) -> Sequence[Operation]:
                raise error

            refused, good = await asyncio.wait_for(
                asyncio.gather(
                    registry.commit("admin", decide),
                    registry.commit("admin", lambda _, e=error: [session(str(e), str(e))]),  # type: ignore[misc]
                    return_exceptions=True,
                ),
                10,
            )
            assert refused is error
            assert isinstance(good, Committed)
        registry.close()
        with pytest.raises(RegistryError) as closed:
            await asyncio.wait_for(registry.commit("admin", lambda _: []), 10)
        assert closed.value.code == "closed"

    asyncio.run(run())


def test_a_body_that_is_not_canonical_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        registry = opened(tmp_path / "group.db")
        with pytest.raises(ValueError, match="canonical"):
            await registry.commit("admin", lambda _: [Put("note", "1", b'{"b": 1, "a": 2}')])
        assert registry.position.revision == 0
        registry.close()

    asyncio.run(run())


def test_an_idempotency_key_is_good_for_a_day(tmp_path: Path) -> None:
    async def run() -> None:
        registry = opened(tmp_path / "group.db")
        await registry.commit("admin", lambda _: [session("1", "n1")], idempotency_key="k")
        _edit(tmp_path, "UPDATE answered SET at = at - 90000")
        later = await registry.commit("admin", lambda _: [session("2", "n2")], idempotency_key="k")
        assert (later.revision, later.repeated) == (2, False)
        registry.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE element SET body = replace(body, 'n2', 'xx') WHERE id = '2'",
        "UPDATE session_entry SET host = 'other.example.com' WHERE id = '2'",
        "UPDATE session_entry SET text = 'other' WHERE id = '2'",
        "DELETE FROM session_entry WHERE id = '2'",
    ],
)
def test_text_and_derived_rows_altered_by_hand_are_found_too(tmp_path: Path, statement: str) -> None:
    async def run() -> None:
        registry = opened(tmp_path / "group.db")
        await registry.commit("admin", lambda _: [session(str(n), f"n{n}") for n in range(1, 4)])
        good = registry.snapshot()
        _edit(tmp_path, statement)
        check = registry.verify()
        assert (check.ok, check.altered) == (False, [("session", "2")])
        await registry.replace(good)
        assert registry.verify().ok
        registry.close()

    asyncio.run(run())


def test_a_change_altered_by_hand_counts_as_no_longer_kept(tmp_path: Path) -> None:
    async def run() -> None:
        registry = opened(tmp_path / "group.db")
        for n in range(4):
            await registry.commit("admin", lambda _, n=n: [session(str(n), f"n{n}")])  # type: ignore[misc]
        _edit(tmp_path, "UPDATE change SET ops = x'00' WHERE revision = 3")
        found = registry.changes_after(0, max_bytes=1 << 20, max_count=9)
        assert found is not None
        assert [c.revision for c in found] == [1, 2]
        assert registry.changes_after(2, max_bytes=1 << 20, max_count=9) is None
        registry.close()

    asyncio.run(run())


def _edit(directory: Path, statement: str) -> None:
    db = sqlite3.connect(directory / "group.db")
    db.execute(statement)
    db.commit()
    db.close()
