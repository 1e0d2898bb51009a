from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from hostward.database import launch
from hostward.database.install import Runtime
from hostward.database.java import Java
from hostward.database.jvm import node_command
from hostward.database.nodetool import run_nodetool
from hostward.database.process import check_ports, end_left_over, wipe
from hostward.database.settings import NodeSettings
from hostward.database.yaml import management_password, write_configuration
from hostward.domain.errors import DatabaseError


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def settings(tmp_path: Path) -> NodeSettings:
    (tmp_path / "node.key").write_text("key\n")
    (tmp_path / "node.cer").write_text("certificate\n")
    return NodeSettings(
        cluster_name="test",
        listen_address="127.0.1.7",
        seeds=(),
        data_dir=tmp_path / "database",
        log_dir=tmp_path / "logs",
        key_path=tmp_path / "node.key",
        certificate_path=tmp_path / "node.cer",
        loopback="127.0.1.8",
        storage_port=0,
        cql_port=0,
        management_port=0,
        jmx_port=0,
    )


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as process:
        yield process
        process.kill()


def note(settings: NodeSettings, pid: int, started: float) -> None:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    settings.pid_path.write_text(json.dumps({"pid": pid, "started": started}))


@pytest.mark.feature("R9")
@pytest.mark.anyio
async def test_a_jvm_of_an_earlier_life_is_ended(settings: NodeSettings, sleeper: subprocess.Popen[bytes]) -> None:
    note(settings, sleeper.pid, psutil.Process(sleeper.pid).create_time())
    await end_left_over(settings)
    assert not psutil.pid_exists(sleeper.pid)
    await end_left_over(settings)


@pytest.mark.anyio
async def test_another_process_with_the_same_id_is_left_alone(
    settings: NodeSettings, sleeper: subprocess.Popen[bytes]
) -> None:
    note(settings, sleeper.pid, psutil.Process(sleeper.pid).create_time() - 60)
    await end_left_over(settings)
    assert sleeper.poll() is None
    settings.pid_path.write_text("half a fi")
    await end_left_over(settings)


@pytest.mark.anyio
async def test_a_wipe_removes_the_data_and_keeps_the_rest(settings: NodeSettings) -> None:
    write_configuration(settings)
    (settings.storage_dir / "data").mkdir()
    password = management_password(settings)
    await wipe(settings)
    await wipe(settings)
    assert sorted(path.name for path in settings.data_dir.iterdir()) == ["conf"]
    assert management_password(settings) == password


def test_a_port_in_use_is_named_before_java_is_started(settings: NodeSettings) -> None:
    with socket.create_server(("127.0.1.8", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(DatabaseError) as refused:
            check_ports(replace(settings, cql_port=port))
    assert refused.value.code == "port-in-use"
    assert f"127.0.1.8 port {port}" in refused.value.message
    assert f"process {os.getpid()}" in refused.value.message
    check_ports(replace(settings, cql_port=port))


def test_an_address_of_another_machine_is_told(settings: NodeSettings) -> None:
    with pytest.raises(DatabaseError) as refused:
        check_ports(replace(settings, listen_address="192.0.2.1"))
    assert refused.value.code == "address-missing"


def test_what_is_launched_ends_with_its_parent() -> None:
    program = (
        "import os, subprocess, sys\n"
        f"launch = [sys.executable, '-I', '-S', {launch.__file__!r}, str(os.getpid())]\n"
        "child = subprocess.Popen([*launch, '/bin/sleep', '60'])\n"
        "print(child.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        deadline = time.monotonic() + 10
        while child.name() != "sleep":
            assert time.monotonic() < deadline
        parent.kill()
    assert psutil.wait_procs([child], 5)[1] == []


def test_a_launch_without_its_parent_gives_up() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", launch.__file__, "1", "/bin/echo", "started"], capture_output=True
    )
    assert done.returncode == launch.EXIT_NO_PARENT
    assert done.stdout == b""


def runtime_in(directory: Path, major: int = 17) -> Runtime:
    return Runtime(
        Java(Path("/java"), major, ""), (Path("/a.jar"), Path("/b.jar")), Path("/agent.jar"), directory / "a"
    )


def test_the_command_line_holds_no_secret_and_the_jars_in_order(settings: NodeSettings, tmp_path: Path) -> None:
    write_configuration(settings)
    command = node_command(runtime_in(tmp_path), settings)
    assert command[-3:] == ["-cp", "/a.jar:/b.jar", "org.apache.cassandra.service.CassandraDaemon"]
    assert not any(management_password(settings) in word for word in command)
    assert "-Djava.security.manager=allow" not in command
    assert "-Djava.security.manager=allow" in node_command(runtime_in(tmp_path, 21), settings)
    assert not any("SharedArchiveFile" in word for word in command)
    (tmp_path / "a").touch()
    assert any("SharedArchiveFile" in word for word in node_command(runtime_in(tmp_path), settings))


def test_nodetool_without_a_database_says_so(settings: NodeSettings, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError) as refused:
        run_nodetool(runtime_in(tmp_path), settings, ["status"])
    assert refused.value.code == "not-started"
