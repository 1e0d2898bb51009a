"""Clients that write all the while, each to sessions of its own, and note what they are told.

A write without an answer is sent again until there is one, as a careful client does: a creation or an import with the
same idempotency key, an edit or a deletion with the ETag that was read. So each acts once, whatever breaks.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from tests.support.api import Api, Refused
from tests.support.history import History, Write
from tests.support.inventory import as_csv, rows

PAUSE_S = 0.08
RETRY_S = 0.2
ANSWER_WITHIN_S = 120.0
KEPT_SESSIONS = 12


@dataclass(slots=True)
class Owned:
    """A session as its one writer knows it."""

    id: str
    etag: str
    fields: dict[str, Any]


class _Elsewhere(Exception):
    """This server isn't the Master any more: it did nothing."""


class Writers:
    """`count` threads that create, edit and delete sessions at the Master until they are stopped. `changes`: how many
    writes each sends, None for no bound. `move` sends them to another Master."""

    def __init__(
        self, api: Api, history: History, *, count: int, seed: int, prefix: str, changes: int | None = None
    ) -> None:
        self._api, self._history, self._prefix, self._changes = api, history, prefix, changes
        self._stop = threading.Event()
        self._errors: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._guarded, args=(number, random.Random(seed * 1_000 + number)), daemon=True)
            for number in range(count)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, within_s: float = ANSWER_WITHIN_S) -> None:
        """No new writes; those under way get their answers. Raises what a writer met that must not be."""
        self._stop.set()
        self.join(within_s)

    def join(self, within_s: float) -> None:
        """Until each has sent all of its writes."""
        deadline = time.monotonic() + within_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            assert not thread.is_alive(), "a writer still waits for its answer"
        if self._errors:
            raise self._errors[0]

    def move(self, api: Api) -> None:
        """Write there from now on."""
        self._api = api

    def import_rows(self, count: int, seed: int) -> Write:
        """Import new sessions, as one change."""
        sessions = rows(count, seed=seed, prefix=f"{self._prefix} import")
        write = self._history.begin({})
        content = as_csv([self._history.mark(write, session) for session in sessions])
        self._send(write, lambda: self._api.import_(content, key=f"{self._prefix}-{write.number}"))
        return write

    def _guarded(self, number: int, random_: random.Random) -> None:
        try:
            self._write(number, random_)
        except Exception as error:  # noqa: BLE001 (the end of a thread: raised again by whoever waits for it)
            self._errors.append(error)

    def _write(self, number: int, random_: random.Random) -> None:
        mine: list[Owned] = []
        made = sent = 0
        while not self._stop.is_set() and (self._changes is None or sent < self._changes):
            choice = random_.random()
            try:
                if not mine or (choice < 0.35 and len(mine) < KEPT_SESSIONS):
                    made += 1
                    mine.append(self._create({**rows(1, seed=number)[0], "name": f"{self._prefix} {number}-{made}"}))
                elif choice < 0.85 or len(mine) < 2:
                    self._edit(random_.choice(mine), random_.randrange(1, 65_000))
                else:
                    gone = mine[random_.randrange(len(mine))]
                    self._delete(gone)
                    mine.remove(gone)
            except _Elsewhere:
                self._stop.wait(RETRY_S)
            sent += 1
            if self._changes is None:
                self._stop.wait(PAUSE_S)

    def _create(self, session: dict[str, Any]) -> Owned:
        write = self._history.begin({})
        fields, key = self._history.mark(write, session), f"{self._prefix}-{write.number}"
        answer = self._send(write, lambda: self._api.post("sessions", fields, headers={"Idempotency-Key": key}))
        return Owned(answer["session"]["id"], answer["session"]["etag"], fields)

    def _edit(self, owned: Owned, port: int) -> None:
        write = self._history.begin({})
        fields = self._history.mark(write, {**owned.fields, "port": port})
        change = {"port": port, "comment": fields["comment"]}
        path, etag = f"sessions/{owned.id}", owned.etag

        def acted() -> str | None:
            now = self._api.get(path)
            return str(now["etag"]) if now["comment"] == fields["comment"] else None

        answer = self._send(write, lambda: self._api.patch(path, change, etag=etag), acted)
        owned.fields, owned.etag = fields, answer["session"]["etag"] if answer else str(acted())

    def _delete(self, owned: Owned) -> None:
        write = self._history.begin({owned.fields["name"]: None})
        write.ids[owned.fields["name"]] = owned.id

        def acted() -> bool:
            try:
                self._api.get(f"sessions/{owned.id}")
            except Refused as refused:
                return refused.status == 404
            return False

        self._send(write, lambda: self._api.delete(f"sessions/{owned.id}", etag=owned.etag), acted)

    def _send(self, write: Write, ask: Callable[[], Any], acted: Callable[[], object] | None = None) -> dict[str, Any]:
        """The answer, as soon as there is one; {} where an earlier try, of which no answer came, turns out to have
        acted. Raises Refused for what a writer with sessions of its own must never meet."""
        deadline = time.monotonic() + ANSWER_WITHIN_S
        unsure = False
        while True:
            try:
                answer: dict[str, Any] = ask()
            except httpx.TransportError as error:
                unsure = True
                if time.monotonic() > deadline:
                    raise AssertionError(f"no answer for {ANSWER_WITHIN_S:g} s") from error
            except Refused as refused:
                if refused.status in (404, 412) and unsure and acted is not None and acted():
                    self._history.found_done(write)
                    return {}
                if refused.code in ("slave", "superseded"):
                    self._history.refuse(write)
                    raise _Elsewhere from refused
                if refused.status != 503 or time.monotonic() > deadline:
                    raise
            else:
                if "revision" not in answer:  # it was kept as a change request, which nobody implements here
                    self._history.refuse(write)
                    raise _Elsewhere
                self._history.acknowledge(write, answer)
                return answer
            time.sleep(RETRY_S)
