"""One schedule: a stream of writes and an import, while servers and database nodes are killed, halted, cut off and
restarted. At the end everything runs again, and what clients were promised is compared with every server.
"""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections.abc import Callable

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


def run_seed(group: Group, seed: int) -> Outcome:
    """Carry out the schedule of a seed on a group that is Up, and check it. What goes wrong is in the outcome."""
    outcome, history, began = Outcome(seed), History(), time.monotonic()
    writers = Writers(group.master.api, history, count=WRITERS, seed=seed, prefix=f"Seed {seed}, {began:.0f}")
    importing = _Importing(writers, seed)
    with Monitor(group.servers) as monitor:
        writers.start()
        _Schedule(group, seed, outcome.faults).run(importing.start)
        faults_over = time.monotonic()
        try:
            group.mend()
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

    def __init__(self, group: Group, seed: int, told: list[str]) -> None:
        self._group, self._random, self._told = group, random.Random(seed), told
        self._pause = threading.Event()
        self._due: list[tuple[float, Callable[[], None]]] = []

    def run(self, in_the_middle: Callable[[], None]) -> None:
        for number in range(FAULTS):
            self._wait(self._random.uniform(0.3, LONGEST_GAP_S))
            if number == FAULTS // 2:
                in_the_middle()
            self._cause_one()
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

    def _cause_one(self) -> None:
        faults = (
            self._kill_master,
            self._kill_slave,
            self._kill_node,
            self._kill_node,
            self._halt_server,
            self._halt_node,
            self._restart,
            self._cut_off,
            self._kill_two,
        )
        self._random.choice(faults)()

    def _later(self, undo: Callable[[], None]) -> None:
        self._due.append((time.monotonic() + self._random.uniform(0.2, LONGEST_OUTAGE_S), undo))

    # The faults

    def _kill_master(self) -> None:
        self._kill(self._group.master)

    def _kill_slave(self) -> None:
        self._kill(self._random.choice(self._group.slaves))

    def _kill_two(self) -> None:
        for server in self._random.sample(self._group.servers, 2):
            self._kill(server)

    def _kill(self, server: Server) -> None:
        self._tell(f"kill {server.name}")
        server.kill()
        self._later(lambda: None if server.running else server.start())

    def _restart(self) -> None:
        server = self._random.choice(self._group.servers)
        self._tell(f"restart {server.name}")
        if server.running:
            server.sigcont()
            server.stop()
        server.start()

    def _halt_server(self) -> None:
        server = self._random.choice(self._group.servers)
        self._tell(f"halt {server.name}")
        if server.running:
            server.sigstop()
            self._later(lambda: server.sigcont() if server.running else None)

    def _kill_node(self) -> None:
        server = self._random.choice(self._group.servers)
        self._tell(f"kill {server.name}'s node")
        pid = server.jvm_pid
        if pid is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(pid).kill()

    def _halt_node(self) -> None:
        server = self._random.choice(self._group.servers)
        self._tell(f"halt {server.name}'s node")
        pid = server.jvm_pid
        if pid is None:
            return
        node = psutil.Process(pid)
        with contextlib.suppress(psutil.NoSuchProcess):
            node.send_signal(signal.SIGSTOP)

        def go_on() -> None:
            with contextlib.suppress(psutil.NoSuchProcess):
                node.send_signal(signal.SIGCONT)

        self._later(go_on)

    def _cut_off(self) -> None:
        server = self._random.choice(self._group.servers)
        self._tell(f"cut off {server.name}")
        gate = server.gate
        assert gate is not None, "the group is formed without gates"
        gate.shut()
        self._later(gate.open)

    def _tell(self, words: str) -> None:
        self._told.append(words)
