"""Real emulators, started with the files that Hostward makes, reach real hosts."""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.listener import Listener
from tests.support.programs import program, running
from tests.support.tls_front import make_certificate, tls_front
from tests.support.waiting import PATIENCE, eventually
from tests.terminals.conftest import SshHost

from hostward.domain.launching import LaunchFile, Program, launch_file

pytestmark = pytest.mark.feature("R26")

LIMIT_S = 60 * PATIENCE
EMPTY: dict[str, Any] = {"tls": False, "lu": "", "model": "", "code_page": "", "groups": [], "comment": "x\\"}


def saved(file: LaunchFile, directory: Path) -> Path:
    path = directory / file.name
    path.write_bytes(file.content)
    return path


class Emulator:
    """s3270, asked over its script port."""

    def __init__(self, address: str, port: int) -> None:
        self._socket = eventually(lambda: socket.create_connection((address, port), 5), within_s=20)
        self._socket.settimeout(LIMIT_S)
        self._answers = self._socket.makefile("r", encoding="utf-8")

    def ask(self, action: str) -> str:
        """What it answers; empty where the action failed."""
        self._socket.sendall(f"{action}\n".encode())
        lines: list[str] = []
        for line in self._answers:
            if line in ("ok\n", "error\n"):
                return "\n".join(lines) if line == "ok\n" else ""
            if line.startswith("data: "):
                lines.append(line.removeprefix("data: ").rstrip("\n"))
        raise AssertionError("s3270 has ended")

    def close(self) -> None:
        self._answers.close()
        self._socket.close()


@contextmanager
def opened(profile: Path, address: str, *options: str | Path) -> Iterator[Emulator]:
    """The profile is what s3270 is started with; its script port is 4444 of the address."""
    port = ["-scriptport", f"{address}:4444", "-scriptportonce"]
    with running([program("s3270"), *port, *options, profile], profile.with_suffix(".log")):
        emulator = Emulator(address, 4444)
        try:
            yield emulator
        finally:
            emulator.close()


def screen_with(emulator: Emulator, text: str) -> str:
    return eventually(lambda: found if text in (found := emulator.ask("Ascii()")) else "", within_s=30)


@pytest.mark.parametrize(("lu", "device"), [("", "0700"), ("TERM1", "0704")])
def test_s3270_shows_the_hosts_screen_at_the_lu_that_the_session_names(
    mainframe: tuple[str, int], tmp_path: Path, lu: str, device: str
) -> None:
    host, port = mainframe
    session = {"name": "Main Göteborg", "type": "IBM 3270", "host": host, "port": port}
    model = {"lu": lu, "model": "3279-2-E", "code_page": "037"}
    profile = saved(launch_file(EMPTY | session | model, Program.S3270), tmp_path)
    with opened(profile, host) as emulator:
        screen = screen_with(emulator, "Device number")
        assert re.search(rf"Device number +: {device}", screen) or not lu
        assert "cp037" in emulator.ask("Query(CodePage)")
        assert "3279-2" in emulator.ask("Query(Model)")
        if lu:
            assert emulator.ask("Query(LuName)") == lu


def test_s3270_goes_by_tls_where_the_session_says_so_and_checks_the_certificate(
    mainframe: tuple[str, int], tmp_path: Path
) -> None:
    certificate, key = make_certificate(tmp_path, "localhost")
    session = {"name": "Main", "type": "IBM 3270", "host": "localhost", "tls": True, "lu": "TERM1"}
    with tls_front(certificate, key, *mainframe) as port:
        profile = saved(launch_file(EMPTY | session | {"port": port}, Program.S3270), tmp_path)
        with opened(profile, mainframe[0], "-cafile", certificate) as emulator:
            assert "Device number     : 0704" in screen_with(emulator, "Device number")
            assert emulator.ask("Query(Tls)") == "secure host-verified"
        log = tmp_path / "untrusted.log"
        with running([program("s3270"), profile], log) as untrusting:
            assert untrusting.wait(LIMIT_S) != 0
        assert b"Connection failed" in log.read_bytes()  # what it says of the reason is garbled


def ssh_session(ssh_host: SshHost, **more: Any) -> dict[str, Any]:
    name = {"name": "Build Göteborg; $(id)", "type": "SSH"}
    return EMPTY | name | {"host": ssh_host.address, "port": ssh_host.port} | more


def test_ssh_logs_in_with_its_file(ssh_host: SshHost, tmp_path: Path) -> None:
    file = launch_file(ssh_session(ssh_host), Program.OPENSSH, ssh_host.user)
    saved(file, tmp_path)
    kind, host_key, *_ = ssh_host.host_key.read_text().split()
    known = tmp_path / "known_hosts"
    known.write_text(f"[{ssh_host.address}]:{ssh_host.port} {kind} {host_key}\n")
    own = ["-i", str(ssh_host.key), "-o", f"UserKnownHostsFile={known}", "-o", "BatchMode=yes"]
    command = [*shlex.split(file.command), *own, "echo", "in"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (done.stdout, done.returncode) == ("in\n", 0), done.stderr


def putty_session(file: LaunchFile, home: Path) -> str:
    """The file's values as PuTTY on Unix keeps them; the session's name for -load."""
    text = file.content.decode("utf-16")
    values = re.findall(r'^"(\w+)"=(?:"(.*)"|dword:(\w{8}))\r$', text, re.MULTILINE)
    assert values
    directory = home / ".putty" / "sessions"
    directory.mkdir(parents=True)
    lines = [f"{name}={value or int(number or '0', 16)}\n" for name, value, number in values]
    (directory / "launched").write_text("".join(lines))
    return "launched"


def test_plink_logs_in_with_puttys_values(ssh_host: SshHost, tmp_path: Path, home: Path) -> None:
    name = putty_session(launch_file(ssh_session(ssh_host), Program.PUTTY, ssh_host.user), home)
    key = tmp_path / "key.ppk"
    subprocess.run([program("puttygen"), ssh_host.key, "-o", key], check=True, timeout=LIMIT_S)
    printed = subprocess.run(
        ["ssh-keygen", "-l", "-f", str(ssh_host.host_key)], capture_output=True, text=True, check=True, timeout=LIMIT_S
    )
    fingerprint = printed.stdout.split()[1]
    command = [program("plink"), "-load", name, "-batch", "-i", str(key), "-hostkey", fingerprint, "echo", "in"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (done.stdout, done.returncode) == ("in\n", 0), done.stderr


def test_plink_goes_by_tls_where_a_vt_session_says_so_and_openssl_checks_the_certificate(
    address: str, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = make_certificate(tmp_path, "localhost")
    with Listener(address, 2323, b"welcome\r\n") as host, tls_front(certificate, key, address, 2323) as port:
        session = {"name": "VT", "type": "VT", "host": "localhost", "port": port, "tls": True}
        name = putty_session(launch_file(EMPTY | session, Program.PUTTY), home)
        command = [program("plink"), "-load", name, "-batch"]

        def tried() -> str:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S, check=False
            )
            return done.stdout

        assert "welcome" not in tried()
        assert host.connections == 0 or host.received == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert "welcome" in tried()
