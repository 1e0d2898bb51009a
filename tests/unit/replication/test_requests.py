"""Change requests between two servers with real registries: carried by hand, in any order, as often as one likes."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.registry.support import any_change, opened

from hostward.domain.changes import Delete, Operation, Put, canonical
from hostward.domain.errors import Conflict, HostwardError, InvalidInput, NotFound, PeerError, RequestConflicts
from hostward.domain.favourites import KIND as FAVOURITES
from hostward.domain.requests import (
    CONTENT_KIND,
    KIND,
    ChangeRequest,
    Class,
    KindRules,
    Now,
    State,
    Touched,
    class_of,
    contradictions,
    implements_itself,
    pack,
    unpack,
)
from hostward.domain.sessions import validate_fields
from hostward.domain.settings import CHANGE_REQUESTS, body_of
from hostward.registry.group import GroupRegistry, Reader
from hostward.registry.server import ServerRegistry
from hostward.replication.change_requests import depositing
from hostward.replication.change_requests.outbox import Entry, Outbox
from hostward.replication.change_requests.requests import Edited, Requests

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Clock:
    """A time that moves only when it is told to."""

    def __init__(self) -> None:
        self.day = 1

    def now(self) -> str:
        return f"2026-{1 + self.day // 28:02}-{1 + self.day % 28:02}T00:00:00.000Z"


@dataclass(slots=True)
class Server:
    group: GroupRegistry
    server: ServerRegistry
    outbox: Outbox
    requests: Requests

    @staticmethod
    def open(directory: Path, server_id: str, clock: Clock) -> Server:
        group = opened(directory / f"{server_id}.db", server_id)
        server = ServerRegistry.open(directory / f"{server_id}-own.db")
        outbox = Outbox(server, group, server_id, f"server {server_id}")
        return Server(group, server, outbox, Requests(group, outbox, server_id, f"server {server_id}", clock.now))

    def close(self) -> None:
        self.group.close()
        self.server.close()

    def states(self) -> dict[str, str]:
        return {s.request.id: s.request.state.value for s in self.requests.all()}

    def session(self, id_: str) -> dict[str, Any] | None:
        with self.group.read() as reader:
            found = reader.get("session", id_)
        return found.json() if found else None


class Pair:
    """A Master, "a", and a Slave, "b"."""

    def __init__(self, directory: Path) -> None:
        self._directory, self.clock = directory, Clock()
        self.master = Server.open(directory, "a", self.clock)
        self.slave = Server.open(directory, "b", self.clock)

    def crash(self) -> None:
        """Both servers begin a new life with what is on the disk."""
        self.close()
        self.master = Server.open(self._directory, "a", self.clock)
        self.slave = Server.open(self._directory, "b", self.clock)

    def close(self) -> None:
        self.master.close()
        self.slave.close()

    async def begin(self, *operations: Operation) -> None:
        """The Slave has the Master's content, with these elements in it."""
        await self.master.group.commit("admin", lambda _: list(operations))
        await self.slave.group.replace(self.master.group.snapshot())

    async def submit(self, *operations: Operation, id_: str = "") -> ChangeRequest:
        made = await self.slave.requests.submit(
            "somebody", lambda _: list(operations), id_ or uuid.uuid4().hex, self.slave.group.group_id
        )
        assert made is not None
        return made

    async def carry(self, entry: Entry) -> ChangeRequest | None:
        head = entry.request.to_json()
        return await self.master.requests.receive(head, entry.content, sender="b", sender_name="server b")

    async def carry_all(self) -> None:
        for entry in self.slave.outbox.entries():
            await self.carry(entry)
        await self.follow()

    async def follow(self) -> None:
        """The Slave applies the Master's changes, and lets go of what it sees there."""
        after = self.slave.group.position.revision
        changes = self.master.group.changes_after(after, max_bytes=1 << 30, max_count=10_000)
        assert changes is not None
        await self.slave.group.apply(changes, any_change)
        for entry in self.slave.outbox.entries():
            known = self.slave.requests.deposited(entry.request.id)
            if known and (known.state is not State.WAITING or entry.request.state is State.ON_ITS_WAY):
                self.slave.outbox.remove(entry)

    async def policy(self, value: str) -> None:
        put = Put("setting", CHANGE_REQUESTS.name, canonical(body_of(value)))
        await self.master.group.commit("admin", lambda _: [put])


@pytest.fixture
def pair(tmp_path: Path) -> Any:
    made = Pair(tmp_path)
    yield made
    made.close()


def whole(id_: str, name: str, **fields: Any) -> Put:
    """A session as it is stored."""
    body = validate_fields({"name": name, "type": "VT", "host": "vt.example.com", **fields})
    return Put("session", id_, canonical(body))


@pytest.mark.feature("R11")
async def test_a_request_is_made_without_the_master_and_implemented_there(pair: Pair) -> None:
    await pair.begin(whole("1", "one"))
    made = await pair.submit(whole("1", "one", comment="new"))
    assert (made.state, made.summary) == (State.ON_ITS_WAY, "Change session “one”: comment")
    assert pair.slave.session("1") == pair.master.session("1")
    pair.crash()
    assert pair.slave.states() == {made.id: "on-its-way"}
    await pair.carry_all()
    assert pair.slave.states() == pair.master.states() == {made.id: "waiting"}
    assert pair.slave.outbox.entries() == []
    assert pair.master.session("1")["comment"] == ""  # type: ignore[index]
    detail = pair.master.requests.detail(made.id)
    (change,) = detail.changes
    assert [(d.field, d.base, d.now, d.wanted) for d in change.differences] == [("comment", "", "", "new")]
    assert detail.conflicts == []
    done = await pair.master.requests.implement(made.id, "admin", force=False)
    with pytest.raises(Conflict) as again:
        await pair.master.requests.implement(made.id, "admin", force=True)
    assert again.value.code == "request-decided"
    await pair.follow()
    assert pair.slave.states() == pair.master.states() == {made.id: "implemented"}
    assert pair.slave.session("1")["comment"] == pair.master.session("1")["comment"] == "new"  # type: ignore[index]
    found = pair.slave.requests.get(made.id).request
    assert (found.decided_by, found.decided_revision, found.author) == ("admin", done.revision, "somebody")
    change_made = pair.master.group.change(done.revision)
    assert change_made is not None
    assert (change_made.author, change_made.origin) == ("admin", "b")


@pytest.mark.feature("R11")
async def test_what_others_changed_meanwhile_refuses_it_unless_forced(pair: Pair) -> None:
    await pair.begin(*(whole(i, i) for i in ("changed", "deleted", "same", "untouched")))
    made = await pair.submit(
        whole("changed", "changed", comment="mine"),
        whole("deleted", "deleted", comment="mine"),
        whole("same", "same", comment="ours"),
        whole("there", "there"),
        Delete("session", "untouched"),
    )
    await pair.carry_all()
    others: list[Operation] = [
        whole("changed", "changed", port=24),
        Delete("session", "deleted"),
        whole("same", "same", comment="ours"),
        whole("there", "there", comment="theirs"),
    ]
    await pair.master.group.commit("another", lambda _: others)
    await pair.follow()
    for server in (pair.master, pair.slave):
        found = {c.element: c.code for c in server.requests.detail(made.id).conflicts}
        assert found == {"session “changed”": "changed", "session “deleted”": "gone", "session “there”": "there"}
    with pytest.raises(RequestConflicts) as refused:
        await pair.master.requests.implement(made.id, "admin", force=False)
    assert len(refused.value.conflicts) == 3
    assert pair.master.session("untouched") is not None
    await pair.master.requests.implement(made.id, "admin", force=True)
    assert pair.master.session("untouched") is None
    assert pair.master.session("changed")["comment"] == "mine"  # type: ignore[index]


@pytest.mark.feature("R11")
async def test_a_name_that_was_taken_meanwhile_can_not_be_forced_but_edited(pair: Pair) -> None:
    await pair.begin(whole("1", "one"))
    made = await pair.submit(whole("2", "Two"))
    await pair.carry_all()
    await pair.master.group.commit("another", lambda _: [whole("3", "TWO")])
    assert [c.code for c in pair.master.requests.detail(made.id).conflicts] == ["name-taken"]
    for force in (False, True):
        with pytest.raises(RequestConflicts):
            await pair.master.requests.implement(made.id, "admin", force=force)
    with pytest.raises(InvalidInput):
        await pair.master.requests.deposit_edited(
            made.id, "f" * 32, "admin", [Edited("session", "2", {"name": "", "type": "VT", "host": "h"})]
        )
    edited = Edited("session", "2", validate_fields({"name": "Two again", "type": "VT", "host": "h"}))
    await pair.master.requests.deposit_edited(made.id, "f" * 32, "admin", [edited])
    assert pair.master.states() == {made.id: "replaced", "f" * 32: "waiting"}
    await pair.master.requests.implement("f" * 32, "admin", force=False)
    assert pair.master.session("2")["name"] == "Two again"  # type: ignore[index]


@pytest.mark.feature("R11")
async def test_by_policy_what_conflicts_with_nothing_is_implemented_by_itself(pair: Pair) -> None:
    await pair.begin(whole("1", "one"), whole("2", "two"))
    await pair.policy("automatic")
    await pair.follow()
    good = await pair.submit(whole("1", "one", comment="x"))
    late = await pair.submit(whole("2", "two", comment="x"))
    taken = await pair.submit(whole("4", "four"))
    await pair.master.group.commit("another", lambda _: [whole("2", "two", port=24), whole("5", "FOUR")])
    revision = pair.master.group.position.revision
    entries = pair.slave.outbox.entries()
    for _ in range(3):
        for entry in entries:
            await pair.carry(entry)
    assert pair.master.states() == {good.id: "implemented", late.id: "waiting", taken.id: "waiting"}
    assert pair.master.group.position.revision == revision + 3
    assert pair.master.requests.get(good.id).request.decided_by == depositing.POLICY
    assert pair.master.requests.waiting == 2


@pytest.mark.feature("R11")
async def test_policies_and_what_nobody_declared_always_wait(pair: Pair) -> None:
    await pair.begin(whole("1", "one"))
    await pair.policy("automatic")
    await pair.follow()
    policy = await pair.submit(Delete("setting", CHANGE_REQUESTS.name))
    unknown = await pair.submit(Put("user", "u", canonical({"name": "u"})))
    both = await pair.submit(whole("2", "two"), Put("user", "u", canonical({"name": "u"})))
    await pair.carry_all()
    assert set(pair.master.states().values()) == {"waiting"}
    assert {r.request.class_ for r in pair.master.requests.all()} == {Class.SECURITY}
    for made in (policy, unknown, both):
        assert pair.master.requests.get(made.id).request.class_ is Class.SECURITY


def test_only_configuration_is_implemented_by_itself_and_only_where_the_policy_says_so() -> None:
    decided = {(c, policy): implements_itself(c, policy) for c in Class for policy in ("ask", "automatic")}
    assert [key for key, itself in decided.items() if itself] == [(Class.CONFIGURATION, "automatic")]


@pytest.mark.feature("R11")
@pytest.mark.feature("R23")
@pytest.mark.parametrize("policy", ["ask", "automatic"])
async def test_no_slave_fills_the_group_with_favourites_by_requests(pair: Pair, policy: str) -> None:
    """Nobody would have to look: it could send lists of made-up users without end."""
    await pair.begin(Put("user", "u", canonical({"name": "anna"})))
    await pair.policy(policy)
    await pair.follow()
    lists = [Put(FAVOURITES, f"nobody-{n}", canonical({"sessions": ["s"]})) for n in range(3)]
    many, mixed = await pair.submit(*lists), await pair.submit(whole("1", "one"), lists[0])
    left_behind = await pair.submit(Put(FAVOURITES, "u", canonical({"sessions": ["s"]})))
    await pair.carry_all()
    assert pair.master.states() == {r.id: "waiting" for r in (many, mixed, left_behind)}
    with pair.master.group.read() as reader:
        assert reader.list(FAVOURITES) == []
    assert pair.master.requests.get(many.id).request.summary == "Create 3 favourites lists"
    assert pair.master.requests.get(left_behind.id).request.summary == "Create the favourites of “anna”"
    await pair.master.requests.implement(left_behind.id, "admin", force=False)
    with pair.master.group.read() as reader:
        assert [e.id for e in reader.list(FAVOURITES)] == ["u"]


def test_a_request_that_an_earlier_build_kept_as_a_users_own_is_still_read() -> None:
    kept = head("0" * 32, [Touched(FAVOURITES, "u", "", None, {"sessions": ["s"]})], state=State.IMPLEMENTED)
    assert ChangeRequest.from_json({**kept.to_json(), "class": "own"}) == kept


def test_a_change_that_refers_to_what_is_gone_conflicts() -> None:
    rules = KindRules("shortcut", lambda _: Class.CONFIGURATION, refers_to=lambda b: [("session", b["session"])])
    sessions = ("there", "gone", "made", "unmade")
    touched = [Touched("shortcut", s, "", None, {"session": s}) for s in sessions]
    touched += [Touched("session", "made", "", None, {}), Touched("session", "unmade", "x", {}, None)]
    found = contradictions(
        head("0" * 32, touched),
        touched,
        lambda kind, id_: Now("x", 1, {}) if kind == "session" and id_ in ("there", "unmade") else None,
        lambda kind: rules if kind == "shortcut" else KindRules(kind, lambda _: Class.CONFIGURATION),
    )
    assert [(c.element, c.code) for c in found] == [("element “gone”", "refers"), ("element “unmade”", "refers")]


def head(id_: str, touched: Sequence[Touched], **fields: Any) -> ChangeRequest:
    given_fields: dict[str, Any] = {
        "author": "somebody", "origin": "b", "origin_name": "b", "submitted": "then", "revision": 0, "summary": "None",
        "class_": class_of(touched) if touched else Class.CONFIGURATION, "elements": len(touched), "size_bytes": 0,
    }  # fmt: skip
    return ChangeRequest(id=id_, **{**given_fields, **fields})


@pytest.mark.feature("R11")
async def test_what_a_server_says_of_its_request_is_not_believed(pair: Pair) -> None:
    await pair.begin(whole("1", "one"))
    await pair.policy("automatic")
    user = [Touched("user", "u", "", None, {"name": "root"})]
    said = {
        "summary": "Rename a session",
        "class_": Class.CONFIGURATION,
        "origin_name": "the Master",
        "author": "admin",
    }
    lie = head("0" * 32, user, **said)
    await pair.master.requests.receive(lie.to_json(), pack(user), sender="b", sender_name="server b")
    found = pair.master.requests.get(lie.id).request
    assert (found.state, found.class_) == (State.WAITING, Class.SECURITY)
    assert (found.summary, found.origin_name) == ("Create user “root”", "server b")
    one = [Touched("session", "9", "", None, {"name": "x"})]
    member = [Touched("member", "b", "", None, {})]
    own = [Touched(KIND, lie.id, None, None, replace(lie, state=State.IMPLEMENTED).to_json())]
    for request, content in (
        (head("1" * 32, one, origin="a"), pack(one)),
        (head("1" * 32, one, state=State.IMPLEMENTED), pack(one)),
        (head("1" * 32, one, state=State.WAITING), pack(one)),
        (head("../x", one), pack(one)),
        (head("1" * 32, member), pack(member)),
        (head("1" * 32, own), pack(own)),
        (head("1" * 32, one), pack([])),
        (head("1" * 32, one), b""),
        (head("1" * 32, one), pack(one)[:-5]),
        (head("1" * 32, [*one, *one]), pack([*one, *one])),
    ):
        with pytest.raises(PeerError) as refused:
            await pair.master.requests.receive(request.to_json(), content, sender="b", sender_name="server b")
        assert refused.value.code == "request-invalid"
    assert list(pair.master.states()) == [lie.id]
    # A body that can't be stored waits, and can't be implemented even by force.
    broken = head("2" * 32, one)
    await pair.master.requests.receive(broken.to_json(), pack(one), sender="b", sender_name="server b")
    with pytest.raises(RequestConflicts):
        await pair.master.requests.implement(broken.id, "admin", force=True)


@pytest.mark.feature("R11")
async def test_a_server_can_not_take_back_or_replace_anothers_request(pair: Pair) -> None:
    await pair.begin(whole("1", "one"))
    made = await pair.submit(whole("1", "one", comment="x"))
    await pair.carry_all()
    one = [Touched("session", "9", "", None, {"name": "x"})]
    for other in (
        head(made.id, [], origin="c", state=State.WITHDRAWN),
        head("1" * 32, one, origin="c", replaces=made.id),
    ):
        await pair.master.requests.receive(
            other.to_json(), pack(one) if other.replaces else b"", sender="c", sender_name="server c"
        )
    assert pair.master.states()[made.id] == "waiting"


@pytest.mark.feature("R11")
async def test_withdrawn_before_it_arrives_it_never_waits(pair: Pair) -> None:
    await pair.begin(whole("1", "one"))
    made = await pair.submit(whole("1", "one", comment="x"))
    (on_its_way,) = pair.slave.outbox.entries()
    await pair.slave.requests.take_back(made.id, "somebody", pair.slave.group.group_id)
    assert pair.slave.states() == {made.id: "withdrawn"}
    await pair.carry_all()
    await pair.carry(on_its_way)  # a packet from the past
    await pair.follow()
    assert pair.slave.states() == pair.master.states() == {made.id: "withdrawn"}
    assert pair.slave.outbox.entries() == []
    with pytest.raises(Conflict):
        await pair.slave.requests.take_back(made.id, "somebody", pair.slave.group.group_id)


async def test_what_is_taken_back_again_and_again_leaves_little(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depositing, "KEPT_DECIDED", 3)
    await pair.begin(whole("1", "one"))
    for n in range(6):
        made = await pair.submit(whole("1", "one", comment=str(n)))
        if n % 2:
            await pair.carry_all()
        await pair.slave.requests.take_back(made.id, "somebody", pair.slave.group.group_id)
        await pair.carry_all()
    with pair.master.group.read() as reader:
        assert reader.count(CONTENT_KIND) == 0
        assert reader.count(KIND) == 3 + 1


@pytest.mark.feature("R11")
async def test_withdrawn_on_the_slave_while_it_waits(pair: Pair) -> None:
    await pair.begin(whole("1", "one"))
    made, late = await pair.submit(whole("1", "one", comment="x")), await pair.submit(whole("2", "two"))
    await pair.carry_all()
    with pair.master.group.read() as reader:
        assert {e.id for e in reader.list(CONTENT_KIND)} == {made.id, late.id}
    await pair.slave.requests.take_back(made.id, "somebody", pair.slave.group.group_id)
    await pair.slave.requests.take_back(late.id, "somebody", pair.slave.group.group_id)
    shown = pair.slave.requests.get(made.id)
    assert (shown.request.state, shown.carrying) == (State.WAITING, "withdrawal")
    await pair.master.requests.implement(late.id, "admin", force=False)
    await pair.carry_all()
    assert pair.slave.states() == pair.master.states() == {made.id: "withdrawn", late.id: "implemented"}
    assert pair.slave.outbox.entries() == []
    with pair.master.group.read() as reader:
        assert {e.id for e in reader.list(CONTENT_KIND)} == {late.id}
    for server in (pair.master, pair.slave):
        assert server.requests.detail(made.id).changes == []
    with pytest.raises(Conflict):
        await pair.master.requests.deposit_edited(made.id, "d" * 32, "admin", None)


@pytest.mark.feature("R11")
@pytest.mark.parametrize("arrived", [True, False])
async def test_edited_on_the_slave_the_new_one_replaces_the_old_one(pair: Pair, arrived: bool) -> None:
    await pair.begin(whole("1", "one"))
    made = await pair.submit(whole("1", "one", comment="x"))
    (on_its_way,) = pair.slave.outbox.entries()
    if arrived:
        await pair.carry_all()
    group = pair.slave.group.group_id
    edited = Edited("session", "1", validate_fields({"name": "one", "type": "VT", "host": "h", "comment": "y"}))
    new = await pair.slave.requests.submit_edited(made.id, "e" * 32, "somebody", [edited], group)
    await pair.carry_all()
    await pair.carry(on_its_way)
    await pair.follow()
    assert pair.slave.states() == pair.master.states() == {made.id: "replaced", new.id: "waiting"}
    with pytest.raises(Conflict):
        await pair.master.requests.implement(made.id, "admin", force=True)
    await pair.master.requests.implement(new.id, "admin", force=False)
    assert pair.master.session("1")["comment"] == "y"  # type: ignore[index]


async def test_what_changes_nothing_is_no_request(pair: Pair) -> None:
    await pair.begin(whole("1", "one"))
    group = pair.slave.group.group_id
    same: list[Operation] = [whole("1", "one"), Delete("session", "not there")]
    assert await pair.slave.requests.submit("somebody", lambda _: same, "0" * 32, group) is None
    assert pair.slave.requests.all() == []


async def test_a_slave_that_becomes_the_master_deposits_its_own(pair: Pair) -> None:
    await pair.begin(whole("1", "one"))
    made = await pair.submit(whole("1", "one", comment="x"))
    # As after a promotion: the same group, and this server writes.
    await pair.slave.group.rebase(group_id=pair.slave.group.group_id, epoch=replace(
        pair.slave.group.position.epoch, number=2, server="b"))  # fmt: skip
    (entry,) = pair.slave.outbox.entries()
    for _ in range(2):
        await pair.slave.requests.deposit_own(entry)
    assert pair.slave.states() == {made.id: "waiting"}
    await pair.slave.requests.implement(made.id, "admin", force=False)
    assert pair.slave.session("1")["comment"] == "x"  # type: ignore[index]


async def test_old_decided_requests_are_forgotten_and_waiting_ones_never(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(depositing, "KEPT_DECIDED", 3)
    await pair.begin(whole("1", "one"))
    made = [await pair.submit(whole("1", "one", comment=str(n))) for n in range(8)]
    await pair.carry_all()
    for n, request in enumerate(made[1:]):
        pair.clock.day = 1 + n
        await pair.master.requests.reject(request.id, "admin", "no")
    assert len(pair.master.states()) == 8, "the youngest are kept, however many"
    pair.clock.day = 5 + depositing.KEPT_DAYS
    last = await pair.submit(whole("1", "one", comment="last"))
    await pair.carry_all()
    left = pair.master.states()
    assert set(left) == {made[0].id, last.id, *(r.id for r in made[5:])}
    with pair.master.group.read() as reader:
        assert {e.id for e in reader.list(CONTENT_KIND)} == set(left)
    with pytest.raises(NotFound):
        pair.master.requests.get(made[1].id)


@pytest.mark.feature("R11")
@pytest.mark.parametrize(("limit", "most"), [("MAX_UNSEEN", 2), ("MAX_UNSEEN_BYTES", None)])
@pytest.mark.parametrize(
    ("looked_at", "after_days"), [(True, 0), (False, 0), (False, depositing.KEPT_DAYS)], ids=["seen", "unseen", "old"]
)
async def test_one_server_can_not_fill_the_group_where_nobody_is_asked(
    pair: Pair,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    most: int | None,
    looked_at: bool,
    after_days: int,
) -> None:
    await pair.begin(whole("1", "one"), whole("2", "two"), whole("3", "three"))
    await pair.policy("automatic")
    await pair.follow()
    made = [await pair.submit(whole(str(n), f"new {n}", comment="x" * 1000)) for n in (1, 2, 3)]
    assert sum(r.size_bytes for r in made) < 1000, "what is packed small counts by what it becomes"
    monkeypatch.setattr(depositing, limit, most or 3000)
    await pair.carry_all()
    assert [pair.master.states()[r.id] for r in made] == ["implemented", "implemented", "waiting"]
    assert "without being looked at" in pair.slave.requests.get(made[2].id).request.reason
    pair.clock.day += after_days
    if looked_at:
        await pair.master.requests.implement(made[2].id, "admin", force=False)
        assert pair.master.requests.get(made[2].id).request.reason == ""
    pair.clock.day += 1
    later = await pair.submit(whole("1", "newer", comment="y" * 1000))
    await pair.carry_all()
    assert pair.master.states()[later.id] == ("implemented" if looked_at or after_days else "waiting")


async def test_of_old_decided_requests_no_more_is_kept_than_has_room(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pair.begin(whole("1", "one"))
    made = [await pair.submit(whole("1", "one", comment=str(n))) for n in range(5)]
    await pair.carry_all()
    for n, request in enumerate(made):
        pair.clock.day = 1 + n
        await pair.master.requests.reject(request.id, "admin", "no")
    pair.clock.day = 10 + depositing.KEPT_DAYS
    monkeypatch.setattr(depositing, "KEPT_BYTES", made[3].size_bytes + made[4].size_bytes)
    last = await pair.submit(whole("1", "one", comment="last"))
    await pair.carry_all()
    assert set(pair.master.states()) == {last.id, made[3].id, made[4].id}


async def test_one_server_can_not_fill_the_master(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depositing, "MAX_WAITING", 2)
    await pair.begin(whole("1", "one"))
    made = [await pair.submit(whole("1", "one", comment=str(n))) for n in range(3)]
    await pair.carry(pair.slave.outbox.entries()[0])
    await pair.carry(pair.slave.outbox.entries()[1])
    with pytest.raises(PeerError) as refused:
        await pair.carry(pair.slave.outbox.entries()[2])
    assert refused.value.code == "busy"
    await pair.slave.requests.take_back(made[0].id, "somebody", pair.slave.group.group_id)
    await pair.carry_all()
    assert sorted(pair.master.states().values()) == ["waiting", "waiting", "withdrawn"]


STEPS = st.sampled_from(
    [
        "submit", "submit", "carry", "carry", "carry_old", "follow", "implement", "implement", "force", "reject",
        "withdraw_here", "withdraw_there", "edit_here", "edit_there", "change", "crash", "policy",
    ]
)  # fmt: skip
NAMES = ("one", "two", "three")


@pytest.mark.feature("R11")
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(STEPS, st.integers(0, 1 << 16)), min_size=8, max_size=40))
def test_whatever_happens_a_request_is_applied_at_most_once_and_never_lost(
    steps: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    asyncio.run(_walk(steps, Pair(tmp_path_factory.mktemp("pair"))))


async def _walk(steps: list[tuple[str, int]], pair: Pair) -> None:
    await pair.begin(*(whole(n, n) for n in NAMES))
    seen: list[Entry] = []
    made: list[str] = []
    try:
        for n, (step, number) in enumerate(steps):
            seen += [e for e in pair.slave.outbox.entries() if e not in seen]
            with contextlib.suppress(HostwardError):  # what is refused has changed nothing
                await _step(pair, step, number, n, made, seen)
            assert set(made) <= set(pair.slave.states()), "a request is lost"
        await pair.carry_all()
        await pair.carry_all()
        assert pair.slave.states() == pair.master.states()
        assert set(pair.master.states()) == set(made)
        assert "on-its-way" not in pair.master.states().values()
        _check_applied(pair)
    finally:
        pair.close()


async def _step(pair: Pair, step: str, number: int, n: int, made: list[str], seen: list[Entry]) -> None:
    name = NAMES[number % len(NAMES)]
    chosen = made[number % len(made)] if made else ""
    group = pair.slave.group.group_id
    match step:
        case "submit":
            made.append((await pair.submit(whole(name, name, comment=f"step {n}"))).id)
        case "carry":
            await pair.carry_all()
        case "carry_old" if seen:
            await pair.carry(seen[number % len(seen)])
        case "follow":
            await pair.follow()
        case "implement" | "force" if chosen:
            await pair.master.requests.implement(chosen, "admin", force=step == "force")
        case "reject" if chosen:
            await pair.master.requests.reject(chosen, "admin", "no")
        case "withdraw_there" if chosen:
            await pair.master.requests.withdraw(chosen, "admin")
        case "withdraw_here" if chosen:
            await pair.slave.requests.take_back(chosen, "somebody", group)
        case "edit_here" if chosen:
            edited = [Edited("session", name, body_of_put(whole(name, name, comment=f"step {n}")))]
            made.append((await pair.slave.requests.submit_edited(chosen, f"{n:032x}", "somebody", edited, group)).id)
        case "edit_there" if chosen:
            edited = [Edited("session", name, body_of_put(whole(name, name, comment=f"step {n}")))]
            await pair.master.requests.deposit_edited(chosen, f"{n:032x}", "admin", edited)
            await pair.follow()
            made.append(f"{n:032x}")
        case "change":
            await pair.master.group.commit("another", lambda _: [whole(name, name, port=1000 + n)])
        case "policy":
            await pair.policy("automatic" if number % 2 else "ask")
        case "crash":
            pair.crash()


def body_of_put(put: Put) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(put.body)
    return body


def _check_applied(pair: Pair) -> None:
    """Each request's own mark is in the log exactly as often as it was implemented: once or never."""
    changes = pair.master.group.changes_after(0, max_bytes=1 << 30, max_count=10_000)
    assert changes is not None
    marks = [
        body_of_put(op)["comment"]
        for change in changes
        for op in change.operations()
        if isinstance(op, Put) and op.kind == "session"
    ]
    with pair.master.group.read() as reader:
        for request in depositing.every(reader):
            mark = _mark_of(reader, request)
            if mark is not None:
                implemented = request.state is State.IMPLEMENTED
                assert marks.count(mark) == int(implemented), (request.state, mark, marks)


def _mark_of(reader: Reader, request: ChangeRequest) -> str | None:
    touched = depositing.touched_by(reader, request.id)
    return str(touched[0].wanted["comment"]) if touched and touched[0].wanted else None


def test_content_survives_packing() -> None:
    touched = (Touched("session", "1", None, None, {"name": "é"}), Touched("x", "y", "ab", {"a": [1]}, None))
    assert unpack(pack(touched)) == touched
