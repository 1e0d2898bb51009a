"""`python -m tests.faults.switching --rounds N`: how long another Master takes, in a group that nothing else burdens.

A round is a planned switch-over, then a forced promotion: the Master is killed, a Slave is promoted as soon as it
agrees that the Master is away, the third server is told to follow, the old Master is started again and follows. Seconds
from the request to: the new Master takes a change that a Slave has too; all servers are Up and in sync. In the forced
case the first includes the silence that is waited for.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.group import Group
from tests.support.inventory import rows
from tests.support.server import end_all
from tests.support.waiting import eventually

WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds since the request."""

    confirming_s: float
    settled_s: float


_names = itertools.count()


def confirms_changes(group: Group) -> bool:
    """Whether the Master takes a change, and a Slave has it too."""
    made = group.master.api.post("sessions", rows(1, prefix=f"Switching {next(_names)}")[0])
    return bool(made["replicated"]["confirmed"])


def planned(group: Group) -> Taken:
    old, new = group.master, group.slaves[0]
    begun = time.monotonic()
    job = old.api.post("replication/switch-over", {"to": new.name, "confirm": True})["job"]
    group.is_master(new)
    eventually(lambda: confirms_changes(group), within_s=WITHIN_S, every_s=0.05)
    confirming = time.monotonic() - begun
    old.follow(job, within_s=WITHIN_S)
    group.wait_settled()
    return Taken(confirming, time.monotonic() - begun)


def forced(group: Group) -> Taken:
    old, new = group.master, group.slaves[0]
    old.kill()
    begun = time.monotonic()
    eventually(lambda: new.api.post("replication/promote", {"confirm": True}), within_s=WITHIN_S, every_s=0.1)
    group.is_master(new)
    for asked in (s for s in group.slaves if s is not old):
        follow = {"server": new.name, "confirm": True}
        eventually(lambda s=asked, f=follow: s.api.post("replication/follow", f), within_s=WITHIN_S)  # type: ignore[misc]
    eventually(lambda: confirms_changes(group), within_s=WITHIN_S, every_s=0.05)
    confirming = time.monotonic() - begun
    old.start()
    group.wait_settled()
    return Taken(confirming, time.monotonic() - begun)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.switching", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="how many (5)")
    given = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="hostward-switching-"))
    group = Group(directory)
    taken: dict[str, list[Taken]] = {"planned": [], "forced": []}
    print("| | round | confirms changes after s | all Up and in sync after s |\n|---|---|---|---|", flush=True)
    try:
        group.form()
        for number in range(1, given.rounds + 1):
            for kind, switch in (("planned", planned), ("forced", forced)):
                took = switch(group)
                taken[kind].append(took)
                print(f"| {kind} | {number} | {took.confirming_s:.1f} | {took.settled_s:.1f} |", flush=True)
    finally:
        end_all()
    for kind, all_of in taken.items():
        confirming, settled = ([getattr(t, f) for t in all_of] for f in ("confirming_s", "settled_s"))
        print(f"| {kind} | median | {statistics.median(confirming):.1f} | {statistics.median(settled):.1f} |")
        print(f"| {kind} | longest | {max(confirming):.1f} | {max(settled):.1f} |")
    shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
