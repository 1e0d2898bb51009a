"""Membership, decided by the Master alone: who is admitted to the ring, one at a time, and who is removed.

A Slave asks before each start of its database node. So a server that was removed, or that belongs to another group,
never gets as far as the ring; and a server whose node lost its data is let in anew after its old node has been removed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from hostward.domain.changes import Delete, Operation
from hostward.domain.errors import NotFound, PeerError
from hostward.registry.group import GroupRegistry, Reader
from hostward.replication.goals import Marker
from hostward.replication.members import (
    JOINED,
    JOINING,
    MAX_SERVERS,
    MEMBER,
    REMOVED,
    SLAVE,
    Member,
    SlaveRow,
    member,
    members,
    put_removed,
    ring_generation,
    slave_rows,
    was_removed,
)

JOIN_TIMEOUT_S = 120.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RingNode:
    """A node as the ring sees it."""

    host_id: str
    address: str
    up: bool


@dataclass(frozen=True, slots=True)
class Asking:
    """A Slave's request to be admitted. `marker` is what its node's data belongs to, None where there is none;
    `fresh` is true while the administrator's Apply is being carried out (a removed server may then join again)."""

    member: Member
    marker: Marker | None
    fresh: bool

    def to_json(self) -> dict[str, Any]:
        marker = [self.marker.group_id, self.marker.generation] if self.marker else None
        return {"member": self.member.to_json(), "marker": marker, "fresh": self.fresh}

    @staticmethod
    def from_json(value: dict[str, Any]) -> Asking:
        marker = Marker(value["marker"][0], int(value["marker"][1])) if value["marker"] else None
        return Asking(Member.from_json(value["member"]), marker, bool(value["fresh"]))


@dataclass(frozen=True, slots=True)
class Admitted:
    """The answer to a Slave that may start its node. `wipe`: with an empty data directory."""

    group_id: str
    generation: int
    wipe: bool
    members: tuple[Member, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "group_id": self.group_id,
            "generation": self.generation,
            "wipe": self.wipe,
            "members": [m.to_json() for m in self.members],
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> Admitted:
        found = tuple(Member.from_json(m) for m in value["members"])
        return Admitted(value["group_id"], int(value["generation"]), bool(value["wipe"]), found)


class Membership:
    """The Master's side. `prepare` brings the ring to a list of members before one more starts: trusted certificates
    and replication factor; it raises DatabaseError."""

    def __init__(
        self,
        group: GroupRegistry,
        server_id: str,
        monotonic: Callable[[], float],
        prepare: Callable[[Sequence[Member]], Awaitable[None]],
    ) -> None:
        self._group, self._server_id, self._monotonic, self._prepare = group, server_id, monotonic, prepare
        self._lock = asyncio.Lock()
        self._heard: dict[str, float] = {}
        self._started: set[str] = set()

    def members(self) -> list[Member]:
        with self._group.read() as reader:
            return members(reader)

    async def admit(self, asking: Asking, ring: Sequence[RingNode]) -> Admitted:
        """Let the Slave start its node. Raises PeerError: "busy" where it should ask again a little later, "removed",
        "role" or "group" where asking again won't help; each with its reason."""
        async with self._lock:
            return await self._admit(asking, ring)

    async def _admit(self, asking: Asking, ring: Sequence[RingNode]) -> Admitted:
        them = asking.member
        with self._group.read() as reader:
            known, everyone = member(reader, them.server_id), members(reader)
            generation, removed = ring_generation(reader), was_removed(reader, them.server_id)
        self._check_admissible(them, everyone, removed=removed and not asking.fresh)
        here = Marker(self._group.group_id, generation)
        nodes = {n.host_id: n for n in ring}
        self._heard[them.server_id] = self._monotonic()
        if known and known.state == JOINED and asking.marker == here and known.host_id in nodes:
            if not known.same_place(them):
                await self._put(replace(them, state=JOINED, host_id=known.host_id))
            return self._answer(generation, wipe=False)
        self._check_turn(them, everyone)
        rejoining = them.server_id in self._started and asking.marker == here
        joining = replace(them, state=JOINING, host_id="")
        if known != joining:
            await self._put(joining)
        old = [
            n
            for n in ring
            if n.address == them.address
            and n.host_id not in {m.host_id for m in everyone if m.server_id != them.server_id}
        ]
        if old and not rejoining:
            self._started.discard(them.server_id)
            raise PeerError("The server's earlier node is being removed from the ring.", code="busy")
        await self._prepare(self.members())
        with self._group.read() as reader:
            if member(reader, them.server_id) is None:
                raise PeerError("This server was removed from the group while it joined.", code="removed")
        self._started.add(them.server_id)
        return self._answer(generation, wipe=not rejoining)

    def vouch(self, asking: Asking) -> Admitted:
        """What another Slave may answer for a Master that is away: only for a member whose node has its data. Raises
        PeerError."""
        with self._group.read() as reader:
            known, generation = member(reader, asking.member.server_id), ring_generation(reader)
        if known is None or known.state != JOINED:
            raise PeerError("This server isn't known here as a member of the group.", code="removed")
        if asking.marker != Marker(self._group.group_id, generation):
            raise PeerError("Only the Master can let this server's node join anew.", code="busy")
        return self._answer(generation, wipe=False)

    async def joined(self, server_id: str, host_id: str, ring: Sequence[RingNode]) -> None:
        """The Slave's node is UN and its registry equals the Master's. Raises PeerError if it isn't a member, or the
        ring doesn't have that node at its address."""
        async with self._lock:
            await self._joined(server_id, host_id, ring)

    async def _joined(self, server_id: str, host_id: str, ring: Sequence[RingNode]) -> None:
        with self._group.read() as reader:
            known = member(reader, server_id)
        if known is None:
            raise PeerError("This server isn't a member of the group.", code="removed")
        if (host_id, known.address) not in {(n.host_id, n.address) for n in ring}:
            raise PeerError("The Master doesn't see that node in the ring yet.", code="busy")
        self._started.discard(server_id)
        if known.state != JOINED or known.host_id != host_id:
            await self._put(replace(known, state=JOINED, host_id=host_id))

    async def remove(self, server_id: str, author: str) -> None:
        """Take the server out of the group: its certificate is no longer trusted by the ring, and its node is removed
        as soon as it is down. Removing who isn't there is allowed."""
        self._started.discard(server_id)

        def decide(reader: Reader) -> Sequence[Operation]:
            known = member(reader, server_id)
            if known is None:
                return []
            ops: list[Operation] = [Delete(MEMBER, server_id), put_removed(known)]
            return [*ops, *(Delete(SLAVE, r.id) for r in slave_rows(reader) if _same_server(r, known))]

        await self._group.commit(author, decide)

    async def abandon_stale_joins(self) -> None:
        """End joins of which nothing was heard for JOIN_TIMEOUT_S: the next in the queue gets its turn."""
        now = self._monotonic()
        for m in self.members():
            if m.state == JOINING and now - self._heard.setdefault(m.server_id, now) > JOIN_TIMEOUT_S:
                log.warning("join-abandoned", server=m.name)
                await self._forget_join(m.server_id)

    def heard_from(self, server_id: str) -> None:
        self._heard[server_id] = self._monotonic()

    def strangers(self, ring: Sequence[RingNode]) -> list[RingNode]:
        """Nodes of the ring that belong to no member, nor to one that is joining now."""
        everyone = self.members()
        ids = {m.host_id for m in everyone if m.host_id}
        joining = {m.address for m in everyone if m.state == JOINING and m.server_id in self._started}
        return [n for n in ring if n.host_id not in ids and n.address not in joining]

    def by_host_id(self, host_id: str) -> Member:
        """Raises NotFound."""
        for m in self.members():
            if host_id in (m.host_id, m.server_id):
                return m
        raise NotFound("No server of the group has that Host Id.", remedy="See Details for the Host Ids.")

    def _check_admissible(self, them: Member, everyone: Sequence[Member], *, removed: bool) -> None:
        if removed:
            raise PeerError(
                "This server was removed from the group.",
                remedy="Apply the role Slave again to rejoin, or set it to Standalone.",
                code="removed",
            )
        others = [m for m in everyone if m.server_id != them.server_id]
        if len(others) >= MAX_SERVERS:
            raise PeerError(f"A group has at most {MAX_SERVERS} servers.", code="role")
        me = next((m for m in everyone if m.server_id == self._server_id), None)
        if me is not None and me.protocol != them.protocol:
            raise PeerError(
                f"The Master uses {me.protocol.upper()} between servers, this server {them.protocol.upper()}.",
                remedy="Choose the same Global protocol on both.",
                code="protocol",
            )
        for m in others:
            if m.address == them.address and m.storage_port == them.storage_port:
                raise PeerError(
                    f"The server {m.name} already uses {them.seed} for its database.",
                    remedy="Choose another Database Network Adapter.",
                    code="role",
                )
            if (m.host, m.port) == (them.host, them.port):
                raise PeerError(f"The server {m.name} already is {them.host}:{them.port} in this group.", code="role")

    def _check_turn(self, them: Member, everyone: Sequence[Member]) -> None:
        now = self._monotonic()
        for m in everyone:
            waiting = now - self._heard.get(m.server_id, float("-inf")) < JOIN_TIMEOUT_S
            if m.state == JOINING and m.server_id != them.server_id and waiting:
                raise PeerError(f"The server {m.name} is joining; one server joins at a time.", code="busy")

    def _answer(self, generation: int, *, wipe: bool) -> Admitted:
        return Admitted(self._group.group_id, generation, wipe, tuple(self.members()))

    async def _put(self, them: Member) -> None:
        def decide(reader: Reader) -> Sequence[Operation]:
            rows = [r for r in slave_rows(reader) if _same_server(r, them)]
            ops: list[Operation] = [them.put(), Delete(REMOVED, them.server_id)]
            if them.server_id != self._server_id:
                row = rows[0] if rows else SlaveRow(them.target)
                ops.append(replace(row, server_id=them.server_id).put())
            return ops

        await self._group.commit("replication", decide)

    async def _forget_join(self, server_id: str) -> None:
        self._started.discard(server_id)

        def decide(reader: Reader) -> Sequence[Operation]:
            known = member(reader, server_id)
            return [Delete(MEMBER, server_id)] if known and known.state == JOINING else []

        await self._group.commit("replication", decide)


def _same_server(row: SlaveRow, them: Member) -> bool:
    return row.server_id == them.server_id or row.target == them.target
