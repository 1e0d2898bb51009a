"""Faults of the links between hosts: cut whole, one way or between two; slow, lossy, narrow; nodes killed meanwhile."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.faults.schedule import Caused, kill, kill_node
from tests.support.group import Group
from tests.support.namespaces import Network

LONGEST_FAULT_S = 12.0
CUTS = {"whole": (True, True), "for what comes in": (True, False), "for what goes out": (False, True)}
BAD: dict[str, dict[str, float]] = {"slow": {"delay_ms": 100}, "lossy": {"loss": 0.2}, "narrow": {"kbit_s": 1_000}}


class LinkFaults:
    """On a group whose servers run on the network's hosts."""

    longest_s = LONGEST_FAULT_S

    def __init__(self, group: Group, network: Network) -> None:
        self._group, self._network = group, network

    def cause(self, random_: random.Random) -> Caused:
        server = random_.choice(self._group.servers)
        choices: tuple[Callable[[], Caused], ...] = (
            lambda: self._cut_off(server.name, random_.choice(sorted(CUTS))),
            lambda: self._cut_off(server.name, random_.choice(sorted(CUTS))),
            lambda: self._cut_between(random_),
            lambda: self._spoil(random_.choice(sorted(BAD))),
            lambda: kill_node(server),
            lambda: kill(server),
        )
        return random_.choice(choices)()

    def mend(self) -> None:
        self._network.heal()
        self._group.mend()

    def _cut_off(self, name: str, way: str) -> Caused:
        host, (incoming, outgoing) = self._network.host(name), CUTS[way]
        self._network.cut_off(host, incoming=incoming, outgoing=outgoing)
        return f"cut off {name}, {way}", lambda: self._network.cut_off(host, incoming=False, outgoing=False)

    def _cut_between(self, random_: random.Random) -> Caused:
        source, target = random_.sample(self._network.hosts, 2)
        self._network.rule([source], [target], cut=True)
        return f"cut from {source.name} to {target.name}", lambda: self._network.rule([source], [target])

    def _spoil(self, how: str) -> Caused:
        self._network.everywhere(**BAD[how])
        return f"all links {how}", self._network.heal
