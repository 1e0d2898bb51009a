"""`python -m tests.faults.fence --rounds N [--first K] [--report FILE]`: N random removals and returns on one group.

A round removes a Slave (running, down, halted, or cut off while its database node runs on), perhaps while the third
server is away and so never hears of it; then brings it back with its old data and certificate: its server, or its JVM
alone, started by hand with the command line that it had; perhaps while the Master is away. The others must not be
touched, the removed server must say what it is; at the end it is added again.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from tests.support.group import Group
from tests.support.inventory import rows
from tests.support.server import Server, end_all
from tests.support.waiting import always, eventually

REMOVALS = ("running", "down", "halted", "cut off")
RUNS_ON = ("halted", "cut off")
THIRDS = ("there", "away")
RETURNS = ("server", "JVM by hand")
MASTERS = ("there", "away at the return")

UP_WITHIN_S = 240.0
SAYS_WITHIN_S = 60.0
UNTOUCHED_FOR_S = 5.0
LONGEST_ABSENCE_S = 8.0
HEADERS = ("round", "removed while", "third server", "returns as", "Master", "Up again s", "took s", "outcome")


@dataclass(frozen=True, slots=True)
class Round:
    """What is done; a number's round is always the same."""

    number: int
    victim: int
    removal: str
    third: str
    returns: str
    master: str
    absence_s: float

    @staticmethod
    def of(number: int) -> Round:
        chance = random.Random(number)
        removal, third, returns = chance.choice(REMOVALS), chance.choice(THIRDS), chance.choice(RETURNS)
        away = returns == "server" and chance.random() < 0.3
        return Round(
            number, chance.randrange(2), removal, third, returns, MASTERS[away], chance.uniform(0, LONGEST_ABSENCE_S)
        )


@dataclass(slots=True)
class Outcome:
    """What a round came to. `up_s`: from Remove until the Master was Up without the server."""

    round: Round
    up_s: float = 0.0
    took_s: float = 0.0
    problems: list[str] = field(default_factory=list)


def run_round(group: Group, what: Round) -> Outcome:
    """Carry out a round on a group that is Up. What goes wrong is in the outcome."""
    outcome, began = Outcome(what), time.monotonic()
    try:
        _Rounds(group, what, outcome).run()
    except Exception as error:  # noqa: BLE001 (whatever it was, it is this round's outcome)
        outcome.problems.append(f"{type(error).__name__}: {error}")
    outcome.took_s = time.monotonic() - began
    return outcome


class _Rounds:
    def __init__(self, group: Group, what: Round, outcome: Outcome) -> None:
        self._group, self._what, self._outcome = group, what, outcome
        self._removed: Server = group.slaves[what.victim]
        self._third: Server = group.slaves[1 - what.victim]
        self._thirds_nodes: set[int] = set()

    def run(self) -> None:
        removed, what = self._removed, self._what
        kept = removed.api.export()
        node = psutil.Process(_required(removed.jvm_pid))
        command, environment, directory = node.cmdline(), node.environ(), node.cwd()
        if what.third == "away":
            self._third.kill()
        else:
            self._thirds_nodes.add(_required(self._third.jvm_pid))
        self._remove()
        time.sleep(what.absence_s)
        if what.returns == "JVM by hand":
            with self._end_server(), _by_hand(command, environment, directory) as process:
                self._come_back()
                always(self._untouched, for_s=UNTOUCHED_FOR_S, every_s=1)
                assert process.poll() is None or process.returncode != 0
            removed.start()
        else:
            self._return_server()
        eventually(self._says_so, within_s=SAYS_WITHIN_S)
        eventually(self._untouched, within_s=UP_WITHIN_S)
        always(self._untouched, for_s=UNTOUCHED_FOR_S, every_s=1)
        assert removed.api.export() == kept, "the removed server's data changed"
        made = self._group.master.api.post("sessions", rows(1, prefix=f"Round {what.number}, {time.time():.0f}")[0])
        assert made["replicated"]["confirmed"] is True, made["replicated"]
        self._group.list_slaves()
        self._group.wait_settled(UP_WITHIN_S)

    def _remove(self) -> None:
        removed, master, way = self._removed, self._group.master, self._what.removal
        if way == "down":
            removed.kill()
        elif way == "halted":
            removed.sigstop()
        elif way == "cut off":
            assert removed.gate is not None
            removed.gate.shut()
        host_id = next(n["host_id"] for n in master.api.nodes() if n["server_name"] == removed.name)
        began = time.monotonic()
        master.follow(master.api.delete(f"replication/nodes/{host_id}", confirm=True)["job"], within_s=UP_WITHIN_S)
        master.wait_up()
        self._outcome.up_s = time.monotonic() - began

    def _return_server(self) -> None:
        removed, master = self._removed, self._group.master
        if self._what.master == "there":
            if removed.running:
                self._mend_removed()
            else:
                removed.start()
            self._come_back()
            return
        master.kill()
        if removed.running:
            self._mend_removed()
            removed.kill()
        removed.start()
        self._come_back()
        # Nobody that the Master has confirmed is there to vouch for it, or who is there knows of the removal.
        always(lambda: removed.jvm_pid is None, for_s=UNTOUCHED_FOR_S, every_s=0.5)
        master.start()

    def _come_back(self) -> None:
        """The third server starts at the same time, where it was away."""
        if not self._third.running:
            self._third.start()

    def _mend_removed(self) -> None:
        removed = self._removed
        assert removed.gate is not None
        removed.gate.open()
        removed.sigcont()

    @contextlib.contextmanager
    def _end_server(self) -> Iterator[None]:
        """The removed server's process is gone, and its node with it."""
        removed = self._removed
        if removed.running:
            self._mend_removed()
            removed.kill()
        eventually(lambda: removed.jvm_pid is None, within_s=30)
        yield

    def _says_so(self) -> bool:
        status = self._removed.api.status()
        assert status["removed"], status["reason"]
        assert "Slave table" in status["reason"], status["reason"]
        assert self._removed.jvm_pid is None, "its database node runs"
        return True

    def _untouched(self) -> bool:
        """The Master, and the third server while it isn't just starting, are Up, and the ring is theirs alone."""
        names = {self._group.master.name, self._third.name}
        status = self._group.master.api.status()
        assert status["database_status"] == "Up", status["reason"]
        nodes = self._group.master.api.nodes()
        assert {n["server_name"] for n in nodes} == names, [n["server_name"] for n in nodes]
        if self._what.third == "there" and not self._third_is_fencing():
            theirs = self._third.api.status()
            assert theirs["database_status"] == "Up", theirs["reason"]
            assert {n["server_name"] for n in self._third.api.nodes()} == names
        return True

    def _third_is_fencing(self) -> bool:
        """Where the removed server's node ran on, the third server starts its own node again, once, a while after the
        Master (docs/decisions/0008)."""
        self._thirds_nodes.update(filter(None, [self._third.jvm_pid]))
        assert len(self._thirds_nodes) <= 1 + (self._what.removal in RUNS_ON), "its node was started again and again"
        return self._what.removal in RUNS_ON and self._third.api.status()["database_status"] != "Up"


@contextlib.contextmanager
def _by_hand(command: Sequence[str], environment: dict[str, str], directory: str) -> Iterator[subprocess.Popen[bytes]]:
    """The database node's JVM, as somebody would start it who has copied its command line."""
    process = subprocess.Popen(
        command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)


def _required(pid: int | None) -> int:
    assert pid is not None, "it has no database node"
    return pid


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.fence", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, metavar="N", help="how many (10)")
    parser.add_argument("--first", type=int, default=1, metavar="K", help="the first round's number (1)")
    parser.add_argument("--report", type=Path, metavar="FILE", help="also write the table there, as Markdown")
    given = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="hostward-fence-"))
    outcomes: list[Outcome] = []
    group: Group | None = None
    print(" | ".join(HEADERS), flush=True)
    try:
        for number in range(given.first, given.first + given.rounds):
            if group is None:
                group = Group(directory / f"from-round-{number}", gated=True)
                group.form()
            outcome = run_round(group, Round.of(number))
            outcomes.append(outcome)
            print(" | ".join(cells(outcome)), *outcome.problems, sep="\n    ", flush=True)
            if outcome.problems:
                group.destroy()  # its files stay
                group = None
    finally:
        end_all()
        if given.report is not None and outcomes:
            given.report.write_text(report(outcomes), encoding="utf-8")
    bad = sum(bool(o.problems) for o in outcomes)
    if bad:
        print(f"\n{bad} of {len(outcomes)} rounds broke a promise. The servers' files are in {directory}.")
        return 1
    shutil.rmtree(directory)
    print(f"\nAll {len(outcomes)} rounds: the group was left untouched.")
    return 0


def cells(outcome: Outcome) -> list[str]:
    """An outcome as a row of the table."""
    r: Any = outcome.round
    verdict = "broken" if outcome.problems else "untouched"
    times = [f"{outcome.up_s:.0f}", f"{outcome.took_s:.0f}"]
    return [str(r.number), r.removal, r.third, r.returns, r.master, *times, verdict]


def report(outcomes: Sequence[Outcome]) -> str:
    """The table, as Markdown."""
    lines = [f"| {' | '.join(HEADERS)} |", f"|{'---|' * len(HEADERS)}"]
    lines += [f"| {' | '.join(cells(o))} |" for o in outcomes]
    lines += [f"- round {o.round.number}: {problem}" for o in outcomes for problem in o.problems[:5]]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
