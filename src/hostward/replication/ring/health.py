"""What may be wrong with the ring that no server's own node shows: a pure look at the nodes."""

from __future__ import annotations

from collections.abc import Sequence

from hostward.replication.ring.fence import RingNode

ALL_PERCENT = 99.5
"""Owns as nodetool shows it, rounded: 100 %."""


def all_own_everything(nodes: Sequence[RingNode]) -> bool:
    """Whether every node that has joined owns 100 % of the data. The replication factor is raised before a node joins
    and lowered after one has left, so that it is never less, unless somebody else changed the factor."""
    there = [n for n in nodes if not n.joining and not n.leaving]
    return all(n.owns_percent >= ALL_PERCENT for n in there if n.owns_percent is not None)


def stuck_leaving(nodes: Sequence[RingNode]) -> list[RingNode]:
    """Nodes that are being removed. One that is down and stays so waits for others to take over its data: if one of
    them died meanwhile, for ever."""
    return [n for n in nodes if n.leaving and not n.up]
