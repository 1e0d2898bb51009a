"""Acts on this server's database node, in whatever role: installed, started, published to, stopped, wiped."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hostward.domain.errors import DatabaseError
from hostward.domain.replication import Role
from hostward.replication.goals import Marker, Process
from hostward.replication.loops import keep_running
from hostward.replication.members import Member
from hostward.replication.parts import Parts
from hostward.replication.publisher import Publisher

SEED_TIMEOUT_S = 1.0


class NodeActs:
    """Owns the publisher's task, which lives no longer than the node that it writes to."""

    def __init__(self, parts: Parts) -> None:
        self._p = parts
        self._publishing: asyncio.Task[None] | None = None

    async def install(self) -> str:
        return await self._p.node.install()

    async def run(self) -> str:
        """Start the node, or wait for it. A node whose data vanished under it is stopped first."""
        p, node = self._p, self._p.node
        moved = node.process is Process.READY and node.address != p.state.now.adapter
        if node.process is not Process.NONE and (node.marker() is None or moved):
            await self.stop_publishing()
            await node.stop()
            p.life.admitted = None
            return ""
        if node.process is not Process.NONE:
            return f"The database node is starting: it is {node.phase}."
        await self.stop_publishing()
        state, everyone = p.state.now, p.everyone()
        if state.role is Role.SLAVE and node.marker() is not None and not node.has_joined:
            node.check_back_off()
            await node.wipe()
            p.life.admitted = None
            return "The database node ended before it had joined: it joins anew, without data."
        if state.role is Role.SLAVE:
            assert p.life.admitted is not None
            group_id, generation = p.life.admitted
            everyone = list(p.life.admitted_members) or everyone
        else:
            group_id, generation = p.group.group_id, p.ring_generation
        me = p.describe_self()
        joins_anew = state.role is Role.SLAVE and not node.has_joined
        # Only those that answer: Cassandra would wait half a minute for the others.
        others = await answering([m for m in everyone if m.server_id != p.server_id and m.host_id])
        if joins_anew and not others:
            raise DatabaseError(
                "No database node of the group can be reached.",
                remedy=f"Open port {me.storage_port} between the servers, and see whether the others run.",
                code="no-seeds",
            )
        await node.start(
            marker=Marker(group_id, generation),
            address=me.address,
            seeds=others if joins_anew else [*others, me.seed],
            trusted=[*[m.internode_certificate for m in everyone], me.internode_certificate],
        )
        return "The database node is starting."

    async def publish(self) -> str:
        p = self._p
        store = p.node.store()
        if store is None:
            raise DatabaseError("The database doesn't answer.", remedy="It is being restarted.")
        if p.publisher is None:
            p.publisher = Publisher(p.group, p.server, p.identity, store, p.ring_generation)
            self._publishing = asyncio.create_task(keep_running(p.publisher.run), name="publisher")
        return p.publisher.problem or "Publishing the registry to the database."

    async def stop(self) -> str:
        await self.stop_publishing()
        await self._p.node.stop()
        return ""

    async def cut_off_strangers(self) -> str:
        """Stop the node where the fence asks for it; it is started again by its goal. Answers why, or ""."""
        p = self._p
        if not p.fence.due:
            return ""
        await self.stop()
        p.fence.node_started()
        return "The database node is started again, to end the connections of a node that isn't in the group any more."

    async def wipe(self) -> str:
        await self.stop()
        await self._p.node.wipe()
        return ""

    async def stop_publishing(self) -> None:
        """Write nothing more to the change log: this server is no Master any more, or its node ends."""
        if self._publishing is not None:
            self._publishing.cancel()
            await asyncio.gather(self._publishing, return_exceptions=True)
        self._publishing, self._p.publisher = None, None

    async def close(self) -> None:
        """The server ends."""
        await self.stop_publishing()
        await self._p.node.close()


async def answering(everyone: Sequence[Member]) -> list[str]:
    """Those members' seeds whose database port accepts connections."""

    async def answers(m: Member) -> bool:
        try:
            async with asyncio.timeout(SEED_TIMEOUT_S):
                _, writer = await asyncio.open_connection(m.address, m.storage_port)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    found = await asyncio.gather(*(answers(m) for m in everyone))
    return [m.seed for m, there in zip(everyone, found, strict=True) if there]
