"""Carries out the steps of a sequence on real servers, and knows what each of them may hold.

It does what an administrator would: reads, tries, and is sometimes refused. A refusal is no fault; what a server holds
afterwards, and whether it ends where it was sent, is judged.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import httpx
from tests.faults.procedures import Act, Seen, Step, World, after, allowed, master_of
from tests.faults.stream import Stream
from tests.support.api import Refused
from tests.support.group import Group, trust_anew
from tests.support.lines import Line
from tests.support.server import Server
from tests.support.waiting import eventually

PATIENCE_S = 20.0
ALONE_WITHIN_S = 60.0
HEALED_WITHIN_S = 180.0
LATER = ("not-up", "busy", "connection-database")
OTHER_GROUP = "other-group"


@dataclass(frozen=True, slots=True)
class Claim:
    """A server may hold a state of this line, from `since` writes on, up to `until` (None: the present)."""

    line: Line
    since: int
    until: int | None = None


@dataclass(slots=True)
class Place:
    """A server with all the lines that it may hold a state of."""

    server: Server
    claims: list[Claim] = field(default_factory=list)


class Administrator:
    """Of a group that is Up. `world` is what it believes; `problems` are broken promises."""

    def __init__(self, group: Group, stream: Stream) -> None:
        self._group, self._stream, self._line = group, stream, Line()
        self.problems: list[str] = []
        self.places = [Place(s, [Claim(self._line, 0)]) for s in group.servers]
        self.world: World = tuple(Seen("master" if s is group.master else "slave") for s in group.servers)
        stream.aim(group.master, self._line)
        self._acts = {
            Act.KILL: lambda p: p.server.kill(),
            Act.START: lambda p: p.server.start(),
            Act.RESTART: lambda p: p.server.restart(),
            Act.KILL_NODE: kill_node,
            Act.WIPE_DATABASE: wipe_database,
            Act.REPLACE: self._replace,
            Act.CUT_OFF: lambda p: gate_of(p).shut(),
            Act.RECONNECT: lambda p: gate_of(p).open(),
            Act.STANDALONE: self._standalone,
            Act.MASTER: self._master,
            Act.SLAVE: self._slave,
            Act.REMOVE: self._remove,
            Act.SWITCH_OVER: self._switch_over,
            Act.PROMOTE: self._promote,
        }

    @property
    def master(self) -> Place | None:
        number = master_of(self.world)
        return self.places[number] if number is not None else None

    def carry_out(self, step: Step) -> str:
        """Do it; the word for the report: "", "passed over", or the code of a refusal."""
        if not allowed(self.world, step):
            return "passed over"
        return self.do(step.act, step.server)

    def do(self, act: Act, server: int) -> str:
        try:
            self._acts[act](self.places[server])
        except Refused as refused:
            return refused.code
        except httpx.TransportError as error:
            return type(error).__name__
        self.world = after(self.world, act, server)
        return ""

    # The administrator's procedures

    def _standalone(self, place: Place) -> None:
        was_master = place is self.master
        if was_master:
            self._stream.rest()
        try:
            place.server.api.put("replication", {"role": "standalone", "confirm": True})
        except (Refused, httpx.TransportError):
            if was_master:
                self._stream.aim(place.server, self._line)
            raise
        if was_master:
            at = len(self._line)
            for other in self.places:
                other.claims = [Claim(c.line, c.since, at) if c.line is self._line else c for c in other.claims]
            place.claims = [Claim(self._line, at, at)]

    def _master(self, place: Place) -> None:
        self.settle_alone(place)
        wanted = {"role": "master", "adapter": place.server.address, "protocol": self._group.protocol}
        place.server.api.put("replication", {**wanted, "confirm": True})
        self._line = place.claims[0].line
        self._stream.aim(place.server, self._line)

    def _slave(self, place: Place) -> None:
        """The guide's 5.13.3, "Add a slave to the master server" and "Configure slave server"; from another group by
        way of Standalone, as it is told to."""
        try:
            self._join(place)
        except Refused as refused:
            if refused.code != OTHER_GROUP:
                raise
            self._standalone(place)
            self.settle_alone(place)
            self._join(place)

    def _join(self, place: Place) -> None:
        master = self.master
        assert master is not None
        for other in self.places:
            if other is not place and other.server.running:
                trust_anew(place.server, other.server)
                trust_anew(other.server, place.server)
        self._forget_earlier_lives(place, master)
        listed = [{k: s[k] for k in ("host", "port", "context")} for s in master.server.api.status()["slaves"]]
        target = place.server.target(self._group.protocol)
        rows = listed if target in listed else [*listed, target]
        patiently(lambda: master.server.api.put("replication", {"role": "master", "slaves": rows, "confirm": True}))
        protocol, target = self._group.protocol, master.server.target(self._group.protocol)
        wanted = {"role": "slave", "adapter": place.server.address, "protocol": protocol, "master": target}
        since = len(self._line)
        patiently(lambda: place.server.api.put("replication", {**wanted, "confirm": True}))
        place.claims = [*place.claims, Claim(self._line, since)]

    def _forget_earlier_lives(self, place: Place, master: Place) -> None:
        """Remove the entries of servers that this one was before it was destroyed."""
        now = place.server.api.get("server")["server"]
        for node in master.server.api.nodes():
            if node["server_name"] == place.server.name and node["server"] != now:
                self._remove_node(master, node)

    def _remove(self, place: Place) -> None:
        master = self.master
        assert master is not None
        node = next((n for n in master.server.api.nodes() if n["server_name"] == place.server.name), None)
        if node is not None:  # else it hadn't been admitted yet: it only leaves the table
            self._remove_node(master, node)
        host = place.server.target(self._group.protocol)["host"]
        listed = master.server.api.status()["slaves"]
        rows = [{k: s[k] for k in ("host", "port", "context")} for s in listed if s["host"] != host]
        if len(rows) < len(listed):  # Remove took it out of the table, unless it only ended a join
            patiently(lambda: master.server.api.put("replication", {"role": "master", "slaves": rows, "confirm": True}))

    def _remove_node(self, master: Place, node: dict[str, Any]) -> None:
        host_id = node["host_id"] or node["server"]
        patiently(lambda: master.server.api.delete(f"replication/nodes/{host_id}", confirm=True))

    def _switch_over(self, place: Place) -> None:
        """Changes are sent to the old Master all the while; it refuses those that it can't hand over."""
        master = self.master
        assert master is not None
        now = place.server.api.get("server")["server"]
        job = master.server.api.post("replication/switch-over", {"to": now, "confirm": True})["job"]

        def ended() -> str:
            if place.server.api.health("master")[0] == 200:
                return "done"
            return "failed" if master.server.api.get(f"jobs/{job['id']}")["state"] == "failed" else ""

        if eventually(ended, within_s=HEALED_WITHIN_S) == "failed":
            raise Refused(409, {"code": "switch-over-failed"})
        self._stream.aim(place.server, self._line)

    def _promote(self, place: Place) -> None:
        """The Master is dead. What a second server had confirmed is kept; the rest may have been set aside."""
        place.server.api.post("replication/promote", {"confirm": True})
        self._stream.rest()
        eventually(lambda: place.server.api.health("master")[0] == 200, within_s=HEALED_WITHIN_S)
        found = self._stream.of(place.server.api.export())
        others = [s for s in self.world if s.role == "slave" and not s.outcast]
        all_asked = all(s.running and not s.cut_off for s in others)  # else it can't know what only they have
        place.claims = [Claim(self._line, self._line.confirmed() if all_asked else 0)]
        self._check_claims(place, found)
        old, self._line = self._line, Line(found)
        for other in self.places:  # what they have of the old one, until they follow
            closed = [Claim(c.line, c.since, len(old)) if c.line is old else c for c in other.claims]
            other.claims = [*closed, Claim(self._line, 0)]
        self._stream.aim(place.server, self._line)

    def follow_the_promoted(self) -> None:
        """Where a forced promotion waits for the administrator of a Slave, that follows it now."""
        for place, seen in zip(self.places, self.world, strict=True):
            claim = place.server.api.status().get("claim") if seen.role == "slave" and not seen.outcast else None
            if claim is not None:
                place.server.api.post("replication/follow", {"server": claim["server"], "confirm": True})

    def _replace(self, place: Place) -> None:
        place.server.renew()
        place.server.start()
        place.claims = [Claim(Line(), 0)]

    # What must be so

    def settle_alone(self, place: Place) -> None:
        """A server that was set to Standalone is Up, alone, and holds what it may hold; that is its own line then."""
        server = place.server
        server.wait_up(ALONE_WITHIN_S)
        nodes = server.api.nodes()
        self._check([n["address"] for n in nodes] == ["127.0.0.1"], f"{server.name} is Standalone, Details: {nodes}")
        self._check(not server.jvm_pids(), f"{server.name} is Standalone, and a JVM runs: {server.jvm_pids()}")
        found = self._stream.of(server.api.export())
        self._check_claims(place, found)
        place.claims = [Claim(Line(found), 0, 0)]

    def settle_group(self) -> float:
        """The Master and its Slaves are Up, in sync and equal, and hold all that was acknowledged; how long it took."""
        began = time.monotonic()
        members = [p for p, seen in zip(self.places, self.world, strict=True) if self._belongs(seen)]
        servers = [p.server for p in members]
        self._group.servers = sorted(servers, key=lambda s: s is not self._master_server())
        self._stream.rest()

        def settled() -> bool:
            self.follow_the_promoted()
            return self._group.settled()

        eventually(settled, within_s=HEALED_WITHIN_S, every_s=0.5)
        took_s = time.monotonic() - began
        here = len(self._line)
        for place in members:
            place.claims = [Claim(self._line, here)]
            self._check_claims(place, self._stream.of(place.server.api.export()))
            pids = place.server.jvm_pids()
            self._check(len(pids) == 1, f"{place.server.name} has {len(pids)} JVMs: {pids}")
        self._stream.aim(self._master_server(), self._line)
        return took_s

    def mend(self) -> None:
        """Everything runs and can be reached."""
        for place in self.places:
            place.server.mend()
        self.world = tuple(replace(seen, running=True, cut_off=False) for seen in self.world)

    def forget_the_lost(self) -> None:
        """Remove on the Master what it still lists of servers that were destroyed and started anew."""
        master = self.master
        if master is None:
            return

        def forgotten(place: Place) -> bool:
            self._forget_earlier_lives(place, master)
            return True

        for place, seen in zip(self.places, self.world, strict=True):
            if seen.lost:
                eventually(partial(forgotten, place), within_s=HEALED_WITHIN_S, every_s=1.0)
        self.world = tuple(replace(seen, lost=False) for seen in self.world)

    def insist(self, act: Act, server: int) -> None:
        """Do it; it must go through in a while."""

        def done() -> bool:
            refused = self.do(act, server)
            assert not refused, f"{act.value} server{server + 1}: {refused}"
            return True

        eventually(done, within_s=HEALED_WITHIN_S, every_s=1.0)

    def _belongs(self, seen: Seen) -> bool:
        return seen.role == "master" or (seen.role == "slave" and not seen.outcast)

    def _master_server(self) -> Server:
        assert self.master is not None
        return self.master.server

    def _check_claims(self, place: Place, found: dict[str, int]) -> None:
        answers = [c.line.problem(found, c.since, c.until) for c in place.claims]
        self._check(None in answers, f"{place.server.name} holds {answers}")

    def _check(self, good: bool, problem: str) -> None:
        if not good:
            self.problems.append(problem)


def patiently(ask: Any) -> None:
    """Ask again for a while where the server says that it isn't the moment. Raises Refused."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            ask()
        except Refused as refused:
            if refused.code not in LATER or time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return


def gate_of(place: Place) -> Any:
    assert place.server.gate is not None, "the group is formed without gates"
    return place.server.gate


def kill_node(place: Place) -> None:
    pid = place.server.jvm_pid
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def wipe_database(place: Place) -> None:
    kill_node(place)
    place.server.wipe_database()
