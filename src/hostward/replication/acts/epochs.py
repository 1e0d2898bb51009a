"""Entering an epoch: as its Master, which begins it, and as everybody else, who adopts it.

Whoever adopts an epoch keeps nothing of its own beyond the epoch's start, and loses nothing either: each change that
the new Master's history doesn't have is kept as a change request before the registry is replaced.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from hostward.domain.changes import Epoch
from hostward.domain.epochs import EpochRecord
from hostward.domain.errors import HostwardError, PeerError
from hostward.replication.acts.node import NodeActs
from hostward.replication.changelog.follower import Following, Known
from hostward.replication.masters.claims import Claims
from hostward.replication.masters.epochs import sign_record
from hostward.replication.masters.survey import Answer, survey
from hostward.replication.parts import Parts

log = structlog.get_logger()


class EpochActs:
    """See goals.EPOCH and goals.ADOPTED."""

    def __init__(self, parts: Parts, node: NodeActs, claims: Claims) -> None:
        self._p, self._node, self._claims = parts, node, claims

    async def begin(self) -> str:
        """Become the Master of a new epoch: of the one that was handed over, else of one by force."""
        p, coming = self._p, self._p.state.now.coming
        if coming:
            await self._begin_planned(coming)
        else:
            await self._begin_forced()
        if p.group.position.epoch.server != p.server_id:
            return "This server heard of another epoch meanwhile."
        if p.state.now.coming != coming:
            return "Another server was named the Master meanwhile."
        p.follower.follow(None)
        p.state.update(epochs=(), master_id="", master_certificate="", master_group="", refused=())
        self._claims.contacts.begin()
        log.warning("epoch-begun", epoch=str(p.group.position.epoch), revision=p.group.position.revision)
        return ""

    async def _begin_planned(self, chain: Sequence[EpochRecord]) -> None:
        p, record = self._p, chain[-1]
        await p.group.keep_records(chain[:-1])
        if p.group.position.epoch < record.epoch and not record.starts_at(p.group.position):
            # An older copy of this server's files: others may even have its own changes of that epoch.
            p.follower.follow(Following(p.server_id, p.identity.certificate_pem, record.group))
            await p.group.keep_records([record])
            found = await survey(p, self._claims)
            if p.state.now.coming != chain:
                return
            await self._catch_up(found.answered)
        if p.group.position.epoch < record.epoch:
            await p.group.begin_epoch(record)

    async def _begin_forced(self) -> None:
        """With what the furthest of those has that can be asked, and with what this server's database node has."""
        p, state = self._p, self._p.state.now
        if p.follower.following is None:
            p.follower.follow(Following(state.master_id, state.master_certificate, state.master_group))
        found = await survey(p, self._claims)
        if p.state.now.coming or p.state.now.role is not state.role:
            return
        await self._catch_up(found.answered)
        await p.follower.read_widely()
        me, at = p.describe_self(), p.group.position
        record = EpochRecord(
            group=p.group.group_id,
            epoch=Epoch(self._claims.newest_number() + 1, p.server_id),
            start=at,
            planned=False,
            time=p.now(),
            name=me.name,
            target=me.target,
            certificate=me.certificate,
            not_asked=tuple(m.name for m in found.silent),
        )
        await p.group.begin_epoch(sign_record(record, p.identity))

    async def _catch_up(self, answered: Sequence[Answer]) -> None:
        """Take from others what this registry lacks of its own epoch, the furthest first."""
        p = self._p
        for answer in sorted(answered, key=lambda a: (a.position.epoch, a.position.revision), reverse=True):
            them, theirs, mine = answer.member, answer.position, p.group.position
            if (theirs.epoch, theirs.revision) <= (mine.epoch, mine.revision):
                return
            try:
                await p.follower.take_from(them.server_id, theirs)
            except HostwardError as error:
                log.warning("not-taken", server=them.name, revision=theirs.revision, reason=error.message)
            else:
                log.info("taken", server=them.name, revision=p.group.position.revision)

    async def adopt(self) -> str:
        """Go on in the new Master's epoch."""
        p, chain = self._p, self._p.state.now.coming
        record = chain[-1]
        await self._node.stop_publishing()
        if p.group.group_id == record.group:
            await p.group.keep_records(chain)
            if p.group.position.epoch < record.epoch:
                await self._reach(record)
        await p.group.hold(None)
        if p.state.now.coming != chain:
            return "Another server was named the Master meanwhile."
        p.state.update(epochs=())
        return ""

    async def _reach(self, record: EpochRecord) -> None:
        p = self._p
        if record.starts_at(p.group.position):
            await p.group.begin_epoch(record)
            return
        server_id, known = await self._who_knows(record)
        if known.points[0] is not True or known.position.revision < p.group.position.revision:
            await p.follower.load()
            return
        await p.follower.take_from(server_id, known.position)
        if p.group.position.epoch < record.epoch:
            await p.group.begin_epoch(record)

    async def _who_knows(self, record: EpochRecord) -> tuple[str, Known]:
        """A server in the new epoch, the Master first, and whether this registry's position is on its history. Raises
        PeerError."""
        p, mine = self._p, self._p.group.position
        reasons = []
        others = sorted((m.server_id for m in p.others()), key=lambda i: (i != record.master, i))
        for server_id in others:
            try:
                known = await p.follower.sources.known(server_id, [(mine.revision, mine.hash)])
            except HostwardError as error:
                reasons.append(error.message)
                continue
            if known.position.epoch >= record.epoch:
                return server_id, known
            reasons.append("a server isn't in the new epoch itself yet")
        raise PeerError(
            f"No server can tell what the epoch of {record.name} holds: {'; '.join(reasons) or 'there is none'}.",
            remedy=f"See whether {record.name} runs.",
            code="timeout",
        )
