"""`python -m bench`: run the rounds, print the table, write results.md."""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import alone, machine, ours, pages, peer
from bench.attempts import Attempts
from bench.report import Run, read_notes, report
from bench.samples import QUICK, Samples, Sizes
from hostward.database.archive import ensure_archive
from hostward.database.install import Runtime, ensure_runtime
from hostward.domain.errors import HostwardError

ALL = ("P1", "P3", "P4", "P6", "P7", "P8", "P9", "P12")
IN_A_GROUP = frozenset(ALL) - {"P6", "P7", "P12"}
ROUNDS = 5
RESULTS = Path(__file__).with_name("results.md")
ROUND_WITHIN_S = 1500.0


@dataclass(frozen=True, slots=True)
class Plan:
    sizes: Sizes
    quick: bool
    rounds: int
    wanted: frozenset[str]
    output: Path | None


@dataclass(slots=True)
class Found:
    ours: Samples = field(default_factory=Samples)
    raw: Samples = field(default_factory=Samples)
    attempts: Attempts = field(default_factory=lambda: Attempts(tell))


def main() -> int:
    """The exit code: 0 when everything was measured, whatever the values."""
    plan = _plan(sys.argv[1:])
    try:
        with _alone_on_this_machine():
            return asyncio.run(_run(plan))
    except asyncio.CancelledError:
        tell("Interrupted: what was started has been ended, and nothing is written.")
        return 130
    except HostwardError as error:
        tell(f"{error.message} {error.remedy}")
        return 1


async def _run(plan: Plan) -> int:
    _end_in_order()
    warning = machine.busy()
    if warning:
        tell(warning)
    runtime = await _runtime()
    found = Found()
    for number in range(plan.rounds):
        tell(f"Round {number + 1} of {plan.rounds}")
        await _round(plan, number, runtime, found)
    run = Run(
        facts=machine.facts(runtime),
        sizes=plan.sizes,
        quick=plan.quick,
        rounds=plan.rounds,
        wanted=plan.wanted,
        ours=found.ours,
        raw=found.raw,
        failures=found.attempts.failures,
        warning=warning,
    )
    text = report(run, read_notes())
    print(text)
    if plan.output is not None:
        plan.output.write_text(text, encoding="utf-8")
        tell(f"Written to {plan.output.name}.")
    return 1 if found.attempts.failures else 0


async def _runtime() -> Runtime:
    """As the servers find it: installed already, so that no measure has a download in it."""
    directory, java = (os.environ.get(f"HOSTWARD_DATABASE_{name}") for name in ("RUNTIME_DIR", "JAVA"))
    runtime = await ensure_runtime(
        Path(directory) if directory else None,
        java=Path(java) if java else None,
        maven_repository=os.environ.get("HOSTWARD_DATABASE_MAVEN_REPOSITORY"),
    )
    await ensure_archive(runtime)
    return runtime


def _end_in_order() -> None:
    """Ctrl-C and SIGTERM end the run, and with it all that it has started; asked again, it still does so in order."""
    loop, run = asyncio.get_running_loop(), asyncio.current_task()
    assert run is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, lambda: run.cancelling() or run.cancel())


async def _round(plan: Plan, number: int, runtime: Runtime, found: Found) -> None:
    """Both, the one that was last before now first."""
    kinds = ["ours", "raw"] if number % 2 == 0 else ["raw", "ours"]
    for kind in (*kinds, "alone"):
        with tempfile.TemporaryDirectory(prefix="hostward-bench-", ignore_cleanup_errors=True) as name:
            directory = Path(name)
            async with found.attempts.at(f"Round {number + 1}, {kind}"), asyncio.timeout(ROUND_WITHIN_S):
                if kind == "ours" and plan.wanted & IN_A_GROUP:
                    await ours.measure(directory, plan.sizes, plan.wanted, found.ours, found.attempts)
                elif kind == "raw" and plan.wanted - {"P6", "P12"}:
                    await peer.measure(directory, runtime, plan.sizes, plan.wanted, found.raw, found.attempts)
                elif kind == "alone" and "P7" in plan.wanted:
                    await alone.measure(directory, plan.sizes, found.ours, found.attempts)
                if kind == "alone" and plan.wanted & {"P6", "P12"}:
                    await pages.measure(directory, plan.sizes, found.ours, found.attempts)


@contextmanager
def _alone_on_this_machine() -> Iterator[None]:
    """Two runs would disturb each other, and have the same addresses."""
    with (Path(tempfile.gettempdir()) / "hostward-bench.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HostwardError("Another bench is at work on this machine.", remedy="Wait until it ends.") from None
        yield


def _plan(arguments: list[str]) -> Plan:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure Hostward beside raw Cassandra.")
    parser.add_argument("--quick", action="store_true", help="a round of small sizes: shows that the harness works")
    parser.add_argument("--only", metavar="P1,P4", default=",".join(ALL), help=f"of {', '.join(ALL)}")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"default {ROUNDS}, with --quick 1")
    parser.add_argument("--output", type=Path, metavar="FILE", help="default results.md for a whole run, else none")
    given = parser.parse_args(arguments)
    wanted = frozenset(part.strip().upper() for part in given.only.split(",") if part.strip())
    unknown = sorted(wanted - set(ALL))
    if unknown or not wanted:
        parser.error(f"there is no {', '.join(unknown) or 'measure named'}: choose of {', '.join(ALL)}")
    rounds = given.rounds if given.rounds is not None else 1 if given.quick else ROUNDS
    if not 1 <= rounds <= 50:
        parser.error("--rounds is 1 to 50")
    whole = not given.quick and wanted == set(ALL) and rounds >= ROUNDS
    output = given.output or (RESULTS if whole else None)
    return Plan(QUICK if given.quick else Sizes(), given.quick, rounds, wanted, output)


def tell(words: str) -> None:
    """Progress, for who watches."""
    print(f"{time.strftime('%H:%M:%S')} {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
