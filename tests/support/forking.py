"""Starts servers for a tenth of what a new interpreter costs: a process that has imported what a server imports is
forked for each of them. Apart from that a server is what `hostward serve` is: a process of its own, with its own
session, environment and output, started by the command line's own entry point.

A request is one packet: {"arguments", "environment"} with the output's descriptor, answered by the pid; or
{"status": pid} of one that has ended, answered by its exit code.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MAX_PACKET_BYTES = 1 << 16
PR_SET_PDEATHSIG = 1


class Forked:
    """A forked server's process; what is used of subprocess.Popen."""

    def __init__(self, forker: Forker, pid: int) -> None:
        self._forker, self.pid = forker, pid
        self.returncode: int | None = None
        self._descriptor = os.pidfd_open(pid)
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        return self._look(0.0)

    def wait(self, timeout: float) -> int:
        found = self._look(timeout)
        if found is None:
            raise subprocess.TimeoutExpired(f"server {self.pid}", timeout)
        return found

    def _look(self, timeout_s: float) -> int | None:
        if self.returncode is not None:
            return self.returncode
        ended = select.poll()
        ended.register(self._descriptor, select.POLLIN)
        if ended.poll(timeout_s * 1000):
            with self._lock:
                if self.returncode is None:
                    self.returncode = int(self._forker.ask({"status": self.pid}))
                    os.close(self._descriptor)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Forker:
    """One for a test process. Its children die with it."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.forking", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                cwd=Path(__file__).parents[2],
                stdin=subprocess.DEVNULL,
            )

    def fork(self, arguments: Sequence[str], environment: Mapping[str, str], output: int) -> Forked:
        """Start `hostward` with these arguments."""
        request = {"arguments": list(arguments), "environment": dict(environment)}
        return Forked(self, int(self.ask(request, output)))

    def ask(self, request: Mapping[str, Any], *descriptors: int) -> Any:
        with self._lock:
            socket.send_fds(self._ours, [json.dumps(request).encode()], descriptors)
            answer = self._ours.recv(MAX_PACKET_BYTES)
        if not answer:
            raise RuntimeError(f"the process that forks servers has ended with {self._process.wait()}")
        return json.loads(answer)


def _serve(requests: socket.socket) -> None:
    """Answer requests until the test process is gone. A child leaves through main, as a command does."""
    while True:
        packet, descriptors, _, _ = socket.recv_fds(requests, MAX_PACKET_BYTES, 1)
        if not packet:
            return
        request = json.loads(packet)
        if "status" in request:
            _, status = os.waitpid(request["status"], 0)
            requests.send(json.dumps(os.waitstatus_to_exitcode(status)).encode())
            continue
        pid = os.fork()
        if pid == 0:
            requests.close()
            _become(request["arguments"], request["environment"], descriptors[0])
            return
        os.close(descriptors[0])
        requests.send(json.dumps(pid).encode())


def _become(arguments: Sequence[str], environment: Mapping[str, str], output: int) -> None:
    from hostward.cli import main

    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    os.setsid()
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["hostward", *arguments]
    gc.unfreeze()
    main(list(arguments))


if __name__ == "__main__":
    import hostward.cli.app
    import hostward.database.session
    import hostward.main  # noqa: F401 (here, so that it isn't done again for each server)

    assert threading.active_count() == 1
    gc.collect()
    gc.freeze()
    _serve(socket.socket(fileno=int(sys.argv[1])))
