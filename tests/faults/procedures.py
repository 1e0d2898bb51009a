"""Which procedures and faults may follow which: the generator of the long sequences. No I/O.

A seed is a list of steps, drawn among what an administrator or an accident could do to servers in their present state.
Hypothesis' rule-based machine would need hours to shrink (docs/decisions/0005). What is kept of it: rules with
conditions, and a seed that gives the same sequence again; `without` leaves steps out, to find those that matter.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

LONGEST_GAP_S = 4.0


class Act(Enum):
    """What is done to a server; the value is what is told."""

    KILL = "kill"
    START = "start"
    RESTART = "restart"
    KILL_NODE = "kill the node of"
    WIPE_DATABASE = "wipe the database of"
    REPLACE = "destroy all of, and start anew,"
    CUT_OFF = "cut off"
    RECONNECT = "reconnect"
    STANDALONE = "set to Standalone"
    MASTER = "set to Master"
    SLAVE = "set to Slave"
    REMOVE = "remove on the Master"
    SWITCH_OVER = "hand over to"
    PROMOTE = "promote by force"


@dataclass(frozen=True, slots=True)
class Seen:
    """A server as its administrator believes it to be. `role`: the one that was last applied. `outcast`: a Slave that
    was removed, or whose group is no more. `lost`: the Master still lists what it was before it was replaced."""

    role: str = "standalone"
    running: bool = True
    cut_off: bool = False
    outcast: bool = False
    lost: bool = False


World = tuple[Seen, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One act on one server, after a pause."""

    act: Act
    server: int
    gap_s: float

    def __str__(self) -> str:
        return f"{self.act.value} server{self.server + 1}"


def master_of(world: World) -> int | None:
    return next((n for n, seen in enumerate(world) if seen.role == "master"), None)


def possible(world: World) -> list[tuple[Act, int, int]]:
    """(act, server, weight) of all that may come next."""
    master = master_of(world)
    found: list[tuple[Act, int, int]] = []
    for n, seen in enumerate(world):
        found += [(act, n, weight) for act, weight in _to_the_machine(seen)]
        if seen.running:
            found += [(act, n, weight) for act, weight in _by_the_administrator(world, n, master)]
        if master is not None and seen.role == "slave" and not seen.outcast:
            found += [(act, n, weight) for act, weight in _to_a_slave(seen, world[master])]
    return found


def _to_the_machine(seen: Seen) -> list[tuple[Act, int]]:
    found = [(Act.RECONNECT, 4)] if seen.cut_off else []
    if not seen.running:
        return [*found, (Act.START, 5)]
    found += [(Act.KILL, 1), (Act.RESTART, 1)]
    if not seen.cut_off:
        found.append((Act.CUT_OFF, 1))
    if seen.role != "standalone":
        found += [(Act.KILL_NODE, 1), (Act.WIPE_DATABASE, 1)]
    if seen.role == "slave":
        found.append((Act.REPLACE, 1))
    return found


def _to_a_slave(slave: Seen, master: Seen) -> list[tuple[Act, int]]:
    if master.running:
        return [(Act.REMOVE, 2), *([(Act.SWITCH_OVER, 2)] if slave.running else [])]
    return [(Act.PROMOTE, 4)] if slave.running else []


def _by_the_administrator(world: World, n: int, master: int | None) -> list[tuple[Act, int]]:
    seen = world[n]
    found = [] if seen.role == "standalone" else [(Act.STANDALONE, 2)]
    if seen.role == "standalone" and master is None:
        found.append((Act.MASTER, 8))
    if master is not None and world[master].running and n != master and (seen.role == "standalone" or seen.outcast):
        found.append((Act.SLAVE, 8))
    return found


def after(world: World, act: Act, server: int) -> World:
    """The world when the act went well."""
    seen, others = world[server], list(world)
    changes = {
        Act.KILL: {"running": False},
        Act.START: {"running": True},
        Act.CUT_OFF: {"cut_off": True},
        Act.RECONNECT: {"cut_off": False},
        Act.REPLACE: {"role": "standalone", "outcast": False, "lost": True},
        Act.STANDALONE: {"role": "standalone", "outcast": False},
        Act.MASTER: {"role": "master"},
        Act.SLAVE: {"role": "slave", "outcast": False, "lost": False},
        Act.REMOVE: {"outcast": True},
        Act.SWITCH_OVER: {"role": "master"},
        Act.PROMOTE: {"role": "master"},
    }
    if act is Act.STANDALONE and seen.role == "master":
        others = [replace(o, outcast=o.outcast or o.role == "slave", lost=False) for o in others]
    if act in (Act.SWITCH_OVER, Act.PROMOTE):
        others = [replace(o, role="slave" if o.role == "master" else o.role) for o in others]
    others[server] = replace(seen, **changes.get(act, {}))  # type: ignore[arg-type]
    return tuple(others)


def schedule(seed: int, length: int, world: World) -> list[Step]:
    """The steps of a seed, as if each went well."""
    random_, steps = random.Random(seed), []
    for _ in range(length):
        choices = possible(world)
        act, server, _weight = random_.choices(choices, weights=[w for *_, w in choices])[0]
        steps.append(Step(act, server, random_.uniform(0.0, LONGEST_GAP_S)))
        world = after(world, act, server)
    return steps


def allowed(world: World, step: Step) -> bool:
    """Whether the step still makes sense, where an earlier one was refused."""
    return any((act, server) == (step.act, step.server) for act, server, _ in possible(world))


def without(steps: Sequence[Step], left_out: Sequence[int]) -> list[Step]:
    """The steps but for those numbers (from 1)."""
    return [s for n, s in enumerate(steps, 1) if n not in left_out]
