"""Implements coordinator.Acts on a server's parts: the picture of it, and who carries out which goal."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence

from hostward.database.ring import Standing
from hostward.domain.errors import DatabaseError
from hostward.domain.replication import Role
from hostward.replication.acts.epochs import EpochActs
from hostward.replication.acts.master import MasterActs
from hostward.replication.acts.node import NodeActs
from hostward.replication.acts.slave import SlaveActs
from hostward.replication.acts.standalone import StandaloneActs
from hostward.replication.goals import Admission, Goal, Observed, Process
from hostward.replication.group.members import (
    Member,
    forget_membership,
    member,
    members,
    ring_generation,
    slave_table_changes,
)
from hostward.replication.masters.claims import Claims
from hostward.replication.parts import Parts
from hostward.replication.ring.fence import strangers
from hostward.replication.ring.health import all_own_everything, stuck_leaving


class ServerActs:
    """Everything that the coordinator can see and do. `master` is for membership, which prepares the ring."""

    def __init__(self, parts: Parts, claims: Claims) -> None:
        self._p = parts
        self._node = NodeActs(parts)
        self.master = MasterActs(parts, self._node, claims)
        epochs = EpochActs(parts, self._node, claims)
        self._slave = slave = SlaveActs(parts, self._node)
        standalone = StandaloneActs(parts)
        self._acts: dict[Goal, Callable[[], Awaitable[str]]] = {
            Goal.EPOCH: epochs.begin,
            Goal.ADOPTED: epochs.adopt,
            Goal.ADDRESS: self._node.find_address,
            Goal.OWN_MEMBER: self.master.enter_self,
            Goal.CAUGHT_UP: self.master.catch_up_with_slaves,
            Goal.RUNTIME: self._node.install,
            Goal.GENERATION: self.master.new_generation,
            Goal.NODE: self._node.run,
            Goal.KEYSPACES: self.master.make_keyspaces,
            Goal.LOG: self._node.publish,
            Goal.RING: self.master.tidy_ring,
            Goal.ADMISSION: slave.ask_admission,
            Goal.BACKUP: slave.back_up,
            Goal.CLEAN_NODE: self._node.wipe,
            Goal.CONTENT: slave.load_content,
            Goal.IN_STEP: slave.wait_in_step,
            Goal.CONFIRMED: slave.confirm,
            Goal.OWNS: slave.wait_owning,
            Goal.FAREWELL: standalone.say_farewell,
            Goal.STOPPED: self._node.stop,
            Goal.WIPED: self._node.wipe,
            Goal.OWN_HISTORY: standalone.own_history,
        }

    async def observe(self) -> Observed:
        p, state, node = self._p, self._p.state.now, self._p.node
        with p.group.read() as reader:
            everyone, generation = members(reader), ring_generation(reader)
            me, membership_left = member(reader, p.server_id), bool(forget_membership(reader))
            table_right = not slave_table_changes(reader, p.server_id)
        await node.become_ready()
        await node.watch()
        process = node.process
        if state.role is Role.SLAVE and process is Process.READY and node.store() is None:
            # Also after the node was started again: the log must be there to read when nobody else is.
            with contextlib.suppress(DatabaseError):
                await node.open_store(replication_factor=None)
        ring = await node.ring() if state.role is not Role.STANDALONE else []
        if state.role is Role.MASTER or p.follower.recently_in_step:
            p.fence.look(strangers(ring or [], everyone, [m.address for m in everyone]), self._turn(everyone))
        nodes = ring or []
        unwell = not all_own_everything(nodes) or bool(stuck_leaving(nodes)) or state.repair_due
        untidy = unwell or ring is None or bool(p.membership.strangers(ring))
        forming_group, _, forming = state.ring_to_form.partition("/")
        admitted = p.life.admitted
        if admitted and p.follower.loaded and (generation != admitted[1] or me is None):
            admitted = p.life.admitted = None
        return Observed(
            wanted=state.role,
            group_id=p.group.group_id,
            epoch_begun=p.group.position.epoch.server == p.server_id,
            epoch_adopted=not state.epochs,
            own_member_current=me is not None and me.same_place(p.describe_self()) and table_right,
            generation=generation,
            ring_to_form=int(forming or 0) if forming_group == p.group.group_id else 0,
            runtime=node.installed,
            marker=node.marker(),
            node_joined=node.has_joined,
            process=process,
            address_here=self._node.address_here(),
            address_fits=node.address in ("", state.adapter),
            node_in_ring=node.standing is Standing.MEMBER and not p.life.rebuild,
            owns_all=all_own_everything([n for n in nodes if n.host_id == node.host_id]),
            keyspaces_ready=node.store() is not None and me is not None and me.host_id == node.host_id,
            log_published=p.publisher is not None and p.publisher.published is not None and not p.publisher.problem,
            ring_tidy=not untidy and node.replication_factor == max(1, len(everyone)),
            caught_up=p.life.caught_up,
            admission=Admission(*admitted) if admitted else None,
            backup_kept=state.backup_group == state.master_group or p.follower.loaded,
            content_loaded=p.follower.loaded,
            in_step=p.follower.recently_in_step and p.content.ok,
            confirmed=me is not None and bool(me.host_id) and me.host_id == node.host_id,
            farewell_said=p.life.farewell_said
            or not (state.master or [m for m in everyone if m.server_id != p.server_id]),
            membership_left=membership_left or bool(state.master_id) or p.follower.following is not None,
        )

    async def act(self, goal: Goal) -> str:
        return await self._acts[goal]()

    async def maintain(self) -> str:
        """All goals are met: keep trust in step with the members, and say what isn't as it should be."""
        p = self._p
        if not p.content.ok:
            return p.content.reason
        if p.state.now.role is Role.STANDALONE:
            return ""
        p.state.update(fresh=False)
        await p.node.trust([m.internode_certificate for m in p.everyone()])
        p.node.speed_up_starts()
        if p.state.now.role is Role.MASTER:
            await p.membership.end_joins()
        else:
            p.life.admitted_members = tuple(p.everyone())
            if why := await self._node.cut_off_strangers():
                return why
            if p.follower.in_step and not p.views.of(p.state.now.master_id).silent:
                await self._slave.forget_gone()  # it knows of the members what the Master knows
        silent = [f"{m.name}: {p.views.of(m.server_id).silent}" for m in p.others() if p.views.of(m.server_id).silent]
        return f"Up, but without {'; '.join(silent)}" if silent else ""

    def _turn(self, everyone: Sequence[Member]) -> int:
        """This server's turn at what one after the other does: 0 for the Master."""
        p = self._p
        master_id = p.server_id if p.state.now.role is Role.MASTER else p.state.now.master_id
        order = sorted((m.server_id for m in everyone), key=lambda i: (i != master_id, i))
        return order.index(p.server_id) if p.server_id in order else len(order)

    async def close(self) -> None:
        """The server ends."""
        await self._node.close()
