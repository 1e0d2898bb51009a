"""Loopback addresses for servers: each is one process's alone for as long as that lives, so that several test runs may
go on at once on one machine."""

from __future__ import annotations

import fcntl
import socket
import tempfile
import threading
from io import TextIOWrapper
from pathlib import Path
from typing import Final

NETWORK: Final = "127.0.2."
FIRST, LAST = 10, 249
PORTS: Final = (8443, 8080, 7000)
JMX_BASE: Final = 17_200
"""Cassandra's JMX port is always on 127.0.0.1, so it differs between servers; below the ports that systems give out."""

_held: dict[str, TextIOWrapper] = {}
_lock = threading.Lock()


def take_address() -> str:
    """An address that no other test run has."""
    directory = Path(tempfile.gettempdir()) / "hostward-test-addresses"
    directory.mkdir(exist_ok=True)
    with _lock:
        for number in range(FIRST, LAST + 1):
            address = f"{NETWORK}{number}"
            if address in _held:
                continue
            file = (directory / address).open("a+", encoding="ascii")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                continue
            if _in_use(address):
                file.close()
                continue
            _held[address] = file
            return address
    raise AssertionError(f"no address in {NETWORK}0/24 is free")


def _in_use(address: str) -> bool:
    """Whether a server that its test run didn't live to end still has it."""
    for port in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return True
    return False


def give_back(address: str) -> None:
    """The address may be used again."""
    with _lock:
        file = _held.pop(address, None)
    if file is not None:
        file.close()


def jmx_port_of(address: str) -> int:
    return JMX_BASE + int(address.rpartition(".")[2])
