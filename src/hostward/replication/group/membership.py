"""Membership, decided by the Master alone: who is admitted to the ring, one at a time, and who is removed.

A Slave asks before it first starts its database node in each life. So a server that was removed, or that belongs to
another group, never gets as far as the ring; and a server whose node lost its data is let in anew after its old node
has been removed. One that was removed comes back only once the Master's administrator has entered it in the Slave
table again: its own word doesn't count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from hostward.domain.changes import Delete, Operation
from hostward.domain.errors import PeerError
from hostward.registry.group import GroupRegistry, Reader
from hostward.replication.goals import Marker
from hostward.replication.group.members import (
    JOINED,
    JOINING,
    MAX_SERVERS,
    MEMBER,
    REMOVED,
    SLAVE,
    Member,
    Removed,
    SlaveRow,
    member,
    members,
    ring_generation,
    slave_rows,
    tombstone,
)
from hostward.replication.group.turns import QUEUE, Turns
from hostward.replication.ring.fence import RingNode, strangers

ASKS_FOR_S = 30.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Asking:
    """A Slave's request to be admitted. `marker` is what its node's data belongs to, None where there is none or it
    isn't whole; `fresh` is true while the administrator's Apply is being carried out (a server that left by itself may
    then join again); `attempt` names this try, a new one with each Apply and each start of the server."""

    member: Member
    marker: Marker | None
    fresh: bool
    attempt: str = ""

    def to_json(self) -> dict[str, Any]:
        marker = [self.marker.group_id, self.marker.generation] if self.marker else None
        return {"member": self.member.to_json(), "marker": marker, "fresh": self.fresh, "attempt": self.attempt}

    @staticmethod
    def from_json(value: dict[str, Any]) -> Asking:
        marker = Marker(value["marker"][0], int(value["marker"][1])) if value["marker"] else None
        return Asking(Member.from_json(value["member"]), marker, bool(value["fresh"]), str(value.get("attempt", "")))


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
        self._clearing: set[str] = set()
        self._refused: dict[str, tuple[str, float]] = {}
        self._newcomers: dict[str, str] = {}
        self._ended: dict[str, str] = {}
        self.turns = Turns(monotonic)

    def members(self) -> list[Member]:
        with self._group.read() as reader:
            return members(reader)

    async def admit(self, asking: Asking, ring: Sequence[RingNode]) -> Admitted:
        """Let the Slave start its node. Raises PeerError: "busy" where it should ask again a little later, "queue"
        where something else comes first, "removed", "role", "name", "replaced" or "protocol" where an administrator
        must act before asking again helps; each with its reason."""
        async with self._lock:
            await self._end_joins()
            try:
                admitted = await self._admit(asking, ring)
            except PeerError as error:
                if error.code in ("removed", "replaced"):
                    self._refused[asking.member.server_id] = (f"{error.message} {error.remedy}", self._monotonic())
                raise
            self._refused.pop(asking.member.server_id, None)
            return admitted

    async def _admit(self, asking: Asking, ring: Sequence[RingNode]) -> Admitted:
        them = asking.member
        with self._group.read() as reader:
            known, everyone = member(reader, them.server_id), members(reader)
            gone = tombstone(reader, them.server_id)
            generation = ring_generation(reader)
            _check_not_removed(gone, slave_rows(reader), asking)
        self._check_not_ended(asking)
        self._check_admissible(them, everyone)
        here = Marker(self._group.group_id, generation)
        nodes = {n.host_id for n in ring}
        if known and known.state == JOINED and asking.marker == here and known.host_id in nodes:
            if not known.same_place(them):
                await self._put(replace(them, state=JOINED, host_id=known.host_id), known, gone)
            return self._answer(generation, wipe=False)
        self.turns.take(them, [m for m in everyone if m.state == JOINING])
        joining = replace(them, state=JOINING, host_id="")
        if known is None or them.server_id in self._newcomers:
            self._newcomers[them.server_id] = asking.attempt
        if known != joining:
            await self._put(joining, known, gone)
        others = {m.host_id for m in everyone if m.server_id != them.server_id}
        old = [n for n in ring if not n.joining and n.address == them.address and n.host_id not in others]
        rejoining = bool(old) and known is not None and known.state == JOINING and asking.marker == here
        if old and not rejoining:
            self._clearing.add(them.server_id)
            raise PeerError("The server's earlier node is being removed from the ring.", code=QUEUE)
        self._clearing.discard(them.server_id)
        await self._prepare(self.members())
        with self._group.read() as reader:
            if member(reader, them.server_id) is None:
                raise PeerError("This server was removed from the group while it joined.", code="removed")
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
        self._clearing.discard(server_id)
        self._newcomers.pop(server_id, None)
        self.turns.ended(server_id)
        if known.state != JOINED or known.host_id != host_id:
            await self._put(replace(known, state=JOINED, host_id=host_id), known, None)

    async def remove(self, server_id: str, author: str, *, left: bool = False) -> None:
        """Take the server out of the group: its certificate is no longer trusted by the ring, and its node is removed.
        Removing who isn't there is allowed; one that had left by itself then counts as removed. `left`: its own
        administrator wants it. One that never was a member only has its join ended: it stays in the Slave table, and
        may try anew once it is restarted, as the guide has it for a Slave that stays Down (5.13.10), or at the
        next Apply on the Master."""
        self._clearing.discard(server_id)
        self.turns.ended(server_id)
        attempt = self._newcomers.pop(server_id, None)
        if attempt is not None and not left:
            self._ended[server_id] = attempt

        def decide(reader: Reader) -> Sequence[Operation]:
            known = member(reader, server_id)
            if known is None:
                gone = tombstone(reader, server_id)
                if gone is None or left:
                    return []
                rows = [Delete(SLAVE, r.id) for r in slave_rows(reader) if r.server_id == server_id]
                return [replace(gone, left=False).put(), *rows]
            ops: list[Operation] = [Delete(MEMBER, server_id), Removed.of(known, left=left).put()]
            if server_id in self._ended:
                return ops
            return [*ops, *(Delete(SLAVE, r.id) for r in slave_rows(reader) if _same_server(r, known))]

        await self._group.commit(author, decide)

    def try_anew(self) -> None:
        """An administrator has applied: servers whose first join was ended may join, where they still are in the Slave
        table."""
        self._ended.clear()

    async def end_joins(self) -> None:
        """End joins that don't get on: the next in the queue gets its turn."""
        async with self._lock:
            await self._end_joins()

    async def _end_joins(self) -> None:
        for m, why in self.turns.expired([m for m in self.members() if m.state == JOINING]):
            log.warning("join-ended", server=m.name, reason=why)
            await self._forget_join(m.server_id)

    def strangers(self, ring: Sequence[RingNode]) -> list[RingNode]:
        """Nodes of the ring that belong to no member, nor to one that is joining now."""
        everyone = self.members()
        joining = [m.address for m in everyone if m.state == JOINING and m.server_id not in self._clearing]
        return strangers(ring, everyone, joining)

    def notices(self) -> list[str]:
        """What an administrator of the Master should know of servers that ask to be let in."""
        now = self._monotonic()
        self._refused = {k: v for k, v in self._refused.items() if now - v[1] <= ASKS_FOR_S}
        waiting = [f"{name} waits to join: one server joins at a time." for name in self.turns.waiting()]
        return [*(words for words, _ in self._refused.values()), *waiting]

    def _check_not_ended(self, asking: Asking) -> None:
        them = asking.member
        if self._ended.get(them.server_id) == asking.attempt:
            raise PeerError(
                f"The join of {them.name} was ended on the Master: it was removed from the group.",
                remedy="To let it try anew, restart this server, or Apply here or on the Master. To keep it out, set it"
                " to Standalone, or delete it from the Slave table on the Master.",
                code="removed",
            )
        self._ended.pop(them.server_id, None)

    def _check_admissible(self, them: Member, everyone: Sequence[Member]) -> None:
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
            if (m.host, m.port) == (them.host, them.port):
                raise PeerError(
                    f"The server {m.name} already is {them.host}:{them.port} in this group, with another identity:"
                    f" {m.server_id}, not {them.server_id}.",
                    remedy=f"If this server takes the place of {m.name}, click Remove for that one in the Master's"
                    " Details: this one then joins by itself. Else give it its own host_name.",
                    code="replaced",
                )
            if m.address == them.address and m.storage_port == them.storage_port:
                raise PeerError(
                    f"The server {m.name} already uses {them.seed} for its database.",
                    remedy="Choose another Database Network Adapter.",
                    code="role",
                )
            if m.name.casefold() == them.name.casefold():
                raise PeerError(
                    f"The group already has a server with the name {m.name}, at {m.host}:{m.port}.",
                    remedy="Give this server another name in its configuration file ([server] name), and restart it.",
                    code="name",
                )

    def _answer(self, generation: int, *, wipe: bool) -> Admitted:
        return Admitted(self._group.group_id, generation, wipe, tuple(self.members()))

    async def _put(self, them: Member, known: Member | None, gone: Removed | None) -> None:
        """Enter the member, if it is still what was known of it when that was decided: an administrator may have
        removed it meanwhile. Raises PeerError."""

        def decide(reader: Reader) -> Sequence[Operation]:
            if (member(reader, them.server_id), tombstone(reader, them.server_id)) != (known, gone):
                raise PeerError("What the Master knows of this server has just changed.", code="busy")
            rows = [r for r in slave_rows(reader) if _same_server(r, them)]
            ops: list[Operation] = [them.put(), Delete(REMOVED, them.server_id)]
            if them.server_id != self._server_id:
                row = rows[0] if rows else SlaveRow(them.target)
                ops.append(replace(row, server_id=them.server_id).put())
            return ops

        await self._group.commit("replication", decide)

    async def _forget_join(self, server_id: str) -> None:
        self._clearing.discard(server_id)
        self.turns.ended(server_id)

        def decide(reader: Reader) -> Sequence[Operation]:
            known = member(reader, server_id)
            return [Delete(MEMBER, server_id)] if known and known.state == JOINING else []

        await self._group.commit("replication", decide)


def _check_not_removed(gone: Removed | None, rows: Sequence[SlaveRow], asking: Asking) -> None:
    """A server that left by itself may join again by its own Apply; one that was removed, only once it is in the Slave
    table again, by its id: its address could be claimed by another."""
    them = asking.member
    if gone is None or any(row.server_id == them.server_id for row in rows):
        return
    if not (gone.left and asking.fresh):
        raise PeerError(
            f"The server {gone.name} was removed from the group.",
            remedy=f"To let it join again, add {them.host}:{them.port} to the Slave table on the Master; else set it"
            " to Standalone. It keeps its data.",
            code="removed",
        )


def _same_server(row: SlaveRow, them: Member) -> bool:
    return row.server_id == them.server_id or row.target == them.target
