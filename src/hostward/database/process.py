"""The JVM of one replication database node: started, watched, ended. Never two of them, never one without its server.

stopped ── start() ──► starting ── "listening for CQL" ──► ready
   ▲                       │                                 │
   └────────── ended ◄─────┴──────── exit or stop() ◄────────┘
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil

from hostward.database import launch
from hostward.database.diagnosis import diagnose, ports_of, who_listens
from hostward.database.identity import write_private
from hostward.database.install import Runtime
from hostward.database.jvm import node_command
from hostward.database.settings import NodeSettings
from hostward.database.yaml import Hand, write_configuration
from hostward.domain.errors import DatabaseError

READY_TIMEOUT_S = 180.0
ROOM_BYTES = 64 << 20
"""The commit log's limit: what a node may write at once."""

STOP_TIMEOUT_S = 30.0
POLL_S = 0.05
MAX_LOG_READ_BYTES = 4 << 20
CONSOLE_MAX_BYTES = 1 << 20

_READY = "Starting listening for CQL clients on"
_JOIN_FAILED = re.compile("Some data streaming failed|Error during bootstrap|Could not perform bootstrap")
_RECEIVING = "Starting to bootstrap"
_PHASES = (
    ("Starting listening for CQL clients on", "answering"),
    ("Bootstrap completed", "finishing to join"),
    (_RECEIVING, "receiving its data from the other nodes"),
    ("JOINING: ", "joining the ring"),
    ("Starting up server gossip", "meeting the other nodes"),
    ("Initializing ", "reading its files"),
)


class NodeProcess:
    """One node's JVM. All methods belong to the event loop that called `start`, which must run in a thread that lives
    as long as the node should: the JVM is killed when that thread ends."""

    def __init__(
        self,
        settings: NodeSettings,
        runtime: Runtime,
        *,
        on_exit: Callable[[int], None] | None = None,
        make_archive: Path | None = None,
    ) -> None:
        """`on_exit` is called from the event loop with the return code whenever the JVM has ended, wanted or not.
        `make_archive` is for archive.py."""
        self.settings = settings
        self.hand = Hand()
        """What the last start found of cassandra.yaml to have been changed by hand."""
        self._runtime = runtime
        self._on_exit = on_exit
        self._make_archive = make_archive
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._log: _LogTail | None = None
        self._written_ns = 0

    @property
    def running(self) -> bool:
        """Whether the JVM is there (ready or not)."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        """The JVM's process id while it runs."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def returncode(self) -> int | None:
        """How the last JVM ended; negative for a signal; None while it runs or before the first start."""
        return self._process.returncode if self._process is not None else None

    @property
    def ready(self) -> bool:
        """Whether it runs and has opened its CQL port."""
        return self.running and self._log is not None and _READY in self._log.read()

    @property
    def log_bytes(self) -> int:
        """How much it has logged since its start: a start that gets on says something now and then."""
        return len(self._log.read()) if self._log is not None else 0

    @property
    def yaml_edited(self) -> bool:
        """Whether cassandra.yaml has been touched since the last start wrote it."""
        return self._written_ns not in (0, modified_ns(self.settings.yaml_path))

    @property
    def join_failed(self) -> bool:
        """Whether a joining node has given up: its process stays, and would wait for somebody to resume it."""
        return self._log is not None and bool(_JOIN_FAILED.search(self._log.read()))

    @property
    def receives(self) -> bool:
        """Whether it has begun to receive its data from the other nodes, of which it logs nothing until it is done."""
        return self._log is not None and _RECEIVING in self._log.read()

    @property
    def phase(self) -> str:
        """What the node is doing, as the end of the sentence "the database is …"."""
        if not self.running:
            return "not running"
        log = self._log.read() if self._log is not None else ""
        return next((phase for pattern, phase in _PHASES if pattern in log), "starting")

    async def start(self) -> None:
        """Write the configuration, end a JVM left over from an earlier life of the server, and start.

        Returns when the process is there; `wait_ready` waits for more. Raises DatabaseError: "port-in-use",
        "address-missing", "disk-full", "unwritable", "left-over".
        """
        if self.running:
            return
        await end_left_over(self.settings)
        self.hand = await asyncio.to_thread(write_configuration, self.settings)
        self._written_ns = modified_ns(self.settings.yaml_path)
        check_room(self.settings)
        check_ports(self.settings)
        self._log = _LogTail(self.settings.log_path)
        command = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid())]
        command += node_command(self._runtime, self.settings, make_archive=self._make_archive)
        descriptor = os.open(self.settings.console_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                cwd=self.settings.log_dir,
                start_new_session=True,  # Ctrl-C is for the server, which then stops its node in order
                env=_environment(),
            )
        except OSError as error:
            raise DatabaseError(
                f"The replication database can't be started: {error}.", remedy="Apply again.", code="no-java"
            ) from error
        finally:
            os.close(descriptor)
        self._process = process
        _write_pid(self.settings.pid_path, process.pid)
        self._watch = asyncio.create_task(self._watch_exit(process), name="database-node")

    async def wait_ready(self, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Until the node answers CQL (a joining one has all its data then).

        Raises DatabaseError with the cause when it ends before that, "start-timeout" when it takes longer. It is
        left running then.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not self.ready:
                    if not self.running:
                        raise self.explain()
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise DatabaseError(
                f"The replication database is still {self.phase} after {timeout_s:.0f} s.",
                remedy="See logs/cassandra.log; apply again to start it anew.",
                code="start-timeout",
            ) from None

    async def wait(self) -> int:
        """Until the JVM has ended; its return code."""
        if self._process is None:
            raise DatabaseError("The replication database was never started.", remedy="Start it first.")
        return await self._process.wait()

    async def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> int | None:
        """End the node in order: on SIGTERM Cassandra says goodbye to its peers and drains, then exits; SIGKILL
        after `timeout_s`. Harmless when it doesn't run. Returns the return code."""
        process = self._process
        if process is None:
            return None
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(timeout_s):
                    await process.wait()
            except TimeoutError:
                await self.kill()
        if self._watch is not None:
            await self._watch
        return process.returncode

    async def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        if self._watch is not None:
            await self._watch

    def explain(self) -> DatabaseError:
        """Why the node ended or doesn't get on, from what it logged since its start."""
        log = self._log.read() if self._log is not None else ""
        console = _tail(self.settings.console_path, CONSOLE_MAX_BYTES)
        return diagnose(f"{log}\n{console}", self.returncode)

    async def _watch_exit(self, process: asyncio.subprocess.Process) -> None:
        returncode = await process.wait()
        self.settings.pid_path.unlink(missing_ok=True)
        if self._on_exit is not None:
            self._on_exit(returncode)


def check_room(settings: NodeSettings) -> None:
    """Raise DatabaseError "disk-full" where a start could not go well: a node that runs out of room in the middle of a
    write ends, and would be started again and again."""
    free_bytes = shutil.disk_usage(settings.storage_dir).free
    if free_bytes < ROOM_BYTES:
        raise DatabaseError(
            f"There is no room for the replication database: {free_bytes >> 20} MB are free in {settings.storage_dir}.",
            remedy=f"Free at least {ROOM_BYTES >> 20} MB there; it is then started by itself, and nothing was lost.",
            code="disk-full",
        )


def check_ports(settings: NodeSettings) -> None:
    """Raise DatabaseError "port-in-use" or "address-missing" for the first port that can't be opened."""
    for address, port in ports_of(settings):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
                probe.listen(1)
            except OSError as error:
                raise _unbindable(address, port, error) from error


def _unbindable(address: str, port: int, error: OSError) -> DatabaseError:
    if error.errno == errno.EADDRINUSE:
        who = who_listens(address, port)
        return DatabaseError(
            f"The replication database needs {address} port {port}, which {who or 'another process'} uses.",
            remedy="End that process, and it starts by itself; or choose another port in [database].",
            code="port-in-use",
        )
    if error.errno in (errno.EADDRNOTAVAIL, errno.EINVAL) or isinstance(error, socket.gaierror):
        return DatabaseError(
            f"{address} is not an address of this machine.",
            remedy="Choose one of this machine's addresses as Database Network Adapter and apply again.",
            code="address-missing",
        )
    return DatabaseError(
        f"The replication database can't listen on {address} port {port}: {error.strerror}.",
        remedy="Choose another port in [database] (below 1024 only root may listen); then apply again.",
        code="port-refused",
    )


async def end_left_over(settings: NodeSettings) -> None:
    """End the JVM that the pid file names, if it is the one that was started then, not a later process with its id.

    Raises DatabaseError "left-over" when it can't be ended.
    """
    try:
        noted = json.loads(settings.pid_path.read_text())
        process = psutil.Process(noted["pid"])
        same = abs(process.create_time() - noted["started"]) < 1.0
    except (FileNotFoundError, ValueError, KeyError, TypeError, psutil.NoSuchProcess):
        return
    if not same or process.status() == psutil.STATUS_ZOMBIE:
        return
    try:
        process.terminate()
        _, alive = await asyncio.to_thread(psutil.wait_procs, [process], STOP_TIMEOUT_S)
        for left in alive:
            left.kill()
            await asyncio.to_thread(left.wait, STOP_TIMEOUT_S)
    except psutil.NoSuchProcess:
        return
    except psutil.Error as error:
        raise DatabaseError(
            f"A database process of an earlier start ({process.pid}) still runs and can't be ended: {error}.",
            remedy=f"End process {process.pid} as an administrator of this machine; then apply again.",
            code="left-over",
        ) from error


async def wipe(settings: NodeSettings) -> None:
    """Remove the node's data, so that it starts as a new node; identity, password and logs stay. The node must not run.

    Raises DatabaseError "unwritable".
    """
    await end_left_over(settings)
    going = settings.storage_dir.with_name("storage.removed")
    try:
        await asyncio.to_thread(shutil.rmtree, going, ignore_errors=True)
        # In one step: what is left of a half removed directory could still join a ring.
        settings.storage_dir.rename(going)
        await asyncio.to_thread(shutil.rmtree, going)
    except FileNotFoundError:
        return
    except OSError as error:
        raise DatabaseError(
            f"The database's files in {settings.storage_dir} can't be removed: {error}.",
            remedy="Remove that directory by hand; then apply again.",
            code="unwritable",
        ) from error


def modified_ns(path: Path) -> int:
    """When a file was last written; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _write_pid(path: Path, pid: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        started = psutil.Process(pid).create_time()
        write_private(path, json.dumps({"pid": pid, "started": started}).encode())


def _environment() -> dict[str, str]:
    """Without the variables by which the JVM would take options that Hostward hasn't measured."""
    dropped = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH")
    return {name: value for name, value in os.environ.items() if name not in dropped}


def _tail(path: Path, max_bytes: int) -> str:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - max_bytes))
            return file.read(max_bytes).decode(errors="replace")
    except FileNotFoundError:
        return ""


class _LogTail:
    """What was appended to a log since this was made, up to a limit: the start is what matters."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._text = ""
        self._offset = path.stat().st_size if path.exists() else 0

    def read(self) -> str:
        """Everything since the start, with what is new."""
        if len(self._text) >= MAX_LOG_READ_BYTES:
            return self._text
        try:
            with self._path.open("rb") as file:
                if file.seek(0, os.SEEK_END) < self._offset:
                    self._offset = 0  # rotated
                file.seek(self._offset)
                new = file.read(MAX_LOG_READ_BYTES)
        except FileNotFoundError:
            return self._text
        self._offset += len(new)
        self._text += new.decode(errors="replace")
        return self._text
