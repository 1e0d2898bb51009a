"""Raw Cassandra: three nodes as the product itself would configure and start them, nothing else of it beside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from bench.apart import Failed
from bench.load import TABLE
from bench.servers import JMX_BASE, NETWORK
from hostward.database.identity import node_identity
from hostward.database.install import Runtime
from hostward.database.process import NodeProcess
from hostward.database.ring import Ring
from hostward.database.session import Session, ensure_keyspaces, open_session
from hostward.database.settings import NodeSettings
from hostward.domain.errors import DatabaseError

TABLES: Final = ("single", "many", "inventory", "missed")
NORMAL_WITHIN_S = 60.0
LOOK_EVERY_S = 0.05


@dataclass(slots=True)
class Node:
    settings: NodeSettings
    process: NodeProcess

    @property
    def rss_mb(self) -> float:
        pid = self.process.pid
        assert pid is not None
        return float(psutil.Process(pid).memory_info().rss) / 1e6

    async def start(self) -> float:
        """Seconds from launch until its CQL port is open. Raises DatabaseError."""
        start = time.monotonic()
        await self.process.start()
        await self.process.wait_ready()
        return time.monotonic() - start


@dataclass(slots=True)
class Nodes:
    """The first is asked by the clients; the others join it."""

    all: Sequence[Node]
    first_start_s: float = 0.0
    joins_s: list[float] = field(default_factory=list)

    @classmethod
    def in_directory(cls, directory: Path, runtime: Runtime, numbers: Sequence[int]) -> Nodes:
        """`numbers` are the last parts of their addresses."""
        identities = [node_identity(directory / f"node{n}" / "identity", f"node{n}") for n in numbers]
        pems = tuple(identity.certificate_pem for identity in identities)
        first = f"{NETWORK}{numbers[0]}"
        found = []
        for number, identity in zip(numbers, identities, strict=True):
            home = directory / f"node{number}"
            settings = NodeSettings(
                cluster_name="bench",
                listen_address=f"{NETWORK}{number}",
                seeds=(f"{first}:7000",),
                data_dir=home / "database",
                log_dir=home / "logs",
                key_path=identity.key_path,
                certificate_path=identity.certificate_path,
                trusted_certificates=pems,
                jmx_port=JMX_BASE + number,
                loopback=f"{NETWORK}{number}",
            )
            found.append(Node(settings, NodeProcess(settings, runtime)))
        return cls(found)

    @property
    def settings(self) -> list[NodeSettings]:
        return [node.settings for node in self.all]

    async def form(self) -> None:
        """Start them, one joining after the other, with the replication factor raised before. Raises DatabaseError."""
        first, *others = self.all
        self.first_start_s = await first.start()
        session = await open_session(first.settings)
        try:
            await ensure_keyspaces(session, 1)
            await _tables(session)
            for factor, node in enumerate(others, start=2):
                await ensure_keyspaces(session, factor)
                self.joins_s.append(await node.start())
                await self._until_normal(factor)
        finally:
            await session.close()

    async def stop(self) -> None:
        """In order, all at once."""
        await asyncio.gather(*(node.process.stop() for node in self.all))

    async def _until_normal(self, count: int) -> None:
        """Until every node that is there sees so many UP and NORMAL."""
        deadline = time.monotonic() + NORMAL_WITHIN_S
        for node in self.all[:count]:
            ring = Ring(node.settings)
            try:
                while len([n for n in await _seen(ring) if n == "UP NORMAL"]) < count:
                    if time.monotonic() > deadline:
                        raise Failed(f"the ring of {count} isn't whole after {NORMAL_WITHIN_S:.0f} s")
                    await asyncio.sleep(LOOK_EVERY_S)
            finally:
                await ring.close()


async def _tables(session: Session) -> None:
    for table in TABLES:
        await session.execute(TABLE.format(table=table))


async def _seen(ring: Ring) -> list[str]:
    try:
        return [f"{node.status} {node.state}" for node in (await ring.ring()).nodes]
    except DatabaseError:
        return []  # its management port opens a moment after the other
