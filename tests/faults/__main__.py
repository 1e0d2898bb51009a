"""`python -m tests.faults --seeds N [--first K] [--report FILE]`: N schedules of random faults on one group."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults.schedule import Outcome, run_seed
from tests.support.group import Group
from tests.support.server import end_all

HEADERS = ("seed", "faults", "sent", "acknowledged", "confirmed", "unknown", "recovered s", "took s", "outcome")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, metavar="N", help="how many schedules (10)")
    parser.add_argument("--first", type=int, default=1, metavar="K", help="the first seed (1)")
    parser.add_argument("--report", type=Path, metavar="FILE", help="also write the table there, as Markdown")
    given = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="hostward-faults-"))
    outcomes: list[Outcome] = []
    began = time.monotonic()
    try:
        _run(range(given.first, given.first + given.seeds), directory, outcomes)
    finally:
        end_all()
        if given.report is not None and outcomes:
            given.report.write_text(report(outcomes, time.monotonic() - began), encoding="utf-8")
    bad = [o for o in outcomes if o.problems]
    if bad:
        print(f"\n{len(bad)} of {len(outcomes)} seeds broke a promise. The servers' files are in {directory}.")
        return 1
    shutil.rmtree(directory)
    print(f"\nAll {len(outcomes)} seeds: every promise was kept.")
    return 0


def _run(seeds: Sequence[int], directory: Path, outcomes: list[Outcome]) -> None:
    group: Group | None = None
    print(" | ".join(HEADERS), flush=True)
    for seed in seeds:
        if group is None:
            group = Group(directory / f"from-seed-{seed}", gated=True)
            group.form()
        outcome = run_seed(group, seed)
        outcomes.append(outcome)
        print(" | ".join(cells(outcome)), flush=True)
        for problem in outcome.problems[:20]:
            print(f"    {problem}", flush=True)
        if outcome.problems:
            group.destroy()  # its files stay, and the next seed begins with a new one
            group = None


def cells(outcome: Outcome) -> list[str]:
    """An outcome as a row of the table."""
    counts = outcome.counts
    verdict = f"{len(outcome.problems)} problems" if outcome.problems else "kept"
    numbers = [str(counts.get(k, 0)) for k in ("sent", "acknowledged", "confirmed", "unknown")]
    times = [f"{outcome.recovered_s:.0f}", f"{outcome.took_s:.0f}"]
    return [str(outcome.seed), ", ".join(outcome.faults), *numbers, *times, verdict]


def report(outcomes: Sequence[Outcome], took_s: float) -> str:
    """The table with a summary, as Markdown."""
    good = sum(not o.problems for o in outcomes)
    acknowledged = sum(o.counts.get("acknowledged", 0) for o in outcomes)
    lines = [
        "# Fault runs",
        "",
        f"{len(outcomes)} seeds on a group of three real servers with real Cassandra, on {os.cpu_count()} cores,"
        f" in {took_s / 60:.0f} minutes: {good} kept every promise, over {acknowledged:,} acknowledged changes.",
        "",
        "A seed is one schedule: a stream of writes and an import, while servers and database nodes are killed, halted,"
        " cut off and restarted. Afterwards every acknowledged change is compared with each server's API, rows on the"
        f" disk and change log. Again: `python -m tests.faults --first {outcomes[0].seed} --seeds {len(outcomes)}`.",
        "",
        f"| {' | '.join(HEADERS)} |",
        f"|{'---|' * len(HEADERS)}",
        *(f"| {' | '.join(cells(o))} |" for o in outcomes),
    ]
    for outcome in outcomes:
        lines += [f"- seed {outcome.seed}: {problem}" for problem in outcome.problems[:5]]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
