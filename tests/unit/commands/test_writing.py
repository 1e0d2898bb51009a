"""Commands against a real registry: what is decided together, done once, and waited for."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from tests.unit.commands.servers import ACTOR, StandaloneReplication, done, open_server

from hostward.commands import backups, inventory, sessions
from hostward.commands.services import Services
from hostward.commands.writing import Beforehand, Once
from hostward.domain.changes import Put, canonical
from hostward.domain.errors import Conflict, NotFound, PreconditionFailed
from hostward.domain.inventory import Format
from hostward.registry.backups import BEFORE_FOLLOWING, BEFORE_JOINING, MADE_BY_HAND, MAX_KEPT, keep_backup
from hostward.registry.reading import Reader

pytestmark = pytest.mark.anyio

FIELDS: dict[str, Any] = {"type": "VT", "host": "a.example.com"}
COLUMNS = b"name,type,host,port,tls,lu,model,code_page,groups,comment\n"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Services, StandaloneReplication]]:
    with open_server(tmp_path) as opened:
        yield opened


@pytest.fixture
def services(server: tuple[Services, StandaloneReplication]) -> Services:
    return server[0]


def csv_of(*names: str, host: str = "a.example.com") -> bytes:
    return COLUMNS + b"".join(f"{name},VT,{host},23,no,,,,,\n".encode() for name in names)


async def test_what_was_decided_beforehand_is_decided_again_only_after_another_write(services: Services) -> None:
    asked: list[int] = []

    def decide(reader: Reader) -> int:
        asked.append(reader.count("session"))
        return asked[-1]

    decided = await Beforehand.look(services, decide)
    for count, times in ((0, 1), (1, 2)):
        with services.group.read() as reader:
            assert (decided.at(reader), decided.at(reader), len(asked)) == (count, count, times)
        await sessions.create_session(services, ACTOR, {"name": f"after {count}", **FIELDS})


@pytest.mark.feature("R1")
async def test_of_two_edits_of_the_same_state_one_is_refused(services: Services) -> None:
    made = done(await sessions.create_session(services, ACTOR, {"name": "one", **FIELDS}))
    read = (made.session.etag,)

    async def edit(comment: str) -> bool:
        try:
            await sessions.edit_session(services, ACTOR, made.session.id, {"comment": comment}, if_match=read)
        except PreconditionFailed:
            return False
        return True

    outcomes = await asyncio.gather(*(edit(f"edit {n}") for n in range(20)))
    assert outcomes.count(True) == 1
    assert services.group.position.revision == 2
    written = sessions.read_session(services, made.session.id).json()["comment"]
    assert written == f"edit {outcomes.index(True)}"


async def test_of_twenty_that_want_a_name_one_gets_it(services: Services) -> None:
    async def create() -> bool:
        try:
            await sessions.create_session(services, ACTOR, {"name": "one", **FIELDS})
        except Conflict:
            return False
        return True

    assert (await asyncio.gather(*(create() for _ in range(20)))).count(True) == 1
    assert services.group.position.revision == 1


async def test_edits_of_different_fields_at_once_all_count(services: Services) -> None:
    made = done(await sessions.create_session(services, ACTOR, {"name": "one", **FIELDS}))
    edits: list[dict[str, Any]] = [{"comment": "c"}, {"port": 2023}, {"groups": ["g"]}, {"host": "b"}, {"name": "two"}]
    await asyncio.gather(*(sessions.edit_session(services, ACTOR, made.session.id, e) for e in edits))
    body = sessions.read_session(services, made.session.id).json()
    assert {k: body[k] for e in edits for k in e} == {k: v for e in edits for k, v in e.items()}


async def test_a_repeated_request_finds_what_the_first_one_made_over_a_restart(tmp_path: Path) -> None:
    fields = {"name": "one", **FIELDS}
    once = Once.of(ACTOR, "key", "create-session", fields)
    with open_server(tmp_path) as (services, _):
        first = done(await sessions.create_session(services, ACTOR, fields, once=once))
    with open_server(tmp_path) as (services, _):
        again = done(await sessions.create_session(services, ACTOR, fields, once=once))
        assert (again.session, again.revision) == (first.session, first.revision)
        await sessions.delete_session(services, ACTOR, first.session.id)
        after = done(await sessions.create_session(services, ACTOR, fields, once=once))
        assert after.session == first.session
        with pytest.raises(NotFound):
            sessions.read_session(services, first.session.id)
        assert services.group.position.revision == 2


async def test_two_of_the_same_request_at_once_act_once(services: Services) -> None:
    data = csv_of("a", "b", "c")
    once = Once.of(ACTOR, "key", "import", data)
    all_done = await asyncio.gather(*(inventory.import_sessions(services, ACTOR, data, once=once) for _ in range(4)))
    assert {(d.imported, d.updated, d.unchanged, d.revision) for d in map(done, all_done)} == {(3, 0, 0, 1)}
    assert services.group.position.revision == 1


async def test_an_import_that_changed_nothing_says_so_again(services: Services) -> None:
    data = csv_of("a", "b")
    await inventory.import_sessions(services, ACTOR, data)
    once = Once.of(ACTOR, "key", "import", data)
    first = done(await inventory.import_sessions(services, ACTOR, data, once=once))
    assert (first.imported, first.updated, first.unchanged, first.revision) == (0, 0, 2, 1)
    await sessions.create_session(services, ACTOR, {"name": "x", **FIELDS})
    assert await inventory.import_sessions(services, ACTOR, data, once=once) == first


def test_a_key_belongs_to_one_request_of_one_user() -> None:
    def seed(user: str = "admin", key: str = "k", act: str = "a", content: object = "c") -> str:
        actor = type(ACTOR)(user, "", "")
        once = Once.of(actor, key, act, content)
        assert once is not None
        return once.seed

    assert seed() == seed()
    assert len({seed(), seed(user="b"), seed(key="b"), seed(act="b"), seed(content="b"), seed("a", "dmink")}) == 6
    assert Once.of(ACTOR, None, "a", "c") is None


async def test_an_import_never_shows_a_part_of_itself(services: Services) -> None:
    names = [f"session {n}" for n in range(2000)]
    importing = asyncio.create_task(inventory.import_sessions(services, ACTOR, csv_of(*names)))
    seen = set()
    while not importing.done():
        page = await sessions.search_sessions(services, None, page=1, per_page=1, sort="name")
        seen.add(page.total)
    assert done(await importing).imported == 2000
    assert seen <= {0, 2000}
    exported = b"".join(await inventory.export_sessions(services, Format.CSV))
    assert exported.replace(b"\r\n", b"\n") == csv_of(*sorted(names))


async def test_an_import_plans_again_what_was_changed_in_between(services: Services) -> None:
    data = csv_of(*(f"session {n}" for n in range(500)))
    importing = asyncio.create_task(inventory.import_sessions(services, ACTOR, data))
    made = 0
    while not importing.done():
        await sessions.create_session(services, ACTOR, {"name": f"other {made}", **FIELDS})
        made += 1
    imported = done(await importing)
    assert (imported.imported, imported.updated) == (500, 0)
    assert len(await _all(services)) == 500 + made


async def test_imports_wait_for_all_servers_and_single_writes_for_one(
    server: tuple[Services, StandaloneReplication],
) -> None:
    services, replication = server
    await sessions.create_session(services, ACTOR, {"name": "one", **FIELDS})
    await inventory.import_sessions(services, ACTOR, csv_of("two"))
    await inventory.import_sessions(services, ACTOR, csv_of("three"), dry_run=True)
    assert replication.waited_for == [(1, False), (2, True)]


async def test_every_write_is_logged_with_who_and_which_revision(services: Services) -> None:
    with structlog.testing.capture_logs() as logged:
        made = done(await sessions.create_session(services, ACTOR, {"name": "one", **FIELDS}))
        await sessions.delete_session(services, ACTOR, made.session.id)
        await inventory.import_sessions(services, ACTOR, csv_of("two"))
        await backups.create_backup(services, ACTOR)
    assert [(e["event"], e["author"], e.get("revision")) for e in logged] == [
        ("session-created", "admin", 1),
        ("session-deleted", "admin", 2),
        ("sessions-imported", "admin", 3),
        ("backup-made", "admin", None),
    ]
    changes = services.group.changes_after(0, max_bytes=1 << 20, max_count=10)
    assert changes is not None
    assert {c.author for c in changes} == {"admin"}


@pytest.mark.parametrize("kind", [MADE_BY_HAND, BEFORE_FOLLOWING, BEFORE_JOINING])
async def test_the_oldest_backups_of_a_kind_give_way_and_others_stay(services: Services, kind: str) -> None:
    folder = services.data_dir / "backups"
    others = [folder / "of-mine.db", folder / "before-restoring-20200101T000000.000000Z.db"]
    for other in others:
        other.write_bytes(b"kept")
    # The first as an earlier version named it.
    oldest = folder / f"{kind}-20200101T000000.db"
    oldest.write_bytes(b"old")
    for n in range(1, MAX_KEPT):
        (folder / f"{kind}-20200101T0000{n:02}.000000Z.db").write_bytes(b"old")
    made = await keep_backup(services.group, services.data_dir, kind, services.clock())
    left = set(folder.iterdir())
    assert len(left) == MAX_KEPT + len(others)
    assert {made, *others} <= left
    assert oldest not in left
    reasons = {b.name: b.reason for b in backups.list_backups(services)}
    assert reasons[others[0].name] == "put there by hand" != reasons[made.name]
    assert made.stat().st_mode & 0o077 == 0


async def test_restoring_brings_back_what_was_altered_outside_hostward(services: Services) -> None:
    for name in ("one", "two"):
        await sessions.create_session(services, ACTOR, {"name": name, **FIELDS})
    await services.group.commit("admin", lambda _: [Put("note", "1", canonical({"v": 1}))])
    made = await backups.create_backup(services, ACTOR)
    await sessions.create_session(services, ACTOR, {"name": "three", **FIELDS})
    for alter in (
        "UPDATE element SET body = replace(body, 'example.com', 'example.net')",
        "UPDATE element SET body = CAST('nothing that can be read' AS BLOB) WHERE kind = 'note'",
        "UPDATE session_entry SET host = 'example.net'",
    ):
        db = sqlite3.connect(services.data_dir / "group.db")
        db.execute(alter)
        db.commit()
        db.close()
        assert not services.group.verify().ok
        await backups.restore_backup(services, ACTOR, made.name, confirm=True)
        assert services.group.verify().ok
    assert sorted(s.json()["name"] for s in await _all(services)) == ["one", "two"]


async def _all(services: Services) -> list[Any]:
    page = await sessions.search_sessions(services, None, page=1, per_page=1000, sort="name")
    return list(page.items)
