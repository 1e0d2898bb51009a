"""The Master's acts: its own entry, catching up, the ring's generation, keyspaces and members."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import structlog

from hostward.domain.changes import Operation, Position
from hostward.domain.errors import HostwardError, PeerError
from hostward.registry.group import Reader
from hostward.replication.acts.node import NodeActs
from hostward.replication.follower import Following
from hostward.replication.goals import Process
from hostward.replication.members import Member, member, put_ring_generation
from hostward.replication.messages import Message
from hostward.replication.parts import Parts

CATCH_UP_TIMEOUT_S = 3.0

log = structlog.get_logger()


class MasterActs:
    """See goals.MASTER."""

    def __init__(self, parts: Parts, node: NodeActs) -> None:
        self._p, self._node = parts, node

    async def enter_self(self) -> str:
        me = self._p.describe_self()
        await self._p.group.commit("replication", lambda _: [me.put()])
        return ""

    async def catch_up_with_slaves(self) -> str:
        """A Master restored from an old copy of its files takes what its Slaves have of its own epoch, before it
        accepts changes."""
        p = self._p

        async def position_of(them: Member) -> tuple[Member, Position]:
            said = await p.links.ask(them, Message("status"), timeout_s=CATCH_UP_TIMEOUT_S)
            return them, Position.from_json(said.data["position"])

        answers = await asyncio.gather(*(position_of(m) for m in p.others()), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, HostwardError):
                raise answer
        ahead = [
            a
            for a in answers
            if not isinstance(a, BaseException)
            and a[1].epoch == p.group.position.epoch
            and a[1].revision > p.group.position.revision
        ]
        if ahead:
            them, theirs = max(ahead, key=lambda a: a[1].revision)
            log.warning("master-was-behind", server=them.name, revision=theirs.revision)
            p.follower.follow(Following(p.server_id, p.identity.certificate_pem, p.group.group_id))
            try:
                await p.follower.take_from(them.server_id, theirs)
            finally:
                p.follower.follow(None)
        p.life.caught_up = True
        return ""

    async def new_generation(self) -> str:
        """The ring is made anew from this registry: what was in it is only a copy. The Slaves notice the generation and
        join again."""
        p = self._p
        await self._node.stop()
        await p.node.wipe()
        generation = p.ring_generation + 1
        await p.group.commit("replication", lambda _: [put_ring_generation(generation)])
        return ""

    async def make_keyspaces(self) -> str:
        p = self._p
        # Never lowered here: nodes of servers that have left are removed first, at the full factor.
        await p.node.open_store(replication_factor=max(1, len(p.everyone())), lower=False)
        host_id = p.node.host_id

        def decide(reader: Reader) -> Sequence[Operation]:
            me = member(reader, p.server_id)
            return [replace(me, host_id=host_id).put()] if me and me.host_id != host_id else []

        await p.group.commit("replication", decide)
        return ""

    async def tidy_ring(self) -> str:
        """Remove the nodes of servers that are no members, then bring the replication factor to the members' number."""
        p = self._p
        everyone = p.everyone()
        await p.node.trust([m.internode_certificate for m in everyone])
        ring = await p.node.ring()
        if ring is None:
            return "The database's management doesn't answer at the moment."
        strangers = p.membership.strangers(ring)
        for stranger in strangers:
            if stranger.up:
                return f"Waiting until the removed server's node at {stranger.address} is down."
            await p.node.remove(stranger.host_id)
        if not strangers:
            await p.node.open_store(replication_factor=max(1, len(everyone)))
        return ""

    async def prepare_ring(self, everyone: Sequence[Member]) -> None:
        """Before one more node starts: all members' certificates trusted, and the replication factor raised."""
        p = self._p
        if p.node.process is not Process.READY:
            raise PeerError("The Master's database isn't Up yet.", code="busy")
        await p.node.trust([m.internode_certificate for m in everyone])
        await p.node.open_store(replication_factor=max(len(everyone), p.node.replication_factor))
        await p.acknowledgements.wait(p.group.position.revision)
