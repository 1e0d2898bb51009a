"""Where a server runs: on a loopback address of its own, or in a network namespace."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.addresses import jmx_port_of, take_address

DEFAULT_JMX_PORT = 7199


@dataclass(frozen=True, slots=True)
class Place:
    """`address`: where tests and the other servers reach it. `host_name`: how the others are told to, where it has one.
    `listen`: what it binds its own ports to; where that isn't empty, its address may change. `loopback`: where its
    database listens for itself. `prefix`: the command that runs another one there."""

    address: str
    host_name: str = ""
    listen: str = ""
    loopback: str = "127.0.0.1"
    jmx_port: int = DEFAULT_JMX_PORT
    prefix: tuple[str, ...] = ()


def on_loopback() -> Place:
    """An address that no other test run has."""
    address = take_address()
    return Place(address, loopback=address, jmx_port=jmx_port_of(address))
