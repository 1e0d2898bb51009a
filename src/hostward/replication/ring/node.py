"""This server's database node as the coordinator handles it: one process, its marker, its ring and its log store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import structlog

from hostward.configuration import Configuration
from hostward.database.archive import ensure_archive
from hostward.database.identity import NodeIdentity, node_identity
from hostward.database.install import Runtime, ensure_runtime
from hostward.database.jars import Progress
from hostward.database.log_store import LogStore
from hostward.database.nodetool import run_nodetool
from hostward.database.process import NodeProcess, wipe
from hostward.database.ring import Ring, RingPicture, Standing
from hostward.database.session import KEYSPACE
from hostward.database.settings import NodeSettings
from hostward.database.yaml import Hand, write_trust
from hostward.domain.errors import DatabaseError
from hostward.replication.goals import Marker, Process
from hostward.replication.group.members import cluster_name
from hostward.replication.ring.failures import Cure, Failures
from hostward.replication.ring.fence import RingNode
from hostward.replication.ring.marker_file import MarkerFile
from hostward.replication.ring.picture import LatestPicture

REMOVE_TIMEOUT_S = 60.0
RING_DELAYS_MS = (2_000, 4_000, 8_000, 16_000, 30_000)
"""At the first start, and after each that failed: on a slow link or a busy machine 2 s are too short to meet others."""

STALLED_S, RECEIVING_S = 90.0, 180.0
"""A start that says nothing for so long will not end by itself."""

REPAIR_TIMEOUT_S = 300.0
HUNG_S = 45.0
"""A running node that answers nobody for so long is ended and started again."""

log = structlog.get_logger()


@dataclass(slots=True)
class HandWork:
    """What was found in this life of the server to have been changed by hand in cassandra.yaml."""

    honoured: Mapping[str, Any] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    set_aside: str = ""
    problem: str = ""

    def note(self, hand: Hand) -> None:
        """Add what one more start found. What isn't used stays named though the file no longer shows it."""
        self.honoured = hand.edits.honoured
        self.refused.update({r.key: r.why for r in hand.edits.refused})
        if hand.set_aside is not None:
            self.set_aside, self.problem = str(hand.set_aside), hand.problem


class Node:
    """All methods belong to the server's event loop."""

    def __init__(self, data_dir: Path, configuration: Configuration, server_id: str) -> None:
        self._configuration = configuration.database
        self._dir, self._log_dir = data_dir / "database", data_dir / "logs"
        self._storage = self._dir / "storage"
        self._marker_file = MarkerFile(self._storage)
        self._server_id = server_id
        self._identity: NodeIdentity | None = None
        self._runtime: Runtime | None = None
        self._node: NodeProcess | None = None
        self._ring: Ring | None = None
        self._store: LogStore | None = None
        self._session: Any = None
        self._trusted: tuple[str, ...] = ()
        self._seen = LatestPicture()
        self._was_ready = False
        self._failures = Failures(time.monotonic)
        self._log_bytes = 0
        self._heard_at = 0.0
        self._stopping = False
        self._opening = asyncio.Lock()
        self._archiving: asyncio.Task[bool] | None = None
        self._starting: asyncio.Future[None] | None = None
        self.host_id = ""
        self.replication_factor = 0
        self.install_progress = ""
        self.hand = HandWork()

    # What is

    @property
    def error(self) -> str:
        """Why the node isn't running, with the remedy; empty while it is well."""
        return self._failures.message

    @property
    def problem(self) -> DatabaseError | None:
        """The same for programs."""
        return self._failures.error

    @property
    def down(self) -> bool:
        """Whether the node counts as Down: also while a start is repeated that is likely to fail as the last one
        did."""
        return self._failures.down(starting=self.process is Process.STARTING)

    @property
    def cure(self) -> Cure:
        """What a node that can't be started needs."""
        return self._failures.cure()

    @property
    def may_start(self) -> bool:
        """Whether the back-off of earlier failures is over."""
        return self._failures.may_start

    def asked(self) -> None:
        """The Master was asked about the failure: the cure has been tried."""
        self._failures.asked = True

    @property
    def standing(self) -> Standing:
        """How the running node stands in its ring, as it was last seen."""
        if self._seen.picture is None or self.process is not Process.READY:
            return Standing.MEMBER
        return self._seen.picture.standing

    @property
    def certificate_pem(self) -> str:
        """The internode certificate, made on first need."""
        if self._identity is None:
            self._identity = node_identity(self._dir / "identity", self._server_id)
        return self._identity.certificate_pem

    @property
    def installed(self) -> bool:
        return self._runtime is not None

    @property
    def process(self) -> Process:
        if self._starting is not None and not self._starting.done():
            return Process.STARTING
        if self._node is None or not self._node.running:
            return Process.NONE
        return Process.READY if self._was_ready else Process.STARTING

    @property
    def address(self) -> str:
        """Where the running node listens for the others; empty while none runs."""
        return self._node.settings.listen_address if self._node is not None and self._node.running else ""

    def marker(self) -> Marker | None:
        """What the data directory belongs to; None where there is none, or its data is gone."""
        return self._marker_file.read()

    @property
    def has_joined(self) -> bool:
        """Whether the node with this data has ever been ready. Until then it may only start without data and with the
        others as seeds: with itself among them, it would form a ring of its own as soon as none of the others answers,
        or go on with the part of the data that it got."""
        return self._marker_file.has_joined

    def store(self) -> LogStore | None:
        """The log store, while the node is ready and its keyspace open."""
        return self._store if self.process is Process.READY else None

    @property
    def phase(self) -> str:
        """What a starting node is doing, as the end of the sentence "it is …"."""
        return self._node.phase if self._node else "not running"

    def summary(self) -> dict[str, Any]:
        """What other servers may know of it."""
        running = self.process is Process.READY
        settings = self._node.settings if self._node else None
        return {
            "running": running,
            "address": settings.listen_address if settings else "",
            "storage_port": settings.storage_port if settings else 0,
            "host_id": self.host_id,
            "error": self.error,
        }

    async def ring(self) -> list[RingNode] | None:
        """The ring as this node sees it, less than a second old; None while it isn't ready or doesn't answer."""
        picture = await self._look()
        if picture is None:
            return None
        return [
            RingNode(
                n.host_id,
                n.address,
                n.status == "UP",
                joining=n.state == "JOINING",
                leaving=n.state == "LEAVING",
                owns_percent=n.owns_percent.get(KEYSPACE),
            )
            for n in picture.nodes
        ]

    async def rows(self) -> list[dict[str, Any]]:
        """nodetool's rows at this moment: address, status, state, owns_percent, host_id. Empty while not ready."""
        if self._ring is None or self.process is not Process.READY:
            return []
        try:
            return await self._ring.nodetool_rows()
        except DatabaseError as error:
            log.warning("ring-not-answering", reason=error.message)
            return []

    # What shall be

    async def install(self) -> str:
        """Fetch Java and Cassandra where they are missing. Raises DatabaseError."""

        def progress(done: int, total: int, what: str) -> None:
            share = f"{100 * done // total} % of {total >> 20} MB" if total else ""
            self.install_progress = f"Installing {what} {share}".strip()

        self.check_back_off()
        self._failures.started()
        try:
            self._runtime = await self._ensure_runtime(progress)
        except DatabaseError as error:
            self._failures.failed(error, was_ready=False)
            raise
        finally:
            self.install_progress = ""
        self._failures.clear()
        return ""

    def check_back_off(self) -> None:
        """Raises DatabaseError where the node ended a moment ago: it isn't started again at once, unless somebody has
        edited cassandra.yaml meanwhile."""
        if self._node is not None and self._node.yaml_edited:
            self._failures.mended()
        if not self._failures.may_start:
            raise self._failures.error or DatabaseError(
                "The database node ended; it is started again in a moment.", code="back-off"
            )

    async def start(self, *, marker: Marker, address: str, seeds: Sequence[str], trusted: Sequence[str]) -> None:
        """Start the process, after the back-off that earlier failures ask for; doesn't wait until it is ready. Raises
        DatabaseError."""
        assert self._runtime is not None
        self.check_back_off()
        await self._close_store()
        self._trusted = tuple(dict.fromkeys(trusted))
        patience_ms = RING_DELAYS_MS[min(self._failures.count, len(RING_DELAYS_MS) - 1)]
        settings = replace(self._settings(marker, address, seeds), ring_delay_ms=patience_ms)
        self._storage.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._marker_file.write(marker, joined=self.has_joined and self.marker() == marker)
        self._stopping, self._was_ready, self.host_id = False, False, ""
        self._node = NodeProcess(settings, self._runtime, on_exit=self._exited)
        self._failures.started()
        self._heard_at, self._log_bytes = time.monotonic(), 0
        # Not interrupted by a new Apply: a process that nobody knows of would be a second one.
        self._starting = asyncio.ensure_future(self._node.start())
        try:
            await asyncio.shield(self._starting)
        except DatabaseError as error:
            self._failed(error)
            raise
        finally:
            self.hand.note(self._node.hand)

    async def become_ready(self) -> bool:
        """Look whether a started node answers by now."""
        if self.process is Process.STARTING and self._node is not None and self._node.ready:
            if self._ring is None:
                self._ring = Ring(self._node.settings)
            try:
                self.host_id = (await self._ring.ring()).own_host_id
            except DatabaseError as error:
                log.warning("ring-not-answering", reason=error.message)
            marker = self.marker()
            if self.host_id and marker is not None:  # None: its data vanished under it
                self._was_ready, self._heard_at = True, time.monotonic()
                self._failures.well()
                if not self.has_joined:
                    self._marker_file.write(marker, joined=True)
        return self.process is Process.READY

    async def watch(self) -> None:
        """End a node that has stopped getting anywhere: halted, hung, or waiting for somebody to resume its joining."""
        node, now = self._node, time.monotonic()
        if node is None or self.process is Process.NONE:
            return
        if self.process is Process.READY:
            if await self._look() is not None:
                self._heard_at = now
            elif now - self._heard_at > HUNG_S:
                await self._give_up(f"The database node runs, but has not answered for {HUNG_S:.0f} s.", "hung")
        elif node.join_failed:
            await self._give_up("The database node could not get all of its data from the other nodes.", "join-failed")
        elif node.log_bytes != self._log_bytes:
            self._log_bytes, self._heard_at = node.log_bytes, now
        elif now - self._heard_at > (allowed_s := RECEIVING_S if node.receives else STALLED_S):
            words = f"The database node has got no further for {allowed_s:.0f} s: it is {node.phase}."
            await self._give_up(words, "start-timeout")

    async def _give_up(self, words: str, code: str) -> None:
        assert self._node is not None
        log.error("database-node-given-up", reason=words)
        self._stopping = True
        await self._node.kill()
        self._failed(DatabaseError(words, remedy="It is ended and started again by itself.", code=code))

    async def open_store(self, *, replication_factor: int | None, lower: bool = True) -> None:
        """Open the log store; with a replication factor, create the keyspace or bring it there (only the Master's may),
        with `lower` false only upwards. Raises DatabaseError."""
        async with self._opening:
            await self._open_store(replication_factor, lower)

    async def _open_store(self, replication_factor: int | None, lower: bool) -> None:
        from hostward.database.cassandra_log import CassandraLogStore, create_tables
        from hostward.database.session import KEYSPACE, ensure_keyspaces, open_session, replication_factors

        assert self._node is not None
        if self._session is None:
            self._session = await open_session(self._node.settings)
        if replication_factor is not None and not lower:
            there = await replication_factors(self._session)
            replication_factor = max(replication_factor, there.get(KEYSPACE, 0))
        if replication_factor is not None and replication_factor != self.replication_factor:
            await ensure_keyspaces(self._session, replication_factor)
            self.replication_factor = replication_factor
            if self._store is None:
                await create_tables(self._session)
        if self._store is None:
            self._store = CassandraLogStore(self._session)

    async def trust(self, certificates: Sequence[str]) -> None:
        """Let exactly these internode certificates (and this node's own) into the ring, at once."""
        wanted = tuple(dict.fromkeys([*certificates, self.certificate_pem]))
        if self._ring is None or self.process is not Process.READY or set(wanted) == set(self._trusted):
            return
        assert self._node is not None
        write_trust(replace(self._node.settings, trusted_certificates=wanted))
        await self._ring.reload_certificates()
        self._trusted = wanted

    async def remove(self, host_id: str) -> None:
        """Remove a dead node from the ring; finished by force where other nodes don't answer. Raises DatabaseError."""
        assert self._ring is not None
        self._seen.ask_again()
        try:
            await self._ring.remove_node(host_id, timeout_s=REMOVE_TIMEOUT_S)
        except DatabaseError as error:
            if error.code != "management-silent":
                raise
            await self.force_removals()

    async def forget(self, address: str) -> None:
        """Have the ring forget a dead node that only this one still knows: a removal would wait for the others, which
        can't confirm it. Raises DatabaseError."""
        assert self._ring is not None
        self._seen.ask_again()
        await self._ring.assassinate(address)

    async def force_removals(self) -> None:
        """End every removal that is under way, without the nodes that don't answer. Raises DatabaseError."""
        assert self._ring is not None
        self._seen.ask_again()
        await self._ring.force_remove()

    async def replicate_anew(self, factor: int) -> None:
        """Bring the replication factor there whatever it is now, then have every node get what it lacks. Raises
        DatabaseError."""
        assert self._ring is not None
        self.replication_factor = 0
        await self.open_store(replication_factor=factor)
        self._seen.ask_again()
        await self._ring.repair(timeout_s=REPAIR_TIMEOUT_S)

    def speed_up_starts(self) -> None:
        """Make the shared archive of Cassandra's classes in the background, where this machine has none yet: each start
        is then about two seconds shorter. Never a condition of anything."""
        if self._runtime is not None and self._archiving is None:
            self._archiving = asyncio.create_task(ensure_archive(self._runtime), name="class archive")

    def nodetool(self, address: str, arguments: Sequence[str]) -> int:
        """Run Cassandra's nodetool on this node, on this process's own input and output. Raises DatabaseError."""
        runtime = asyncio.run(self._ensure_runtime(lambda done, total, what: None))
        return run_nodetool(runtime, self._settings(Marker("", 0), address, ()), arguments)

    async def _ensure_runtime(self, progress: Progress) -> Runtime:
        c = self._configuration
        return await ensure_runtime(c.runtime_dir, java=c.java, maven_repository=c.maven_repository, progress=progress)

    async def close(self) -> None:
        """The server ends: so does everything of the node."""
        if self._archiving is not None:
            self._archiving.cancel()
            await asyncio.gather(self._archiving, return_exceptions=True)
        await self.stop()

    async def stop(self, *, goodbye: bool = True) -> None:
        """End the process; in order, with a goodbye to the other nodes, or without a word. Harmless where none runs."""
        self._stopping = True
        if self._starting is not None:
            await asyncio.gather(self._starting, return_exceptions=True)
        await self._close_store()
        if self._node is not None:
            await (self._node.stop() if goodbye else self._node.kill())
        self._node, self._was_ready = None, False

    def forgive(self) -> None:
        """What made it fail is gone, or may be: the next start needn't wait."""
        self._failures.clear()

    async def wipe(self) -> None:
        """Remove the node's data: it can then only start as a new node."""
        assert self.process is Process.NONE
        await wipe(self._settings(Marker("", 0), "127.0.0.1", ()))
        self.host_id, self.replication_factor = "", 0

    def _settings(self, marker: Marker, address: str, seeds: Sequence[str]) -> NodeSettings:
        c = self._configuration
        assert self.certificate_pem
        assert self._identity is not None
        return NodeSettings(
            cluster_name=cluster_name(marker.group_id, marker.generation),
            listen_address=address,
            seeds=tuple(seeds),
            data_dir=self._dir,
            log_dir=self._log_dir,
            key_path=self._identity.key_path,
            certificate_path=self._identity.certificate_path,
            trusted_certificates=self._trusted,
            storage_port=c.storage_port,
            cql_port=c.cql_port,
            management_port=c.management_port,
            jmx_port=c.jmx_port,
            loopback=c.loopback,
            heap_mib=c.heap_mib,
            trust_algorithm=self._runtime.trust_algorithm if self._runtime else "",
        )

    async def _look(self) -> RingPicture | None:
        if self._ring is None or self.process is not Process.READY:
            return None
        return await self._seen.look(self._ring.ring)

    def _exited(self, returncode: int) -> None:
        if self._stopping or self._node is None:
            return
        self._failed(self._node.explain())
        log.error("database-node-ended", returncode=returncode, reason=self.error)

    def _failed(self, error: DatabaseError) -> None:
        by_hand = self._node.hand.edits.honoured if self._node is not None else {}
        if by_hand and error.code in ("bad-yaml", "trust-manager"):
            assert self._node is not None
            keys = ", ".join(by_hand)
            where = self._node.settings.yaml_path
            error = DatabaseError(
                error.message, remedy=f"Mend or take back your change of {keys} in {where}.", code=error.code
            )
        self._failures.failed(error, was_ready=self._was_ready)
        self._was_ready = False

    async def _close_store(self) -> None:
        store, self._store, self._session = self._store, None, None
        self._seen, self.replication_factor = LatestPicture(), 0
        if store is not None:
            await store.close()
        if self._ring is not None:
            await self._ring.close()
            self._ring = None
