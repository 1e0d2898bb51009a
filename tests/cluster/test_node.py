"""Real Cassandra nodes on this machine's loopback addresses, on ports that happen to be free."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import psutil
import pytest

from hostward.database.identity import node_identity
from hostward.database.install import Runtime, ensure_runtime
from hostward.database.nodetool import nodetool_command
from hostward.database.process import NodeProcess
from hostward.database.ring import Ring, RingNode
from hostward.database.session import Session, ensure_keyspaces, open_session, replication_factors
from hostward.database.settings import NodeSettings
from hostward.database.yaml import management_password, write_trust
from hostward.domain.errors import DatabaseError

pytestmark = [pytest.mark.cluster, pytest.mark.anyio]

LOOPBACK = "127.0.1.1"
FIRST, SECOND, THIRD = "127.0.1.2", "127.0.1.3", "127.0.1.4"
CQL_OPTIONS = bytes.fromhex("040000000500000000")
CQL_RESPONSE = 0x84


def free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


STORAGE_PORT = free_port(FIRST)


def settings_of(directory: Path, address: str, *, seeds: tuple[str, ...] = ()) -> NodeSettings:
    identity = node_identity(directory / "identity", address)
    return NodeSettings(
        cluster_name="test of nodes",
        listen_address=address,
        seeds=seeds or (f"{address}:{STORAGE_PORT}",),
        data_dir=directory / "database",
        log_dir=directory / "logs",
        key_path=identity.key_path,
        certificate_path=identity.certificate_path,
        storage_port=STORAGE_PORT,
        cql_port=free_port(LOOPBACK),
        management_port=free_port(LOOPBACK),
        jmx_port=free_port("127.0.0.1"),
        loopback=LOOPBACK,
    )


@dataclass(slots=True)
class Started:
    """A running node with what a server would hold open to it."""

    settings: NodeSettings
    process: NodeProcess
    session: Session
    ring: Ring


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def runtime() -> Runtime:
    return await ensure_runtime()


@pytest.fixture(scope="module")
async def first(runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Started]:
    settings = settings_of(tmp_path_factory.mktemp("first"), FIRST)
    process = NodeProcess(settings, runtime)
    await process.start()
    try:
        await process.wait_ready()
        session = await connected(settings)
        await ensure_keyspaces(session, 1)
        await session.execute("CREATE TABLE hostward.note (id int PRIMARY KEY, words text)")
        await session.execute("INSERT INTO hostward.note (id, words) VALUES (?, ?)", (1, "kept"))
        ring = Ring(settings)
        yield Started(settings, process, session, ring)
        await session.close()
        await ring.close()
    finally:
        await process.stop()


async def connected(settings: NodeSettings) -> Session:
    """The node says that it listens a moment before it does."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return await open_session(settings)
        except DatabaseError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)


async def eventually(condition: Callable[[], bool], *, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not become so in time"
        await asyncio.sleep(0.05)


@pytest.mark.feature("R9")
async def test_one_node_answers_and_owns_everything(first: Started) -> None:
    picture = await first.ring.ring()
    assert picture.operation_mode == "NORMAL"
    assert picture.own is not None
    assert picture.own.owns_percent == {"hostward": 100.0}
    assert (picture.own_address, picture.own.status, picture.own.state) == (FIRST, "UP", "NORMAL")
    assert picture.version.startswith("5.0.")
    rows = await first.session.execute("SELECT words FROM hostward.note WHERE id = ?", (1,), widely=True)
    assert [row.words for row in rows] == ["kept"]
    assert set((await replication_factors(first.session)).values()) == {1}
    await ensure_keyspaces(first.session, 1)


async def test_a_refused_statement_is_a_database_error(first: Started) -> None:
    with pytest.raises(DatabaseError):
        await first.session.execute("SELECT nothing FROM hostward.nowhere")
    rows = await first.session.execute("SELECT words FROM hostward.note")
    assert len(rows) == 1


async def test_an_answer_of_many_pages_is_whole(first: Started) -> None:
    await first.session.execute("CREATE TABLE hostward.many (id int, n int, PRIMARY KEY (id, n))")
    await asyncio.gather(
        *(first.session.execute("INSERT INTO hostward.many (id, n) VALUES (1, ?)", (n,)) for n in range(5_500))
    )
    rows = await first.session.execute("SELECT n FROM hostward.many WHERE id = 1")
    assert [row.n for row in rows] == list(range(5_500))


def answers_cql(settings: NodeSettings, context: ssl.SSLContext | None) -> bool:
    """Whether the first request is answered: over TLS 1.3 a missing certificate is refused only after the handshake."""
    with suppress(OSError, ssl.SSLError), socket.create_connection((LOOPBACK, settings.cql_port), 5) as plain:
        if context is None:
            plain.sendall(CQL_OPTIONS)
            return plain.recv(1) == bytes([CQL_RESPONSE])
        with context.wrap_socket(plain) as secure:
            secure.sendall(CQL_OPTIONS)
            return secure.recv(1) == bytes([CQL_RESPONSE])
    return False


def stays_open(address: str, port: int, context: ssl.SSLContext) -> bool:
    """Whether a TLS connection is kept by the other side, which then waits for us to speak."""
    with suppress(OSError, ssl.SSLError), socket.create_connection((address, port), 5) as plain:
        plain.settimeout(1)
        with context.wrap_socket(plain) as secure:
            try:
                return secure.recv(1) != b""
            except TimeoutError:
                return True
    return False


def tls(settings: NodeSettings | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if settings is not None:
        context.load_cert_chain(settings.certificate_path, settings.key_path)
    return context


@pytest.mark.feature("R9")
async def test_only_the_nodes_own_certificate_opens_cql(first: Started, tmp_path: Path) -> None:
    stranger = settings_of(tmp_path, THIRD)
    assert await asyncio.to_thread(answers_cql, first.settings, tls(first.settings))
    assert not await asyncio.to_thread(answers_cql, first.settings, tls(stranger))
    assert not await asyncio.to_thread(answers_cql, first.settings, tls(None))
    assert not await asyncio.to_thread(answers_cql, first.settings, None)
    with pytest.raises(DatabaseError) as refused:
        await open_session(
            replace(first.settings, key_path=stranger.key_path, certificate_path=stranger.certificate_path)
        )
    assert refused.value.code == "not-connected"


@pytest.mark.feature("R9")
async def test_only_a_members_certificate_opens_the_internode_port(first: Started, tmp_path: Path) -> None:
    stranger = settings_of(tmp_path, THIRD)
    assert await asyncio.to_thread(stays_open, FIRST, STORAGE_PORT, tls(first.settings))
    assert not await asyncio.to_thread(stays_open, FIRST, STORAGE_PORT, tls(stranger))
    assert not await asyncio.to_thread(stays_open, FIRST, STORAGE_PORT, tls(None))


async def test_nothing_but_the_internode_port_is_on_the_adapter(first: Started) -> None:
    for port in (first.settings.cql_port, first.settings.management_port, first.settings.jmx_port):
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(FIRST, port)


@pytest.mark.feature("R9")
async def test_management_needs_its_password(first: Started, runtime: Runtime, tmp_path: Path) -> None:
    url = f"http://{LOOPBACK}:{first.settings.management_port}/jolokia/version"
    password = management_password(first.settings)
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(url)).status_code == 401
        assert (await client.get(url, auth=("hostward", "wrong"))).status_code == 401
        assert (await client.get(url, auth=("hostward", password))).status_code == 200
    assert not any(password in word for word in psutil.Process(first.process.pid).cmdline())
    (tmp_path / "wrong").write_text("hostward wrong\n")
    command = nodetool_command(runtime, first.settings, ["info"])
    command[command.index("-pwf") + 1] = str(tmp_path / "wrong")
    refused = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "Invalid username or password" in refused.stderr


async def test_a_port_in_use_is_named_with_its_user(first: Started, runtime: Runtime, tmp_path: Path) -> None:
    other = NodeProcess(replace(settings_of(tmp_path, FIRST), storage_port=STORAGE_PORT), runtime)
    with pytest.raises(DatabaseError) as refused:
        await other.start()
    assert refused.value.code == "port-in-use"
    assert f"{FIRST} port {STORAGE_PORT}" in refused.value.message
    assert f"java (process {first.process.pid})" in refused.value.message
    assert not other.running


async def test_an_address_of_another_machine_is_named(runtime: Runtime, tmp_path: Path) -> None:
    settings = replace(settings_of(tmp_path, FIRST), listen_address="192.0.2.1")
    with pytest.raises(DatabaseError) as refused:
        await NodeProcess(settings, runtime).start()
    assert refused.value.code == "address-missing"


async def test_a_refused_configuration_is_told_in_cassandras_words(runtime: Runtime, tmp_path: Path) -> None:
    process = NodeProcess(replace(settings_of(tmp_path, THIRD), seeds=("no such host.invalid",)), runtime)
    await process.start()
    with pytest.raises(DatabaseError) as refused:
        await process.wait_ready(60)
    assert refused.value.code == "bad-yaml"
    assert "seed" in refused.value.message
    assert process.returncode == 3


PARENT = """
import asyncio, pickle, sys
from hostward.database.process import NodeProcess
async def main():
    settings, runtime = pickle.loads(sys.stdin.buffer.read())
    process = NodeProcess(settings, runtime)
    await process.start()
    print(process.pid, flush=True)
    await process.wait()
asyncio.run(main())
"""


@pytest.mark.feature("R9")
async def test_a_killed_server_leaves_no_jvm(runtime: Runtime, tmp_path: Path) -> None:
    import pickle

    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    parent.stdin.write(pickle.dumps((settings_of(tmp_path, THIRD), runtime)))
    parent.stdin.close()
    jvm = psutil.Process(int(await asyncio.wait_for(parent.stdout.readline(), 20)))
    await eventually(lambda: jvm.name() == "java", within_s=10)
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    await eventually(lambda: not jvm.is_running() or jvm.status() == psutil.STATUS_ZOMBIE, within_s=5)


async def status_lines(runtime: Runtime, settings: NodeSettings) -> set[tuple[str, ...]]:
    """nodetool's own words: status and state, address, owns, host id."""
    command = nodetool_command(runtime, settings, ["status", "hostward"])
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
    found = re.findall(r"^(\w\w) +(\S+) +.*? +(\?|[\d.]+%) +([0-9a-f-]{36})", done.stdout, re.MULTILINE)
    assert found, done.stdout + done.stderr
    return set(found)


async def same_as_nodetool(runtime: Runtime, node: Started) -> bool:
    rows = {
        (
            row["status"][0] + row["state"][0],
            row["address"],
            "?" if row["owns_percent"] is None else f"{row['owns_percent']:.1f}%",
            row["host_id"],
        )
        for row in await node.ring.nodetool_rows()
    }
    return rows == await status_lines(runtime, node.settings)


async def sees(ring: Ring, wanted: set[tuple[str, float, str]]) -> None:
    """Gossip brings news of another node within a second or two."""
    async with asyncio.timeout(10):
        while True:
            if {(r["address"], r["owns_percent"], r["state"]) for r in await ring.nodetool_rows()} == wanted:
                return
            await asyncio.sleep(0.1)


async def node_at(ring: Ring, address: str) -> RingNode | None:
    return next((node for node in (await ring.ring()).nodes if node.address == address), None)


@pytest.mark.feature("R9")
async def test_a_second_node_joins_dies_and_is_removed(first: Started, runtime: Runtime, tmp_path: Path) -> None:
    settings = settings_of(tmp_path, SECOND, seeds=(first.settings.own_seed,))
    settings = replace(settings, trusted_certificates=(first.settings.certificate_path.read_text(),))
    second = NodeProcess(settings, runtime)

    # The first one doesn't trust it yet.
    await second.start()
    with pytest.raises(DatabaseError) as refused:
        await second.wait_ready(60)
    assert refused.value.code == "no-seeds"
    assert await node_at(first.ring, SECOND) is None

    write_trust(replace(first.settings, trusted_certificates=(settings.certificate_path.read_text(),)))
    await first.ring.reload_certificates()
    await ensure_keyspaces(first.session, 2)
    await second.start()
    try:
        await second.wait_ready()
        session = await connected(settings)
        rows = await session.execute("SELECT words FROM hostward.note WHERE id = 1")
        assert [row.words for row in rows] == ["kept"]
        await session.close()
        both = {(FIRST, 100.0, "NORMAL"), (SECOND, 100.0, "NORMAL")}
        await sees(first.ring, both)
        assert await same_as_nodetool(runtime, first)
        await first.ring.repair()
    finally:
        await second.kill()

    dead = await node_at(first.ring, SECOND)
    assert dead is not None
    deadline = time.monotonic() + 60
    while dead is not None and dead.status != "DOWN":
        assert time.monotonic() < deadline, "the death was not noticed"
        await asyncio.sleep(0.2)
        dead = await node_at(first.ring, SECOND)
    assert dead is not None
    assert await same_as_nodetool(runtime, first)
    with pytest.raises(DatabaseError) as refused:
        await first.session.execute("SELECT words FROM hostward.note WHERE id = 1", widely=True)
    assert refused.value.code == "not-enough-nodes"
    await first.ring.remove_node(dead.host_id)
    await ensure_keyspaces(first.session, 1)
    picture = await first.ring.ring()
    assert [(node.address, node.owns_percent["hostward"]) for node in picture.nodes] == [(FIRST, 100.0)]


async def once_connected(session: Session, cql: str) -> list[str]:
    """A session finds its node again by itself."""
    async with asyncio.timeout(10):
        while True:
            with suppress(DatabaseError):
                return [row.words for row in await session.execute(cql)]
            await asyncio.sleep(0.05)


@pytest.mark.feature("R9")
async def test_a_killed_node_keeps_what_it_acknowledged(first: Started) -> None:
    await first.session.execute("INSERT INTO hostward.note (id, words) VALUES (?, ?)", (2, "just before"))
    host_id = (await first.ring.ring()).own_host_id
    await first.process.kill()
    assert first.process.returncode == -signal.SIGKILL
    await first.process.start()
    await first.process.wait_ready()
    assert (await first.ring.ring()).own_host_id == host_id
    assert await once_connected(first.session, "SELECT words FROM hostward.note WHERE id = 2") == ["just before"]
