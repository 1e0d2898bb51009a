"""What every write of replicated configuration has in common."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

import structlog

from hostward.commands.services import Actor, Services
from hostward.domain.changes import canonical
from hostward.domain.errors import PreconditionFailed
from hostward.domain.replicated import Replicated
from hostward.registry.group import Committed, Element
from hostward.registry.group import Decide as Decide

log = structlog.get_logger()

ANY_ETAG = "*"


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
        parts = (actor.user.encode(), key.encode(), act.encode(), hashlib.sha256(raw).digest())
        return cls(hashlib.sha256(b"".join(len(p).to_bytes(4) + p for p in parts)).hexdigest())

    def id(self, number: int = 0) -> str:
        """The id of the n-th thing that the request makes."""
        return hashlib.sha256(f"{self.seed}/{number}".encode()).hexdigest()[:32]


async def write(
    services: Services,
    actor: Actor,
    act: str,
    decide: Decide,
    *,
    once: Once | None = None,
    all_servers: bool = False,
    **logged: object,
) -> tuple[Committed, Replicated]:
    """Commit what `decide` answers, log it, and wait until one Slave has it (`all_servers`: every one that can be
    reached). Raises what check_writable and decide raise; then nothing was changed. And Conflict "superseded", where
    another server had become the Master before this one could tell."""
    services.replication.check_writable()
    committed = await services.group.commit(actor.user, decide, idempotency_key=once.seed if once else None)
    log.info(
        act,
        author=actor.user,
        token=actor.token_id,
        address=actor.address,
        revision=committed.revision,
        changed=committed.changed,
        repeated=committed.repeated,
        **logged,
    )
    replicated = await services.replication.acknowledged(committed.revision, all_servers=all_servers)
    await services.replication.check_stands(committed.revision, committed.hash)
    return committed, replicated


def check_etag(element: Element, allowed: Collection[str] | None) -> None:
    """Raises PreconditionFailed where the element isn't one of those that the caller has read. None allows any."""
    if allowed is None or ANY_ETAG in allowed or element.etag in allowed:
        return
    raise PreconditionFailed(
        "It was changed by somebody else since it was read; nothing was changed.",
        remedy="Read it again, make the change in what is there now, and send it with the new ETag.",
        current=element.etag,
    )
