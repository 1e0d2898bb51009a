"""Attacks on the ports: the database's CQL, management and internode ports from other addresses, without a certificate
or with a stranger's; and noise on every port."""

from __future__ import annotations

import contextlib
import random
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from tests.support.addresses import jmx_port_of
from tests.support.group import Group
from tests.support.server import HTTP_PORT, HTTPS_PORT, STORAGE_PORT, Server

from hostward.trust.identity import load_or_create

pytestmark = pytest.mark.cluster

CQL_PORT, MANAGEMENT_PORT = 9042, 8778
TIMEOUT_S, SOON_S = 10.0, 0.2
CQL_OPTIONS = bytes.fromhex("050000000500000000")
"""What a CQL driver says first: answered with SUPPORTED by whoever lets one in."""
INTERNODE_INITIATE = bytes.fromhex("ca552dfa0000000000000000")
"""The first bytes between Cassandra's nodes."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    identity = load_or_create(tmp_path_factory.mktemp("stranger"), "stranger.example.com", [], datetime.now(UTC))
    return Pair(identity.certificate_path, identity.key_path)


def own_pair(server: Server) -> Pair:
    """The server's certificate for people and servers, which its database isn't to take for a node's."""
    return Pair(server.certificate_file, server.certificate_file.with_name("servletcontainer.key"))


def node_pair(server: Server) -> Pair:
    (certificate,) = (server.data_dir / "database").rglob("node.cer")
    return Pair(certificate, certificate.with_name("node.key"))


def answered(
    address: str, port: int, words: bytes, pair: Pair | None, *, tls: bool = True, within_s: float = TIMEOUT_S
) -> bytes:
    """What is answered there; empty where nothing is, or the connection is refused or broken."""
    try:
        with contextlib.ExitStack() as open_:
            there = open_.enter_context(socket.create_connection((address, port), TIMEOUT_S))
            if tls:
                context = ssl.create_default_context()
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                if pair is not None:
                    context.load_cert_chain(pair.certificate, pair.key)
                there = open_.enter_context(context.wrap_socket(there))
            there.settimeout(within_s)
            there.sendall(words)
            return there.recv(4096)
    except OSError:
        return b""


@pytest.mark.feature("R5")
@pytest.mark.feature("A4")
def test_the_databases_ports_are_closed_to_all_but_its_members(group: Group, stranger: Pair) -> None:
    server, other = group.master, group.slaves[0]
    wrong: list[Pair | None] = [None, stranger, own_pair(server), own_pair(other)]
    for pair in wrong:
        assert answered(server.address, CQL_PORT, CQL_OPTIONS, pair) == b"", pair
        assert answered(server.address, STORAGE_PORT, INTERNODE_INITIATE, pair) == b"", pair
    assert answered(server.address, CQL_PORT, CQL_OPTIONS, node_pair(other)) == b"", "another member's"
    assert answered(server.address, CQL_PORT, CQL_OPTIONS, None, tls=False) == b""
    assert answered(server.address, STORAGE_PORT, INTERNODE_INITIATE, None, tls=False) == b""
    # With the right certificate it is let in: else nothing would have been tested.
    assert answered(server.address, CQL_PORT, CQL_OPTIONS, node_pair(server)) != b""


@pytest.mark.feature("A4")
def test_management_asks_for_its_password(group: Group) -> None:
    server, other = group.master, group.slaves[0]
    url = f"http://{server.address}:{MANAGEMENT_PORT}/jolokia/version"
    user, _, password = (server.data_dir / "database" / "conf" / "jmx.password").read_text().strip().partition(" ")
    foreign = (other.data_dir / "database" / "conf" / "management.password").read_text().strip()
    assert password != foreign
    for credentials in (None, (user, ""), (user, foreign), (user, password[:-1]), ("admin", password)):
        assert httpx.get(url, auth=credentials, trust_env=False, timeout=TIMEOUT_S).status_code == 401, credentials
    assert httpx.get(url, auth=(user, password), trust_env=False, timeout=TIMEOUT_S).status_code == 200


@pytest.mark.feature("A4")
def test_what_is_for_this_machine_listens_on_its_loopback_address_alone(group: Group) -> None:
    """Each server has a loopback address of its own here, so any other address is another machine's."""
    server = group.master
    elsewhere = "127.0.3.250"
    for address, port in (
        (elsewhere, CQL_PORT),
        (elsewhere, MANAGEMENT_PORT),
        (elsewhere, STORAGE_PORT),
        (elsewhere, jmx_port_of(server.address)),
        (server.address, jmx_port_of(server.address)),
    ):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address, port), TIMEOUT_S).close()
    socket.create_connection(("127.0.0.1", jmx_port_of(server.address)), TIMEOUT_S).close()


@pytest.mark.feature("A14")
def test_noise_on_every_port_breaks_nothing(group: Group) -> None:
    pids = {s.name: (s.pid, s.jvm_pid) for s in group.servers}
    revisions = {s.api.status()["revision"] for s in group.servers}
    choose = random.Random(4)
    for server in group.servers:
        for port in (HTTPS_PORT, HTTP_PORT, STORAGE_PORT, CQL_PORT, MANAGEMENT_PORT):
            for size in (1, 16, 300, 70_000):
                for tls in {False, port == HTTPS_PORT}:
                    noise = choose.randbytes(size)
                    answer = answered(server.address, port, noise, None, tls=tls, within_s=SOON_S)
                    assert not answer.startswith(b"HTTP/1.1 5"), (port, answer[:200])
    group.wait_settled()
    assert {s.name: (s.pid, s.jvm_pid) for s in group.servers} == pids
    assert {s.api.status()["revision"] for s in group.servers} == revisions
