"""A real host for each protocol, on a loopback address of the test run's own."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.addresses import give_back, take_address
from tests.support.programs import program, running
from tests.support.waiting import eventually

HERCULES = """CPUSERIAL 000001
CPUMODEL 3090
MAINSIZE 2
CNSLPORT {address}:3270
PANRATE 1000
TIMERINT 1000
0700.4 3270
0704 3270 TERM1
"""
SSHD = """Port 2222
ListenAddress {address}
HostKey {directory}/host_key
AuthorizedKeysFile {directory}/user_key.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
PermitRootLogin prohibit-password
"""


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    taken = take_address()
    yield taken
    give_back(taken)


@pytest.fixture(scope="session")
def mainframe(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """Hercules without an operating system: its consoles show its logo, with the device's number."""
    directory = tmp_path_factory.mktemp("hercules")
    (directory / "hercules.cnf").write_text(HERCULES.format(address=address))
    log = directory / "log"
    with running([program("hercules"), "-d", "-f", "hercules.cnf"], log, directory=directory):
        eventually(lambda: b"HHCTE003I" in log.read_bytes(), within_s=30)
        yield address, 3270


@dataclass(frozen=True)
class SshHost:
    address: str
    port: int
    user: str
    key: Path
    host_key: Path


@pytest.fixture(scope="session")
def ssh_host(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHost]:
    """OpenSSH's sshd with a host key of its own, where one key logs the test's own user in."""
    directory = tmp_path_factory.mktemp("sshd")
    for name in ("host_key", "user_key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)]
        subprocess.run(command, check=True, timeout=60)
    (directory / "sshd_config").write_text(SSHD.format(address=address, directory=directory))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    log = directory / "log"
    with running([program("sshd"), "-D", "-e", "-f", directory / "sshd_config"], log):
        eventually(lambda: b"Server listening" in log.read_bytes(), within_s=30)
        yield SshHost(address, 2222, getpass.getuser(), directory / "user_key", directory / "host_key.pub")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for programs that keep settings there."""
    directory = tmp_path / "home"
    directory.mkdir()
    monkeypatch.setenv("HOME", str(directory))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert shutil.which("openssl")
    return directory
