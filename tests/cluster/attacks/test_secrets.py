"""After some of a group's life: nothing secret is in any answer, log, backup, registry, change log or process list.
The database, which isn't there in these tests, holds the same changes."""

from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from cryptography.hazmat.primitives import serialization
from tests.support.api import PASSWORD, Refused
from tests.support.command import hostward
from tests.support.inventory import rows
from tests.support.light import LightGroup
from tests.support.registry_file import read_registry
from tests.support.server import Server
from tests.support.waiting import eventually

pytestmark = pytest.mark.cluster

OLD, NEW = "Zebra-Marker-One-7261", "Zebra-Marker-Two-7262"
PRIVATE = ("servletcontainer.key", "secrets.key")
"""Where a secret belongs: readable by the server's user alone."""
_PEM_KEY = re.compile(rb"-----BEGIN PRIVATE KEY-----.+?-----END PRIVATE KEY-----", re.DOTALL)


@pytest.mark.feature("R6")
@pytest.mark.feature("A11")
def test_secrets_are_nowhere_but_in_their_own_files(light: LightGroup, tmp_path: Path) -> None:
    master = light.master
    with Onlooker() as seen:
        light.slaves[0].stop()
        light.slaves[0].start(forked=False)  # as an administrator does
        change(light, OLD, tmp_path)
        change(light, NEW, tmp_path)
        master.api.post("sessions", rows(1, prefix="Among secrets")[0])
        there = light.slaves[0].target()
        said = [str(master.api.post("replication/test-connection", {**there, "passphrase": OLD}))]
        with pytest.raises(Refused) as refused:
            master.api.put("replication", {"role": "master", "passphrase": NEW + "\n", "confirm": True})
        said += [str(refused.value.problem), *answers(master), *answers(light.slaves[0])]
        master.api.post("backups")
        token = master.api.token()
    secrets = {"old passphrase": OLD.encode(), "new passphrase": NEW.encode()}
    secrets |= {"token": token.encode(), "password": PASSWORD.encode()}
    for server in light.servers:
        secrets |= secrets_of(server)
    assert len(secrets) == 4 + 3 * 6
    problems = [f"{n} in an answer" for n, s in secrets.items() for answer in said if s in answer.encode()]
    problems += [f"{n} in {c[:80]!r}" for n, s in secrets.items() for c in seen.commands if s in c.encode()]
    for server in light.servers:
        registry = read_registry(server.group_file)
        opened = [(server.group_file, str((registry.elements, registry.log)).encode())]
        for path, content in (*opened, *files_of(server)):
            problems += [f"{n} in {path}" for n, s in secrets.items() if s in content]
        problems += [f"{p} may be read by others" for p in private_files(server) if p.stat().st_mode & 0o077]
    assert not problems, problems
    change(light, "hostward-replication", tmp_path)


def change(group: LightGroup, passphrase: str, tmp_path: Path) -> None:
    """By the command line, on the Master; until all have it."""
    file = tmp_path / "passphrase"
    file.write_text(passphrase + "\n")
    arguments = ["replication", "change-passphrase", "--passphrase-file", str(file), "--yes"]
    said = hostward(*arguments, on=group.master, home=tmp_path)
    assert said.returncode == 0, said.stderr
    assert passphrase not in said.stdout + said.stderr
    eventually(lambda: all(s.api.status()["passphrase_change"] is None for s in group.servers), within_s=60)


def answers(server: Server) -> Iterator[str]:
    """Whatever can be read by GET without naming an id."""
    described = server.api.get("openapi.json")
    yield str(described)
    for path, methods in described["paths"].items():
        operation = methods.get("get")
        if operation and "{" not in path and "/health/" not in path:
            needed = [p["name"] for p in operation.get("parameters", ()) if p.get("required")]
            if not needed:
                yield server.api.send("GET", path.partition("/api/v1/")[2]).text


def secrets_of(server: Server) -> dict[str, bytes]:
    """The keys in each form that they could be met in."""
    found: dict[str, bytes] = {}
    for path in private_files(server):
        content = path.read_bytes()
        name = f"{server.name} {path.name}"
        for pem in _PEM_KEY.findall(content):
            key: Any = serialization.load_pem_private_key(pem, None)
            raw: bytes = key.private_numbers().private_value.to_bytes(32)
            found |= {f"{name} raw": raw, f"{name} hex": raw.hex().encode(), f"{name} PEM": pem.splitlines()[1]}
        if path.name == "secrets.key":
            found |= {name: content, f"{name} base64": base64.b64encode(content), f"{name} hex": content.hex().encode()}
    return found


def private_files(server: Server) -> list[Path]:
    return [p for p in server.data_dir.rglob("*") if p.name in PRIVATE]


def files_of(server: Server) -> Iterator[tuple[Path, bytes]]:
    """Every other file: registries, logs, backups, the database's own, what the server printed."""
    yield server.output_file, server.output_file.read_bytes()
    for path in server.data_dir.rglob("*"):
        if path.name not in PRIVATE and path.is_file():
            try:
                yield path, path.read_bytes()
            except FileNotFoundError:
                continue  # the database compacts its files all the time


class Onlooker:
    """Another user of the machine, who looks at all processes' command lines all the while."""

    def __init__(self) -> None:
        self.commands: set[str] = set()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Onlooker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(30)
        assert any("change-passphrase" in c for c in self.commands), "the command itself was never seen"
        assert any("hostward serve" in c for c in self.commands)

    def _watch(self) -> None:
        while not self._done.is_set():
            for process in psutil.process_iter():
                try:
                    self.commands.add(" ".join(process.cmdline()))
                except psutil.Error:
                    continue
            time.sleep(0.02)
