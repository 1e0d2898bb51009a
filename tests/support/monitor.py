"""A bystander that looks at every server all the while, and notes what nobody must ever see."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import httpx
from tests.support.api import Refused
from tests.support.server import Server

LOOK_EVERY_S = 0.1


class Monitor:
    """Sees whether a server goes back to an older state of its group than it has shown, and whether one that says it
    has everything equals another one that stands at the same revision of the same epoch."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._content: dict[tuple[str, str, int], tuple[str, str]] = {}
        self._threads = [threading.Thread(target=self._watch, args=(server,), daemon=True) for server in servers]
        self.problems: list[str] = []
        self.looks = 0

    def __enter__(self) -> Monitor:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _watch(self, server: Server) -> None:
        newest: dict[str, tuple[int, str, int]] = {}
        while not self._stop.wait(LOOK_EVERY_S):
            try:
                status = server.api.status()
            except (httpx.TransportError, Refused, OSError):  # OSError: it is being destroyed, with its certificate
                continue
            group, revision = str(status["group"]), int(status["revision"])
            epoch = str(status["epoch"])
            before, now = newest.get(group), (int(epoch.partition(".")[0]), epoch, revision)
            newest[group] = now
            # A forced promotion may set aside what lies beyond its start.
            if before is not None and (now[0] < before[0] or (epoch == before[1] and revision < before[2])):
                self._note(f"{server.name} went back from {before[1]}, {before[2]} to {epoch}, {revision}")
            self._compare(server, status)

    def _compare(self, server: Server, status: dict[str, Any]) -> None:
        at = str(status["group"]), str(status["epoch"]), int(status["revision"])
        found = str(status["hash"]), str(status["digest"])
        with self._lock:
            self.looks += 1
            known = self._content.setdefault(at, found)
        if known != found:
            self._note(f"{server.name} has other content at revision {at[2]} than another server had")

    def _note(self, problem: str) -> None:
        with self._lock:
            self.problems.append(problem)
