"""This server's database node as the coordinator handles it: one process, its marker, its ring and its log store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import structlog

from hostward.configuration import Configuration
from hostward.database.archive import ensure_archive
from hostward.database.identity import NodeIdentity, node_identity
from hostward.database.install import Runtime, ensure_runtime
from hostward.database.jars import Progress
from hostward.database.log_store import LogStore
from hostward.database.nodetool import run_nodetool
from hostward.database.process import NodeProcess, wipe
from hostward.database.ring import Ring, RingPicture
from hostward.database.settings import NodeSettings
from hostward.database.yaml import write_trust
from hostward.domain.errors import DatabaseError
from hostward.replication.fence import RingNode
from hostward.replication.goals import Marker, Process
from hostward.replication.members import cluster_name

MARKER = "hostward.json"
REMOVE_TIMEOUT_S = 60.0
BACK_OFF_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
STEADY_AFTER_S = 60.0
RING_DELAYS_MS = (2_000, 4_000, 8_000, 16_000, 30_000)
"""At the first start, and after each that failed: on a slow link or a busy machine 2 s are too short to meet others."""
RING_FRESH_S = 0.8

log = structlog.get_logger()


class Node:
    """All methods belong to the server's event loop. `error` is why the node isn't running, one sentence with its
    remedy, empty while it is well."""

    def __init__(self, data_dir: Path, configuration: Configuration, server_id: str) -> None:
        self._configuration = configuration.database
        self._dir, self._log_dir = data_dir / "database", data_dir / "logs"
        self._server_id = server_id
        self._identity: NodeIdentity | None = None
        self._runtime: Runtime | None = None
        self._node: NodeProcess | None = None
        self._ring: Ring | None = None
        self._store: LogStore | None = None
        self._session: Any = None
        self._trusted: tuple[str, ...] = ()
        self._picture: RingPicture | None = None
        self._picture_at = 0.0
        self._was_ready = False
        self._failures = 0
        self._not_before = 0.0
        self._started_at = 0.0
        self._stopping = False
        self._opening = asyncio.Lock()
        self._archiving: asyncio.Task[bool] | None = None
        self._starting: asyncio.Future[None] | None = None
        self.host_id = ""
        self.replication_factor = 0
        self.install_progress = ""
        self.error = ""

    # What is

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
        value = self._read_marker()
        try:
            return Marker(str(value["group"]), int(value["generation"]))
        except (KeyError, TypeError, ValueError):
            return None

    @property
    def has_joined(self) -> bool:
        """Whether the node with this data has ever been ready. Until then it may only start without data and with the
        others as seeds: with itself among them, it would form a ring of its own as soon as none of the others answers,
        or go on with the part of the data that it got."""
        return bool(self._read_marker().get("joined"))

    def _read_marker(self) -> dict[str, Any]:
        try:
            value = orjson.loads((self._storage / MARKER).read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return {}
        return value if isinstance(value, dict) else {}

    def _write_marker(self, marker: Marker, *, joined: bool) -> None:
        value = {"group": marker.group_id, "generation": marker.generation, "joined": joined}
        new = self._storage / f"{MARKER}.new"
        new.write_bytes(orjson.dumps(value))
        new.replace(self._storage / MARKER)

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
        return [RingNode(n.host_id, n.address, n.status == "UP", n.state == "JOINING") for n in picture.nodes]

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

        self._runtime = await self._ensure_runtime(progress)
        self.install_progress = ""
        return ""

    async def start(self, *, marker: Marker, address: str, seeds: Sequence[str], trusted: Sequence[str]) -> None:
        """Start the process, after the back-off that earlier failures ask for; doesn't wait until it is ready. Raises
        DatabaseError."""
        assert self._runtime is not None
        loop = asyncio.get_running_loop()
        self.check_back_off()
        await self._close_store()
        self._trusted = tuple(dict.fromkeys(trusted))
        patience_ms = RING_DELAYS_MS[min(self._failures, len(RING_DELAYS_MS) - 1)]
        settings = replace(self._settings(marker, address, seeds), ring_delay_ms=patience_ms)
        self._storage.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._write_marker(marker, joined=self.has_joined and self.marker() == marker)
        self._stopping, self._was_ready, self.host_id = False, False, ""
        self._node = NodeProcess(settings, self._runtime, on_exit=self._exited)
        self._started_at = loop.time()
        # Not interrupted by a new Apply: a process that nobody knows of would be a second one.
        self._starting = asyncio.ensure_future(self._node.start())
        try:
            await asyncio.shield(self._starting)
        except DatabaseError as error:
            self._failed(error)
            raise

    def check_back_off(self) -> None:
        """Raises DatabaseError where the node ended a moment ago: it isn't started again at once."""
        if asyncio.get_running_loop().time() < self._not_before:
            raise DatabaseError(
                self.error or "The database node ended; it is started again in a moment.", code="back-off"
            )

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
                self._was_ready, self.error = True, ""
                if not self.has_joined:
                    self._write_marker(marker, joined=True)
        return self.process is Process.READY

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
        self._picture = None
        try:
            await self._ring.remove_node(host_id, timeout_s=REMOVE_TIMEOUT_S)
        except DatabaseError as error:
            if error.code != "management-silent":
                raise
            await self._ring.force_remove()

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

    async def stop(self) -> None:
        """End the process in order. Harmless where none runs."""
        self._stopping = True
        if self._starting is not None:
            await asyncio.gather(self._starting, return_exceptions=True)
        await self._close_store()
        if self._node is not None:
            await self._node.stop()
        self._node, self._was_ready, self.error, self._failures, self._not_before = None, False, "", 0, 0.0

    async def wipe(self) -> None:
        """Remove the node's data: it can then only start as a new node."""
        assert self.process is Process.NONE
        await wipe(self._settings(Marker("", 0), "127.0.0.1", ()))
        self.host_id, self.replication_factor = "", 0

    @property
    def _storage(self) -> Path:
        return self._dir / "storage"

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
        )

    async def _look(self) -> RingPicture | None:
        now = asyncio.get_running_loop().time()
        if self._ring is None or self.process is not Process.READY:
            return None
        if self._picture is None or now - self._picture_at > RING_FRESH_S:
            try:
                self._picture, self._picture_at = await self._ring.ring(), now
            except DatabaseError as error:
                log.warning("ring-not-answering", reason=error.message)
                return None
        return self._picture

    def _exited(self, returncode: int) -> None:
        if self._stopping or self._node is None:
            return
        self._failed(self._node.explain())
        log.error("database-node-ended", returncode=returncode, reason=self.error)

    def _failed(self, error: DatabaseError) -> None:
        loop = asyncio.get_running_loop()
        if self._was_ready and loop.time() - self._started_at > STEADY_AFTER_S:
            self._failures = 0
        self._was_ready = False
        self.error = str(error)
        self._not_before = loop.time() + BACK_OFF_S[min(self._failures, len(BACK_OFF_S) - 1)]
        self._failures += 1

    async def _close_store(self) -> None:
        store, self._store, self._session = self._store, None, None
        self._picture, self.replication_factor = None, 0
        if store is not None:
            await store.close()
        if self._ring is not None:
            await self._ring.close()
            self._ring = None
