"""`python -m tests.faults --seeds N [--first K] [--kind data|procedures] [--report FILE]`: N seeds of random faults.

data         a stream of writes and an import, while servers and nodes are killed, halted, cut off and restarted
links        the same writes on hosts in network namespaces (root), whose links are cut, one way or both, slow and lossy
procedures   all that an administrator can do to a group, with servers dying, cut off, wiped and replaced in between
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.links import LinkFaults
from tests.faults.machine import LENGTH, run_procedures
from tests.faults.outcome import Outcome
from tests.faults.schedule import run_seed
from tests.support.group import Group
from tests.support.namespaces import Network
from tests.support.server import end_all

HEADERS = ("seed", "what happened", "sent", "acknowledged", "confirmed", "unknown", "recovered s", "took s", "outcome")
KINDS = ("data", "links", "procedures")


@dataclass(frozen=True, slots=True)
class Bench:
    """How a kind's group is made (not yet formed), and how a seed is run on it."""

    make: Callable[[Path], Group]
    run: Callable[[Group, int], Outcome]


@contextlib.contextmanager
def _bench(kind: str, given: argparse.Namespace) -> Iterator[Bench]:
    """What it needs is there until the end."""

    def gated(directory: Path) -> Group:
        return Group(directory, gated=True)

    if kind == "data":
        yield Bench(gated, run_seed)
    elif kind == "procedures":
        yield Bench(gated, lambda g, seed: run_procedures(g, seed, length=given.length, left_out=given.without))
    else:
        network = Network(["server1", "server2", "server3"], seed=given.first)
        try:
            yield Bench(
                lambda directory: Group(directory, places=[h.place for h in network.hosts]),
                lambda g, seed: run_seed(g, seed, lambda: LinkFaults(g, network)),
            )
        finally:
            end_all()
            network.close()


def main() -> int:
    given = _arguments()
    directory = Path(tempfile.mkdtemp(prefix="hostward-faults-"))
    outcomes: dict[str, list[Outcome]] = {kind: [] for kind in given.kind or KINDS}
    began = time.monotonic()
    try:
        for kind, done in outcomes.items():
            with _bench(kind, given) as bench:
                _run(bench, range(given.first, given.first + given.seeds), directory / kind, done)
    finally:
        end_all()
        if given.report is not None:
            tables = [report(kind, done) for kind, done in outcomes.items() if done]
            given.report.write_text("\n".join(tables), encoding="utf-8")
    bad = [o for done in outcomes.values() for o in done if o.problems]
    total = sum(len(done) for done in outcomes.values())
    took = f"{(time.monotonic() - began) / 60:.0f} minutes"
    if bad:
        print(f"\n{len(bad)} of {total} seeds broke a promise ({took}). The servers' files are in {directory}.")
        return 1
    shutil.rmtree(directory)
    print(f"\nAll {total} seeds: every promise was kept ({took}).")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10, metavar="N", help="how many of each kind (10)")
    parser.add_argument("--first", type=int, default=1, metavar="K", help="the first seed (1)")
    parser.add_argument("--kind", choices=KINDS, action="append", help="only this kind")
    parser.add_argument("--length", type=int, default=LENGTH, help=f"procedures: how many steps ({LENGTH})")
    parser.add_argument(
        "--without", type=int, nargs="*", default=[], metavar="STEP", help="procedures: leave these steps out"
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="also write the tables there, as Markdown")
    return parser.parse_args()


def _run(bench: Bench, seeds: Sequence[int], directory: Path, outcomes: list[Outcome]) -> None:
    group: Group | None = None
    print(" | ".join(HEADERS), flush=True)
    for seed in seeds:
        if group is None:
            group = bench.make(directory / f"from-seed-{seed}")
            group.form()
        outcome = bench.run(group, seed)
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


def report(kind: str, outcomes: Sequence[Outcome]) -> str:
    """The table with a summary, as Markdown."""
    good = sum(not o.problems for o in outcomes)
    acknowledged = sum(o.counts.get("acknowledged", 0) for o in outcomes)
    took_s = sum(o.took_s for o in outcomes)
    lines = [
        f"# Fault runs: {kind}",
        "",
        f"{len(outcomes)} seeds on a group of three real servers with real Cassandra, on {os.cpu_count()} cores,"
        f" in {took_s / 60:.0f} minutes: {good} kept every promise, over {acknowledged:,} acknowledged changes.",
        "",
        f"Again: `python -m tests.faults --kind {kind} --first {outcomes[0].seed} --seeds {len(outcomes)}`.",
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
