"""The demo's processes: started in sessions of their own, remembered by pid and start time, and ended exactly.

A pid alone is no proof: it may have been given to another process since. What is ended must also have begun when ours
did and be serving our data directory.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from hostward.cli.demo.layout import DemoServer, password_file, processes_file
from hostward.client.private import write_private
from hostward.domain.errors import Conflict, Unavailable

START_TIME_TOLERANCE_S = 1.5
STOP_TIMEOUT_S = 60.0
LOG_TAIL_LINES = 12
MAX_LOG_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class Started:
    """One server's process. `begun` is its start time, seconds since 1970; `address` tells where it serves."""

    name: str
    address: str
    pid: int
    begun: float
    data_dir: str

    def process(self) -> psutil.Process | None:
        """The process, if it is still that one."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.begun) < START_TIME_TOLERANCE_S
            serving = self.data_dir in process.cmdline()
            alive = process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return None
        return process if same and serving and alive else None


def recorded(directory: Path) -> list[Started]:
    """What was started in this directory; empty if nothing was. Raises Conflict if the record can't be read."""
    path = processes_file(directory)
    try:
        return [Started(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        raise Conflict(
            f"{path} can't be read ({error}).", remedy="End the demo's servers yourself, then delete that file."
        ) from error


def record(directory: Path, started: Sequence[Started]) -> None:
    """Remember what runs, before anything else is done with it."""
    write_private(processes_file(directory), json.dumps([asdict(s) for s in started], indent=2) + "\n")


def start(server: DemoServer) -> tuple[Started, subprocess.Popen[bytes]]:
    """Start one server, in a session of its own, so that Ctrl-C reaches only the demo, which then ends it in order.
    Its output goes to its log file."""
    if server.log_file.exists() and server.log_file.stat().st_size > MAX_LOG_BYTES:
        server.log_file.replace(server.log_file.with_suffix(".log.1"))
    command = [sys.executable, "-m", "hostward.cli", "serve"]
    command += ["--data-dir", str(server.data_dir), "--config", str(server.config_file)]
    command += ["--admin-password-file", str(password_file(server.directory))]
    # Overrides meant for a server of the caller's own must not reach all three.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("HOSTWARD_SERVER_", "HOSTWARD_DATABASE_"))}
    for kept in ("HOSTWARD_DATABASE_RUNTIME_DIR", "HOSTWARD_DATABASE_MAVEN_REPOSITORY", "HOSTWARD_DATABASE_JAVA"):
        if kept in os.environ:
            environment[kept] = os.environ[kept]
    with server.log_file.open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=environment
        )
    begun = psutil.Process(process.pid).create_time()
    return Started(server.name, server.address, process.pid, begun, str(server.data_dir)), process


def log_tail(server: DemoServer) -> str:
    """The last lines that a server wrote."""
    try:
        with server.log_file.open("rb") as log:
            log.seek(max(0, server.log_file.stat().st_size - 8192))
            lines = log.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-LOG_TAIL_LINES:])


def stop(started: Sequence[Started], timeout_s: float = STOP_TIMEOUT_S) -> list[str]:
    """End them in order, all at the same time: ask first, then force. A sentence for each."""
    running = {s.name: process for s in started if (process := s.process()) is not None}
    families = {s.name: _family(s) for s in started}
    for process in running.values():
        _signal(process, signal.SIGTERM)
    gone, _ = psutil.wait_procs(list(running.values()), timeout=timeout_s)
    said = []
    for one in started:
        left = [p for p in families[one.name] if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
        main = running.get(one.name)
        for process in left:
            _signal(process, signal.SIGKILL)
        if main is None:
            words = "wasn't running"
        elif main in gone:
            words = "stopped"
        else:
            words = f"didn't stop within {timeout_s:.0f} s and was killed"
        rest = [p for p in left if p.pid != one.pid]
        said.append(
            f"{one.name} (pid {one.pid}) {words}" + (f"; ended {len(rest)} process(es) it left" if rest else "")
        )
    psutil.wait_procs([p for family in families.values() for p in family], timeout=10)
    return said


def _family(one: Started) -> list[psutil.Process]:
    """The server and all that it started: its children, and what is left of its session if it has died itself."""
    found: dict[int, psutil.Process] = {}
    process = one.process()
    if process is None and _is_taken(one.pid):
        return []  # the number is another process's now, and so would be its session
    if process is not None:
        found[process.pid] = process
        with contextlib.suppress(psutil.Error):  # it ended in this moment: what it left is found below
            found.update((child.pid, child) for child in process.children(recursive=True))
    for other in psutil.process_iter():
        try:
            ours = os.getsid(other.pid) == one.pid and other.create_time() >= one.begun - START_TIME_TOLERANCE_S
            if other.pid not in found and ours and any(one.data_dir in part for part in other.cmdline()):
                found[other.pid] = other
        except (psutil.Error, OSError):
            continue
    return list(found.values())


def _is_taken(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.Error:
        return  # it has ended already


def check_ports(servers: Sequence[DemoServer]) -> None:
    """Raises Conflict if a port is taken, naming by whom, and Unavailable if this machine lacks an address. What is
    left of the server itself is no obstacle: it deals with that when it starts."""
    taken: dict[str, list[str]] = {}
    for server in servers:
        for address, port in server.ports:
            if not _is_free(address, port):
                owner = _owner(address, port)
                if owner is None or not _serves(owner, server.data_dir):
                    taken.setdefault(_described(owner), []).append(f"{address}:{port}")
    if taken:
        raise Conflict(
            "The demo can't start, because ports are in use:"
            + "".join(f"\n  {', '.join(places)}  by {owner}" for owner, places in taken.items()),
            remedy="End what uses them (a demo: `hostward demo stop --dir DIR`), or give --address another loopback"
            f" address, such as {_other_address(servers[0].address)}.",
            code="port-in-use",
        )


def _is_free(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT is no obstacle
        try:
            probe.bind((address, port))
            return True
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise Unavailable(
                    f"This machine has no address {address}.",
                    remedy=f"On macOS: `sudo ifconfig lo0 alias {address}`, for each of the demo's addresses.",
                ) from error
            return False


def _owner(address: str, port: int) -> psutil.Process | None:
    """Who listens there; None where this user may not see it."""
    with contextlib.suppress(psutil.Error):  # other users' processes aren't shown to everyone
        for connection in psutil.net_connections("tcp"):
            local = connection.laddr
            if connection.status != psutil.CONN_LISTEN or not local or local.port != port or not connection.pid:
                continue
            ip = ipaddress.ip_address(local.ip)
            ip = getattr(ip, "ipv4_mapped", None) or ip  # Java listens on IPv6 sockets for IPv4 addresses
            if str(ip) == address or ip.is_unspecified:
                return psutil.Process(connection.pid)
    return None


def _serves(process: psutil.Process, data_dir: Path) -> bool:
    with contextlib.suppress(psutil.Error):
        return any(str(data_dir) in part for part in process.cmdline())
    return False


def _described(process: psutil.Process | None) -> str:
    if process is None:
        return "another process"
    with contextlib.suppress(psutil.Error):
        words = process.cmdline()
        where = f", {words[words.index('--data-dir') + 1]}" if "--data-dir" in words[:-1] else ""
        return f"{process.name()} (pid {process.pid}{where})"
    return f"pid {process.pid}"


def _other_address(first: str) -> str:
    """A first address in another block of loopback addresses."""
    a, b, c, d = first.split(".")
    return f"{a}.{b}.{(int(c) + 1) % 256}.{d}"
