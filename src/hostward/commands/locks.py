"""Concurrency Locks: an administrator who edits a session holds its lock, and others are told before they write it.

The lock keeps people from working against each other; what keeps a change from being lost is the ETag, and on a Slave
the request's base. So where the Master, which holds the locks, can't be reached, there are none, and work goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from hostward.commands.auditing import recorded
from hostward.commands.reading import existing_session
from hostward.commands.services import Actor, Services
from hostward.domain.changes import Operation
from hostward.domain.errors import PeerError, SessionLocked, Unavailable
from hostward.domain.locks import Lock
from hostward.domain.sessions import KIND
from hostward.domain.suggestions import shown

MAX_NAMED: Final = 5
_REMEDY: Final = (
    "Wait, or ask them; `hostward session locks` lists all. With take_over (--take-over) it is done in spite of it."
)


@dataclass(frozen=True, slots=True)
class SessionLock:
    """A lock as an administrator sees it; `yours` where it is the caller's own login that holds it."""

    session: str
    user: str
    server: str
    server_name: str
    since: datetime
    times_out: datetime
    yours: bool


async def list_locks(services: Services, actor: Actor) -> list[SessionLock]:
    """All of the group, the oldest first. Raises Unavailable, PeerError where the Master can't be asked."""
    locks = await services.locks.locks()
    return [_shown(services, actor, lock) for lock in sorted(locks, key=lambda lock: -lock.age_s)]


async def session_lock(services: Services, actor: Actor, session_id: str) -> SessionLock | None:
    """Of one session. Raises NotFound, and as list_locks."""
    _check_exists(services, session_id)
    return next((k for k in await list_locks(services, actor) if k.session == session_id), None)


async def hold_lock(
    services: Services, actor: Actor, session_id: str, *, page: str = "", take_over: bool = False
) -> SessionLock:
    """Lock a session, or renew its lock. `page` tells several of one login apart: the lock ends with its last. Raises
    NotFound, SessionLocked, Unavailable, PeerError."""
    _check_exists(services, session_id)
    if take_over:
        async with recorded(services, actor, "lock-taken-over", session=session_id):
            return await _hold(services, actor, session_id, page, take_over=True)
    return await _hold(services, actor, session_id, page, take_over=False)


async def release_lock(services: Services, actor: Actor, session_id: str, *, page: str | None = None) -> None:
    """The caller edits it no longer, in that page or at all. Raises Unavailable, PeerError."""
    await services.locks.release(session_id, actor.token_id, page)


async def locks_of_others(services: Services, actor: Actor) -> Mapping[str, Lock]:
    """By session; none where the Master can't be asked."""
    try:
        locks = await services.locks.locks()
    except (Unavailable, PeerError):
        return {}
    return {lock.session: lock for lock in locks if not _own(services, actor, lock)}


def check_unlocked(
    services: Services, actor: Actor, operations: Sequence[Operation], locks: Mapping[str, Lock]
) -> None:
    """Return where nobody else edits what is written, or the caller knows. Raises SessionLocked."""
    if not locks or actor.take_over.any:
        return
    met = [locks[op.id] for op in operations if op.kind == KIND and op.id in locks]
    if met and actor.take_over.tag != tag_of(met):
        raise _refusal(services, met)


def held_by(services: Services, locks: Collection[Lock]) -> list[str]:
    """Who holds them, in sentences."""
    named = sorted(locks, key=lambda lock: -lock.age_s)[:MAX_NAMED]
    with services.group.read() as reader:
        found = [(reader.get(KIND, lock.session), lock) for lock in named]
    said = [
        f"{shown(element.json()['name']) if element else lock.session} has been edited by {_person(lock)}"
        f" for {_minutes(lock.age_s)}."
        for element, lock in found
    ]
    more = len(locks) - len(named)
    return [*said, *([f"{more:,} more are being edited by others."] if more else [])]


def tag_of(locks: Iterable[Lock]) -> str:
    """Names exactly these locks; empty for none."""
    names = sorted(f"{lock.session} {lock.holder.server} {lock.holder.login}" for lock in locks)
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16] if names else ""


async def _hold(services: Services, actor: Actor, session_id: str, page: str, *, take_over: bool) -> SessionLock:
    lock = await services.locks.hold(session_id, actor.token_id, actor.user, page, take_over=take_over)
    if not _own(services, actor, lock):
        raise _refusal(services, [lock])
    return _shown(services, actor, lock)


def _check_exists(services: Services, session_id: str) -> None:
    with services.group.read() as reader:
        existing_session(reader, session_id)


def _refusal(services: Services, locks: Collection[Lock]) -> SessionLocked:
    holders = held_by(services, locks)
    what = holders[0] if len(holders) == 1 else f"{len(locks):,} of the sessions are being edited by others."
    return SessionLocked(f"{what} Nothing was changed.", remedy=_REMEDY, holders=holders, tag=tag_of(locks))


def _shown(services: Services, actor: Actor, lock: Lock) -> SessionLock:
    now, h = services.clock(), lock.holder
    since, times_out = now - timedelta(seconds=lock.age_s), now + timedelta(seconds=lock.left_s)
    own = _own(services, actor, lock)
    return SessionLock(lock.session, h.user, h.server, h.server_name, since, times_out, own)


def _own(services: Services, actor: Actor, lock: Lock) -> bool:
    return (lock.holder.server, lock.holder.login) == (services.identity.server_id, actor.token_id)


def _person(lock: Lock) -> str:
    return f"{lock.holder.user} on {lock.holder.server_name}"


def _minutes(age_s: float) -> str:
    minutes = int(age_s // 60)
    return "less than a minute" if not minutes else "a minute" if minutes == 1 else f"{minutes:,} minutes"
