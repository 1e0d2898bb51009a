"""The wire between hosts in network namespaces: a program that carries every packet, and can lose, delay or slow it.

    python wire.py '{"seed": 1, "ends": [{"namespace": null, "device": "hw3"},
                                         {"namespace": "hw3-1", "device": "eth0"}]}'

Each end is a TUN device that it makes in a namespace; "ready" is printed when all are there. Then commands are read
from the standard input, one JSON object a line, each answered by "ok":

    {"end": 1, "address": "10.77.3.11"}                                    where that end is reached from now on
    {"from": 1, "to": 2, "cut": true, "ports": [], "delay_ms": 0, "loss": 0.0, "kbit_s": null}   one direction's rule

It needs root and imports nothing but the standard library. When its input ends, it and its devices are gone.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import itertools
import json
import os
import random
import selectors
import socket
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
CLONE_NEWNET = 0x40000000
IPV4 = 4
LARGEST_PACKET_BYTES = 65_536
PACKETS_A_TURN = 64
LONGEST_QUEUE_S = 0.5
"""A slow link holds so much; what comes on top is lost, as in a router."""


@dataclass(slots=True)
class Rule:
    """What becomes of packets in one direction between two ends. `cut`: all are lost, or those to `ports`."""

    cut: bool = False
    ports: Sequence[int] = ()
    delay_ms: float = 0.0
    loss: float = 0.0
    kbit_s: float | None = None
    free_at: float = 0.0


class Wire:
    """The ends are numbered; packets go by their destination's address."""

    def __init__(self, seed: int, ends: list[dict[str, Any]]) -> None:
        self._random = random.Random(seed)
        self._fds = [_tun(end["namespace"], end["device"]) for end in ends]
        self._end_of: dict[bytes, int] = {}
        self._rules: dict[tuple[int, int], Rule] = {}
        self._held: list[tuple[float, int, int, bytes]] = []
        self._order = itertools.count()
        self._selector = selectors.DefaultSelector()
        for number, fd in enumerate(self._fds):
            self._selector.register(fd, selectors.EVENT_READ, number)
        self._selector.register(0, selectors.EVENT_READ, None)
        self._input = b""

    def run(self) -> None:
        """Until the standard input ends."""
        while True:
            wait_s = max(0.0, self._held[0][0] - time.monotonic()) if self._held else None
            for key, _ in self._selector.select(wait_s):
                if key.data is not None:
                    self._take(key.data)
                elif not self._commands():
                    return
            self._release()

    def _take(self, source: int) -> None:
        for _ in range(PACKETS_A_TURN):
            try:
                packet = os.read(self._fds[source], LARGEST_PACKET_BYTES)
            except BlockingIOError:
                return
            if packet[0] >> 4 != IPV4:
                continue
            target = self._end_of.get(packet[16:20])
            if target is not None:
                self._carry(source, target, packet)

    def _carry(self, source: int, target: int, packet: bytes) -> None:
        rule = self._rules.get((source, target))
        if rule is None:
            self._give(target, packet)
            return
        if (rule.cut and self._meant(rule, packet)) or (rule.loss and self._random.random() < rule.loss):
            return
        now = time.monotonic()
        if rule.kbit_s:
            if rule.free_at - now > LONGEST_QUEUE_S:
                return
            rule.free_at = max(now, rule.free_at) + len(packet) * 8 / (rule.kbit_s * 1000)
        due = max(now, rule.free_at) + rule.delay_ms / 1000
        if due <= now and not self._held:
            self._give(target, packet)
        else:
            heapq.heappush(self._held, (due, next(self._order), target, packet))

    @staticmethod
    def _meant(rule: Rule, packet: bytes) -> bool:
        port_at = (packet[0] & 15) * 4 + 2
        return not rule.ports or int.from_bytes(packet[port_at : port_at + 2]) in rule.ports

    def _release(self) -> None:
        now = time.monotonic()
        while self._held and self._held[0][0] <= now:
            _, _, target, packet = heapq.heappop(self._held)
            self._give(target, packet)

    def _give(self, target: int, packet: bytes) -> None:
        try:
            os.write(self._fds[target], packet)
        except OSError:
            return  # its device is down, or its queue full: lost, as on a network

    def _commands(self) -> bool:
        read = os.read(0, LARGEST_PACKET_BYTES)
        *lines, self._input = (self._input + read).split(b"\n")
        for line in lines:
            self._obey(json.loads(line))
            os.write(1, b"ok\n")
        return bool(read)

    def _obey(self, command: dict[str, Any]) -> None:
        if "end" in command:
            self._end_of = {a: e for a, e in self._end_of.items() if e != command["end"]}
            self._end_of[socket.inet_aton(command["address"])] = command["end"]
        else:
            way = command.pop("from"), command.pop("to")
            self._rules.pop(way, None)
            if (rule := Rule(**command)) != Rule():
                self._rules[way] = rule


def _tun(namespace: str | None, device: str) -> int:
    """A new TUN device in the namespace; it lasts as long as the answered descriptor."""
    libc = ctypes.CDLL(None, use_errno=True)
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        if namespace is not None:
            _enter(libc, os.open(f"/run/netns/{namespace}", os.O_RDONLY))
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI))
        return fd
    finally:
        _enter(libc, here)


def _enter(libc: ctypes.CDLL, fd: int) -> None:
    failed = libc.setns(fd, CLONE_NEWNET)
    os.close(fd)
    if failed:
        raise OSError(ctypes.get_errno(), "setns")


def main() -> None:
    given = json.loads(sys.argv[1])
    wire = Wire(given["seed"], given["ends"])
    os.write(1, b"ready\n")
    wire.run()


if __name__ == "__main__":
    main()
