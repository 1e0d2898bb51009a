"""What only this registry has: kept as change requests before another server's content takes its place.

It happens when this server goes over to another Master's epoch with changes that lie beyond its start; and when two
copies of one Master's files have gone different ways. Nothing is thrown away silently.
"""

from __future__ import annotations

import asyncio
from datetime import datetime

import structlog

from hostward.domain.changes import EMPTY_DIGEST, GENESIS_HASH, Position
from hostward.domain.errors import PeerError
from hostward.registry.backups import BEFORE_FOLLOWING, keep_backup
from hostward.replication.parts import Parts

log = structlog.get_logger()


async def keep_beyond(p: Parts, server_id: str) -> None:
    """Keep, as change requests, the changes of this registry that aren't in that server's history; and, in case that
    anybody should want it, the registry as it was. Raises PeerError where the server doesn't answer."""
    mine = p.group.position
    known = await p.follower.sources.known(server_id, [(mine.revision, mine.hash)])
    if known.points[0]:
        return
    start = await _common(p, server_id)
    beyond = p.group.changes_after(start.revision, max_bytes=1 << 62, max_count=1 << 30)
    if beyond is None:
        raise PeerError("This registry doesn't hold its own latest changes.", code="group")
    if not beyond:
        return
    await keep_backup(p.group, p.data_dir, BEFORE_FOLLOWING, datetime.fromisoformat(p.now()))
    requests = await asyncio.to_thread(p.outbox.set_aside, beyond, start)
    log.warning("set-aside", after=start.revision, changes=len(beyond), requests=requests)


async def _common(p: Parts, server_id: str) -> Position:
    """The last position of this registry that lies on the other server's history; found by halving."""
    with p.group.read() as reader:
        position, oldest = reader.position(), reader.oldest_change()
    low, high = (oldest or position.revision + 1) - 1, position.revision
    while low < high:
        middle = (low + high + 1) // 2
        change = p.group.change(middle)
        assert change is not None, "a registry holds its newest changes without a gap"
        known = await p.follower.sources.known(server_id, [(middle, change.hash)])
        if known.points[0] is False:
            high = middle - 1
        else:
            low = middle
    return _position_at(p, min(low, _bound(p)))


def _bound(p: Parts) -> int:
    """The last revision of this registry that the records of later epochs leave room for, whether the other server
    still holds that part of its history or not: those of this server's epoch end where the next one starts, and an
    epoch that the others went on without has none."""
    position = p.group.position
    with p.group.read() as reader:
        records = [*reader.epoch_records(position.epoch), *p.state.now.coming]
    later = sorted((r for r in records if r.epoch > position.epoch), key=lambda r: r.epoch)
    if not later:
        return position.revision
    if later[0].start.epoch == position.epoch:
        return later[0].start.revision
    revision = position.revision
    while (change := p.group.change(revision)) is not None and change.epoch == position.epoch:
        revision -= 1
    return revision


def _position_at(p: Parts, revision: int) -> Position:
    """Where the registry stood after a change that it holds, or right before the oldest."""
    here, following = p.group.change(revision), p.group.change(revision + 1)
    if here is not None:
        return Position(here.epoch, here.revision, here.hash, here.digest)
    if following is None:
        return p.group.position
    return Position(following.epoch, revision, following.previous or GENESIS_HASH, EMPTY_DIGEST)
