"""The packages' files on this server: looked after, and fetched from whichever member has them.

What a file should be is in the change log, so nobody needs to be believed: the sums of its pieces are compared with the
log, each piece with its sum, and the whole at the end. A copy that was cut goes on at its last good piece.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

import structlog

from hostward.domain.errors import HostwardError, NotFound, PeerError, Unavailable
from hostward.domain.packages import KIND, MAX_BYTES, PIECE_BYTES, Content, Package, package_of, sum_of_pieces
from hostward.domain.settings import PACKAGE_BANDWIDTH, own_number
from hostward.packages.folder import Folder, Partial, check_piece
from hostward.replication.group.members import JOINED, Member
from hostward.replication.loops import woken
from hostward.replication.parts import Parts
from hostward.replication.peers.messages import Message, understood

EVERY_S: Final = 2.0
ASK_TIMEOUT_S: Final = 2.0
RANGE_TIMEOUT_S: Final = 30.0
LEAST_RANGE: Final = 64 << 10
QUICK_S, SLOW_S = 0.5, 4.0
"""A range that takes less is followed by a larger one, one that takes more by a smaller. Where the smallest takes more,
another server may be quicker."""
MAX_STRAYS: Final = 100
MAX_ANSWERS: Final = 2
"""Ranges that are read for other servers at once."""

log = structlog.get_logger()


class Here(StrEnum):
    """What a server has of a package's file."""

    PRESENT = "present"
    COPYING = "copying"
    WAITING = "waiting"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CopyState:
    """Of one package on one server: how many bytes are there, and why it isn't whole."""

    state: Here
    bytes: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ServerPackages:
    """One server's packages, by id; and what else lies in its folder, by file name. `reason`: why it isn't known."""

    server_id: str
    name: str
    states: Mapping[str, CopyState]
    strays: Mapping[str, str]
    reason: str = ""


class PackageCopies:
    """One for a server."""

    def __init__(self, parts: Parts, folder: Folder) -> None:
        self._p, self.folder = parts, folder
        self._moved = asyncio.Event()
        self._strays: Mapping[str, str] = {}
        self._copying: dict[str, int] = {}
        self._reasons: dict[str, str] = {}
        self._borne: dict[str, int] = {}
        self._fetching: tuple[str, asyncio.Task[None]] | None = None
        self._answering = asyncio.Semaphore(MAX_ANSWERS)
        self._free_at = 0.0
        parts.group.subscribe(self._moved.set)

    # Looking after the folder

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                await self._pass()
                await woken(self._moved, EVERY_S)
        finally:
            await self._stop_fetching()

    def packages(self) -> Sequence[Package]:
        """Those that there should be."""
        with self._p.group.read() as reader:
            return [package_of(e.id, e.json()) for e in reader.list(KIND)]

    async def _pass(self) -> None:
        wanted = self.packages()
        looked = await asyncio.to_thread(self.folder.look, wanted, self._of_open_requests)
        if set(looked.strays) - set(self._strays):
            log.warning("package-files-unknown", files=dict(list(looked.strays.items())[:MAX_STRAYS]))
        self._strays = looked.strays
        missing = sorted((p for p in wanted if self.folder.has(p.content) is None), key=lambda p: p.content.size)
        ids = {p.id for p in missing}
        self._reasons = {id_: reason for id_, reason in self._reasons.items() if id_ in ids}
        self._copying = {id_: done for id_, done in self._copying.items() if id_ in ids}
        await self._fetch_one_of(missing)

    def _of_open_requests(self) -> set[str]:
        """The SHA-256 of files that were uploaded here, and wait for the Master. Reads all that waits."""
        return {str(body["sha256"]) for body in self._p.requests.wanted_by_open(KIND)}

    async def _fetch_one_of(self, missing: Sequence[Package]) -> None:
        """See that one is being fetched, where any can be."""
        if self._fetching is not None:
            sha256, task = self._fetching
            if not task.done() and sha256 in {p.content.sha256 for p in missing}:
                return
            await self._stop_fetching()
        told = await self._ask_all() if missing else ()
        for package in missing:
            sources = sorted(_having(told, package), key=lambda them: self._borne.get(them.server_id, 0))
            if sources:
                task = asyncio.create_task(self._fetch(package, sources), name="package")
                self._fetching = package.content.sha256, task
                return
            self._reasons[package.id] = "No server that can be reached has its file; upload the package again."

    async def _stop_fetching(self) -> None:
        if self._fetching is not None:
            _, task = self._fetching
            self._fetching = None
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # Fetching

    async def _fetch(self, package: Package, sources: Sequence[Member]) -> None:
        """From the one or the other, until it is here."""
        for them in sources:
            try:
                await self._fetch_from(them, package, self._borne.get(them.server_id, 1))
            except _Slow as error:
                # It may be the only one that has it: each time it is given twice as long, so that the copy goes on.
                self._borne[them.server_id] = 2 * error.borne
                self._reasons[package.id] = f"{them.name} is slow."
            except HostwardError as error:
                self._reasons[package.id] = f"From {them.name}: {error.message}"
                log.warning("package-not-copied", package=package.name, server=them.name, reason=error.message)
                if error.code == "disk-full":
                    return
            else:
                self._reasons.pop(package.id, None)
                self._copying.pop(package.id, None)
                self._borne.clear()
                log.info("package-copied", package=package.name, server=them.name, size_bytes=package.content.size)
                self._moved.set()
                return

    async def _fetch_from(self, them: Member, package: Package, borne: int) -> None:
        """Raises PeerError, RegistryError, and _Slow where so many of the smallest ranges have been slow."""
        hashes = await self._hashes_from(them, package.content)
        with understood(them.name):  # a package whose size and sums don't belong together can't be copied
            partial = await asyncio.to_thread(Partial, self.folder, package.content, hashes)
        try:
            ranges = _Ranges(borne)
            while partial.next_size:
                self._copying[package.id] = partial.size
                piece = await self._piece(them, package.content, partial.size, partial.next_size, ranges, paced=True)
                with understood(them.name):
                    await asyncio.to_thread(partial.add, piece)
            await asyncio.to_thread(partial.keep, package)
        finally:
            partial.close()

    async def _hashes_from(self, them: Member, content: Content) -> bytes:
        answer = await self._p.links.ask(them, Message("package-pieces", _named(content)), timeout_s=RANGE_TIMEOUT_S)
        with understood(them.name):
            if sum_of_pieces(answer.blob) != content.pieces:
                raise ValueError("these aren't the sums of the package's pieces")
        return answer.blob

    async def _piece(
        self, them: Member, content: Content, offset: int, size: int, ranges: _Ranges, *, paced: bool = False
    ) -> bytes:
        """One piece, in as many ranges as the connection can carry in a moment each."""
        parts: list[bytes] = []
        while size:
            count = min(size, ranges.size)
            question = Message("package-range", {**_named(content), "offset": offset, "count": count})
            began = time.monotonic()
            answer = await self._p.links.ask(them, question, timeout_s=RANGE_TIMEOUT_S)
            ranges.took(time.monotonic() - began)
            with understood(them.name):
                if len(answer.blob) != count:
                    raise ValueError(f"{len(answer.blob)} bytes came where {count} were asked for")
            parts.append(answer.blob)
            offset, size = offset + count, size - count
            if paced:
                await self._pace(count)
        return b"".join(parts)

    async def _pace(self, count: int) -> None:
        """Wait as long as the bandwidth limit says that so many bytes take."""
        limit = own_number(self._p.server, PACKAGE_BANDWIDTH)
        if limit:
            now = time.monotonic()
            self._free_at = max(self._free_at, now - 1.0) + count * 8 / (limit * 1e6)
            await asyncio.sleep(max(0.0, self._free_at - now))

    async def streamed(self, package: Package, offset: int, count: int) -> AsyncIterator[bytes]:
        """A part of a file that isn't here, from a member that has it: whole pieces are compared before anything of
        them is given on. Raises Unavailable, before anything is given."""
        for them in await self._who_has(package):
            try:
                hashes = await self._hashes_from(them, package.content)
            except PeerError:
                continue
            return self._given_on(them, package.content, hashes, offset, count)
        reason = self._reasons.get(package.id, "")
        raise Unavailable(
            f"The file of {package.name} isn't on this server yet, and no server that has it can be reached.",
            remedy=f"Try again later. {reason}".strip(),
            code="package-not-here",
        )

    async def _given_on(
        self, them: Member, content: Content, hashes: bytes, offset: int, count: int
    ) -> AsyncIterator[bytes]:
        ranges, end = _Ranges(None), offset + count
        at = offset - offset % PIECE_BYTES
        while at < end:
            size = min(PIECE_BYTES, content.size - at)
            piece = await self._piece(them, content, at, size, ranges)
            with understood(them.name):
                check_piece(content, hashes, at, piece)
            yield piece[max(0, offset - at) : end - at]
            at += size

    async def _who_has(self, package: Package) -> Sequence[Member]:
        """Those that say so now."""
        return _having(await self._ask_all(), package)

    # What each server has

    def own(self) -> dict[str, Any]:
        """This server's, as it tells the members."""
        states = {p.id: asdict(self._state(p)) | {"sha256": p.content.sha256} for p in self.packages()}
        return {"packages": states, "strays": dict(list(self._strays.items())[:MAX_STRAYS])}

    async def of_group(self) -> Sequence[ServerPackages]:
        """Every server's, this one's first."""
        p = self._p
        mine = _server_packages(p.server_id, p.describe_self().name, self.own())
        return [mine, *(_server_packages(m.server_id, m.name, about) for m, about in await self._ask_all())]

    def _state(self, package: Package) -> CopyState:
        if self.folder.has(package.content) is not None:
            return CopyState(Here.PRESENT, package.content.size)
        reason = self._reasons.get(package.id, "")
        if package.id in self._copying:
            return CopyState(Here.COPYING, self._copying[package.id], reason)
        return CopyState(Here.WAITING, 0, reason)

    async def _ask_all(self) -> Sequence[tuple[Member, Mapping[str, Any]]]:
        """What each member says; {"reason": …} of one that doesn't answer."""

        async def ask(them: Member) -> tuple[Member, Mapping[str, Any]]:
            try:
                return them, (await self._p.links.ask(them, Message("packages"), timeout_s=ASK_TIMEOUT_S)).data
            except HostwardError as error:
                return them, {"reason": error.message}

        if self._p.state.now.removed:
            return []
        return await asyncio.gather(*(ask(m) for m in self._p.others() if m.state == JOINED))

    # Answering

    async def answer_packages(self, message: Message) -> Message:
        return Message("ok", await asyncio.to_thread(self.own))

    async def answer_pieces(self, message: Message) -> Message:
        """Raises NotFound."""
        known = self.folder.has(_content(message))
        if known is None:
            raise NotFound("The package's file isn't here.", code="package-not-here")
        return Message("ok", {}, known.hashes)

    async def answer_range(self, message: Message) -> Message:
        """Raises NotFound."""
        offset, count = int(message.data["offset"]), int(message.data["count"])
        if not 0 <= offset < MAX_BYTES or not 0 < count <= PIECE_BYTES:
            raise ValueError("there is no such range")
        async with self._answering:
            data = await asyncio.to_thread(self.folder.read, _content(message), offset, count)
        return Message("ok", {}, data)


class _Ranges:
    """How much is asked for at once. `borne`: how many slow ranges of the smallest size; None for any number."""

    def __init__(self, borne: int | None) -> None:
        self.size, self._borne, self._slow = LEAST_RANGE, borne, 0

    def took(self, seconds: float) -> None:
        """Raises _Slow."""
        if seconds < QUICK_S:
            self.size = min(2 * self.size, PIECE_BYTES)
        elif seconds > SLOW_S and self.size > LEAST_RANGE:
            self.size //= 2
        elif seconds > SLOW_S:
            self._slow += 1
            if self._slow == self._borne:
                raise _Slow(self._slow)


class _Slow(Exception):
    """Another server should be tried."""

    def __init__(self, borne: int) -> None:
        super().__init__(borne)
        self.borne = borne


def _named(content: Content) -> dict[str, Any]:
    return {"size": content.size, "sha256": content.sha256, "pieces": content.pieces}


def _content(message: Message) -> Content:
    data = message.data
    return Content(int(data["size"]), str(data["sha256"]), str(data["pieces"]))


def _having(told: Sequence[tuple[Member, Mapping[str, Any]]], package: Package) -> Sequence[Member]:
    """Those that say that they have its file, in any order, so that they share the work."""
    found = [them for them, about in told if _present(about, package)]
    random.shuffle(found)
    return found


def _present(about: Mapping[str, Any], package: Package) -> bool:
    told = about.get("packages")
    state = told.get(package.id) if isinstance(told, dict) else None
    return isinstance(state, dict) and (state.get("state"), state.get("sha256")) == (
        Here.PRESENT,
        package.content.sha256,
    )


def _server_packages(server_id: str, name: str, about: Mapping[str, Any]) -> ServerPackages:
    """What a server says of itself, as far as it can be understood."""
    if "packages" not in about:
        return ServerPackages(server_id, name, {}, {}, str(about.get("reason", "")))
    try:
        states = {
            str(id_): CopyState(Here(told["state"]), int(told["bytes"]), str(told["reason"])[:500])
            for id_, told in about["packages"].items()
        }
        strays = {str(file)[:300]: str(why)[:300] for file, why in list(about["strays"].items())[:MAX_STRAYS]}
    except (KeyError, TypeError, ValueError, AttributeError):
        return ServerPackages(server_id, name, {}, {}, "It runs another version.")
    return ServerPackages(server_id, name, states, strays)
