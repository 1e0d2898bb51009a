"""Processes of this product, on loopback addresses that nothing else uses, and what an administrator does with them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import psutil

from bench.apart import Failed
from bench.wire import Answer, Connection, Place

NETWORK: Final = "127.0.5."
HTTPS_PORT: Final = 8443
JMX_BASE: Final = 27_000
"""Cassandra's JMX port is on 127.0.0.1 whatever the address, so each node has its own."""

CONTEXT: Final = "mss"
USER, PASSWORD = "admin", "correct horse battery"
HOSTWARD: Final = Path(sys.executable).with_name("hostward")
KEPT: Final = ("HOSTWARD_DATABASE_RUNTIME_DIR", "HOSTWARD_DATABASE_MAVEN_REPOSITORY", "HOSTWARD_DATABASE_JAVA")
LIVE_WITHIN_S, STOP_WITHIN_S, REQUEST_WITHIN_S = 60.0, 60.0, 30.0
UP_WITHIN_S = 180.0
LOOK_EVERY_S = 0.02
FIRST_LOOK_EVERY_S = 0.005
OUTPUT_SHOWN_BYTES = 1500


class Server:
    """One Administrative Server, started and ended here."""

    def __init__(self, name: str, directory: Path, number: int) -> None:
        """`number` is the last part of its address."""
        self.name, self.address = name, f"{NETWORK}{number}"
        self.data_dir = directory / name
        self._directory, self._jmx_port = directory, JMX_BASE + number
        self._process: asyncio.subprocess.Process | None = None
        self._connection: Connection | None = None
        certificate = self.data_dir / "identity" / "servletcontainer.cer"
        self.place = Place(self.address, HTTPS_PORT, f"/{CONTEXT}/api/v1/", certificate)

    @property
    def target(self) -> dict[str, Any]:
        """This server as another's administrator enters it."""
        return {"host": self.address, "port": HTTPS_PORT, "context": CONTEXT}

    @property
    def rss_mb(self) -> float:
        assert self._process is not None
        return float(psutil.Process(self._process.pid).memory_info().rss) / 1e6

    @property
    def processor_s(self) -> float:
        """What it has used of the processors until now."""
        assert self._process is not None
        used = psutil.Process(self._process.pid).cpu_times()
        return float(used.user + used.system)

    # Its life

    async def start(self, health: str = "live") -> float:
        """Seconds from its exec until the health check answers 200. Raises Failed."""
        config, password = self._files()
        command = [str(HOSTWARD), "serve", "--data-dir", str(self.data_dir), "--config", str(config)]
        command += ["--admin-password-file", str(password)]
        with (self._directory / f"{self.name}.out").open("ab") as output:
            start = time.monotonic()
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={k: v for k, v in os.environ.items() if not k.startswith("HOSTWARD_") or k in KEPT},
            )
        while True:
            with contextlib.suppress(OSError, TimeoutError):
                if (await self._send("GET", f"health/{health}")).status == 200:
                    return time.monotonic() - start
            if self._process.returncode is not None or time.monotonic() > start + LIVE_WITHIN_S:
                raise Failed(f"{self.name} didn't start: {self._output()}")
            await asyncio.sleep(FIRST_LOOK_EVERY_S)

    async def stop(self) -> None:
        """SIGTERM, and wait; SIGKILL for it and its database node where that takes too long."""
        self._drop()
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await process.wait()
        except TimeoutError:
            node = self._node()
            process.kill()
            await process.wait()
            if node is not None:
                with contextlib.suppress(psutil.Error):
                    node.kill()

    # Its API

    async def call(self, method: str, path: str, body: object = None, *, within_s: float = REQUEST_WITHIN_S) -> Any:
        """JSON in and out, logged in. Raises Failed if the server refuses, OSError or TimeoutError if it is silent."""
        data = b"" if body is None else json.dumps(body).encode()
        return await self.send(method, path, data, "application/json", within_s=within_s)

    async def send(self, method: str, path: str, data: bytes, content_type: str, *, within_s: float) -> Any:
        if not self.place.token:
            await self.log_in()
        answer = await self._send(method, path, data, content_type, within_s=within_s)
        if answer.status == 401:  # becoming a Slave replaces its accounts and logins
            await self.log_in()
            answer = await self._send(method, path, data, content_type, within_s=within_s)
        if answer.status >= 400:
            raise Failed(f"{self.name} refused {method} {path}: {answer.status} {answer.body[:500].decode()}")
        return answer.json()

    async def log_in(self) -> None:
        self._become("")
        body = json.dumps({"user": USER, "password": PASSWORD}).encode()
        answer = await self._send("POST", "login", body)
        if answer.status != 200:
            raise Failed(f"{self.name} refused the login: {answer.status} {answer.body[:500].decode()}")
        self._become(answer.json()["token"])

    async def become(self, role: str, within_s: float = UP_WITHIN_S, **wanted: Any) -> float:
        """Apply and Yes: seconds until the job is done, and it has the role, and its Database Status is Up. Raises
        Failed with its reason."""
        start = time.monotonic()
        answer = await self.call("PUT", "replication", {"role": role, **wanted, "confirm": True})

        async def done() -> str:
            job = await self.call("GET", f"jobs/{answer['job']['id']}")
            if job["state"] == "failed":
                raise Failed(f"{self.name}: the job {job['kind']} failed: {job['reason']}")
            return "" if job["state"] == "done" else f"{self.name}: {job['kind']} is {job['state']}: {job['reason']}"

        await until(done, within_s=within_s)
        await self.until_up(role, within_s)
        return time.monotonic() - start

    async def until_up(self, role: str, within_s: float = UP_WITHIN_S) -> None:
        """Until it has the role and its Database Status is Up. Raises Failed with its reason."""

        async def so() -> str:
            now = await self.call("GET", "replication")
            good = (now["role"], now["database_status"]) == (role, "Up")
            return "" if good else f"{self.name} is {now['role']}, {now['database_status']}: {now['reason']}"

        await until(so, within_s=within_s)

    async def position(self) -> tuple[Any, ...]:
        """Equal on two servers that hold the same history and content."""
        now = await self.call("GET", "replication")
        return now["group"], now["epoch"], now["revision"], now["hash"], now["digest"]

    # How

    async def _send(
        self,
        method: str,
        path: str,
        data: bytes = b"",
        content_type: str = "application/json",
        *,
        within_s: float = REQUEST_WITHIN_S,
    ) -> Answer:
        async with asyncio.timeout(within_s):
            if self._connection is None or self._connection.closed:  # the server ends idle ones
                self._connection = await Connection.connect(self.place)
            try:
                return await self._connection.request(method, path, data, content_type)
            except BaseException:
                self._drop()  # its answer, if it still comes, would be taken for the next one's
                raise

    def _become(self, token: str) -> None:
        self.place = replace(self.place, token=token)
        self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _node(self) -> psutil.Process | None:
        try:
            noted = json.loads((self.data_dir / "database" / "node.pid").read_text(encoding="utf-8"))
            process = psutil.Process(noted["pid"])
            return process if abs(process.create_time() - noted["started"]) < 1.0 else None
        except (OSError, ValueError, psutil.Error):
            return None

    def _files(self) -> tuple[Path, Path]:
        config, password = self._directory / f"{self.name}.toml", self._directory / "admin-password"
        config.write_text(self._config(), encoding="utf-8")
        password.write_text(PASSWORD + "\n", encoding="utf-8")
        return config, password

    def _config(self) -> str:
        return f"""\
[server]
name = "{self.name}"
host_name = "{self.address}"
listen = "{self.address}"
http_port = 0
https_port = {HTTPS_PORT}
context = "{CONTEXT}"

[database]
address = "{self.address}"
loopback = "{self.address}"
jmx_port = {self._jmx_port}
"""

    def _output(self) -> str:
        file = self._directory / f"{self.name}.out"
        return file.read_text(encoding="utf-8", errors="replace")[-OUTPUT_SHOWN_BYTES:]


async def until(look: Callable[[], Awaitable[str]], *, within_s: float, every_s: float = LOOK_EVERY_S) -> None:
    """Until `look` gives "". Raises Failed with its last words. A server that doesn't answer is asked again."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            words = await look()
        except (OSError, TimeoutError) as error:
            words = f"no answer ({error})"
        if not words:
            return
        if time.monotonic() > deadline:
            raise Failed(f"not within {within_s:.0f} s: {words}")
        await asyncio.sleep(every_s)


async def until_equal(servers: Sequence[Server], *, within_s: float) -> None:
    """Until all have the same revision and digest. Raises Failed."""

    async def so() -> str:
        found = await asyncio.gather(*(server.position() for server in servers))
        return "" if len(set(found)) == 1 else f"the servers differ: {[(f[2], f[4][:8]) for f in found]}"

    await until(so, within_s=within_s)


async def exchange_certificates(servers: Sequence[Server]) -> None:
    """Every server's certificate file is copied to every other and imported there."""
    for here in servers:
        for other in servers:
            if other is not here:
                name = f"{other.name}.cer"
                shutil.copyfile(other.place.certificate, here.data_dir / "certificates" / name)
                await here.call("POST", "trusted-certificates/mss", {"file_name": name, "friendly_name": other.name})
