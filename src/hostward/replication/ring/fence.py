"""The fence: how a node that belongs to no server of the group is kept out of the ring.

The members' internode truststores no longer hold its certificate, so it can't connect anew. What it had connected
before that, Cassandra keeps: each member that still sees it up after GRACE_S starts its own node again, which ends
those connections; one after the other, the Master first. A node that the Master can't reach is dead to it, and is
removed from the ring; from then on the others ignore what it says of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hostward.replication.group.members import Member

GRACE_S = 15.0
STAGGER_S = 25.0
REPEAT_S = 300.0


@dataclass(frozen=True, slots=True)
class RingNode:
    """A node as the ring sees it. `joining`: it hasn't all of its data yet; `leaving`: it is being removed;
    `owns_percent` is None where it isn't known."""

    host_id: str
    address: str
    up: bool
    joining: bool = False
    leaving: bool = False
    owns_percent: float | None = None


def strangers(ring: Sequence[RingNode], members: Sequence[Member], joining: Sequence[str]) -> list[RingNode]:
    """Nodes that belong to no member. `joining` are the addresses from which a node may join now."""
    ids = {m.host_id for m in members if m.host_id}
    return [n for n in ring if n.host_id not in ids and n.address not in joining]


class Fence:
    """Says when this server's own node must be started again to end a stranger's connections. `monotonic` gives
    seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._since: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._cut_off: dict[str, float] = {}

    def look(self, found: Sequence[RingNode], turn: int) -> None:
        """Note the strangers in the ring at this moment. `turn`: 0 for the Master, then the Slaves in their order.
        Once seen up for GRACE_S a stranger counts, also when the ring has dropped it meanwhile: it may be connected
        still."""
        now = self._monotonic()
        up = {n.host_id for n in found if n.up}
        self._since = {h: self._since.get(h, now) for h in up}
        for host_id, since in self._since.items():
            if now - since >= GRACE_S and now - self._cut_off.get(host_id, float("-inf")) > REPEAT_S:
                self._due.setdefault(host_id, now + turn * STAGGER_S)

    def hurry(self, host_id: str) -> None:
        """An administrator wants this node out: no grace."""
        self._due[host_id] = self._monotonic()

    @property
    def due(self) -> bool:
        """Whether this server's node must be started again now."""
        now = self._monotonic()
        return any(now >= at for at in self._due.values())

    def node_started(self) -> None:
        """The node has been started: it has no old connections. For the same stranger it isn't started again soon."""
        now = self._monotonic()
        self._cut_off = {h: at for h, at in self._cut_off.items() if now - at <= REPEAT_S}
        self._cut_off.update(dict.fromkeys(self._due, now))
        self._since.clear()
        self._due.clear()


def may_say_goodbye(ring: Sequence[RingNode] | None) -> bool:
    """Whether the node of a removed server, which sees the ring so (None: it doesn't answer), ends with a goodbye. Not
    where the others may have begun to cut it off: one that still reached another node, over a connection made before,
    would be taken for news of a member, and bring this node back into that one's ring."""
    return ring is not None and all(node.up for node in ring)
