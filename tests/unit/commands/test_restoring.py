"""Turning back gives exactly what was there, and nothing that must stay is touched."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.commands.servers import ACTOR, StandaloneReplication, done, open_server, submitted

from hostward.commands import history, restoring, sessions
from hostward.commands import settings as setting_commands
from hostward.commands.services import Services
from hostward.domain.changes import EMPTY_DIGEST, Delete, Operation, Put, canonical, digest_add
from hostward.domain.errors import ConfirmationRequired, Conflict, NotFound, PreconditionFailed
from hostward.domain.history import TURNED_BACK
from hostward.domain.sessions import validate_fields
from hostward.registry.group import Reader

pytestmark = pytest.mark.feature("R30")

Server = tuple[Services, StandaloneReplication]
FIELDS = {"type": "VT", "host": "vt.example.com"}

IDS = st.sampled_from(["1", "2", "3"])
PUTS = st.builds(
    lambda i, name, host: Put(
        "session", i, canonical(validate_fields({"name": name, "type": "VT", "host": host}))
    ),
    IDS, st.sampled_from(["a", "b", "c", "A"]), st.sampled_from(["x.example.com", "y.example.com"]),
)  # fmt: skip
OTHERS = st.sampled_from([
    Put("setting", "change-requests", canonical({"value": "automatic"})),
    Delete("setting", "change-requests"),
    Put("member", "m", canonical({"name": "m"})),
    Put("ring", "ring", canonical({"generation": 3})),
    Delete("member", "m"),
])  # fmt: skip
CHANGES = st.lists(
    st.lists(PUTS | st.builds(Delete, st.just("session"), IDS) | OTHERS, min_size=1, max_size=4), max_size=8
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with open_server(tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """For all examples: each goes on where the one before it ended."""
    with open_server(tmp_path_factory.mktemp("server")) as (services, _):
        yield services


def digest_of(reader: Reader, kinds: Sequence[str] = TURNED_BACK) -> bytes:
    return digest_add(EMPTY_DIGEST, (e.hash for kind in kinds for e in reader.list(kind)))


def digests(services: Services) -> tuple[bytes, bytes]:
    """Of what is turned back, and of what never is."""
    with services.group.read() as reader:
        return digest_of(reader), digest_of(reader, ("member", "ring"))


async def write(services: Services, operations: Sequence[Operation]) -> None:
    with contextlib.suppress(Conflict):  # two sessions would have shared a name
        await services.group.commit("eve", lambda _: operations)


async def preview(services: Services, revision: int) -> ConfirmationRequired:
    with pytest.raises(ConfirmationRequired) as asked:
        await restoring.restore_all(services, ACTOR, revision, confirmed=False)
    return asked.value


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(CHANGES, st.integers(0, 30), st.data())
def test_a_restore_gives_exactly_the_content_after_that_revision(
    one_server: Services, changes: list[list[Operation]], back: int, data: st.DataObject
) -> None:
    async def run() -> None:
        group = one_server.group
        for operations in changes:
            await write(one_server, operations)
            AFTER[group.position.revision] = digests(one_server)[0]
        to = max(0, group.position.revision - back)
        now, untouched = digests(one_server)
        if AFTER[to] == now:
            with pytest.raises(Conflict, match="nothing would change"):
                await restoring.restore_all(one_server, ACTOR, to, confirmed=True)
            return
        at = group.position.revision
        asked = await preview(one_server, to)
        assert group.position.revision == at
        committed = done(await restoring.restore_all(one_server, ACTOR, to, confirmed=True, plan=asked.plan)).committed
        assert committed.revision == at + 1
        AFTER[at + 1] = AFTER[to]
        assert digests(one_server) == (AFTER[to], untouched)
        assert group.verify().ok
        done(await restoring.undo_change(one_server, ACTOR, at + 1, confirmed=True))
        AFTER[at + 2] = now
        assert digests(one_server) == (now, untouched)

    asyncio.run(run())


AFTER = {0: EMPTY_DIGEST}
"""The digest after each revision of the one server."""


@pytest.mark.anyio
async def test_one_change_is_undone_and_what_changed_since_is_said(server: Server) -> None:
    services, _ = server
    one = done(await sessions.create_session(services, ACTOR, {"name": "one", **FIELDS})).session
    two = done(await sessions.create_session(services, ACTOR, {"name": "two", **FIELDS})).session
    gone = done(await sessions.delete_session(services, ACTOR, one.id)).revision
    done(await restoring.undo_change(services, ACTOR, gone, confirmed=True))
    assert sessions.read_session(services, one.id).body == one.body
    edited = done(await sessions.edit_session(services, ACTOR, two.id, {"comment": "x"})).revision
    later = done(await sessions.edit_session(services, ACTOR, two.id, {"comment": "y"})).revision
    with pytest.raises(ConfirmationRequired) as asked:
        await restoring.undo_change(services, ACTOR, edited, confirmed=False)
    said = " ".join(asked.value.consequences)
    assert "1 session is changed back: “two”." in said
    assert f"“two” (revision {later})" in said
    done(await restoring.undo_change(services, ACTOR, edited, confirmed=True, plan=asked.value.plan))
    assert sessions.read_session(services, two.id).json()["comment"] == ""
    with pytest.raises(Conflict, match="nothing would change"):
        await restoring.undo_change(services, ACTOR, edited, confirmed=True)


@pytest.mark.anyio
async def test_nothing_is_done_where_the_plan_is_another_one_by_now(server: Server) -> None:
    services, _ = server
    await setting_commands.set_settings(services, ACTOR, {"change-requests": "automatic"})
    done(await sessions.create_session(services, ACTOR, {"name": "one", **FIELDS}))
    asked = await preview(services, 0)
    assert "1 session is deleted: “one”." in asked.consequences
    assert "1 setting is deleted: “change-requests”." in asked.consequences
    await services.group.commit("replication", lambda _: [Put("member", "m", canonical({"name": "m"}))])
    assert (await preview(services, 0)).plan == asked.plan  # that isn't turned back
    two = done(await sessions.create_session(services, ACTOR, {"name": "two", **FIELDS}))
    with pytest.raises(PreconditionFailed):
        await restoring.restore_all(services, ACTOR, 0, confirmed=True, plan=asked.plan)
    assert services.group.position.revision == two.revision
    done(await restoring.restore_all(services, ACTOR, 0, confirmed=True))
    with services.group.read() as reader:
        assert [reader.count(kind) for kind in ("session", "setting", "member")] == [0, 0, 1]


@pytest.mark.anyio
async def test_a_session_comes_back_with_its_id_unless_its_name_was_taken(server: Server) -> None:
    services, _ = server
    one = done(await sessions.create_session(services, ACTOR, {"name": "one", **FIELDS}))
    renamed = done(await sessions.edit_session(services, ACTOR, one.session.id, {"name": "uno"}))
    gone = done(await sessions.delete_session(services, ACTOR, one.session.id)).revision
    other = done(await sessions.create_session(services, ACTOR, {"name": "ONE", **FIELDS})).session
    with pytest.raises(Conflict, match="Another session is named"):
        await sessions.restore_session(services, ACTOR, one.session.id, one.revision)
    with pytest.raises(Conflict, match="There was no session"):
        await sessions.restore_session(services, ACTOR, one.session.id, gone)
    back = done(await sessions.restore_session(services, ACTOR, one.session.id, renamed.revision))
    assert (back.session.id, back.session.body) == (one.session.id, renamed.session.body)
    with pytest.raises(PreconditionFailed):
        await sessions.restore_session(services, ACTOR, one.session.id, one.revision, if_match=[one.session.etag])
    done(await sessions.delete_session(services, ACTOR, other.id))
    found = await history.session_history(services, one.session.id)
    assert [i.did.touched.act for i in found.items] == ["create", "delete", "change", "create"]
    assert (found.name, found.exists, found.complete) == ("uno", True, True)
    first = done(
        await sessions.restore_session(services, ACTOR, one.session.id, one.revision, if_match=[back.session.etag])
    )
    assert first.session.body == one.session.body
    with pytest.raises(NotFound):
        await history.session_history(services, "nothing")


@pytest.mark.anyio
async def test_what_is_no_longer_kept_is_said_with_what_still_is(server: Server) -> None:
    services, _ = server
    for n in range(6):
        done(await sessions.create_session(services, ACTOR, {"name": f"n{n}", **FIELDS}))
    await services.group.prune(3)
    found = await history.list_changes(services, limit=2)
    assert ([i.change.revision for i in found.items], found.next_before) == ([6, 5], 5)
    found = await history.list_changes(services, before=found.next_before, limit=2)
    assert ([i.change.revision for i in found.items], found.next_before) == ([4], None)
    assert (found.kept.oldest, found.kept.restorable_from) == (4, 3)
    for revision in (2, 0):
        with pytest.raises(NotFound, match="from revision 3 on") as refused:
            await restoring.restore_all(services, ACTOR, revision, confirmed=False)
        assert "backup" in refused.value.remedy
    with pytest.raises(NotFound, match="reaches back to revision 4"):
        await restoring.undo_change(services, ACTOR, 3, confirmed=False)
    with pytest.raises(NotFound, match="the newest is 6"):
        await restoring.restore_all(services, ACTOR, 7, confirmed=False)
    done(await restoring.restore_all(services, ACTOR, 3, confirmed=True))
    page = await sessions.search_sessions(services, None, page=1, per_page=9, sort="name")
    assert [e.json()["name"] for e in page.items] == ["n0", "n1", "n2"]
    history_of_kept = await history.session_history(services, page.items[0].id)
    assert (history_of_kept.items, history_of_kept.complete, history_of_kept.exists) == ([], False, True)


@pytest.mark.anyio
async def test_replications_own_records_are_named_and_never_shown_or_undone(server: Server) -> None:
    services, _ = server
    secret = "hush"
    await services.group.commit("replication", lambda _: [Put("passphrase", "newest", canonical({"sealed": secret}))])
    found = await history.read_change(services, 1)
    assert found.listed.summary == "Create 1 passphrase change"
    assert (found.elements, secret in repr(found)) == ([], False)
    with pytest.raises(Conflict, match="nothing to undo"):
        await restoring.undo_change(services, ACTOR, 1, confirmed=True)


@pytest.mark.feature("R11")
@pytest.mark.anyio
async def test_on_a_slave_it_becomes_a_change_request(server: Server) -> None:
    services, replication = server
    one = done(await sessions.create_session(services, ACTOR, {"name": "one", **FIELDS}))
    done(await sessions.edit_session(services, ACTOR, one.session.id, {"comment": "x"}))
    replication.master_url = "https://master.example.com/mss"
    asked = await preview(services, 1)
    made = submitted(await restoring.restore_all(services, ACTOR, 1, confirmed=True, plan=asked.plan))
    assert made.summary == "Change session “one”: comment"
    undone = submitted(await restoring.undo_change(services, ACTOR, 1, confirmed=True))
    assert undone.summary == "Delete session “one”"
    restored = submitted(await sessions.restore_session(services, ACTOR, one.session.id, 1))
    assert restored.elements == 1
    assert services.group.position.revision == 2
