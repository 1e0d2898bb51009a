"""The outbox, on a real server.db; and what becomes of changes that a promotion leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.registry.support import opened, session

from hostward.domain.changes import EMPTY_DIGEST, Delete, Position, Put, canonical
from hostward.domain.errors import InvalidInput, Unavailable
from hostward.domain.requests import (
    CONTENT_KIND,
    KIND,
    ChangeRequest,
    Class,
    State,
    Touched,
    class_of,
    pack,
    summary_of,
    unpack,
)
from hostward.registry.group import GroupRegistry
from hostward.registry.server import ServerRegistry
from hostward.replication.change_requests import outbox as outbox_module
from hostward.replication.change_requests.outbox import Outbox, content_body

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def group(tmp_path: Path) -> Iterator[GroupRegistry]:
    registry = opened(tmp_path / "group.db")
    yield registry
    registry.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerRegistry]:
    registry = ServerRegistry.open(tmp_path / "server.db")
    yield registry
    registry.close()


def request(id_: str, *touched: Touched, **fields: object) -> tuple[ChangeRequest, bytes]:
    content = pack(touched)
    made = ChangeRequest(
        id=id_, author="admin", origin="a", origin_name="north", submitted="2026-01-01T00:00:00Z", revision=0,
        summary=summary_of(touched), class_=class_of(touched), elements=len(touched), size_bytes=len(content),
        **fields,  # type: ignore[arg-type]
    )  # fmt: skip
    return made, content


ONE = Touched("session", "1", "", None, {"name": "one"})


@pytest.mark.feature("R11")
def test_what_is_kept_is_there_in_its_order_after_a_restart(tmp_path: Path, group: GroupRegistry) -> None:
    kept = [request(i, ONE) for i in ("c", "a", "b")]
    server = ServerRegistry.open(tmp_path / "server.db")
    box = Outbox(server, group, "a", "north")
    for one in kept:
        box.keep(one, group="g")
    box.keep(kept[0], group="g")
    server.close()
    server = ServerRegistry.open(tmp_path / "server.db")
    box = Outbox(server, group, "a", "north")
    assert [(e.request, e.content, e.group) for e in box.entries()] == [(*one, "g") for one in kept]
    [there] = [e for e in box.entries() if e.request.id == "a"]
    box.remove(there)
    box.remove(there)
    server.close()
    server = ServerRegistry.open(tmp_path / "server.db")
    assert [e.request.id for e in Outbox(server, group, "a", "north").entries()] == ["c", "b"]
    server.close()


def test_the_outbox_is_bounded(server: ServerRegistry, group: GroupRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "MAX_ENTRIES", 2)
    box = Outbox(server, group, "a", "north")
    box.keep(request("a", ONE), request("b", ONE), group="g")
    with pytest.raises(Unavailable) as refused:
        box.keep(request("c", ONE), group="g")
    assert refused.value.code == "outbox-full"
    assert [e.request.id for e in box.entries()] == ["a", "b"]


async def leave_behind(group: GroupRegistry, server: ServerRegistry, after: int) -> dict[str, Touched]:
    """Set aside all changes after a revision: what each of the kept requests touches, where that is one element."""
    start_change = group.change(after)
    assert start_change is not None
    start = Position(start_change.epoch, after, start_change.hash, start_change.digest)
    changes = group.changes_after(after, max_bytes=1 << 30, max_count=1000)
    assert changes is not None
    box = Outbox(server, group, "a", "north")
    ids = box.set_aside(changes, start)
    assert ids == [e.request.id for e in box.entries()]
    assert box.set_aside(changes, start) == ids
    assert [e.request.id for e in box.entries()] == ids
    return {e.request.id: unpack(e.content)[0] for e in box.entries()}


@pytest.mark.feature("R27")
async def test_changes_left_behind_become_requests_that_know_their_base(
    group: GroupRegistry, server: ServerRegistry
) -> None:
    await group.commit("admin", lambda _: [session("1", "one"), session("2", "two"), session("3", "three")])
    with group.read() as reader:
        base = {e.id: e.hash.hex() for e in reader.list("session")}
    for ops in (
        [session("4", "four")],
        [session("1", "one", comment="x")],
        [session("1", "one", comment="y")],
        [Delete("session", "2")],
        [Put("member", "m", canonical({"name": "m"}))],
        [session("3", "three", comment="z"), session("5", "five")],
        [session("6", "six"), session("7", "seven")],
    ):
        await group.commit("somebody", lambda _, ops=ops: ops)  # type: ignore[misc]
    changes = {c.hash.hex(): c for c in group.changes_after(1, max_bytes=1 << 30, max_count=100) or ()}
    found = await leave_behind(group, server, 1)
    assert list(found) == [h for h, c in changes.items() if c.operations()[0].kind != "member"]
    created, first, second, deleted, mixed, both = found.values()
    assert (created.base_hash, created.wanted) == ("", {**created.wanted, "name": "four"})  # type: ignore[dict-item]
    assert first.base_hash == base["1"]
    assert second.base_hash == first.wanted_hash
    assert second.base == first.wanted
    assert (deleted.base_hash, deleted.wanted) == (base["2"], None)
    assert mixed.base_hash is None
    assert both.base_hash == ""
    entries = Outbox(server, group, "a", "north").entries()
    assert {(e.request.author, e.request.revision, e.request.set_aside, e.request.class_) for e in entries} == {
        ("somebody", 1, True, Class.CONFIGURATION)
    }
    assert {e.request.submitted for e in entries} == {"2026-01-01T00:00:00Z"}


async def test_before_the_oldest_change_that_is_kept_the_base_is_what_it_was_then(
    group: GroupRegistry, server: ServerRegistry
) -> None:
    await group.commit("admin", lambda _: [session("1", "one")])
    await group.commit("somebody", lambda _: [session("1", "one", comment="x")])
    await group.commit("somebody", lambda _: [session("2", "two")])
    changes = group.changes_after(1, max_bytes=1 << 30, max_count=10)
    assert changes is not None
    start = Position(changes[0].epoch, 1, changes[0].previous, EMPTY_DIGEST)
    box = Outbox(server, group, "a", "north")
    box.set_aside(changes, start)
    assert [unpack(e.content)[0].base_hash for e in box.entries()] == [None, ""]


@pytest.mark.feature("R27")
async def test_requests_in_what_is_left_behind_come_back_as_themselves(
    group: GroupRegistry, server: ServerRegistry
) -> None:
    await group.commit("admin", lambda _: [session("1", "one")])
    asked = {i: request(i, ONE, received="then") for i in ("kept-content", "new", "implemented", "rejected")}

    def put(id_: str, **decided: object) -> list[Put]:
        body = {**asked[id_][0].to_json(), "state": "waiting", **decided}
        return [Put(KIND, id_, canonical(body))]

    def content(id_: str) -> list[Put]:
        return [Put(CONTENT_KIND, id_, canonical(content_body(asked[id_][1])))]

    await group.commit("a", lambda _: content("kept-content") + content("implemented"))
    for ops in (
        put("kept-content"),
        put("new") + content("new"),
        [*put("implemented", state="implemented", decided_by="admin"), session("8", "eight")],
        put("rejected", state="rejected"),
    ):
        await group.commit("a", lambda _, ops=ops: ops)  # type: ignore[misc]
    await leave_behind(group, server, 2)
    entries = Outbox(server, group, "a", "north").entries()
    assert [e.request.id for e in entries] == ["kept-content", "new", "implemented"]
    assert {(e.request.state, e.request.decided_by, e.request.received) for e in entries} == {
        (State.ON_ITS_WAY, "", "")
    }
    assert {e.content for e in entries} == {asked["new"][1]}


@pytest.mark.feature("R27")
async def test_requests_that_were_closed_do_not_come_back(group: GroupRegistry, server: ServerRegistry) -> None:
    """Neither those whose end is left behind too, nor what its author took back while that was on its way."""
    await group.commit("admin", lambda _: [session("1", "one")])
    asked = {i: request(i, ONE) for i in ("rejected", "withdrawn", "replaced", "taken-back", "still-open")}
    for id_, (made, packed) in asked.items():
        waits = Put(KIND, id_, canonical({**made.to_json(), "state": "waiting"}))
        with_content = Put(CONTENT_KIND, id_, canonical(content_body(packed)))
        await group.commit("a", lambda _, ops=[waits, with_content]: ops)  # type: ignore[misc]
    for id_ in ("rejected", "withdrawn", "replaced"):
        closed = Put(KIND, id_, canonical({**asked[id_][0].to_json(), "state": id_}))
        await group.commit("a", lambda _, ops=[closed]: ops)  # type: ignore[misc]
    taken_back = asked["taken-back"][0].decide(State.WITHDRAWN, by="admin", at="2026-01-02T00:00:00Z")
    Outbox(server, group, "a", "north").keep((taken_back, b""), group="g")
    start = group.change(1)
    changes = group.changes_after(1, max_bytes=1 << 30, max_count=100)
    assert start is not None
    assert changes is not None
    box = Outbox(server, group, "a", "north")
    assert box.set_aside(changes, Position(start.epoch, 1, start.hash, start.digest)) == ["still-open"]
    assert [(e.request.id, e.request.state) for e in box.entries()] == [
        ("taken-back", State.WITHDRAWN),
        ("still-open", State.ON_ITS_WAY),
    ]


def test_what_was_withdrawn_meanwhile_is_neither_removed_nor_refused(
    group: GroupRegistry, server: ServerRegistry
) -> None:
    box = Outbox(server, group, "a", "north")
    made, content = request("a", ONE)
    box.keep((made, content), group="g")
    [seen] = box.entries()
    withdrawn = made.decide(State.WITHDRAWN, by="admin", at="2026-01-02T00:00:00Z")
    box.keep((withdrawn, b""), group="g")
    box.remove(seen)
    box.refused(seen, made.decide(State.REJECTED, by="the Master", at="2026-01-02T00:00:00Z"))
    assert [e.request for e in box.entries()] == [e.request for e in Outbox(server, group, "a", "north").entries()]
    assert [e.request for e in box.entries()] == [withdrawn]


def test_what_is_too_large_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hostward.domain.requests.MAX_PACKED_BYTES", 10)
    with pytest.raises(InvalidInput) as refused:
        pack([ONE])
    assert refused.value.code == "request-too-large"
    assert unpack(pack([ONE], limited=False)) == (ONE,)
