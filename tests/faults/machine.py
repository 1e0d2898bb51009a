"""A long sequence of all procedures and faults on one group, and its end: every server is Up and in sync, or Standalone
with its data; then all of them form one group again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from tests.faults.administrator import Administrator
from tests.faults.outcome import Outcome
from tests.faults.procedures import Act, schedule, without
from tests.faults.stream import Stream
from tests.support.group import Group
from tests.support.monitor import Monitor

LENGTH = 8


def run_procedures(group: Group, seed: int, *, length: int = LENGTH, left_out: Sequence[int] = ()) -> Outcome:
    """Carry out the sequence of a seed on a group of three that is Up, and leave it Up again. What goes wrong is in the
    outcome."""
    outcome, began, stream = Outcome(seed), time.monotonic(), Stream(seed)
    servers = list(group.servers)
    with Monitor(servers) as monitor:
        administrator = Administrator(group, stream)
        try:
            _carry_out(administrator, seed, length, left_out, outcome)
            outcome.recovered_s = _end_well(administrator, random.Random(-seed))
        except Exception as error:  # noqa: BLE001 (whatever it was, it is this seed's outcome)
            outcome.problems.append(f"{type(error).__name__}: {error}")
        finally:
            stream.stop()
            group.servers = sorted(servers, key=lambda s: s not in group.servers[:1])
    outcome.problems += administrator.problems + monitor.problems
    if stream.error is not None:
        outcome.problems.append(f"a write met {type(stream.error).__name__}: {stream.error}")
    outcome.counts, outcome.took_s = dict(stream.counts), time.monotonic() - began
    return outcome


def _carry_out(administrator: Administrator, seed: int, length: int, left_out: Sequence[int], outcome: Outcome) -> None:
    for step in without(schedule(seed, length, administrator.world), left_out):
        time.sleep(step.gap_s)
        said = administrator.carry_out(step)
        outcome.faults.append(f"{step} ({said})" if said else str(step))


def _end_well(administrator: Administrator, random_: random.Random) -> float:
    """Mend everything; those that were thrown out go one of their two ways; then all come together again. How long it
    took until what was left of the group was well."""
    administrator.mend()
    administrator.forget_the_lost()
    for n, seen in enumerate(administrator.world):
        if seen.outcast:
            ways = [Act.STANDALONE] if administrator.master is None else [Act.STANDALONE, Act.SLAVE]
            administrator.insist(random_.choice(ways), n)
    recovered_s = administrator.settle_group() if administrator.master is not None else 0.0
    for place, seen in zip(administrator.places, administrator.world, strict=True):
        if seen.role == "standalone":
            administrator.settle_alone(place)
    if administrator.master is None:
        administrator.insist(Act.MASTER, random_.randrange(len(administrator.places)))
    for n, seen in enumerate(administrator.world):
        if seen.role == "standalone":
            administrator.insist(Act.SLAVE, n)
    administrator.settle_group()
    return recovered_s
