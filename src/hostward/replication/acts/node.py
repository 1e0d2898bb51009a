"""Acts on this server's database node, in whatever role: installed, started, published to, stopped, wiped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import structlog

from hostward.database.ring import Standing
from hostward.domain.errors import DatabaseError
from hostward.domain.replication import Role
from hostward.replication.changelog.publisher import Publisher
from hostward.replication.goals import Marker, Process
from hostward.replication.group.members import Member
from hostward.replication.loops import keep_running
from hostward.replication.parts import Parts
from hostward.replication.ring.adapters import Adapter, find_again, list_adapters
from hostward.replication.ring.failures import Cure
from hostward.replication.ring.fence import may_say_goodbye

SEED_TIMEOUT_S = 1.0
LEAVING_PATIENCE_S = 45.0
ADDRESS_PATIENCE_S = 5.0

log = structlog.get_logger()


class NodeActs:
    """Owns the publisher's task, which lives no longer than the node that it writes to."""

    def __init__(self, parts: Parts) -> None:
        self._p = parts
        self._publishing: asyncio.Task[None] | None = None
        self._left_since: float | None = None
        self._gone_since: float | None = None

    async def install(self) -> str:
        return await self._p.node.install()

    async def run(self) -> str:
        """Start the node, or wait for it. A node whose data vanished under it is stopped first."""
        p, node = self._p, self._p.node
        moved = node.process is Process.READY and node.address != p.state.now.adapter
        if node.process is not Process.NONE and (node.marker() is None or moved):
            await self._end()
            node.forgive()
            return ""
        if p.life.rebuild:
            return await self._make_anew("An administrator had the database's node made anew.")
        if node.process is Process.READY and node.standing is not Standing.MEMBER:
            return await self._bring_back(node.standing)
        self._left_since = None
        if node.process is not Process.NONE:
            return self._starting_words()
        if node.cure is Cure.WIPE:
            return await self._make_anew(node.problem.message if node.problem else "")
        if node.cure is Cure.ASK_MASTER and p.state.now.role is Role.SLAVE and node.may_start:
            node.asked()
            p.life.admitted = None
            return ""
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

    def _starting_words(self) -> str:
        node = self._p.node
        words = f"The database node is starting: it is {node.phase}."
        return f"{words} Before that: {node.error}" if node.error else words

    async def _end(self) -> None:
        """Stop the node; a Slave asks again before it starts it."""
        await self.stop_publishing()
        await self._p.node.stop()
        self._p.life.admitted = None

    async def _bring_back(self, standing: Standing) -> str:
        """Somebody had the node leave its ring, or fall silent, by hand: the role is still what an administrator
        applied."""
        p, now = self._p, time.monotonic()
        if standing is Standing.LEAVING:
            self._left_since = self._left_since or now
            if now - self._left_since < LEAVING_PATIENCE_S:
                return (
                    "The database node is leaving its ring, as if by nodetool decommission; it joins again after that."
                )
        self._left_since = None
        await self._end()
        if standing is Standing.LEFT:
            await p.node.wipe()
            self.say("The database node had left its ring (nodetool decommission); it joins again with no data.")
        elif standing is Standing.LEAVING:
            self.say("The database node couldn't end leaving its ring; it was started again as a member.")
        else:
            self.say("The database node had been silenced (nodetool drain, or the like); it was started again.")
        return ""

    async def _make_anew(self, why: str) -> str:
        """The node will never start with the files that it has, or they aren't wanted; everything in them comes from
        the registries again."""
        node = self._p.node
        self._p.life.rebuild = False
        await self._end()
        await node.wipe()
        node.forgive()
        self.say(f"{why} The database's files were removed; it is made anew from the group.")
        return ""

    def say(self, words: str) -> None:
        """What was mended without being asked, for the doctor and the log."""
        log.warning("healed-by-itself", what=words)
        self._p.state.update(healed=words.strip(), healed_at=self._p.now())

    def address_here(self) -> bool:
        """Whether the adapter's address is (still) one of this machine's; true for a moment after it has vanished, as
        it does while a lease is renewed."""
        p, state = self._p, self._p.state.now
        if state.role is Role.STANDALONE or not state.adapter:
            return True
        name = next((a.name for a in self._adapters() if a.address == state.adapter), None)
        if name is not None:
            self._gone_since = None
            if name != state.adapter_name:
                p.state.update(adapter_name=name)
            return True
        self._gone_since = self._gone_since or time.monotonic()
        return p.node.process is Process.READY and time.monotonic() - self._gone_since < ADDRESS_PATIENCE_S

    async def find_address(self) -> str:
        """The adapter's address is gone: DHCP gave it another. Where there is only one that it can be, this server
        moves there. Raises DatabaseError "address-missing"."""
        p, state, adapters = self._p, self._p.state.now, self._adapters()
        found = find_again(state.adapter, state.adapter_name, p.configuration.database.address, adapters)
        if found is None:
            offered = ", ".join(f"{a.name} ({a.address})" for a in adapters) or "none"
            raise DatabaseError(
                f"The Database Network Adapter's address, {state.adapter}, is no longer one of this machine's.",
                remedy=f"Choose another adapter and apply again; there are: {offered}.",
                code="address-missing",
            )
        self.say(f"The adapter's address changed from {state.adapter} to {found.address} ({found.name}).")
        p.state.update(adapter=found.address, adapter_name=found.name)
        p.node.forgive()
        p.life.admitted = None
        return ""

    def _adapters(self) -> list[Adapter]:
        return list_adapters(self._p.configuration.database.address)

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

    async def end_as_stranger(self) -> None:
        """Stop the node of a server that isn't in the group any more."""
        goodbye = may_say_goodbye(await self._p.node.ring())
        await self.stop_publishing()
        await self._p.node.stop(goodbye=goodbye)

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
