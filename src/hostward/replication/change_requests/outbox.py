"""The outbox: change requests of this server that aren't known to have reached the Master, in server.db.

What is kept here is on the disk before anybody is told of it. A request leaves when this server's own registry holds
it; so it is in one of the two files at every moment, whoever dies.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
import structlog

from hostward.domain.changes import EMPTY_DIGEST, GENESIS_HASH, Change, Delete, Operation, Position, Put, element_hash
from hostward.domain.errors import Unavailable
from hostward.domain.requests import (
    CONTENT_KIND,
    KIND,
    ChangeRequest,
    State,
    Touched,
    class_of,
    pack,
    summary_of,
)
from hostward.registry.group import GroupRegistry
from hostward.registry.server import ServerRegistry
from hostward.replication.group.members import MEMBERSHIP_KINDS

PREFIX: Final = "change-request:"
MAX_ENTRIES: Final = 1_000
MAX_BYTES: Final = 64 << 20

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Entry:
    """A request that is to reach the Master of `group`, in the order of the numbers. Its state is what the Master shall
    know: on its way, or withdrawn or replaced by its author; or rejected, where the Master refused even to take it in.
    `content` is empty for what was taken back."""

    number: int
    group: str
    request: ChangeRequest
    content: bytes

    def to_json(self) -> dict[str, Any]:
        content = base64.b64encode(self.content).decode()
        return {"number": self.number, "group": self.group, "request": self.request.to_json(), "content": content}

    @staticmethod
    def from_json(value: dict[str, Any]) -> Entry:
        content = base64.b64decode(value["content"])
        return Entry(value["number"], value["group"], ChangeRequest.from_json(value["request"]), content)


class Outbox:
    """Any thread; every change is fsynced before it returns. `added` is called after each."""

    def __init__(self, server: ServerRegistry, group: GroupRegistry, server_id: str, server_name: str) -> None:
        self._server, self._group = server, group
        self._server_id, self._server_name = server_id, server_name
        self._lock = threading.RLock()
        stored = (Entry.from_json(value) for value in server.starting_with(PREFIX).values())
        self._entries = {entry.request.id: entry for entry in stored}
        self.added: Callable[[], None] = lambda: None

    def entries(self) -> list[Entry]:
        """In their order."""
        with self._lock:
            return sorted(self._entries.values(), key=lambda e: e.number)

    def get(self, request_id: str) -> Entry | None:
        return self._entries.get(request_id)

    def keep(self, *requests: tuple[ChangeRequest, bytes], group: str) -> None:
        """Keep requests with their contents, all in one transaction; one that is there already keeps its place. Raises
        Unavailable where too many are on their way already, RegistryError where the disk refuses."""
        with self._lock:
            sizes = {i: len(e.content) for i, e in self._entries.items()} | {r.id: len(c) for r, c in requests}
            grows = not sizes.keys() <= self._entries.keys()
            if grows and (len(sizes) > MAX_ENTRIES or sum(sizes.values()) > MAX_BYTES):
                raise Unavailable(
                    f"{len(self._entries):,} change requests are on their way to the Master already.",
                    remedy="Wait until the Master can be reached, or withdraw some of them.",
                    code="outbox-full",
                )
            self._put(requests, group)

    def remove(self, entry: Entry) -> None:
        """One of these, that the Master has; unless it has become another one meanwhile, as its author withdrew it."""
        request_id = entry.request.id
        with self._lock:
            if self._entries.get(request_id) == entry:
                self._server.delete(PREFIX + request_id)
                del self._entries[request_id]

    def refused(self, entry: Entry, refusal: ChangeRequest) -> None:
        """One of these, with the Master's refusal in its place; unless it has become another one meanwhile."""
        with self._lock:
            if self._entries.get(entry.request.id) == entry:
                refused = replace(entry, request=refusal)
                self._server.put(PREFIX + refusal.id, refused.to_json())
                self._entries[refusal.id] = refused

    def set_aside(self, changes: Sequence[Change], start: Position) -> list[str]:
        """Keep changes that a new epoch, which begins at `start`, leaves behind, as change requests; the requests' ids.
        `changes` come after `start` in this registry's history, which still holds their content. Call it before that
        content is replaced: whatever happens then, nothing is lost. Again with the same changes it keeps nothing twice.

        A request's id is its change's hash. Who belongs to the group isn't part of it; a change that only deposited or
        implemented requests brings those requests back instead, unless they were rejected or taken back since: also
        where only this outbox knows that."""
        requests = set_aside(changes, start, self._server_id, self._server_name, self._content_of)
        with self._lock:
            closed = {e.request.id for e in self._entries.values() if not e.request.open}
            requests = [(request, content) for request, content in requests if request.id not in closed]
            if requests:
                self._put(requests, self._group.group_id)
        for request, _ in requests:
            log.warning("change-set-aside", request=request.id, author=request.author, summary=request.summary)
        return [request.id for request, _ in requests]

    def _put(self, requests: Sequence[tuple[ChangeRequest, bytes]], group: str) -> None:
        with self._lock:
            numbers = {e.request.id: e.number for e in self._entries.values()}
            following = max(numbers.values(), default=0) + 1
            entries = [
                Entry(numbers.get(request.id, following + n), group, request, content)
                for n, (request, content) in enumerate(requests)
            ]
            self._server.update(**{PREFIX + e.request.id: e.to_json() for e in entries})
            self._entries.update({e.request.id: e for e in entries})
        self.added()

    def _content_of(self, request_id: str) -> bytes | None:
        with self._group.read() as reader:
            found = reader.get(CONTENT_KIND, request_id)
        return content_of(found.json()) if found else None


def content_body(packed: bytes) -> dict[str, Any]:
    """A request's content as the body of its element."""
    return {"packed": base64.b64encode(packed).decode()}


def content_of(body: dict[str, Any]) -> bytes:
    return base64.b64decode(body["packed"])


def set_aside(
    changes: Sequence[Change],
    start: Position,
    server_id: str,
    server_name: str,
    content_of_request: Callable[[str], bytes | None],
) -> list[tuple[ChangeRequest, bytes]]:
    """The requests that changes beyond `start` become (Outbox.set_aside)."""
    found: dict[str, tuple[ChangeRequest, bytes]] = {}
    left_as: dict[tuple[str, str], Touched] = {}
    contents: dict[str, bytes] = {}
    # Before the oldest change that a registry keeps, its digest isn't known.
    digest = start.digest if start.hash == GENESIS_HASH or start.digest != EMPTY_DIGEST else None
    for change in changes:
        operations = change.operations()
        contents.update(
            {op.id: content_of(_body(op)) for op in operations if isinstance(op, Put) and op.kind == CONTENT_KIND}
        )
        brought_back, closed, implemented = _requests_in(operations)
        for request_id in closed:
            found.pop(request_id, None)
        for request in brought_back:
            content = contents.get(request.id) or content_of_request(request.id)
            if content is not None:
                found[request.id] = (replace(request, origin=server_id, origin_name=server_name), content)
        rest = [op for op in operations if op.kind not in (*MEMBERSHIP_KINDS, KIND, CONTENT_KIND)]
        if rest and not implemented:
            # With other operations among them, what they replaced can't be told from what those did.
            removed = _removed(operations, digest, change.digest) if len(rest) == len(operations) else None
            touched = _touched_by(rest, left_as, removed)
            left_as.update({(t.kind, t.id): t for t in touched})
            content = pack(touched, limited=False)
            found[change.hash.hex()] = (
                ChangeRequest(
                    id=change.hash.hex(),
                    author=change.author,
                    origin=server_id,
                    origin_name=server_name,
                    submitted=change.time,
                    revision=start.revision,
                    summary=summary_of(touched),
                    class_=class_of(touched),
                    elements=len(touched),
                    size_bytes=len(content),
                    set_aside=True,
                ),
                content,
            )
        digest = change.digest
    return list(found.values())


def _requests_in(operations: Sequence[Operation]) -> tuple[list[ChangeRequest], list[str], bool]:
    """The requests that a change deposited or implemented, open again; the ids of those that it rejected or that were
    taken back; whether it implemented one."""
    heads = [ChangeRequest.from_json(_body(op)) for op in operations if isinstance(op, Put) and op.kind == KIND]
    back = [r for r in heads if r.state in (State.WAITING, State.IMPLEMENTED)]
    again = [
        replace(r, state=State.ON_ITS_WAY, received="", decided_by="", decided_at="", decided_revision=0, reason="")
        for r in back
    ]
    closed = [r.id for r in heads if r not in back]
    return again, closed, any(r.state is State.IMPLEMENTED for r in back)


def _removed(operations: Sequence[Operation], before: bytes | None, after: bytes) -> int | None:
    """The sum of the hashes of the elements that a change replaced or deleted, from the content's digests around it;
    None where the one before it isn't known."""
    if before is None:
        return None
    added = sum(int.from_bytes(element_hash(op.kind, op.id, op.body)) for op in operations if isinstance(op, Put))
    return (int.from_bytes(before) + added - int.from_bytes(after)) % (1 << 256)


def _touched_by(
    operations: Sequence[Operation], left_as: Mapping[tuple[str, str], Touched], removed: int | None
) -> list[Touched]:
    """What the operations touch. An element's base is what an earlier change left of it; else it is computed from the
    digests, which tell it where one element was replaced, or none; else it is what it was at the start."""
    earlier = [left_as.get((op.kind, op.id)) for op in operations]
    base: str | None = None
    if removed is not None:
        left = (removed - sum(int(t.wanted_hash or "0", 16) for t in earlier if t)) % (1 << 256)
        base = "" if left == 0 else f"{left:064x}" if earlier.count(None) == 1 else None
    return [
        Touched(
            op.kind,
            op.id,
            t.wanted_hash if t else base,
            t.wanted if t else None,
            None if isinstance(op, Delete) else _body(op),
        )
        for op, t in zip(operations, earlier, strict=True)
    ]


def _body(operation: Operation) -> dict[str, Any]:
    assert isinstance(operation, Put)
    value: dict[str, Any] = orjson.loads(operation.body)
    return value
