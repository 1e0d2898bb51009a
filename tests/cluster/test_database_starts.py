"""Everything that may keep the replication database from starting, on one Master with a real Cassandra: the Database
Status says Down with cause and remedy, stays so without flapping, never looks healthy, and is Up again once the cause
is gone.

The tests share one server and leave it Up. What is timed is generous: the machine may be busy.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.support.command import hostward
from tests.support.inventory import as_csv, rows
from tests.support.server import STORAGE_PORT, Server
from tests.support.waiting import always, eventually

pytestmark = pytest.mark.cluster

SAID_WITHIN_S = 40.0
"""From the death of a node to the reason of the next failed start: back-off, a JVM's start, on a busy machine."""

HEALED_WITHIN_S = 60.0
STAYS_DOWN_S = 3.0
TMPFS_MIB = 256
SESSIONS = 200


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Master whose database directory is a small file system of its own, where the tests may mount one."""
    server = Server("alone", tmp_path_factory.mktemp("starts"))
    (server.data_dir / "database").mkdir(parents=True)
    mounted = os.geteuid() == 0 and mount(server.data_dir / "database")
    server.start()
    server.api.import_(as_csv(rows(SESSIONS, prefix="Kept")))
    server.apply(role="master", adapter=server.address)
    server.wait_up()
    yield server
    server.destroy()
    if mounted:
        subprocess.run(["umount", "--lazy", str(server.data_dir / "database")], check=True)


@pytest.fixture
def server(shared: Server) -> Iterator[Server]:
    """Up before and after each test, with everything that it had."""
    kept = shared.api.export()
    yield shared
    shared.wait_up(HEALED_WITHIN_S)
    assert shared.api.export() == kept
    assert [n["owns_percent"] for n in shared.api.nodes()] == [100.0]


def mount(directory: Path) -> bool:
    options = f"size={TMPFS_MIB}m,mode=700"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory)], check=False)
    return done.returncode == 0


def yaml_of(server: Server) -> Path:
    return server.data_dir / "database" / "conf" / "cassandra.yaml"


def edit(server: Server, old: str, new: str) -> None:
    text = yaml_of(server).read_text(encoding="utf-8")
    assert old in text
    yaml_of(server).write_text(text.replace(old, new), encoding="utf-8")


def is_down(server: Server, words: str) -> dict[str, Any]:
    """Until the status is Down with these words in its reason; that it then stays so through retries; the doctor's
    finding."""

    def down() -> bool:
        status = server.api.status()
        assert words in status["reason"], status["reason"]
        return bool(status["database_status"] == "Down")

    eventually(down, within_s=SAID_WITHIN_S)
    always(lambda: server.api.status()["database_status"] == "Down", for_s=STAYS_DOWN_S)
    finding = next(f for f in server.api.get("doctor")["findings"] if f["severity"] == "error")
    assert words in f"{finding['cause']} {finding['remedy']}"
    assert finding["remedy"]
    # The registry serves as ever.
    assert server.api.total() == SESSIONS
    return dict(finding)


def codes(server: Server) -> set[str]:
    return {f["code"] for f in server.api.get("doctor")["findings"]}


def kill_node(server: Server) -> None:
    server.signal_jvm(signal.SIGKILL)


@pytest.mark.feature("R17")
@pytest.mark.feature("R2")
def test_a_port_that_another_process_has(server: Server) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kill_node(server)

        def bound() -> bool:
            taken.bind((server.address, STORAGE_PORT))
            return True

        eventually(bound, within_s=10, every_s=0.01)
        taken.listen()
        found = is_down(server, f"port {STORAGE_PORT}, which ")
        assert found["code"] == "database-down"
    server.wait_up(HEALED_WITHIN_S)


@pytest.mark.feature("R19")
@pytest.mark.feature("R31")
def test_edits_of_cassandra_yaml_are_kept_named_or_set_aside(server: Server) -> None:
    edit(server, "concurrent_reads: 8", "concurrent_reads: 16")
    edit(server, f"seeds: {server.address}:{STORAGE_PORT}", "seeds: 192.0.2.1")
    edit(server, f"listen_address: {server.address}", "listen_interface: eth0")
    kill_node(server)
    eventually(lambda: "yaml-edited" in codes(server), within_s=SAID_WITHIN_S)
    server.wait_up(HEALED_WITHIN_S)
    refused = {f["cause"]: f["remedy"] for f in server.api.get("doctor")["findings"] if f["code"] == "yaml-refused"}
    assert "no edit is needed" in refused["The change of seed_provider isn't used."].casefold()
    assert "Database Network Adapter" in refused["The change of listen_interface isn't used."]
    assert "concurrent_reads: 16" in yaml_of(server).read_text(encoding="utf-8")
    assert "concurrent_reads=16" in (server.data_dir / "logs" / "cassandra.log").read_text(encoding="utf-8")
    edit(server, "concurrent_reads: 16", "concurrent_reads: 8")
    yaml_of(server).write_text("{no yaml", encoding="utf-8")
    kill_node(server)
    eventually(lambda: "yaml-unreadable" in codes(server), within_s=SAID_WITHIN_S)
    server.wait_up(HEALED_WITHIN_S)
    assert [p.read_text(encoding="utf-8") for p in yaml_of(server).parent.glob("*.unreadable-*")] == ["{no yaml"]


@pytest.mark.feature("R19")
def test_a_value_that_cassandra_refuses(server: Server) -> None:
    edit(server, "concurrent_reads: 8", "concurrent_reads: many")
    kill_node(server)
    is_down(server, "concurrent_reads")
    edit(server, "concurrent_reads: many", "concurrent_reads: 8")
    server.wait_up(HEALED_WITHIN_S)  # without a restart of the server


@pytest.mark.feature("R19")
def test_the_guides_trust_manager_exception_and_its_remedy(server: Server) -> None:
    """5.13.6: the exception is named; set back to Standalone, edit cassandra.yaml, proceed with Replication."""
    edit(server, "server_encryption_options:\n", "server_encryption_options:\n  algorithm: IBMX509\n")
    kill_node(server)
    is_down(server, "NoSuchAlgorithmException: IBMX509")
    server.apply(role="standalone")
    edit(server, "  algorithm: IBMX509\n", "")
    server.apply(role="master", adapter=server.address)


@pytest.mark.feature("R17")
@pytest.mark.feature("R19")
def test_no_java_the_wrong_java_no_memory_and_a_java_without_its_own_default(server: Server, tmp_path: Path) -> None:
    real = psutil.Process(server.jvm_pid).exe()
    override = tmp_path / "java.security"
    override.write_text("ssl.TrustManagerFactory.algorithm=IBMX509\n", encoding="ascii")
    java11 = script(tmp_path / "java11", 'echo "openjdk version \\"11.0.2\\"" >&2')
    other = script(tmp_path / "other", f'exec {real} -Djava.security.properties={override} "$@"')
    for env, words in (
        ({"HOSTWARD_DATABASE_JAVA": "/bin/false"}, "/bin/false, does not run"),
        ({"HOSTWARD_DATABASE_JAVA": str(java11)}, "is version 11"),
        ({"HOSTWARD_DATABASE_HEAP_MIB": "65536"}, "ran out of memory"),
    ):
        server.restart(env=env)
        is_down(server, words)
    # As on z/Linux: its security settings name a trust manager that it doesn't have.
    server.restart(env={"HOSTWARD_DATABASE_JAVA": str(other)})
    server.wait_up(HEALED_WITHIN_S)
    assert yaml_of(server).read_text(encoding="utf-8").count("algorithm: SUNX509") == 2
    server.restart()
    server.wait_up(HEALED_WITHIN_S)
    assert "algorithm: SUNX509" not in yaml_of(server).read_text(encoding="utf-8")


@pytest.mark.feature("R17")
def test_a_full_disk(server: Server) -> None:
    database = server.data_dir / "database"
    if not database.is_mount():
        pytest.fail("This test mounts a small file system, which needs root: run the tests as root.")
    filler = database / "filler"
    with filler.open("ab", buffering=0) as file, suppress(OSError):
        while file.write(b"\0" * 65536):  # the last one is written in part
            pass
    assert shutil.disk_usage(database).free < 1 << 20
    kept, random_ = server.api.export(), random.Random(5)

    def down() -> bool:  # the node itself meets the end of the disk, as changes are written
        comments = [random_.randbytes(500).hex() for _ in kept]
        server.api.import_(as_csv([{**s, "comment": c} for s, c in zip(kept, comments, strict=True)]))
        return bool(server.api.status()["database_status"] == "Down")

    try:
        eventually(down, within_s=120)
        server.api.import_(as_csv(kept))
        is_down(server, "room")
    finally:
        filler.unlink()
    server.wait_up(HEALED_WITHIN_S)


@pytest.mark.feature("R17")
@pytest.mark.parametrize("what", ["commit log", "table"])
def test_damaged_files_of_the_database_are_made_anew(server: Server, what: str) -> None:
    kept = server.api.export()
    server.api.import_(as_csv([{**session, "comment": "x" * 400} for session in kept]))
    server.api.import_(as_csv(kept))
    server.wait_up()
    (before,) = server.api.nodes()
    if what == "table":
        assert nodetool(server, "flush").returncode == 0
    kill_node(server)
    # All of it: what a node reads at its start depends on what it wrote last.
    pattern = "commitlog/*.log" if what == "commit log" else "data/hostward/*/*.db"
    files = [f for f in server.storage_dir.glob(pattern) if f.stat().st_size]
    assert files
    for file in files:
        flip(file)
    eventually(lambda: server.api.nodes()[0]["host_id"] not in ("", None, before["host_id"]), within_s=120)
    server.wait_up(HEALED_WITHIN_S)
    healed = next(f for f in server.api.get("doctor")["findings"] if f["code"] == "healed")
    assert "damaged" in healed["cause"]


@pytest.mark.feature("R17")
@pytest.mark.feature("R31")
def test_the_database_is_made_anew_by_one_action(server: Server) -> None:
    before = server.jvm_pid
    job = server.api.post("replication/database/rebuild", {"confirm": True})["job"]
    server.follow(job, within_s=HEALED_WITHIN_S)
    assert server.jvm_pid != before
    assert "healed" in codes(server)


@pytest.mark.feature("R17")
@pytest.mark.parametrize("command", ["drain", "disablegossip"])
def test_a_node_that_was_silenced_by_hand_is_started_again(server: Server, command: str) -> None:
    before = server.jvm_pid
    said = nodetool(server, command)
    # The node may be ended before nodetool has hung up.
    assert said.returncode == 0 or "NodeProbe.close" in said.stderr, said.stderr
    eventually(lambda: server.jvm_pid not in (None, before), within_s=HEALED_WITHIN_S)
    server.wait_up(HEALED_WITHIN_S)


@pytest.mark.feature("R17")
def test_a_node_that_hangs_is_ended_and_started_again(server: Server) -> None:
    halted = server.signal_jvm(signal.SIGSTOP)
    eventually(lambda: server.api.status()["database_status"] != "Up", within_s=30)
    eventually(lambda: server.jvm_pid not in (None, halted), within_s=120)
    server.wait_up(HEALED_WITHIN_S)


def flip(file: Path) -> None:
    """A part of every 2 KiB is overwritten; not the beginning of a large file, which names what it is."""
    size = file.stat().st_size
    with file.open("r+b") as opened:
        for place in range(200 if size > 4096 else 0, size, 2048):
            opened.seek(place)
            opened.write(b"\xa5" * min(64, size - place))


def script(directory: Path, line: str) -> Path:
    directory.mkdir()
    path = directory / "java"
    path.write_text(f"#!/bin/sh\n{line}\n", encoding="ascii")
    path.chmod(0o755)
    return path


def nodetool(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`hostward nodetool`, as an administrator would."""
    where = ["--data-dir", str(server.data_dir), "--config", str(server.config_file)]
    return hostward("nodetool", *where, *arguments, home=server.directory)
