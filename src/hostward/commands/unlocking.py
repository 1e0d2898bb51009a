"""Users who have given too many wrong passwords: where they have to wait, and Unlock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hostward.commands.auditing import recorded
from hostward.commands.people import check_helps, read_user
from hostward.commands.services import Actor, Services
from hostward.domain.guesses import ServerWaits


@dataclass(frozen=True, slots=True)
class Locked:
    """Where on a server; `until` is None once it is over, while the next wrong password makes it longer all the same.
    `address` is empty for wherever."""

    server: str
    address: str
    wrong: int
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Waits:
    """Of one user: those of the servers that have answered, and the names of those that haven't."""

    items: Sequence[Locked]
    servers: Sequence[str]
    silent: Sequence[str]


async def waits(services: Services, user_id: str) -> Waits:
    """On all servers of the group. Raises NotFound."""
    user = read_user(services, user_id).element.json()
    return _waits(services, await services.unlocking.waits(user["name"]))


async def unlock(services: Services, actor: Actor, user_id: str) -> Waits:
    """The user needn't wait any more; what was forgotten. No change: it is at once, also on a Slave, also while the
    Master is away. Raises NotFound, Forbidden."""
    async with recorded(services, actor, "user-unlocked", id=user_id) as act:
        user = read_user(services, user_id).element.json()
        act.about["name"] = user["name"]
        check_helps(actor, user_id, user)
        found = _waits(services, await services.unlocking.forget(user["name"]))
        act.about |= {"servers": ", ".join(found.servers), "silent": ", ".join(found.silent)}
    return found


def _waits(services: Services, found: Sequence[ServerWaits]) -> Waits:
    now = services.clock()
    items = [
        Locked(f.server, w.address, w.wrong, now + timedelta(seconds=w.wait_s) if w.wait_s else None)
        for f in found
        for w in f.waits
    ]
    return Waits(items, [f.server for f in found if not f.reason], [f.server for f in found if f.reason])
