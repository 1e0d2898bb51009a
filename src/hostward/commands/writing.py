"""What every write of replicated configuration has in common."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from hostward.commands.auditing import Act, recorded
from hostward.commands.locks import check_unlocked, locks_of_others
from hostward.commands.services import Actor, Services
from hostward.domain.changes import Operation, Position, canonical
from hostward.domain.errors import PreconditionFailed
from hostward.domain.replicated import Replicated
from hostward.domain.requests import ChangeRequest
from hostward.registry.group import Committed, Element, Reader
from hostward.registry.group import Decide as Decide

ANY_ETAG = "*"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Once:
    """A request that has its effect once, however often it is sent: the caller's Idempotency-Key, bound to who asks for
    what, so that the same key on another request is another one. `seed` is what ids are derived from, so that a
    repeated request finds what the first one made."""

    seed: str

    @classmethod
    def of(cls, actor: Actor, key: str | None, act: str, content: object) -> Once | None:
        """`content` is bytes, or anything that becomes JSON. None where no key came."""
        if key is None:
            return None
        raw = content if isinstance(content, bytes) else canonical(content)
        parts = ((actor.account or actor.user).encode(), key.encode(), act.encode(), hashlib.sha256(raw).digest())
        return cls(hashlib.sha256(b"".join(len(p).to_bytes(4) + p for p in parts)).hexdigest())

    def id(self, number: int = 0) -> str:
        """The id of the n-th thing that the request makes."""
        return hashlib.sha256(f"{self.seed}/{number}".encode()).hexdigest()[:32]

    @property
    def request_id(self) -> str:
        """Of the change request that it becomes on a Slave."""
        return hashlib.sha256(f"{self.seed}/change-request".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Done:
    """A write that this server made: its outcome, and who has it."""

    committed: Committed
    replicated: Replicated


@dataclass(frozen=True, slots=True)
class Submitted:
    """A write on a Slave: the change request that it became."""

    request: ChangeRequest


class Beforehand(Generic[T]):
    """What was decided on a view, so that the writer, for which all changes wait, needn't decide it; decided again only
    where something else was written in between."""

    def __init__(self, decide: Callable[[Reader], T], found: T, position: Position) -> None:
        self._decide, self.found, self.position = decide, found, position

    @classmethod
    async def look(cls, services: Services, decide: Callable[[Reader], T]) -> Beforehand[T]:
        """Raises what `decide` raises."""

        def look() -> Beforehand[T]:
            with services.group.read() as reader:
                return cls(decide, decide(reader), reader.position())

        return await asyncio.to_thread(look)

    def at(self, reader: Reader) -> T:
        """What holds now. Raises what `decide` raises."""
        now = reader.position()
        if now != self.position:
            self.found, self.position = self._decide(reader), now
        return self.found


async def write(
    services: Services,
    actor: Actor,
    act: str,
    decide: Decide,
    *,
    once: Once | None = None,
    all_servers: bool = False,
    **about: object,
) -> Done | Submitted:
    """Make a change: committed where this server writes the configuration, else kept as a request to the Master. Raises
    what `decide` raises, SessionLocked where somebody else edits a session that it writes, Unavailable where neither is
    possible now; then nothing was changed."""
    if (submitted := submitted_before(services, once)) is not None:
        return submitted
    if actor.take_over.any or actor.take_over.tag:
        about["take_over"] = "yes"
    async with recorded(services, actor, act, **about) as doing:
        return await write_act(services, actor, doing, decide, once=once, all_servers=all_servers)


def submitted_before(services: Services, once: Once | None) -> Submitted | None:
    """The change request that it became where it came first: this server was a Slave then."""
    known = services.requests.find(once.request_id) if once is not None else None
    return Submitted(known.request) if known is not None else None


async def write_act(
    services: Services, actor: Actor, doing: Act, decide: Decide, *, once: Once | None = None, all_servers: bool = False
) -> Done | Submitted:
    """As `write`, for an act that is being recorded already."""
    group = services.replication.submits_to()
    locks = await locks_of_others(services, actor)

    def unlocked(reader: Reader) -> Sequence[Operation]:
        operations = decide(reader)
        check_unlocked(services, actor, operations, locks)
        return operations

    if group is None:
        return await commit_act(services, actor, doing, unlocked, once=once, all_servers=all_servers)
    request_id = once.request_id if once else uuid.uuid4().hex
    request = await services.requests.submit(actor.user, unlocked, request_id, group)
    if request is not None:
        doing.submitted = request.id
        return Submitted(request)
    revision = services.group.position.revision
    return Done(Committed(revision, changed=False), await services.replication.acknowledged(revision))


async def commit_act(
    services: Services, actor: Actor, doing: Act, decide: Decide, *, once: Once | None = None, all_servers: bool = False
) -> Done:
    """Commit what `decide` answers, and wait until one Slave has it (`all_servers`: every one that can be reached).
    Raises what check_writable and decide raise; then nothing was changed. And Conflict "superseded", where another
    server had become the Master before this one could tell."""
    services.replication.check_writable()
    key = once.seed if once else None
    committed = await services.group.commit(actor.user, decide, idempotency_key=key)
    return await finish(services, doing, committed, all_servers=all_servers)


async def finish(services: Services, doing: Act, committed: Committed, *, all_servers: bool = False) -> Done:
    """Say what was committed, and wait for who has it."""
    doing.revision = committed.revision
    doing.about |= {} if committed.changed else {"changed": "nothing"}
    doing.about |= {"repeated": "yes"} if committed.repeated else {}
    replicated = await services.replication.acknowledged(committed.revision, all_servers=all_servers)
    await services.replication.check_stands(committed.revision, committed.hash)
    return Done(committed, replicated)


def check_etag(element: Element, allowed: Collection[str] | None) -> None:
    """Raises PreconditionFailed where the element isn't one of those that the caller has read. None allows any."""
    if allowed is None or ANY_ETAG in allowed or element.etag in allowed:
        return
    raise PreconditionFailed(
        "It was changed by somebody else since it was read; nothing was changed.",
        remedy="Read it again, make the change in what is there now, and send it with the new ETag.",
        current=element.etag,
    )
