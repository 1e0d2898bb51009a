"""The audit log as the rest of the server writes it: what is done is recorded at once, what is refused is counted.

Whoever isn't let in must not fill the disk with that: equal refusals within a minute are one entry, with how many they
were, and of different ones only the first few of a minute have entries of their own. Nor must who opens a session, or
downloads a package, again and again: the first time is recorded at once, and how often it was done again in that minute
when it is over.

An act that can't be recorded, the disk being full, is done all the same: that is told by the doctor, and by an entry as
soon as one can be written. Locking an administrator out of a server with a full disk would help nobody.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from hostward.domain.audit import COUNTED, NOT_WRITTEN, REFUSED, Event
from hostward.domain.errors import RegistryError
from hostward.domain.settings import AUDIT_DAYS, AUDIT_SIZE, own_number
from hostward.registry.audit import AuditLog, Head
from hostward.registry.audit_reading import Seal, Verified, verify_file
from hostward.registry.server import ServerRegistry
from hostward.trust.identity import ServerIdentity

KEY: Final = "audit"
FILE: Final = "audit.db"
WINDOW_S: Final = 60.0
MAX_DIFFERENT: Final = 10
"""Refusals in one window that have entries of their own."""
MAX_AGAIN: Final = 10_000
"""Of what was done in one window, by whom; beyond, each has an entry of its own."""
LOOK_S: Final = 5.0
PRUNE_S: Final = 3600.0
SHRINK_AT_ONCE: Final = 8
"""Pieces of 2 MiB in one pass."""
VERIFY_S: Final = 600.0
SEVERAL: Final = "(several)"

log = structlog.get_logger()


@dataclass(slots=True)
class _Repeats:
    """Equal ones that aren't recorded yet: the newest of them, how many, and since when."""

    event: Event
    times: int
    since: str
    began_s: float


class Auditor:
    """One for a server, from `open_auditor`. Coroutines belong to one event loop. `clock_s` is monotonic, `now` gives
    moments as entries have them."""

    def __init__(
        self,
        audit_log: AuditLog,
        server: ServerRegistry,
        identity: ServerIdentity,
        now: Callable[[], str],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.log, self._server, self._identity = audit_log, server, identity
        self._now, self._clock_s = now, clock_s
        self._repeats: dict[tuple[str, ...], _Repeats] = {}
        self._again: dict[tuple[str, ...], _Repeats] = {}
        """The same of what was done."""
        self._waiting: list[tuple[Event, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._lost = 0
        self._verified: tuple[float, Verified] | None = None
        self.problem = ""

    @property
    def path(self) -> Path:
        return self.log.path

    async def record(self, event: Event) -> None:
        """Durable when it returns, but for what is counted. Never raises: see above."""
        refused = event.outcome == REFUSED
        if not refused and (event.act not in COUNTED or len(self._again) >= MAX_AGAIN):
            await self._add(event)
            return
        key = _key(event)
        repeats = self._repeats if refused else self._again
        known = repeats.get(key)
        if known is None and refused and len(repeats) >= MAX_DIFFERENT:
            event = Event(event.act, SEVERAL, SEVERAL, REFUSED, "Refused for several reasons.")
            key = _key(event)
            known = self._repeats.setdefault(key, _Repeats(event, 0, self._now(), self._clock_s()))
        if known is not None:
            known.event, known.times = event, known.times + 1
            if known.times == 1:
                known.since = self._now()
            return
        repeats[key] = _Repeats(event, 0, "", self._clock_s())
        await self._add(event)

    async def run(self) -> None:
        """Until cancelled: write down what was counted, sign the end of the log, remove what is too old."""
        pruned: tuple[int, int] | None = None
        pruned_s = 0.0
        while True:
            await self.flush()
            await asyncio.to_thread(self._seal)
            if self._kept() != pruned or self._clock_s() - pruned_s >= PRUNE_S:
                pruned, pruned_s = self._kept(), self._clock_s()
                await self.prune()
            await self.shrink()
            await asyncio.sleep(LOOK_S)

    async def close(self) -> None:
        """Write down what was counted, and sign the end."""
        await self.flush(everything=True)
        await asyncio.to_thread(self._seal)
        self.log.close()

    async def flush(self, *, everything: bool = False) -> None:
        """Record what was counted, once its minute is over."""
        now_s = self._clock_s()
        for repeats in (self._repeats, self._again):
            for key in [k for k, r in repeats.items() if everything or now_s - r.began_s >= WINDOW_S]:
                found = repeats.pop(key)
                if found.times:
                    await self._add(replace(found.event, times=found.times, since=found.since))

    async def prune(self) -> None:
        """Keep what the settings of this server say."""
        days, megabytes = self._kept()
        moment = datetime.fromisoformat(self._now()).astimezone(UTC) - timedelta(days=days)
        before = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        try:
            removed = await asyncio.to_thread(lambda: self.log.prune(before=before, max_bytes=megabytes << 20))
        except RegistryError as error:
            log.warning("audit-not-pruned", reason=error.message)
            return
        if removed:
            log.info("audit-pruned", entries=removed)

    async def shrink(self) -> None:
        """Give some of what was removed back to the disk."""
        try:
            for _ in range(SHRINK_AT_ONCE):
                if not await asyncio.to_thread(self.log.shrink):
                    break
        except RegistryError as error:
            log.warning("audit-not-shrunk", reason=error.message)

    async def verify(self) -> Verified:
        """Look at every entry. Raises RegistryError."""
        found = await asyncio.to_thread(
            lambda: verify_file(self.path, self.log.server, self._certificates(), self._server.get(KEY) or ())
        )
        self._verified = self._clock_s(), found
        return found

    async def verified_lately(self) -> Verified:
        """As `verify`, at most ten minutes old. Raises RegistryError."""
        if self._verified is not None and self._clock_s() - self._verified[0] < VERIFY_S:
            return self._verified[1]
        return await self.verify()

    async def _add(self, event: Event) -> None:
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((event, written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        await asyncio.shield(written)

    async def _write(self) -> None:
        """Write what waits, all that came meanwhile as one transaction, until nothing does."""
        while self._waiting:
            batch, self._waiting = self._waiting, []
            events = [event for event, _ in batch]
            lost = [Event(NOT_WRITTEN, about={"entries": str(self._lost), "why": self.problem})] if self._lost else []
            # Whatever it ends with, those who wait are told: nobody's change may hang on the audit log.
            (error,) = await asyncio.gather(asyncio.to_thread(self.log.add, *lost, *events), return_exceptions=True)
            if error is None:
                self._lost, self.problem = 0, ""
            elif isinstance(error, RegistryError):
                self._lost += len(events)
                self.problem = error.message
                for e in events:
                    log.error("audit-not-written", act=e.act, user=e.user, address=e.address, reason=error.message)
            for _, written in batch:
                if written.done():
                    continue
                if error is None or isinstance(error, RegistryError):
                    written.set_result(None)
                else:
                    written.set_exception(error)
        self._writing = None

    def _kept(self) -> tuple[int, int]:
        """How many days and megabytes are kept, as it is set now."""
        return own_number(self._server, AUDIT_DAYS), own_number(self._server, AUDIT_SIZE)

    def _certificates(self) -> Sequence[str]:
        earlier = self._identity.earlier
        return [self._identity.certificate_pem, *([earlier.certificate_pem] if earlier else [])]

    def _seal(self) -> None:
        """Sign where the log ends, and remember it outside the log too."""
        head = self.log.head
        known = [head.chain, head.number, head.hash.hex()]
        mark = [*known, self._identity.fingerprint]
        if (self._server.get(KEY) or []) == mark:
            return
        certificate, seal = self._identity.certificate_pem, self._unsigned(head)
        try:
            signature = self._identity.sign(seal.signed()).hex()
            self.log.seal(replace(seal, signature=signature, certificate=certificate).to_bytes())
            self._server.put(KEY, mark)
        except RegistryError as error:
            log.warning("audit-not-sealed", reason=error.message)

    def _unsigned(self, head: Head) -> Seal:
        return Seal(self.log.server, head.chain, head.number, head.hash.hex(), self._now(), "", "")


def open_auditor(
    data_dir: Path,
    server: ServerRegistry,
    identity: ServerIdentity,
    name: str,
    now: Callable[[], str],
    new_id: Callable[[], str],
) -> Auditor:
    """The audit log of the server on that data directory. One that can't be read is kept beside a new one, which says
    so: a damaged log must not keep a server from starting. Raises RegistryError where the directory can't be
    written."""
    path, why = data_dir / FILE, ""
    known = server.get(KEY)
    try:
        found = AuditLog(path, identity.server_id, name, now, new_id)
    except RegistryError as error:
        if error.code != "registry-damaged":
            raise
        why = _set_aside(path, now())
        log.error("audit-damaged", reason=error.message, kept=why)
        found = AuditLog(path, identity.server_id, name, now, new_id)
    if known and not found.is_new:
        found.check_end(Head(str(known[0]), int(known[1]), bytes.fromhex(known[2])))
    if found.is_new:
        lost = f"it had {known[1]} entries" if known else ""
        found.begin({"lost": f"{lost}; what is left is {why}" if why else lost} if known or why else {})
    return Auditor(found, server, identity, now)


def _set_aside(path: Path, now: str) -> str:
    """The name that the damaged file has now."""
    kept = f"audit-damaged-{now.replace(':', '')}.db"
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(path.with_name(kept + suffix))
    return kept


def _key(event: Event) -> tuple[str, ...]:
    about = sorted(event.about.items())
    return event.act, event.user, event.address, event.reason, *(part for pair in about for part in pair)
