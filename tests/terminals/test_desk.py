"""`hostward client launch` starts real emulators that reach real hosts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.test_desk import Desk
from tests.support.light import LightServer
from tests.support.programs import running
from tests.support.server import HOSTWARD, Server
from tests.terminals.conftest import SshHost
from tests.terminals.test_emulators import Emulator, screen_with

pytestmark = [pytest.mark.feature("R26"), pytest.mark.feature("R23")]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    found = LightServer("north", tmp_path / "servers")
    found.start()
    yield found
    found.destroy()


def at_a_desk(server: Server, home: Path, **session: object) -> Desk:
    """Of a user who has just this session, "Main host"."""
    server.api.post("users", {"name": "desk-user", "password": "correct horse battery"})
    server.api.post("sessions", {"name": "Main host", **session})
    server.api.post("assignments", {"to": [{"kind": "everyone"}], "sessions": ["Main host"]})
    desk = Desk(home)
    desk.log_in(server, "desk-user")
    return desk


def test_s3270_is_started_and_shows_the_mainframes_screen(
    server: Server, mainframe: tuple[str, int], tmp_path: Path
) -> None:
    host, port = mainframe
    desk = at_a_desk(server, tmp_path / "home", type="IBM 3270", host=host, port=port)
    command = [str(HOSTWARD), "client", "launch", "main HOST", "--with", "s3270", "--", "-scriptport", f"{host}:4445"]
    log = tmp_path / "log"
    with running([*command, "-scriptportonce"], log, environment=desk.environment):
        emulator = Emulator(host, 4445)
        try:
            assert "Hercules" in screen_with(emulator, "Hercules")
        finally:
            emulator.close()


def test_ssh_is_started_and_logs_in_at_the_host(server: Server, ssh_host: SshHost, tmp_path: Path) -> None:
    desk = at_a_desk(server, tmp_path / "home", type="SSH", host=ssh_host.address, port=ssh_host.port)
    key, algorithm = ssh_host.host_key.read_text(encoding="utf-8").split()[1], "ssh-ed25519"
    known = tmp_path / "known_hosts"
    known.write_text(f"[{ssh_host.address}]:{ssh_host.port} {algorithm} {key}\n", encoding="utf-8")
    options = ["-o", f"UserKnownHostsFile={known}", "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes"]
    options += ["-i", str(ssh_host.key), "-l", ssh_host.user, "-o", "RemoteCommand=echo reached $((40+2))"]
    assert "reached 42" in desk.run("launch", "Main host", "--with", "ssh", "--", *options)
