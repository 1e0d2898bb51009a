"""What the demo consists of: three servers on loopback addresses of their own, and the files in its directory.

DIR/server1 … server3   data directories          DIR/admin-password   the one password (0600)
DIR/server1.toml …      configurations            DIR/processes.json   what was started: pid and start time
DIR/server1.log …       the servers' output       DIR/demo.json        addresses, roles and logins, for programs (0600)
"""

from __future__ import annotations

import ipaddress
import tomllib
from dataclasses import dataclass
from pathlib import Path

from hostward.cli.problems import UsageProblem

COUNT = 3
FIRST_ADDRESS = "127.0.0.2"
USER = "admin"
HTTPS_PORT = 8443
HTTP_PORT = 8080
STORAGE_PORT = 7000
CQL_PORT = 9042
MANAGEMENT_PORT = 8778
FIRST_JMX_PORT = 7199
JMX_PORTS = 20_000
CONTEXT = "mss"


@dataclass(frozen=True, slots=True)
class DemoServer:
    """One of the servers; `number` from 1. The first one is the Master."""

    number: int
    address: str
    directory: Path

    @property
    def name(self) -> str:
        return f"server{self.number}"

    @property
    def url(self) -> str:
        return f"https://{self.address}:{HTTPS_PORT}/{CONTEXT}"

    @property
    def data_dir(self) -> Path:
        return self.directory / self.name

    @property
    def config_file(self) -> Path:
        return self.directory / f"{self.name}.toml"

    @property
    def log_file(self) -> Path:
        return self.directory / f"{self.name}.log"

    @property
    def jmx_port(self) -> int:
        """Cassandra's local JMX port listens on 127.0.0.1 whatever else is configured, so each server has its own."""
        distance = int(ipaddress.IPv4Address(self.address)) - int(ipaddress.IPv4Address(FIRST_ADDRESS))
        return FIRST_JMX_PORT + distance % JMX_PORTS

    @property
    def ports(self) -> list[tuple[str, int]]:
        """Every (address, port) that must be free for it to start."""
        own = (HTTPS_PORT, HTTP_PORT, STORAGE_PORT, CQL_PORT, MANAGEMENT_PORT)
        return [*((self.address, port) for port in own), ("127.0.0.1", self.jmx_port)]

    def config(self) -> str:
        """Its configuration file."""
        return f"""\
# Written by `hostward demo`.
[server]
name = "{self.name}"
host_name = "{self.address}"
listen = "{self.address}"
http_port = {HTTP_PORT}
https_port = {HTTPS_PORT}
context = "{CONTEXT}"

[database]
address = "{self.address}"
loopback = "{self.address}"
storage_port = {STORAGE_PORT}
cql_port = {CQL_PORT}
management_port = {MANAGEMENT_PORT}
jmx_port = {self.jmx_port}
"""


def password_file(directory: Path) -> Path:
    return directory / "admin-password"


def processes_file(directory: Path) -> Path:
    return directory / "processes.json"


def stopping_file(directory: Path) -> Path:
    """There while `demo stop` is at work, so that a demo that watches its servers doesn't start them again."""
    return directory / "stopping"


def demo_file(directory: Path) -> Path:
    return directory / "demo.json"


def address_in(directory: Path) -> str | None:
    """The first server's address in a directory that was used before."""
    try:
        with (directory / "server1.toml").open("rb") as file:
            return str(tomllib.load(file)["server"]["listen"])
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        return None


def servers_in(directory: Path, first_address: str) -> list[DemoServer]:
    """The three servers, on consecutive loopback addresses. Raises UsageProblem if the address can't be one."""
    try:
        first = ipaddress.IPv4Address(first_address)
    except ValueError as error:
        raise UsageProblem(f"{first_address} isn't an IPv4 address.", remedy="Such as 127.0.0.2.") from error
    if not first.is_loopback or int(first) % 256 < 2 or int(first) % 256 > 255 - COUNT:
        raise UsageProblem(
            f"{first_address} can't be the first of {COUNT} loopback addresses.", remedy="Such as 127.0.0.2."
        )
    return [DemoServer(n + 1, str(first + n), directory) for n in range(COUNT)]
