"""The follower: on a Slave, applies the Master's changes in order, from whichever source has them.

Nudges bring them at once. A slow poll reads the log at the local database node, so that nothing depends on nudges; what
the node can't give is fetched from a peer's registry. It never skips: a change is applied only onto the one before it.
A history or content that isn't the Master's is replaced by a snapshot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from hostward.database.log_store import LogStore
from hostward.domain.changes import Change, Epoch, Position, unpack
from hostward.domain.errors import DatabaseError, HostwardError, PeerError, RegistryError
from hostward.registry.group import GroupRegistry, SnapshotContent
from hostward.replication.changelog.snapshots import SignedSnapshot, check_masters, newest_stored
from hostward.replication.group.members import Elements, member
from hostward.replication.loops import woken
from hostward.replication.masters.epochs import check_epochs
from hostward.trust.identity import verify

POLL_S = 0.5
PATIENCE_S = 1.0
GRACE_S = 5.0
ROWS_A_READ = 64
TAKING_TIMEOUT_S = 120.0
BEFORE_ALL = Epoch(0, "")
DIFFERENT = ("history-differs", "digest-differs")

log = structlog.get_logger()


class Sources(Protocol):
    """Where a follower gets what it lacks. All raise PeerError when the server doesn't answer."""

    def store(self) -> LogStore | None:
        """The log at the local node, while that is ready."""
        ...

    def peers(self) -> Sequence[str]:
        """The other servers' ids, the Master's first."""
        ...

    async def changes(self, server_id: str, after: Position) -> list[Change] | None:
        """Changes from that server's registry; None if it no longer has them, or its history is another."""
        ...

    async def snapshot(self, server_id: str) -> SignedSnapshot: ...

    async def known(self, server_id: str, points: Sequence[Point]) -> Known:
        """Which of these points lie on that server's history."""
        ...


Point = tuple[int, bytes]
"""A revision and its hash."""


@dataclass(frozen=True, slots=True)
class Known:
    """Another server's answer, in the order of the points: True, False, or None where it no longer holds that part of
    its history; and where it stands itself."""

    points: tuple[bool | None, ...]
    position: Position


@dataclass(frozen=True, slots=True)
class Following:
    """Whom this server follows: the Master's id and certificate (PEM), and the group's id; `since`, the epoch that it
    is known to be Master in."""

    master: str
    certificate: str
    group_id: str
    since: Epoch = BEFORE_ALL


KeepBeyond = Callable[[str], Awaitable[None]]
"""Keeps what this registry has and that server's history doesn't, before it is replaced. Raises PeerError."""


async def _keep_nothing(server_id: str) -> None:
    """Where there is nothing that could be lost."""


class Follower:
    """Applies what the Master of `following` commits. One lock serialises every way in."""

    def __init__(self, group: GroupRegistry, sources: Sources) -> None:
        self._group, self.sources = group, sources
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._behind_since: float | None = None
        self._in_step_at: float | None = None
        self.following: Following | None = None
        self.target: Position | None = None
        self.reason = ""
        self.keep_beyond: KeepBeyond = _keep_nothing

    @property
    def loaded(self) -> bool:
        """The registry holds the Master's history, not one of this server's own."""
        f, epoch = self.following, self._group.position.epoch
        return f is not None and self._group.group_id == f.group_id and epoch.server == f.master and epoch >= f.since

    @property
    def in_step(self) -> bool:
        """Everything that the Master is known to have is applied, with the same hash."""
        mine, target = self._group.position, self.target
        if not self.loaded or target is None or mine.epoch != target.epoch or mine.revision < target.revision:
            return False
        if mine.revision == target.revision:
            return mine.hash == target.hash and mine.digest == target.digest
        return True

    @property
    def recently_in_step(self) -> bool:
        """In step now, or less than GRACE_S ago: a stream of changes isn't a disturbance."""
        now = asyncio.get_running_loop().time()
        if self.in_step:
            self._in_step_at = now
        behind = self.target is None or self._group.position.revision < self.target.revision
        recently = self._in_step_at is not None and now - self._in_step_at < GRACE_S
        return self.loaded and (self.in_step or (behind and recently))

    def follow(self, following: Following | None) -> None:
        """Follow this Master from now on, or none: what was known of another one's position is forgotten."""
        if following != self.following:
            self.target, self._in_step_at, self._behind_since = None, None, None
        self.following = following

    def recertify(self, certificate: str) -> None:
        """The Master followed has a new certificate (PEM): what is known of its position stays."""
        if self.following is not None:
            self.following = replace(self.following, certificate=certificate)

    def master_is_at(self, position: Position) -> None:
        """What the Master says of itself; a position older than the one known is ignored."""
        if self.target is None or (position.epoch, position.revision) >= (self.target.epoch, self.target.revision):
            self.target = position
        if not self.in_step:
            self._wake.set()

    async def nudged(self, position: Position, changes: list[Change]) -> Position:
        """The Master's nudge: applies the changes where they fit, and answers this registry's position, fsynced.
        Raises RegistryError if this registry can't be written."""
        if not self.loaded:
            raise PeerError("This server hasn't loaded the Master's configuration yet.", code="busy")
        async with self._lock:
            if changes and changes[0].revision <= self._group.position.revision + 1:
                try:
                    await self._apply(changes)
                except RegistryError as error:
                    if error.code not in (*DIFFERENT, "gap"):
                        raise
                    self.reason = error.message
        self.master_is_at(position)
        return self._group.position

    async def run(self) -> None:
        """Follow until cancelled. The log at the local node is read all the time, also while a peer is being asked that
        doesn't answer. A fault that nobody expected in either ends both, so that who runs this hears of it."""
        fetching: asyncio.Task[None] | None = None
        try:
            while True:
                await woken(self._wake, POLL_S)
                if fetching is not None and fetching.done():
                    fetching.result()
                    fetching = None
                if self.loaded and await self._lacks_more_than_the_log() and fetching is None:
                    fetching = asyncio.create_task(self._fetch_from_peers(), name="fetch from peers")
        finally:
            if fetching is not None:
                fetching.cancel()
                await asyncio.gather(fetching, return_exceptions=True)

    async def load(self, *, not_older_than: Position | None = None) -> None:
        """Replace the registry's content by the Master's, from the first source that has it: a peer's registry, else
        the newest snapshot in the database. Raises PeerError with every source's reason if none has."""
        following = self.following
        if following is None:
            raise PeerError("This server follows no Master.", code="role")
        reasons = []
        async with self._lock:
            for server_id in self.sources.peers():
                try:
                    signed = await self.sources.snapshot(server_id)
                    content = signed.content(self._certificate_of(server_id))
                    if server_id != following.master and content.position != self.target:
                        reasons.append("only the Master's own word counts for what it hasn't told this server yet")
                        continue
                    if await self._replace(content, not_older_than, server_id):
                        return
                    reasons.append("a snapshot was older than what this server has")
                except HostwardError as error:
                    reasons.append(error.message)
            store = self.sources.store()
            if store is not None:
                found = await newest_stored(store, following.certificate)
                if found is not None and await self._replace(found, not_older_than, ""):
                    return
        raise PeerError("No server could give the configuration: " + "; ".join(reasons), code="timeout")

    async def take_from(self, server_id: str, theirs: Position) -> None:
        """Take from one server's registry what comes after this one's position, up to `theirs`: only what the Master
        has signed. Raises PeerError ("unproven" where it gives nothing new), RegistryError, TrustError."""
        try:
            async with asyncio.timeout(TAKING_TIMEOUT_S):
                while (mine := self._group.position).revision < theirs.revision:
                    await self._take_some(server_id, mine, theirs)
                    if self._group.position.revision <= mine.revision:
                        raise PeerError("That server gives nothing that is new.", code="unproven")
        except TimeoutError as error:
            raise PeerError("That server took too long to give what it has.", code="timeout") from error

    async def _take_some(self, server_id: str, mine: Position, theirs: Position) -> None:
        changes = await self.sources.changes(server_id, mine)
        if changes:
            async with self._lock:
                await self._apply(changes)
            return
        content = (await self.sources.snapshot(server_id)).content(self._certificate_of(server_id))
        if self.following is None or server_id != self.following.master:
            with self._group.read() as reader:
                check_masters(content, self._certificates_of, reader.epoch_records(mine.epoch))
        async with self._lock:
            if not await self._replace(content, theirs, server_id):
                raise PeerError("That server's content is older than it said.", code="busy")

    async def read_widely(self) -> None:
        """Apply what the log in the database has, of a majority of nodes where there is one. Never raises."""
        for widely in (False, True):
            try:
                await self._read_log(widely=widely)
            except HostwardError as error:
                self._say(error.message)

    async def heal_master(self, following: Following, mine: Position) -> None:
        """Replace a Master's altered content by a Slave's at the very same position. Raises PeerError where none has
        it: the Slaves may be behind for a moment."""
        for server_id in self.sources.peers():
            try:
                signed = await self.sources.snapshot(server_id)
                content = signed.content(self._certificate_of(server_id))
            except HostwardError as error:
                self._say(error.message)
                continue
            if content.group_id == following.group_id and content.position == mine == self._group.position:
                await self._group.replace(content, only_at=mine)
                return
        raise PeerError(
            "No Slave answers with the content of this revision.",
            remedy="Where there is no other server, restore a backup: hostward backup restore.",
            code="timeout",
        )

    def _certificate_of(self, server_id: str) -> str:
        if self.following is not None and server_id == self.following.master:
            return self.following.certificate
        with self._group.read() as reader:
            found = member(reader, server_id)
        if found is None:
            raise PeerError("A snapshot came from a server that isn't a member.", code="group")
        return found.certificate

    def _certificates_of(self, server_id: str) -> list[str]:
        """By which that server's signature is known here."""
        with self._group.read() as reader:
            found = member(reader, server_id)
        own = [self.following.certificate] if self.following and server_id == self.following.master else []
        return [*own, *([found.certificate] if found else [])]

    async def _replace(self, content: SnapshotContent, not_older_than: Position | None, source: str) -> bool:
        """`source` is the server that gave it, empty for the database: of that nobody can ask what it has not."""
        f = self.following
        epoch = content.position.epoch
        if f is None or content.group_id != f.group_id or epoch.server != f.master or epoch < f.since:
            return False
        if not_older_than is not None and content.position.revision < not_older_than.revision:
            return False
        mine = self._group.position
        if content.group_id == self._group.group_id:
            if source:
                await self.keep_beyond(source)
            elif epoch != mine.epoch or content.position.revision < mine.revision:
                return False
        await self._group.replace(content)
        log.info("snapshot-loaded", revision=content.position.revision)
        return True

    async def _lacks_more_than_the_log(self) -> bool:
        """Apply what the local node has; then whether this registry has been behind for longer than a nudge takes."""
        try:
            await self._read_log()
        except HostwardError as error:
            self._say(error.message)
        if self.in_step or self.target is None:
            self._behind_since, self.reason = None, ""
            return False
        now = asyncio.get_running_loop().time()
        self._behind_since = self._behind_since or now
        return now - self._behind_since >= PATIENCE_S or self.sources.store() is None

    async def _read_log(self, *, widely: bool = False) -> None:
        """From the local node; or, where that lacks what comes next and no peer answers, from a majority of nodes."""
        store = self.sources.store()
        if store is None:
            return
        while True:
            before = self._group.position
            try:
                rows = await store.read(before.epoch, before.revision, limit=ROWS_A_READ, widely=widely)
            except DatabaseError as error:
                self._say(error.message)
                return
            if not rows:
                return
            changes = [c for row in rows for c in unpack(row.payload)]
            await self._apply_or_reload(changes)
            if self._group.position.revision == before.revision:
                return

    async def _fetch_from_peers(self) -> None:
        """What one gives that can't be used doesn't keep the others from being asked."""
        for server_id in self.sources.peers():
            before = self._group.position
            try:
                changes = await self.sources.changes(server_id, before)
                if changes is None:
                    await self.load(not_older_than=before if self._same_history_as_master() else None)
                elif changes:
                    await self._apply_or_reload(changes)
            except HostwardError as error:
                self._say(error.message)
                continue
            if self.in_step:
                return
            if self._group.position.revision > before.revision:
                self._wake.set()
                return
        try:
            await self._read_log(widely=True)
        except HostwardError as error:
            self._say(error.message)

    def _same_history_as_master(self) -> bool:
        mine, target = self._group.position, self.target
        return target is None or mine.revision != target.revision or mine.hash == target.hash

    async def _apply_or_reload(self, changes: list[Change]) -> None:
        before = self._group.position
        try:
            async with self._lock:
                await self._apply(changes)
        except RegistryError as error:
            if error.code == "gap":
                return
            if error.code not in DIFFERENT:
                raise
            log.warning("registry-differs", reason=error.message)
            await self.load(not_older_than=before if error.code == "digest-differs" else None)

    async def _apply(self, changes: list[Change]) -> None:
        """Apply the part that is new. The last signature vouches for all before it, through the chain of hashes. What
        differs from this registry must be signed itself: else anybody could make this server doubt its own content."""
        at = self._group.position.revision
        new = [c for c in changes if c.revision > at]
        if not new:
            return
        last = new[-1].revision
        with self._group.read() as reader:
            position = reader.position()
            check_epochs(
                position, [c for c in new if c.revision > position.revision], reader.epoch_records(position.epoch)
            )

        checked: list[tuple[Change, str]] = []

        def check(change: Change, reader: Elements) -> None:
            certificate = self._signer_of(change, reader)
            for earlier, by in checked[-1:]:
                if earlier.epoch == change.epoch and by != certificate:
                    # The change before made another key the Master's: nothing signed with that can vouch for it.
                    verify(by, earlier.hash, earlier.signature)
            checked.append((change, certificate))
            if change.revision == last:
                verify(certificate, change.hash, change.signature)

        try:
            await self._group.apply(new, check)
        except RegistryError as error:
            if error.code in DIFFERENT:
                for differing, by in checked[-1:]:
                    verify(by, differing.hash, differing.signature)
            raise

    def _signer_of(self, change: Change, reader: Elements) -> str:
        """The certificate by which the change must be signed: its Master's, before the change."""
        master = member(reader, change.epoch.server)
        if master is not None:
            return master.certificate
        if self.following is None:
            raise RegistryError("A change was signed by a server that isn't a member.", code="gap")
        return self.following.certificate

    def _say(self, reason: str) -> None:
        if reason != self.reason:
            log.info("follower-waits", reason=reason)
        self.reason = reason
