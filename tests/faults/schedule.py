"""One schedule: a stream of writes and an import, while faults are caused and undone again. At the end everything runs
and can be reached, and what clients were promised is compared with every server.
"""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections.abc import Callable
from typing import Protocol

import psutil
from tests.faults.outcome import Outcome
from tests.support.group import Group
from tests.support.history import History, check_history
from tests.support.monitor import Monitor
from tests.support.server import Server
from tests.support.writers import Writers

FAULTS = 5
WRITERS = 4
IMPORT_ROWS = 800
RECOVERS_WITHIN_S = 150.0
LONGEST_GAP_S, LONGEST_OUTAGE_S = 2.0, 2.5


def run_seed(group: Group, seed: int, faults: Callable[[], Faults] | None = None) -> Outcome:
    """Carry out the schedule of a seed on a group that is Up, and check it. What goes wrong is in the outcome."""
    causing = faults() if faults is not None else ProcessFaults(group)
    outcome, history, began = Outcome(seed), History(), time.monotonic()
    writers = Writers(group.master.api, history, count=WRITERS, seed=seed, prefix=f"Seed {seed}, {began:.0f}")
    importing = _Importing(writers, seed)
    with Monitor(group.servers) as monitor:
        writers.start()
        _Schedule(causing, seed, outcome.faults).run(importing.start)
        faults_over = time.monotonic()
        try:
            causing.mend()
            writers.stop()
            importing.join()
            group.wait_settled(RECOVERS_WITHIN_S)
            outcome.recovered_s = time.monotonic() - faults_over
            outcome.problems = check_history(history, group.servers)
        except Exception as error:  # noqa: BLE001 (whatever it was, it is this seed's outcome)
            outcome.problems.append(f"{type(error).__name__}: {error}")
            with contextlib.suppress(AssertionError):
                writers.stop(within_s=1)
    outcome.problems += monitor.problems
    outcome.counts, outcome.took_s = history.counts(), time.monotonic() - began
    return outcome


class _Importing:
    """An import in a thread of its own, in the middle of the schedule."""

    def __init__(self, writers: Writers, seed: int) -> None:
        self._writers, self._seed = writers, seed
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._import, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join(RECOVERS_WITHIN_S)
        if self._error is not None:
            raise self._error

    def _import(self) -> None:
        try:
            self._writers.import_rows(IMPORT_ROWS, self._seed)
        except Exception as error:  # noqa: BLE001 (the end of a thread: raised again by join)
            self._error = error


class _Schedule:
    """Faults one after the other, each undone after a while, so that several hold at the same time."""

    def __init__(self, faults: Faults, seed: int, told: list[str]) -> None:
        self._faults, self._random, self._told = faults, random.Random(seed), told
        self._pause = threading.Event()
        self._due: list[tuple[float, Callable[[], None]]] = []

    def run(self, in_the_middle: Callable[[], None]) -> None:
        for number in range(FAULTS):
            self._wait(self._random.uniform(0.3, LONGEST_GAP_S))
            if number == FAULTS // 2:
                in_the_middle()
            words, undo = self._faults.cause(self._random)
            self._told.append(words)
            if undo is not None:
                self._due.append((time.monotonic() + self._random.uniform(0.2, self._faults.longest_s), undo))
        while self._due:
            self._wait(0.1)

    def _wait(self, seconds: float) -> None:
        """Let time pass, undoing what is due."""
        until = time.monotonic() + seconds
        while (now := time.monotonic()) < until or any(at <= now for at, _ in self._due):
            for entry in sorted((e for e in self._due if e[0] <= now), key=lambda e: e[0]):
                self._due.remove(entry)
                entry[1]()
            self._pause.wait(0.02)


Caused = tuple[str, Callable[[], None] | None]
"""What was done, in words, and what undoes it."""


class Faults(Protocol):
    """A kind of faults. `longest_s`: after so long at most each is undone."""

    longest_s: float

    def cause(self, random_: random.Random) -> Caused: ...

    def mend(self) -> None:
        """Everything runs and can be reached again."""
        ...


class ProcessFaults:
    """Servers and nodes that are killed, halted, restarted and cut off."""

    longest_s = LONGEST_OUTAGE_S

    def __init__(self, group: Group) -> None:
        self._group = group

    def cause(self, random_: random.Random) -> Caused:
        group, any_server = self._group, random_.choice(self._group.servers)
        slave, two = random_.choice(group.slaves), random_.sample(group.servers, 2)
        choices: tuple[Callable[[], Caused], ...] = (
            lambda: kill(group.master),
            lambda: kill(slave),
            lambda: kill(*two),
            lambda: kill_node(any_server),
            lambda: kill_node(any_server),
            lambda: halt_server(any_server),
            lambda: halt_node(any_server),
            lambda: restart(any_server),
            lambda: cut_off(any_server),
        )
        return random_.choice(choices)()

    def mend(self) -> None:
        self._group.mend()


def kill(*servers: Server) -> Caused:
    for server in servers:
        server.kill()

    def start() -> None:
        for server in servers:
            if not server.running:
                server.start()

    return "kill " + " and ".join(s.name for s in servers), start


def restart(server: Server) -> Caused:
    if server.running:
        server.sigcont()
        server.stop()
    server.start()
    return f"restart {server.name}", None


def halt_server(server: Server) -> Caused:
    if server.running:
        server.sigstop()
    return f"halt {server.name}", lambda: server.sigcont() if server.running else None


def kill_node(server: Server) -> Caused:
    _signal(server.jvm_pid, signal.SIGKILL)
    return f"kill {server.name}'s node", None


def halt_node(server: Server) -> Caused:
    pid = server.jvm_pid
    _signal(pid, signal.SIGSTOP)
    return f"halt {server.name}'s node", lambda: _signal(pid, signal.SIGCONT)


def cut_off(server: Server) -> Caused:
    gate = server.gate
    assert gate is not None, "the group is formed without gates"
    gate.shut()
    return f"cut off {server.name}", gate.open


def _signal(pid: int | None, number: signal.Signals) -> None:
    if pid is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(pid).send_signal(number)
