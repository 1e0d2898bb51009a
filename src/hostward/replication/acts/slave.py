"""A Slave's acts: admission, the backup of what it had, the Master's content, and the report that it has joined."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from datetime import datetime

import structlog

from hostward.domain.changes import Position
from hostward.domain.errors import PeerError
from hostward.domain.replication import Role, Target
from hostward.registry.backups import BEFORE_JOINING, keep_backup
from hostward.replication.acts.node import NodeActs
from hostward.replication.changelog.follower import Following
from hostward.replication.goals import Marker, Process
from hostward.replication.group.members import JOINED
from hostward.replication.group.membership import Admitted, Asking
from hostward.replication.group.turns import QUEUE
from hostward.replication.parts import WAYS_ON, Parts
from hostward.replication.peers.messages import Message, understood
from hostward.replication.ring.fence import strangers
from hostward.replication.state import State

ADMIT_TIMEOUT_S = 30.0
REMOVED_ASKS_EVERY_S = 3.0
GONE_PATIENCE_S = 20.0

log = structlog.get_logger()


class SlaveActs:
    """See goals.SLAVE."""

    def __init__(self, parts: Parts, node: NodeActs) -> None:
        self._p, self._node = parts, node
        self._gone: dict[str, float] = {}

    async def ask_admission(self) -> str:
        p, state = self._p, self._p.state.now
        if state.removed and not state.fresh:
            await self._node.end_as_stranger()
            if asyncio.get_running_loop().time() < p.life.asks_again_at:
                raise PeerError(state.removed, remedy=p.life.ways_on, code="removed")
        if state.master is None:
            raise PeerError("No Master is entered.", remedy="Add the Master server to the list, then Apply.")
        asking = Asking(p.describe_self(), p.node.marker() if p.node.has_joined else None, state.fresh, p.life.attempt)
        try:
            answer, sender_id, certificate = await p.links.ask_target(
                state.master,
                Message("admit", asking.to_json()),
                protocol=state.protocol,
                whose=state.pinned if state.fresh else "",
                timeout_s=ADMIT_TIMEOUT_S,
            )
        except PeerError as error:
            if error.code == QUEUE:
                await self._node.stop()
            if error.code == "removed":
                await self._node.end_as_stranger()
                p.life.asks_again_at = asyncio.get_running_loop().time() + REMOVED_ASKS_EVERY_S
                p.life.ways_on = error.remedy
                p.state.update(removed=error.message)
            elif state.removed and not state.fresh and error.code != QUEUE:
                raise PeerError(state.removed, remedy=p.life.ways_on, code="removed") from error
            if error.code == "role" and state.fresh:
                await self._ask_for_the_master(state)
            if error.code in ("port", "timeout", "name", "role") and not state.fresh and p.follower.loaded:
                return await self._ask_vouching(asking, error)
            raise
        with understood("the Master"):
            admitted, position = Admitted.from_json(answer.data), Position.from_json(answer.data["position"])
        known = (state.master_id, state.master_group)
        if not state.fresh and state.master_id and (sender_id, admitted.group_id) != known:
            raise PeerError(
                "Another server, or the Master of another group, answers at the Master's address.",
                remedy="If that is meant, Apply the role Slave again; else correct the Master's address.",
                code="group",
            )
        p.state.update(master_id=sender_id, master_certificate=certificate, master_group=admitted.group_id, removed="")
        p.follower.follow(Following(sender_id, certificate, admitted.group_id))
        p.follower.master_is_at(position)
        p.life.confirmed_master, p.life.ways_on = True, WAYS_ON
        if admitted.wipe or p.node.marker() != Marker(admitted.group_id, admitted.generation):
            if p.node.process is not Process.NONE:  # stopping forgets how patient a start must be here
                await p.node.stop()
            await p.node.wipe()
        p.life.admitted_members = admitted.members
        p.life.admitted = (admitted.group_id, admitted.generation)
        return ""

    async def _ask_for_the_master(self, state: State) -> None:
        """The server that was the Master when the role Slave was applied is a Slave by now, for another was promoted:
        its Master is asked from now on. That one's certificate must be trusted here, as every Master's; where a join
        code pinned the first, its word pins the other."""
        p = self._p
        assert state.master is not None
        message = Message("check", {"protocol": state.protocol})
        answer, _, _ = await p.links.ask_target(state.master, message, protocol=state.protocol, whose=state.pinned)
        if answer.data.get("role") == Role.SLAVE.value and answer.data.get("master") and p.state.now == state:
            master = Target(**answer.data["master"])
            log.warning("asks-another-master", was=asdict(state.master), master=asdict(master))
            p.state.update(master=master, pinned=str(answer.data["master_id"]) if state.pinned else "")

    async def _ask_vouching(self, asking: Asking, why: PeerError) -> str:
        """The Master is away: a member that it has confirmed since that member started may vouch for this server."""
        p = self._p
        for m in p.others():
            if m.server_id == p.state.now.master_id:
                continue
            try:
                answer = await p.links.ask(m, Message("vouch", asking.to_json()))
            except PeerError:
                continue
            with understood(m.name):
                admitted = Admitted.from_json(answer.data)
            if admitted.group_id == p.group.group_id:
                p.life.admitted_members = admitted.members
                p.life.admitted = (admitted.group_id, admitted.generation)
                return ""
        raise PeerError(
            f"{why.message} This server serves from its registry; its database node starts once the Master, or a server"
            " that the Master has confirmed, vouches for it.",
            remedy=why.remedy,
            code=why.code,
        )

    async def back_up(self) -> str:
        p = self._p
        await keep_backup(p.group, p.data_dir, BEFORE_JOINING, datetime.fromisoformat(p.now()))
        p.state.update(backup_group=p.state.now.master_group)
        return ""

    async def load_content(self) -> str:
        await self._p.follower.load()
        return ""

    async def wait_in_step(self) -> str:
        p = self._p
        if not p.content.ok:
            return p.content.reason
        target = p.follower.target
        behind = target.revision - p.group.position.revision if target else 0
        if target is None:
            return "Waiting for the Master to say which revision it has."
        return p.follower.reason or f"Following the change log: {max(0, behind)} changes to go."

    async def wait_owning(self) -> str:
        """The Master raises the replication factor, unless a node that is to be forgotten takes a part of the data."""
        return await self.forget_gone() or (
            "This server's database owns less than 100 % of the data; the Master raises the replication factor."
        )

    async def forget_gone(self) -> str:
        """This server's node may remember one that the group has removed while this server was away, and that nobody
        else knows of any more: it is removed here too. Answers what it waits for, or ""."""
        p, now = self._p, time.monotonic()
        everyone = p.everyone()
        ring = await p.node.ring() or []
        joining = [m.address for m in everyone if m.state != JOINED]
        gone = [n for n in strangers(ring, everyone, joining) if not (n.up or n.joining or n.leaving)]
        self._gone = {n.host_id: self._gone.get(n.host_id, now) for n in gone}
        for node in gone:
            if now - self._gone[node.host_id] < GONE_PATIENCE_S:
                return f"The node at {node.address} isn't in the group any more; the ring is about to forget it."
            await p.node.forget(node.address)
            self._node.say(f"The node at {node.address}, which the group had removed, was forgotten here too.")
        return ""

    async def confirm(self) -> str:
        p = self._p
        master = p.find(p.state.now.master_id)
        if master is None:
            raise PeerError("The Master isn't a member of its own group.", code="group")
        await p.node.open_store(replication_factor=None)
        await p.links.ask(master, Message("joined", {"host_id": p.node.host_id}))
        return "Waiting for the Master's record that this server has joined."
