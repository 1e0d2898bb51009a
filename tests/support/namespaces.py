"""Hosts as network namespaces, each with own address and loopback, on a wire that can be cut, slow or lossy.

    test ── 10.77.N.1 ──┐
    server1: 10.77.N.11 ┼── wire.py ── carries, loses, delays
    server2: 10.77.N.12 ┘

Servers run inside by `ip netns exec`; they find each other by name, from /etc/netns/NAMESPACE/hosts. N is free when a
network is made, so that several test runs may go on at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final

import tests.support.wire
from tests.support.places import Place

FIRST, LAST = 1, 254
LOWEST_HOST: Final = 11
DEVICE: Final = "eth0"
PREFIX_BITS: Final = 24
WIRE_READY_WITHIN_S = 10.0
COMMAND_TIMEOUT_S = 20.0


class Host:
    """One namespace. `number` is its end of the wire; the test's own is 0."""

    def __init__(self, network: Network, name: str, number: int) -> None:
        self.network, self.name, self.number = network, name, number
        self.namespace = f"{network.name}-{number}"
        self.host_name = f"{name}.test"
        self.address = network.address_of(LOWEST_HOST + number - 1)

    @property
    def place(self) -> Place:
        """Where a server runs that runs here."""
        return Place(
            self.address,
            host_name=self.host_name,
            listen="0.0.0.0",
            prefix=("ip", "netns", "exec", self.namespace),
        )

    def move(self) -> str:
        """Give it another address, as DHCP might; names lead there from now on. Answers the new one."""
        self.address = self.network.free_address()
        _ip("-n", self.namespace, "addr", "flush", "dev", DEVICE, "scope", "global")
        self._connect()
        self.network.write_names()
        return self.address

    def make(self) -> None:
        """The namespace, still without its end of the wire."""
        _ip("netns", "add", self.namespace)
        _ip("-n", self.namespace, "link", "set", "lo", "up")

    def connect(self) -> None:
        """After the wire has been started."""
        _ip("-n", self.namespace, "link", "set", DEVICE, "up", "txqueuelen", "2000")
        self._connect()

    def _connect(self) -> None:
        _ip("-n", self.namespace, "addr", "add", f"{self.address}/{PREFIX_BITS}", "dev", DEVICE)
        self.network.command({"end": self.number, "address": self.address})


class Network:
    """Hosts by name. Everything can be reached until rules say otherwise. `close` takes all of it away."""

    def __init__(self, names: Sequence[str], *, seed: int = 1) -> None:
        refuse_without_namespaces()
        self._number, self._held = _take_number()
        self.name = f"hw{self._number}"
        self._given = LOWEST_HOST + len(names) - 1
        self.hosts = [Host(self, name, number) for number, name in enumerate(names, 1)]
        self._wire: subprocess.Popen[bytes] | None = None
        try:
            self._make(seed)
        except BaseException:
            self.close()
            raise

    def _make(self, seed: int) -> None:
        _remove_leftovers(self.name)
        for host in self.hosts:
            host.make()
        ends = [{"namespace": None, "device": self.name}]
        ends += [{"namespace": h.namespace, "device": DEVICE} for h in self.hosts]
        program = [sys.executable, "-I", "-S", tests.support.wire.__file__, json.dumps({"seed": seed, "ends": ends})]
        self._wire = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._answer() == b"ready\n", "the wire could not be made"
        _ip("link", "set", self.name, "up", "txqueuelen", "2000")
        _ip("addr", "add", f"{self.address_of(1)}/{PREFIX_BITS}", "dev", self.name)
        self.command({"end": 0, "address": self.address_of(1)})
        for host in self.hosts:
            host.connect()
        self.write_names()

    def close(self) -> None:
        """Servers must have ended before."""
        if self._wire is not None:
            self._wire.kill()
            self._wire.wait(COMMAND_TIMEOUT_S)
            for stream in (self._wire.stdin, self._wire.stdout):
                assert stream is not None
                stream.close()
        _remove_leftovers(self.name)
        self._held.close()

    def host(self, name: str) -> Host:
        return next(h for h in self.hosts if h.name == name)

    # Rules

    def rule(self, sources: Iterable[Host], targets: Iterable[Host], **rule: Any) -> None:
        """What holds from each source to each target: cut, ports, delay_ms, loss, kbit_s (see wire.py); or nothing."""
        for source in sources:
            for target in targets:
                if source is not target:
                    self.command({"from": source.number, "to": target.number, **rule})

    def cut_off(self, host: Host, *, incoming: bool = True, outgoing: bool = True) -> None:
        """Its packets to (`outgoing`) or from (`incoming`) the other hosts are lost; the test still reaches it."""
        self.rule([host], self.hosts, cut=outgoing)
        self.rule(self.hosts, [host], cut=incoming)

    def everywhere(self, **rule: Any) -> None:
        """The same rule between all hosts."""
        self.rule(self.hosts, self.hosts, **rule)

    def heal(self) -> None:
        """No rules any more."""
        self.everywhere()

    # Names and addresses

    def address_of(self, number: int) -> str:
        return f"10.77.{self._number}.{number}"

    def free_address(self) -> str:
        """One that no host has had."""
        self._given += 1
        return self.address_of(self._given)

    def write_names(self) -> None:
        """Every host's name, for every host. Written in place: a running server sees the file through a mount."""
        lines = ["127.0.0.1 localhost", *(f"{h.address} {h.host_name}" for h in self.hosts)]
        for host in self.hosts:
            directory = Path("/etc/netns") / host.namespace
            directory.mkdir(parents=True, exist_ok=True)
            (directory / "hosts").write_text("\n".join(lines) + "\n", encoding="ascii")

    def command(self, command: dict[str, Any]) -> None:
        """One command to the wire; it holds when this returns."""
        assert self._wire is not None
        assert self._wire.stdin is not None
        self._wire.stdin.write(json.dumps(command).encode() + b"\n")
        self._wire.stdin.flush()
        assert self._answer() == b"ok\n", f"the wire doesn't take {command}"

    def _answer(self) -> bytes:
        assert self._wire is not None
        assert self._wire.stdout is not None
        return self._wire.stdout.readline()


def refuse_without_namespaces() -> None:
    """Fails with what is missing on this machine, where namespaces can't be made."""
    missing = []
    if sys.platform != "linux":
        missing.append("Linux")
    elif os.geteuid() != 0:
        missing.append("root (sudo make netns)")
    if shutil.which("ip") is None:
        missing.append("`ip` (Debian: apt-get install iproute2)")
    if not Path("/dev/net/tun").exists():
        missing.append("/dev/net/tun (modprobe tun)")
    assert not missing, f"Tests in network namespaces need {', '.join(missing)}."


def _take_number() -> tuple[int, TextIOWrapper]:
    """A number that no other test run has, and what holds it."""
    directory = Path(tempfile.gettempdir()) / "hostward-test-networks"
    directory.mkdir(exist_ok=True)
    for number in range(FIRST, LAST + 1):
        file = (directory / str(number)).open("a+", encoding="ascii")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        return number, file
    raise AssertionError("no network in 10.77.0.0/16 is free")


def _remove_leftovers(name: str) -> None:
    """Namespaces of this name, also of a run that was killed."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S)
    for line in listed.stdout.splitlines():
        namespace = line.split()[0]
        if namespace.startswith(f"{name}-"):
            with contextlib.suppress(RuntimeError):
                _ip("netns", "del", namespace)
            shutil.rmtree(Path("/etc/netns") / namespace, ignore_errors=True)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
