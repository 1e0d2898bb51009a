"""What only this registry has: kept as change requests before another server's content takes its place.

It happens when this server goes over to another Master's epoch with changes that lie beyond its start; and when two
copies of one Master's files have gone different ways. Nothing is thrown away silently.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from hostward.domain.changes import EMPTY_DIGEST, GENESIS_HASH, Position
from hostward.domain.errors import PeerError
from hostward.registry.backups import BEFORE_FOLLOWING, keep_backup
from hostward.replication.parts import Parts

log = structlog.get_logger()


async def keep_beyond(p: Parts, server_id: str) -> None:
    """Keep, as change requests, the changes of this registry that aren't in that server's history; and, in case that
    anybody should want it, the registry as it was: also where its changes are no longer held, and so can't become
    requests. Raises PeerError where the server doesn't answer."""
    mine = p.group.position
    known = await p.follower.sources.known(server_id, [(mine.revision, mine.hash)])
    if known.points[0]:
        return
    own = await _own(p, server_id)
    beyond = p.group.changes_after(own.after, max_bytes=1 << 62, max_count=1 << 30)
    if beyond is None:
        raise PeerError("This registry doesn't hold its own latest changes.", code="group")
    backup = await keep_backup(p.group, p.data_dir, BEFORE_FOLLOWING, datetime.fromisoformat(p.now()))
    requests = await asyncio.to_thread(p.outbox.set_aside, beyond, own.start) if beyond else []
    log.warning("set-aside", after=own.after, changes=len(beyond), requests=requests, backup=backup.name)
    if own.not_held:
        log.error("not-set-aside", revisions=own.not_held, backup=backup.name)
        p.life.not_set_aside = (
            f"Changes that only this server had, of the revisions {own.not_held}, aren't part of the configuration any"
            " more, and couldn't become change requests, as they were loaded here as a whole."
            f" The registry as it was is the backup {backup.name}."
        )


@dataclass(frozen=True, slots=True)
class _Own:
    """What only this registry has: the changes `after` a revision, which branch off from the other's history at
    `start`. `not_held`: revisions, in words, which aren't in that history either, and whose changes aren't held."""

    after: int
    start: Position
    not_held: str = ""


async def _own(p: Parts, server_id: str) -> _Own:
    """The last position of this registry that lies on the other server's history is found by halving."""
    with p.group.read() as reader:
        position, oldest = reader.position(), reader.oldest_change()
    base = (oldest or position.revision + 1) - 1
    low, high = base, position.revision
    while low < high:
        middle = (low + high + 1) // 2
        change = p.group.change(middle)
        assert change is not None, "a registry holds its newest changes without a gap"
        known = await p.follower.sources.known(server_id, [(middle, change.hash)])
        if known.points[0] is False:
            high = middle - 1
        else:
            low = middle
    bound = _bound(p)
    after = max(base, min(low, bound))
    start = _position_at(p, after)
    if bound < base:
        return _Own(after, replace(start, revision=bound, digest=EMPTY_DIGEST), f"{bound + 1} to {base}")
    if after == base > 0:
        known = await p.follower.sources.known(server_id, [(base, start.hash)])
        if known.points[0] is False:
            # Where the two parted isn't known: whatever is there now may have been changed since.
            return _Own(after, replace(start, revision=0, digest=EMPTY_DIGEST), f"up to {base}")
    return _Own(after, start)


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
