"""A steady stream of changes to whichever server is the Master, noted in its line."""

from __future__ import annotations

import itertools
import random
import threading
import uuid
from typing import Any

import httpx
from tests.support.api import Refused
from tests.support.inventory import rows
from tests.support.lines import Line
from tests.support.server import Server

PAUSE_S = 0.1
KEPT_SESSIONS = 12
GONE = (404, 412)


class Stream:
    """One thread that creates, edits and deletes sessions where it is aimed at. Each body has its write's number."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._mark = f"seed {seed}, {uuid.uuid4().hex[:8]}, "
        self._numbers = itertools.count(1)
        self._target: tuple[Server, Line] | None = None
        self._owned: dict[str, tuple[str, str]] = {}
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.error: BaseException | None = None
        self.counts = {"sent": 0, "acknowledged": 0, "confirmed": 0, "unknown": 0}

    def aim(self, server: Server, line: Line) -> None:
        """Write there from now on."""
        with self._lock:
            self._target, self._owned = (server, line), {}

    def rest(self) -> None:
        """Write nowhere; the one under way has had its answer when this returns."""
        with self._lock:
            self._target = None

    def stop(self) -> None:
        self.rest()
        self._stop.set()
        self._thread.join(10)

    def of(self, exported: list[dict[str, Any]]) -> dict[str, int]:
        """What a server has of this stream's sessions: the number of the write that each is of."""
        mine = [s for s in exported if s["comment"].startswith(self._mark)]
        return {s["name"]: int(s["comment"].removeprefix(self._mark)) for s in mine}

    def _run(self) -> None:
        while not self._stop.wait(PAUSE_S):
            with self._lock:
                try:
                    if self._target is not None:
                        self._write(*self._target)
                except Exception as error:  # noqa: BLE001 (the end of a thread: looked at when the seed ends)
                    self.error, self._target = error, None

    def _write(self, server: Server, line: Line) -> None:
        number, choice = next(self._numbers), self._random.random()
        comment = f"{self._mark}{number}"
        if not self._owned or (choice < 0.4 and len(self._owned) < KEPT_SESSIONS):
            name = f"{self._mark}{number}"
            body = {**rows(1)[0], "name": name, "comment": comment}
            self._send(line, name, number, lambda: server.api.post("sessions", body))
            return
        name = self._random.choice(sorted(self._owned))
        id_, etag = self._owned[name]
        if choice < 0.85:
            body = {"comment": comment, "port": self._random.randrange(1, 65_000)}
            self._send(line, name, number, lambda: server.api.patch(f"sessions/{id_}", body, etag=etag))
        else:
            self._send(line, name, None, lambda: server.api.delete(f"sessions/{id_}", etag=etag))

    def _send(self, line: Line, name: str, value: int | None, ask: Any) -> None:
        """Noted as it was answered. A session whose fate isn't known is never written to again."""
        self.counts["sent"] += 1
        try:
            answer = ask()
        except httpx.ConnectError:
            return  # nothing was sent
        except httpx.TransportError:
            line.note(name, value, sure=False)
            self._owned.pop(name, None)
            self.counts["unknown"] += 1
            return
        except Refused as refused:
            if refused.status in GONE:  # the judge finds out whether it should be there
                self._owned.pop(name, None)
            elif refused.status not in (409, 503):
                raise
            return
        if "replicated" not in answer:  # it isn't the Master any more: a change request, which nobody implements here
            return
        confirmed = bool(answer["replicated"]["confirmed"])
        line.note(name, value, confirmed=confirmed)
        self.counts["acknowledged"] += 1
        self.counts["confirmed"] += confirmed
        if value is None:
            self._owned.pop(name)
        else:
            self._owned[name] = answer["session"]["id"], answer["session"]["etag"]
