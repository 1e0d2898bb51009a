"""The Master's acts: its own entry, catching up, the ring's generation, keyspaces and members."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import structlog

from hostward.domain.changes import Operation
from hostward.domain.errors import DatabaseError, HostwardError, PeerError
from hostward.domain.replication import Role
from hostward.registry.group import Reader
from hostward.replication.acts.node import NodeActs
from hostward.replication.changelog.follower import Following
from hostward.replication.goals import Process
from hostward.replication.group.members import Member, member, put_ring_generation, slave_table_changes
from hostward.replication.masters.claims import Claims
from hostward.replication.masters.survey import Answer, survey
from hostward.replication.parts import Parts
from hostward.replication.ring.fence import RingNode
from hostward.replication.ring.health import all_own_everything, stuck_leaving

LEAVING_PATIENCE_S = 30.0
TRIED_IN_VAIN = 10

log = structlog.get_logger()


class MasterActs:
    """See goals.MASTER."""

    def __init__(self, parts: Parts, node: NodeActs, claims: Claims) -> None:
        self._p, self._node, self._claims = parts, node, claims
        self._leaving: dict[str, float] = {}
        self._in_vain: dict[str, int] = {}

    async def enter_self(self) -> str:
        """Its member, and the Slave table as it is for this Master: every other member, and not itself."""
        me = self._p.describe_self()

        def decide(reader: Reader) -> Sequence[Operation]:
            return [me.put(), *slave_table_changes(reader, me.server_id)]

        await self._p.group.commit("replication", decide)
        return ""

    async def catch_up_with_slaves(self) -> str:
        """A Master restored from an old copy of its files takes what its Slaves have of its own epoch, before it
        accepts changes; and one that was superseded while it was away hears of it."""
        p = self._p
        found = await survey(p, self._claims)
        mine = p.group.position
        if p.state.now.role is not Role.MASTER or p.state.now.coming:
            return "Another server is the Master now."
        ahead = [
            a
            for a in found.answered
            if a.position.epoch == mine.epoch
            and a.position.revision > mine.revision
            and a.member.server_id not in p.life.disbelieved
        ]
        if ahead:
            furthest = max(ahead, key=lambda a: a.position.revision)
            log.warning("master-was-behind", server=furthest.member.name, revision=furthest.position.revision)
            p.follower.follow(Following(p.server_id, p.identity.certificate_pem, p.group.group_id))
            try:
                await p.follower.take_from(furthest.member.server_id, furthest.position)
            except HostwardError as error:
                return self._not_taken(furthest, error)
            finally:
                p.follower.follow(None)
        self._claims.contacts.looked()
        p.life.caught_up = True
        return ""

    def _not_taken(self, answer: Answer, error: HostwardError) -> str:
        """A Slave that says it has more of this Master's changes, and can't show them with this Master's signature,
        isn't believed after a few times: else one that lies could stop the group."""
        p, them = self._p, answer.member
        log.warning("not-taken", server=them.name, revision=answer.position.revision, reason=error.message)
        times = self._in_vain[them.server_id] = self._in_vain.get(them.server_id, 0) + 1
        if error.code == "unproven" or times >= TRIED_IN_VAIN:
            p.life.disbelieved[them.server_id] = (
                f"{them.name} says that it has changes of this Master up to revision {answer.position.revision}, but"
                f" can't show them: {error.message} It may have been tampered with: look at that server, or remove it."
            )
        return f"{them.name} has changes that this Master lacks; they couldn't be taken over: {error.message}"

    async def new_generation(self) -> str:
        """The ring is made anew from this registry: what was in it is only a copy. The Slaves notice the generation and
        join again."""
        p = self._p
        await self._node.stop()
        await p.node.wipe()
        generation = p.ring_generation + 1
        p.state.update(ring_to_form=f"{p.group.group_id}/{generation}")
        await p.group.commit("replication", lambda _: [put_ring_generation(generation)])
        return ""

    async def make_keyspaces(self) -> str:
        p = self._p
        # Never lowered here: nodes of servers that have left are removed first, at the full factor.
        await p.node.open_store(replication_factor=max(1, len(p.everyone())), lower=False)
        p.state.update(ring_to_form="")
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
        waiting = await self._end_leaving(stuck_leaving(ring))
        if waiting:
            return waiting
        strangers = p.membership.strangers(ring)
        for stranger in strangers:
            if stranger.up:
                return await self._node.cut_off_strangers() or (
                    f"The node at {stranger.address} isn't in the group any more, but runs: unless it ends by itself"
                    " it is cut off in a moment."
                )
            if stranger.joining:
                return f"Waiting until the ring has forgotten the node at {stranger.address}, which hadn't joined."
            await p.node.remove(stranger.host_id)
        if not strangers:
            await self._fill(ring, max(1, len(everyone)))
        return ""

    async def _end_leaving(self, leaving: Sequence[RingNode]) -> str:
        """A removal that waits for a node which has died would wait for ever: it is ended by force, as nodetool's
        removenode force does. Nothing lives only in the database."""
        now = time.monotonic()
        self._leaving = {n.host_id: self._leaving.get(n.host_id, now) for n in leaving}
        for node in leaving:
            if now - self._leaving[node.host_id] < LEAVING_PATIENCE_S:
                return f"The node at {node.address} is Leaving: the others take over its data."
        if leaving:
            await self._p.node.force_removals()
            self._node.say(f"The removal of the dead node at {leaving[0].address} was stuck, and was ended by force.")
        return ""

    async def _fill(self, ring: Sequence[RingNode], factor: int) -> None:
        """The replication factor of the members' number; where it had been lowered by hand, every node then gets what
        it lacks."""
        p = self._p
        if not all_own_everything(ring):
            p.state.update(repair_due=True)
        if p.state.now.repair_due:
            try:
                await p.node.replicate_anew(factor)
            except DatabaseError as error:
                why = f"The database's replication factor had been lowered, and is brought back: {error.message}"
                raise DatabaseError(why, remedy=error.remedy, code=error.code) from error
            p.state.update(repair_due=False)
            self._node.say("The database's replication factor had been lowered; it was brought back, and repaired.")
        await p.node.open_store(replication_factor=factor)

    async def prepare_ring(self, everyone: Sequence[Member]) -> None:
        """Before one more node starts: all members' certificates trusted, and the replication factor raised."""
        p = self._p
        if p.node.process is not Process.READY:
            raise PeerError("The Master's database isn't Up yet.", code="busy")
        await p.node.trust([m.internode_certificate for m in everyone])
        await p.node.open_store(replication_factor=max(len(everyone), p.node.replication_factor))
        await p.acknowledgements.wait(p.group.position.revision)
