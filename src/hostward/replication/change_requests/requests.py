"""Change requests of one server: made and kept here, deposited where this server writes, shown from both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
import structlog

from hostward.domain.changes import Body, Operation, Put
from hostward.domain.errors import Conflict, InvalidInput
from hostward.domain.requests import (
    ChangeRequest,
    Contradiction,
    Difference,
    State,
    Touched,
    class_of,
    differences,
    pack,
    rules_of,
    summary_of,
    unpack,
    wanted_bytes,
)
from hostward.registry.group import Committed, Decide, GroupRegistry, Reader
from hostward.replication.change_requests import depositing
from hostward.replication.change_requests.depositing import Arrived, arrived, looking
from hostward.replication.change_requests.outbox import Entry, Outbox
from hostward.replication.failpoints import die_at

CARRYING: Final = {State.ON_ITS_WAY: "submission", State.WITHDRAWN: "withdrawal", State.REPLACED: "replacement"}
MAX_CHANGES_SHOWN: Final = 100

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Shown:
    """A request as this server knows it. `carrying`: what of it is still on its way to the Master (submission,
    withdrawal, replacement, or nothing), and `reason` why it hasn't got there."""

    request: ChangeRequest
    carrying: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ElementShown:
    """What a request would change in one element, beside what is there now."""

    touched: Touched
    differences: Sequence[Difference]
    label: str


@dataclass(frozen=True, slots=True)
class Detail:
    """A request with what it would change (the first MAX_CHANGES_SHOWN elements), and what stands against it now."""

    shown: Shown
    changes: Sequence[ElementShown]
    conflicts: Sequence[Contradiction]


@dataclass(frozen=True, slots=True)
class Edited:
    """An element of a request as it shall be instead; `wanted` None deletes it."""

    kind: str
    id: str
    wanted: Body | None


class Requests:
    """`not_carried` is why what is on its way hasn't got to the Master; who carries it sets it."""

    def __init__(
        self, group: GroupRegistry, outbox: Outbox, server_id: str, server_name: str, now: Callable[[], str]
    ) -> None:
        self._group, self._outbox = group, outbox
        self._server_id, self._server_name, self._now = server_id, server_name, now
        self.not_carried = ""
        self._counted: tuple[bytes, int] = (b"", 0)

    # Reading: any thread

    def all(self, state: State | None = None) -> list[Shown]:
        """Newest first."""
        with self._group.read() as reader:
            known = {r.id: r for r in depositing.every(reader)}
        entries = {e.request.id: e for e in self._outbox.entries()}
        found = [self._shown(known.get(i), entries.get(i)) for i in known.keys() | entries.keys()]
        wanted = [s for s in found if state is None or s.request.state is state]
        return sorted(wanted, key=lambda s: (s.request.received or s.request.submitted, s.request.id), reverse=True)

    def find(self, request_id: str) -> Shown | None:
        with self._group.read() as reader:
            known = depositing.find(reader, request_id)
        entry = self._outbox.get(request_id)
        return self._shown(known, entry) if known or entry else None

    def deposited(self, request_id: str) -> ChangeRequest | None:
        """As the replicated registry has it."""
        with self._group.read() as reader:
            return depositing.find(reader, request_id)

    def get(self, request_id: str) -> Shown:
        """Raises NotFound."""
        found = self.find(request_id)
        if found is None:
            raise depositing.not_found(request_id)
        return found

    def detail(self, request_id: str) -> Detail:
        """Raises NotFound."""
        with self._group.read() as reader:
            found = self.get(request_id)
            touched = self._content(reader, request_id)
            changes = [
                ElementShown(t, differences(t, looking(reader, t.kind, t.id)), depositing.label_in(reader, t))
                for t in touched[:MAX_CHANGES_SHOWN]
            ]
            conflicts = depositing.found_against(reader, found.request, touched) if found.request.open else []
        return Detail(found, changes, conflicts)

    def wanted_by_open(self, kind: str) -> list[Body]:
        """What elements of that kind would become by the requests that aren't decided yet."""
        with self._group.read() as reader:
            touched = [t for one in self.all() if one.request.open for t in self._content(reader, one.request.id)]
        return [t.wanted for t in touched if t.kind == kind and t.wanted is not None]

    @property
    def waiting(self) -> int:
        """How many wait for an administrator of the Master."""
        position = self._group.position
        if self._counted[0] != position.hash:
            with self._group.read() as reader:
                self._counted = position.hash, sum(r.state is State.WAITING for r in depositing.every(reader))
        return self._counted[1]

    @property
    def on_their_way(self) -> int:
        return sum(e.request.state is State.ON_ITS_WAY for e in self._outbox.entries())

    def warnings(self) -> list[str]:
        """For an administrator, while something waits or can't be carried."""
        found, waiting = [], self.waiting
        if waiting > 0:
            verb = "requests wait" if waiting > 1 else "request waits"
            found.append(f"{waiting:,} change {verb} for an administrator on the Master.")
        if self.on_their_way > 0 and self.not_carried:
            found.append(f"Change requests are on their way to the Master: {self.not_carried}")
        return found

    # On a Slave

    async def submit(self, author: str, decide: Decide, request_id: str, group: str) -> ChangeRequest | None:
        """Keep what `decide` answers as a request to the Master of `group`, fsynced; None where it would change
        nothing. The same id again finds the first one. Raises what decide raises, InvalidInput where it is too large,
        Unavailable where too many are on their way."""
        known = self.find(request_id)
        if known is not None:
            return known.request

        def make() -> ChangeRequest | None:
            with self._group.read() as reader:
                touched = touched_of(reader, decide(reader))
                revision = reader.position().revision
            if not touched:
                return None
            made = self._new(request_id, author, touched, revision)
            self._outbox.keep(made, group=group)
            return made[0]

        made = await asyncio.to_thread(make)
        if made is not None:
            log.info("change-requested", request=made.id, author=author, summary=made.summary)
        return made

    async def take_back(self, request_id: str, author: str, group: str | None) -> ChangeRequest:
        """Withdraw a request of this server's own, on its way to the Master of its group or there (then of `group`).
        Raises NotFound, Conflict."""
        found = self._own_open(request_id)
        entry = self._outbox.get(request_id)
        group = entry.group if entry else group
        assert group is not None, "what isn't in the outbox is on the Master"
        withdrawn = found.decide(State.WITHDRAWN, by=author, at=self._now())
        await asyncio.to_thread(self._outbox.keep, (withdrawn, b""), group=group)
        return withdrawn

    async def submit_edited(
        self, request_id: str, new_id: str, author: str, edited: Sequence[Edited] | None, group: str
    ) -> ChangeRequest:
        """A new request in the place of one of this server's own. Raises NotFound, Conflict, InvalidInput."""

        def make() -> ChangeRequest:
            old = self.get(request_id)
            if old.request.origin != self._server_id:
                raise _elsewhere(old.request)
            with self._group.read() as reader:
                touched = edited_touched(reader, self._content(reader, request_id), edited)
                revision = reader.position().revision
            made, content = self._new(new_id, author, touched, revision, replaces=request_id)
            kept = [(made, content)]
            if old.carrying == "submission":
                # Sent before the new one: the Master must not take in the old one after it.
                replaced = old.request.decide(State.REPLACED, by=author, at=self._now())
                kept.insert(0, (replaced, b""))
            self._outbox.keep(*kept, group=group)
            return made

        return await asyncio.to_thread(make)

    # Where this server writes

    async def deposit(self, new: Arrived) -> Committed:
        """Take in a request, once, however often it comes. Raises PeerError "busy", RegistryError."""
        of_the_master = new.request.origin == self._server_id

        def decide(reader: Reader, implement: bool = True) -> Sequence[Operation]:
            return depositing.deposit(reader, new, self._now(), implement=implement, of_the_master=of_the_master)

        author, origin = new.request.author, new.request.origin
        try:
            return await self._group.commit(author, decide, origin=origin)
        except Conflict:  # the registry refuses what the request would do: it waits for an administrator
            return await self._group.commit(author, lambda reader: decide(reader, implement=False), origin=origin)

    async def deposit_own(self, entry: Entry) -> None:
        """One that was on its way from here, now that this server itself is the one that writes. Raises PeerError."""
        new = await asyncio.to_thread(
            arrived,
            entry.request,
            entry.content,
            sender=self._server_id,
            sender_name=self._server_name,
            at=self._now(),
        )
        await self.deposit(new)

    async def receive(
        self, head: Mapping[str, Any], content: bytes, *, sender: str, sender_name: str
    ) -> ChangeRequest | None:
        """Another server's request; as it is known here after it. Raises PeerError "request-invalid" for what can never
        be deposited, "busy" for what can be later."""
        request = ChangeRequest.from_json(head)
        new = await asyncio.to_thread(arrived, request, content, sender=sender, sender_name=sender_name, at=self._now())
        await self.deposit(new)
        found = self.find(request.id)
        if found is not None and found.request.state is State.WAITING and found.request.reason:
            log.warning("change-request-held-back", server=sender_name, request=request.id, reason=found.request.reason)
        return found.request if found else None

    async def implement(self, request_id: str, author: str, *, force: bool) -> Committed:
        """Raises NotFound, Conflict, RequestConflicts."""
        return await self._decided(
            request_id,
            author,
            lambda reader: depositing.implement(reader, request_id, by=author, at=self._now(), force=force),
        )

    async def reject(self, request_id: str, author: str, reason: str) -> Committed:
        """Raises NotFound, Conflict."""
        return await self._closed(request_id, State.REJECTED, author, reason)

    async def withdraw(self, request_id: str, author: str) -> Committed:
        """Raises NotFound, Conflict."""
        return await self._closed(request_id, State.WITHDRAWN, author, "")

    async def deposit_edited(
        self, request_id: str, new_id: str, author: str, edited: Sequence[Edited] | None
    ) -> Committed:
        """A new request in the place of an old one. Raises NotFound, Conflict, InvalidInput."""

        def decide(reader: Reader) -> Sequence[Operation]:
            touched = edited_touched(reader, depositing.touched_by(reader, request_id), edited)
            made, content = self._new(new_id, author, touched, reader.position().revision, replaces=request_id)
            at = self._now()
            new = Arrived(replace(made, received=at), content, touched)
            return depositing.deposit(reader, new, at, implement=False, of_the_master=True)

        return await self._group.commit(author, decide)

    # Below: helpers

    async def _closed(self, request_id: str, state: State, author: str, reason: str) -> Committed:
        return await self._decided(
            request_id,
            author,
            lambda reader: depositing.close(reader, request_id, state, by=author, at=self._now(), reason=reason),
        )

    async def _decided(self, request_id: str, author: str, decide: Decide) -> Committed:
        request = self.get(request_id).request
        if request.state is State.ON_ITS_WAY:
            raise Conflict(
                "The change request is on its way to the Master of its group, and this server isn't that.",
                remedy="Withdraw it, or make this server a part of that group again.",
                code="request-on-its-way",
            )
        committed = await self._group.commit(author, decide, origin=request.origin)
        die_at("REQUEST-DECIDED")
        return committed

    def _new(
        self, request_id: str, author: str, touched: Sequence[Touched], revision: int, *, replaces: str = ""
    ) -> tuple[ChangeRequest, bytes]:
        content = pack(touched)
        made = ChangeRequest(
            id=request_id,
            author=author,
            origin=self._server_id,
            origin_name=self._server_name,
            submitted=self._now(),
            revision=revision,
            summary=summary_of(touched),
            class_=class_of(touched),
            elements=len(touched),
            size_bytes=len(content),
            wanted_bytes=wanted_bytes(touched),
            replaces=replaces,
        )
        return made, content

    def _shown(self, known: ChangeRequest | None, entry: Entry | None) -> Shown:
        if entry is None:
            assert known is not None
            return Shown(known)
        if known is not None and (known.state is not State.WAITING or entry.request.state is State.ON_ITS_WAY):
            return Shown(known)
        return Shown(known or entry.request, CARRYING.get(entry.request.state, ""), self.not_carried)

    def _own_open(self, request_id: str) -> ChangeRequest:
        found = self.get(request_id).request
        if found.origin != self._server_id:
            raise _elsewhere(found)
        if not found.open:
            raise depositing.decided_already(found)
        return found

    def _content(self, reader: Reader, request_id: str) -> tuple[Touched, ...]:
        entry = self._outbox.get(request_id)
        content = entry.content if entry else b""
        return unpack(content) if content else depositing.touched_by(reader, request_id)


def touched_of(reader: Reader, operations: Sequence[Operation]) -> tuple[Touched, ...]:
    """What operations would change in a registry; those that change nothing are left out."""
    last = {(op.kind, op.id): op for op in operations}
    found = []
    for op in last.values():
        now = looking(reader, op.kind, op.id)
        wanted = _body(op) if isinstance(op, Put) else None
        touched = Touched(op.kind, op.id, now.hash if now else "", now.body if now else None, wanted)
        if touched.wanted_hash != touched.base_hash:
            found.append(touched)
    return tuple(found)


def edited_touched(reader: Reader, old: Sequence[Touched], edited: Sequence[Edited] | None) -> tuple[Touched, ...]:
    """A request's content with the elements as they shall be instead (None: as they were), based on what is there now.
    Raises Conflict for one that was taken back; InvalidInput for an element that the request didn't touch, a body that
    isn't good, or where nothing would change."""
    if not old:
        raise Conflict(
            "The change request was taken back, and what it would have changed isn't kept.",
            remedy="Make the change anew.",
            code="request-decided",
        )
    known = {(t.kind, t.id): t for t in old}
    wanted = [Edited(t.kind, t.id, t.wanted) for t in old] if edited is None else edited
    operations: list[Operation] = []
    for e in wanted:
        if (e.kind, e.id) not in known:
            raise InvalidInput(
                f"The request has no {rules_of(e.kind).noun} with the id {e.id[:40]}.",
                remedy="Only what it touches already can be edited; make another change for anything else.",
            )
        given = known[e.kind, e.id].wanted if rules_of(e.kind).hidden and e.wanted is not None else e.wanted
        body = rules_of(e.kind).check(given) if given is not None else None
        operations.append(Touched(e.kind, e.id, None, None, body).operation)
    touched = touched_of(reader, operations)
    if not touched:
        raise InvalidInput(
            "The request would change nothing: everything is so already.", remedy="Withdraw or reject it instead."
        )
    return touched


def _body(op: Put) -> Body:
    body: Body = orjson.loads(op.body)
    return body


def _elsewhere(request: ChangeRequest) -> Conflict:
    return Conflict(
        f"This change request was made on {request.origin_name}.",
        remedy="Do it there, or on the Master.",
        code="other-server",
    )
