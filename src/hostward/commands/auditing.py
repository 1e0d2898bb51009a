"""The audit log: each act is recorded by the command that does it, in one way; and what there is to be read.

An act is recorded once it is known what became of it, before anybody is told: whoever has an answer finds the entry.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from hostward.commands.services import Actor, Services
from hostward.domain.audit import DONE, REFUSED, SUBMITTED, Event, Filter, Kept
from hostward.domain.errors import ConfirmationRequired, HostwardError
from hostward.registry import audit_reading
from hostward.registry.audit_reading import Verified

MAX_PAGE: Final = 500
UNKNOWN: Final = "(unknown)"
"""Whoever gave a name that nobody has, or isn't known yet."""

log = structlog.get_logger()


@dataclass(slots=True)
class Act:
    """What is being done: `about` names what it is done to. `revision` is that of the change it made, `submitted` the
    change request that it became on a Slave. `author` is who turned out to do it, where that wasn't known before."""

    name: str
    about: dict[str, Any] = field(default_factory=dict)
    revision: int | None = None
    submitted: str = ""
    author: str = ""


@asynccontextmanager
async def recorded(services: Services, actor: Actor, act: str, **about: object) -> AsyncIterator[Act]:
    """Record the act that is done within: done, submitted, or refused and why. What only asks for a confirmation is
    no act yet."""
    doing, outcome, reason = Act(act, dict(about)), REFUSED, "It was interrupted."
    try:
        yield doing
        outcome, reason = (SUBMITTED if doing.submitted else DONE), ""
    except ConfirmationRequired:
        outcome = ""
        raise
    except HostwardError as error:
        reason = error.message
        doing.about["code"] = error.code
        raise
    finally:
        if outcome:
            await asyncio.shield(_record(services, actor, doing, outcome, reason))


async def _record(services: Services, actor: Actor, act: Act, outcome: str, reason: str) -> None:
    about = {k: str(v) for k, v in act.about.items() if v not in ("", None)}
    if act.submitted:
        about["change_request"] = act.submitted
    write = log.warning if outcome == REFUSED else log.info
    author = act.author or actor.user
    made = {} if act.revision is None else {"revision": act.revision}
    write(act.name, outcome=outcome, author=author, address=actor.address, token=actor.token_id, about=about, **made)
    if outcome != REFUSED and actor.token_id:
        about.setdefault("token", actor.token_id)
    request = str(structlog.contextvars.get_contextvars().get("request", "")) if outcome != REFUSED else ""
    event = Event(act.name, author, actor.address, outcome, reason, act.revision, request, about)
    await services.auditor.record(event)


@dataclass(frozen=True, slots=True)
class Page:
    """Entries, the newest first. `next` leads on to older ones; empty where there are none."""

    items: list[Kept]
    next: str


async def list_entries(services: Services, wanted: Filter, *, before: str, count: int) -> Page:
    """Raises InvalidInput where `before` is no place in the log."""
    path = services.auditor.path
    found = await asyncio.to_thread(lambda: audit_reading.page(path, wanted, before=before, count=count + 1))
    return Page(found[:count], found[count - 1].cursor if len(found) > count else "")


def export_entries(services: Services, wanted: Filter) -> Iterator[Kept]:
    """All of them, read piece by piece: use it in a thread."""
    return audit_reading.all_entries(services.auditor.path, wanted)


async def known_servers(services: Services) -> dict[str, str]:
    """The servers that there are entries of, by id: their names."""
    return await asyncio.to_thread(audit_reading.servers, services.auditor.path)


async def known_users(services: Services) -> list[str]:
    """Whose acts there are entries of."""
    return await asyncio.to_thread(audit_reading.users, services.auditor.path)


async def verify(services: Services) -> Verified:
    """Look at every entry of every log here."""
    return await services.auditor.verify()
