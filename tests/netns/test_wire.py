"""The wire itself: what the other tests believe of it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from tests.support.namespaces import Network
from tests.support.waiting import eventually

ECHO = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("0.0.0.0", 9))
while True: s.sendto(*s.recvfrom(2000))
"""
ASK = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(float(sys.argv[2]))
s.sendto(b"x", (sys.argv[1], 9)); s.recv(9)
"""
PACKETS = 400
BURST = 50
"""Packets on the way at once: a socket's buffer holds about 270 as small as these, and the kernel drops the rest."""


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    network = Network(["one", "two"], seed=3)
    echoes = [subprocess.Popen([*h.place.prefix, sys.executable, "-c", ECHO]) for h in network.hosts]
    yield network
    for echo in echoes:
        echo.kill()
        echo.wait(10)
    network.close()


@pytest.fixture(autouse=True)
def _healed(network: Network) -> Iterator[None]:
    yield
    network.heal()


def answers(network: Network, asking: int, asked: int, *, within_s: float = 1.0) -> bool:
    """Whether one host gets an answer from the other, which it knows by name."""
    asker, other = network.hosts[asking], network.hosts[asked]
    command = [*asker.place.prefix, sys.executable, "-I", "-S", "-c", ASK, other.host_name, str(within_s)]
    return subprocess.run(command, capture_output=True).returncode == 0


def test_hosts_reach_each_other_by_name_until_they_are_cut_off(network: Network) -> None:
    one, two = network.hosts
    eventually(lambda: answers(network, 0, 1), within_s=10)
    assert answers(network, 1, 0)
    network.cut_off(one)
    assert not answers(network, 0, 1)
    assert not answers(network, 1, 0)
    network.heal()
    assert answers(network, 0, 1)
    network.rule([two], [one], cut=True)
    assert not answers(network, 0, 1), "the answer should be lost"


def test_one_way_loses_only_that_way(network: Network) -> None:
    received = [0, 0]
    with udp(network) as back:
        for number, host in enumerate(network.hosts):
            network.command({"from": 0, "to": host.number, "cut": number == 1})
            received[number] = echoed(back, host.address, 20)
        for host in network.hosts:
            network.command({"from": 0, "to": host.number})
    assert received == [20, 0]


def test_loss_delay_and_rate_are_what_was_asked_for(network: Network) -> None:
    host = network.hosts[0]
    with udp(network) as back:
        network.command({"from": 0, "to": host.number, "loss": 0.2})
        assert 0.7 * PACKETS < echoed(back, host.address, PACKETS) < 0.9 * PACKETS
        network.command({"from": 0, "to": host.number, "delay_ms": 100})
        began = time.monotonic()
        assert echoed(back, host.address, 1) == 1
        assert time.monotonic() - began >= 0.1
        network.command({"from": 0, "to": host.number, "kbit_s": 100})
        began = time.monotonic()
        assert echoed(back, host.address, 5, size=972) == 5  # 1,000 bytes each with their headers
        assert time.monotonic() - began >= 0.39
        network.command({"from": 0, "to": host.number})


def test_a_host_that_moves_is_found_at_its_new_address(network: Network) -> None:
    one, two = network.hosts
    before = two.address
    assert two.move() != before
    eventually(lambda: answers(network, 0, 1), within_s=10)
    with udp(network) as back:
        assert echoed(back, before, 3) == 0
        assert echoed(back, one.address, 3) == 3


def udp(network: Network) -> socket.socket:
    """A socket on the test's own end."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind((network.address_of(1), 0))
    opened.settimeout(1.0)
    return opened


def echoed(back: socket.socket, address: str, count: int, *, size: int = 1) -> int:
    """How many of that many packets come back."""
    found = 0
    for begin in range(0, count, BURST):
        sent = min(BURST, count - begin)
        for _ in range(sent):
            back.sendto(b"x" * size, (address, 9))
        found += arrived(back, sent)
    return found


def arrived(back: socket.socket, at_most: int) -> int:
    """How many packets come until nothing has for a while."""
    for number in range(at_most):
        try:
            back.recv(2_000)
        except TimeoutError:
            return number
    return at_most
