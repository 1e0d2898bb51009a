"""Each implementation in turn. Cassandra's runs on one real node, started once for all tests that want it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.benches import Bench, CassandraBench, MemoryBench

from hostward.database.cassandra_log import create_tables
from hostward.database.identity import node_identity
from hostward.database.install import ensure_runtime
from hostward.database.process import NodeProcess
from hostward.database.session import Session, ensure_keyspaces, open_session
from hostward.database.settings import NodeSettings

ADDRESS = "127.0.1.9"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on at this moment, all different."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((ADDRESS, 0))
        return [probe.getsockname()[1] for probe in probes]


def node_settings(directory: Path) -> NodeSettings:
    identity = node_identity(directory / "identity", "contract")
    storage, cql, management, jmx = free_ports(4)
    return NodeSettings(
        cluster_name="contract",
        listen_address=ADDRESS,
        seeds=(f"{ADDRESS}:{storage}",),
        data_dir=directory / "database",
        log_dir=directory / "logs",
        key_path=identity.key_path,
        certificate_path=identity.certificate_path,
        storage_port=storage,
        cql_port=cql,
        management_port=management,
        jmx_port=jmx,
        loopback=ADDRESS,
    )


@pytest.fixture(scope="session")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NodeSettings]:
    """A running node."""
    settings = node_settings(tmp_path_factory.mktemp("node"))
    process = NodeProcess(settings, await ensure_runtime())
    await process.start()
    try:
        await process.wait_ready()
        yield settings
    finally:
        await process.kill()


@pytest.fixture(scope="session")
async def session(node: NodeSettings) -> AsyncIterator[Session]:
    """A session on the node, with the store's tables made."""
    opened = await open_session(node)
    try:
        await ensure_keyspaces(opened, 1)
        await create_tables(opened)
        yield opened
    finally:
        await opened.close()


@pytest.fixture(params=["memory", pytest.param("cassandra", marks=pytest.mark.cluster)])
def implementation(request: pytest.FixtureRequest) -> Bench:
    if request.param == "memory":
        return MemoryBench()
    return CassandraBench(request.getfixturevalue("session"), request.getfixturevalue("node"))


@pytest.fixture
async def bench(implementation: Bench) -> Bench:
    """An empty store."""
    await implementation.empty()
    return implementation


@pytest.fixture
async def cassandra(session: Session, node: NodeSettings) -> CassandraBench:
    """An empty store on Cassandra, for what only that has."""
    made = CassandraBench(session, node)
    await made.empty()
    return made
