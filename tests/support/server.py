"""One Administrative Server as a process of its own, on a loopback address of its own or in a network namespace."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
from tests.support.addresses import give_back, take_address
from tests.support.api import PASSWORD, Api
from tests.support.forking import Forked, Forker
from tests.support.gate import Gate
from tests.support.places import Place, on_loopback
from tests.support.waiting import eventually

HTTPS_PORT, HTTP_PORT = 8443, 8080
STORAGE_PORT = 7000
CONTEXT = "mss"
LIVE_WITHIN_S = 30.0
STOP_WITHIN_S = 60.0
HOSTWARD = Path(sys.executable).with_name("hostward")
KEPT = ("HOSTWARD_DATABASE_RUNTIME_DIR", "HOSTWARD_DATABASE_MAVEN_REPOSITORY", "HOSTWARD_DATABASE_JAVA")
DIES_WITH_THE_TEST = ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()
"""Else a test run that is killed would leave its servers running."""

_all: list[Server] = []


@functools.cache
def _forker() -> Forker:
    return Forker()


class Server:
    """Started and ended by the test. `gated`: the other servers reach it through a gate. `place`: where it runs, on
    this machine's loopback unless it is given."""

    def __init__(
        self, name: str, directory: Path, *, gated: bool = False, place: Place | None = None, gate: type[Gate] = Gate
    ) -> None:
        self.name, self.title, self.directory = name, name, directory
        self.place = place or on_loopback()
        self.gate = gate(take_address(), self.address, (HTTPS_PORT, HTTP_PORT)) if gated else None
        self.data_dir = directory / name
        self.config_file = directory / f"{name}.toml"
        self.output_file = directory / f"{name}.out"
        self.api = Api(f"https://{self.address}:{HTTPS_PORT}/{CONTEXT}", self.certificate_file)
        self._process: subprocess.Popen[bytes] | Forked | None = None
        directory.mkdir(parents=True, exist_ok=True)
        self.config_file.write_text(self.config(), encoding="utf-8")
        _all.append(self)

    # What it is

    @property
    def address(self) -> str:
        return self.place.address

    @property
    def host(self) -> str:
        """Where the other servers reach it."""
        return self.gate.address if self.gate is not None else self.place.host_name or self.address

    @property
    def certificate_file(self) -> Path:
        return self.data_dir / "identity" / "servletcontainer.cer"

    @property
    def group_file(self) -> Path:
        return self.data_dir / "group.db"

    @property
    def storage_dir(self) -> Path:
        """The database node's own files."""
        return self.data_dir / "database" / "storage"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        return self._process.poll() if self._process is not None else None

    @property
    def jvm_pid(self) -> int | None:
        """The database node's process, while there is one."""
        try:
            noted = json.loads((self.data_dir / "database" / "node.pid").read_text(encoding="utf-8"))
            process = psutil.Process(noted["pid"])
            same = abs(process.create_time() - noted["started"]) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
        except (OSError, ValueError, psutil.Error):
            return None
        return process.pid if same else None

    def jvm_pids(self) -> list[int]:
        """All processes of its database that there are, known to it or not."""
        argument, found = f"-Dcassandra.storagedir={self.storage_dir}", []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE and argument in process.cmdline():
                    found.append(process.pid)
        return found

    def target(self, protocol: str = "https") -> dict[str, Any]:
        """How an administrator enters this server on another."""
        return {"host": self.host, "port": HTTPS_PORT if protocol == "https" else HTTP_PORT, "context": CONTEXT}

    def config(self) -> str:
        adapter = "" if self.place.listen else f'address = "{self.address}"'
        return f"""\
[server]
name = '''{self.title}'''
host_name = "{self.host}"
listen = "{self.place.listen or self.address}"
http_port = {HTTP_PORT}
https_port = {HTTPS_PORT}
context = "{CONTEXT}"

[database]
{adapter}
loopback = "{self.place.loopback}"
storage_port = {STORAGE_PORT}
jmx_port = {self.place.jmx_port}
"""

    def output(self) -> str:
        """What it has printed since it was first started."""
        return self.output_file.read_text(encoding="utf-8", errors="replace") if self.output_file.exists() else ""

    # Its life

    def start(self, *, env: Mapping[str, str] | None = None, wait: bool = True, forked: bool = True) -> None:
        """Start the process; with `wait`, until it answers. `env` is added to its environment. Not `forked`, as an
        administrator would, by the command; so it is in a namespace of its own too."""
        assert not self.running, f"{self.name} runs already"
        password = self.directory / "admin-password"
        if not password.exists():
            password.write_text(PASSWORD + "\n", encoding="utf-8")
        arguments = ["serve", "--data-dir", str(self.data_dir), "--config", str(self.config_file)]
        arguments += ["--admin-password-file", str(password)]
        environment = {**clean_environment(), **(env or {})}
        with self.output_file.open("ab") as output:
            if forked and not self.place.prefix and hasattr(os, "pidfd_open"):
                self._process = _forker().fork(arguments, environment, output.fileno())
            else:
                self._process = subprocess.Popen(
                    [*DIES_WITH_THE_TEST, *self.place.prefix, str(HOSTWARD), *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    env=environment,
                )
        if wait:
            self.wait_live()

    def wait_live(self) -> None:
        def live() -> bool:
            if not self.running:
                raise RuntimeError(f"{self.name} ended with {self.returncode}: {self.output()[-2000:]}")
            return self.api.health("live")[0] == 200

        eventually(live, within_s=LIVE_WITHIN_S, every_s=0.05)

    def stop(self) -> int:
        """SIGTERM, and wait; its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(STOP_WITHIN_S)

    def kill(self) -> None:
        """SIGKILL: no time for anything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_WITHIN_S)

    def restart(self, *, env: Mapping[str, str] | None = None, wait: bool = True) -> None:
        """Stop it in order, and start it again."""
        self.stop()
        self.start(env=env, wait=wait)

    def wait_ended(self, within_s: float) -> int:
        """Until the process has ended by itself; its exit code, negative for a signal."""
        assert self._process is not None
        return self._process.wait(within_s)

    def sigstop(self) -> None:
        """Halt the process; its database node goes on."""
        os.kill(self.pid, signal.SIGSTOP)

    def sigcont(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def signal_jvm(self, number: signal.Signals) -> int:
        """Send the database node a signal; its pid. Fails if there is none."""
        pid = self.jvm_pid
        assert pid is not None, f"{self.name} has no database node now"
        os.kill(pid, number)
        return pid

    def wipe_database(self) -> None:
        """Delete all of the database node's data."""
        shutil.rmtree(self.storage_dir, ignore_errors=True)

    def move(self, place: Place) -> None:
        """It is somewhere else from now on, or has another address."""
        self.api.close()
        self.place = place
        self.api = Api(f"https://{self.address}:{HTTPS_PORT}/{CONTEXT}", self.certificate_file)

    def renew(self) -> None:
        """Destroy it with everything that it knew: what is started next is a new server at the old one's address."""
        jvm = self.jvm_pid
        self.kill()
        if jvm is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                node = psutil.Process(jvm)
                node.kill()
                node.wait(STOP_WITHIN_S)
        shutil.rmtree(self.data_dir)
        self.api.close()
        self.api = Api(self.api.url, self.certificate_file)

    def mend(self) -> None:
        """Let it go on where it was halted, run where it had ended, and be reached where it was shut off."""
        if self.gate is not None:
            self.gate.open()
        jvm = self.jvm_pid
        if jvm is not None:
            os.kill(jvm, signal.SIGCONT)
        if self.running:
            self.sigcont()
        else:
            self.start()

    def destroy(self) -> None:
        """End the process and its node, whatever state they are in."""
        if self.running:
            with contextlib.suppress(OSError):
                self.sigcont()
        jvm = self.jvm_pid
        self.kill()
        if jvm is not None:
            with contextlib.suppress(OSError):
                os.kill(jvm, signal.SIGKILL)
        self.api.close()
        if self.gate is not None:
            self.gate.shut()
            give_back(self.gate.address)
        give_back(self.address)
        if self in _all:
            _all.remove(self)

    # Following it

    def follow(self, job: Mapping[str, Any], *, within_s: float = 120.0) -> dict[str, Any]:
        """Until the job has ended; fails where it failed."""

        def ended() -> dict[str, Any] | None:
            now: dict[str, Any] = self.api.get(f"jobs/{job['id']}")
            if now["state"] == "failed":
                raise RuntimeError(f"{self.name}: the job {now['kind']} failed: {now['reason']}")
            assert now["state"] == "done", f"{self.name}: {now['kind']} is at {now['reason']}"
            return now

        found = eventually(ended, within_s=within_s)
        assert found is not None
        return found

    def apply(self, within_s: float = 120.0, **wanted: Any) -> dict[str, Any]:
        """Apply, Yes, and follow the job to its end."""
        return self.follow(self.api.put("replication", {**wanted, "confirm": True})["job"], within_s=within_s)

    def wait_up(self, within_s: float = 120.0) -> dict[str, Any]:
        """Until the Database Status is Up."""

        def up() -> dict[str, Any]:
            status = self.api.status()
            words = f"{self.name} is {status['role']}, {status['database_status']}: {status['reason']}"
            assert status["database_status"] == "Up", words
            return status

        return eventually(up, within_s=within_s)


def clean_environment() -> dict[str, str]:
    """This process's environment without settings meant for a server or a login of the tester's own."""
    return {k: v for k, v in os.environ.items() if not k.startswith("HOSTWARD_") or k in KEPT}


def end_all() -> None:
    """End every server that hasn't been ended."""
    for server in list(_all):
        server.destroy()
