"""The demo's own parts: that it ends what it started and nothing else, and names who is in its way."""

from __future__ import annotations

import csv
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from hostward.cli.demo.forming import EXAMPLE_USER, EXAMPLE_USERS, EXAMPLES
from hostward.cli.demo.layout import HTTPS_PORT, servers_in
from hostward.cli.demo.processes import Started, check_ports, record, recorded, stop
from hostward.cli.problems import UsageProblem
from hostward.domain.errors import Conflict
from hostward.domain.people_file import parse_users
from hostward.domain.sessions import validate_fields

WAITS = "import sys; print('ready', flush=True); sys.stdin.read()"


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Something that runs on a data directory until it is told to stop."""
    command = [sys.executable, "-c", WAITS, "--data-dir", str(tmp_path / "server1")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True) as started:
        assert started.stdout is not None
        started.stdout.readline()
        yield started
        if started.poll() is None:
            started.kill()


def started_as(process: subprocess.Popen[bytes], directory: Path) -> Started:
    begun = psutil.Process(process.pid).create_time()
    return Started("server1", "127.0.0.2", process.pid, begun, str(directory / "server1"))


def test_what_was_started_is_ended(process: subprocess.Popen[bytes], tmp_path: Path) -> None:
    record(tmp_path, [started_as(process, tmp_path)])
    (one,) = recorded(tmp_path)
    assert one.process() is not None
    (sentence,) = stop([one], timeout_s=10)
    assert sentence.endswith("stopped")
    assert process.poll() is not None
    (again,) = stop([one], timeout_s=10)
    assert "wasn't running" in again


def test_a_pid_that_now_is_another_process_is_left_alone(process: subprocess.Popen[bytes], tmp_path: Path) -> None:
    ours = started_as(process, tmp_path)
    others = [replace(ours, begun=ours.begun - 60), replace(ours, data_dir="/some/other/server1")]
    for other in others:
        assert other.process() is None
        (sentence,) = stop([other], timeout_s=1)
        assert "wasn't running" in sentence
        assert process.poll() is None


def test_a_port_in_use_names_who_uses_it(tmp_path: Path) -> None:
    servers = servers_in(tmp_path, "127.0.9.2")
    check_ports(servers)
    with (
        socket.create_server(("127.0.9.3", HTTPS_PORT)),
        pytest.raises(Conflict) as caught,
    ):
        check_ports(servers)
    assert f"127.0.9.3:{HTTPS_PORT}" in caught.value.message
    assert str(psutil.Process().pid) in caught.value.message


@pytest.mark.parametrize("address", ["10.0.0.2", "127.0.0.1", "127.0.0.254", "nowhere"])
def test_addresses_that_cannot_be_used_are_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem):
        servers_in(tmp_path, address)


def test_the_example_users_are_well_formed_and_of_groups_that_have_sessions() -> None:
    users = parse_users(EXAMPLE_USERS.read_bytes())
    assert EXAMPLE_USER in {user.fields["name"] for user in users}
    with EXAMPLES.open(encoding="utf-8", newline="") as file:
        named = {group for row in csv.DictReader(file, strict=True) for group in row["groups"].split(";")}
    assert {group for user in users for group in user.fields["groups"]} <= named
    assert {user.fields.get("role", "") for user in users} >= {"", "sessions", "auditor", "help desk"}


def test_the_example_sessions_are_well_formed_and_distinct() -> None:
    with EXAMPLES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert 50 <= len(rows) <= 80
    assert len({row["name"].casefold() for row in rows}) == len(rows)
    assert {row["type"] for row in rows} == {"IBM 3270", "IBM 5250", "VT", "SSH"}
    for row in rows:
        given = {**row, "port": int(row["port"]), "tls": row["tls"] == "yes", "groups": row["groups"].split(";")}
        assert validate_fields(given)["name"] == row["name"]
