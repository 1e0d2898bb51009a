"""Where a follower gets what it lacks: the log at the local node, and the other servers' registries."""

from __future__ import annotations

from collections.abc import Sequence

from hostward.database.log_store import LogStore
from hostward.domain.changes import Change, Position, unpack
from hostward.domain.errors import PeerError
from hostward.replication.changelog.follower import Known, Point
from hostward.replication.changelog.snapshots import SignedSnapshot
from hostward.replication.parts import Parts
from hostward.replication.peers.messages import Message, understood

BULK_TIMEOUT_S = 60.0


class PeerSources:
    """Implements follower.Sources. `parts` is set once the server is wired."""

    parts: Parts

    def store(self) -> LogStore | None:
        return self.parts.node.store()

    def peers(self) -> list[str]:
        """The Master's id first, where it is another server."""
        p = self.parts
        ids = {m.server_id for m in p.others()}
        master = p.state.now.master_id
        if master and master != p.server_id:
            ids.add(master)
        return sorted(ids, key=lambda i: (i != master, i))

    async def changes(self, server_id: str, after: Position) -> list[Change] | None:
        answer = await self._ask(server_id, Message("changes", {"after": after.to_json()}))
        with understood(self._name(server_id)):
            return unpack(answer.blob) if answer.data["kept"] else None

    async def snapshot(self, server_id: str) -> SignedSnapshot:
        answer = await self._ask(server_id, Message("snapshot"))
        with understood(self._name(server_id)):
            return SignedSnapshot.from_bytes(answer.blob)

    async def known(self, server_id: str, points: Sequence[Point]) -> Known:
        asked = [[revision, hash_.hex()] for revision, hash_ in points]
        answer = await self._ask(server_id, Message("known", {"points": asked}))
        with understood(self._name(server_id)):
            known = Known(tuple(answer.data["known"]), Position.from_json(answer.data["position"]))
            if len(known.points) != len(points):
                raise ValueError(f"{len(known.points)} of {len(points)} points")
            return known

    def _name(self, server_id: str) -> str:
        them = self.parts.find(server_id)
        return them.name if them is not None else "the Master"

    async def _ask(self, server_id: str, message: Message) -> Message:
        p = self.parts
        them = p.find(server_id)
        if them is not None:
            return await p.links.ask(them, message, timeout_s=BULK_TIMEOUT_S)
        state = p.state.now
        if state.master is None:
            raise PeerError("That server isn't a member.", code="group")
        answer, _, _ = await p.links.ask_target(
            state.master, message, protocol=state.protocol, group=state.master_group, timeout_s=BULK_TIMEOUT_S
        )
        return answer
