"""A replication group, formed through the public API exactly as an administrator would."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.gate import Gate
from tests.support.places import Place
from tests.support.server import Server
from tests.support.waiting import eventually

FORM_WITHIN_S = 180.0


class Group:
    """The first server is the Master; the others are Slaves. Where another one becomes the Master, `is_master` puts it
    first."""

    def __init__(
        self,
        directory: Path,
        *,
        count: int = 3,
        protocol: str = "https",
        gated: bool = False,
        places: Sequence[Place] | None = None,
        gate: type[Gate] = Gate,
    ) -> None:
        self.protocol = protocol
        where: Sequence[Place | None] = places or [None] * count
        self.servers = [
            Server(f"server{n}", directory, gated=gated, place=p, gate=gate) for n, p in enumerate(where, 1)
        ]

    @property
    def master(self) -> Server:
        return self.servers[0]

    @property
    def slaves(self) -> Sequence[Server]:
        return self.servers[1:]

    def is_master(self, server: Server) -> None:
        """The others stay in their order."""
        self.servers.sort(key=lambda s: s is not server)

    def switch_over(self, to: Server, *, within_s: float = 60.0) -> None:
        """Hand over to that server, and wait until the old Master is its Slave and it accepts changes."""
        job = self.master.api.post("replication/switch-over", {"to": to.name, "confirm": True})["job"]
        self.master.follow(job, within_s=within_s)
        eventually(lambda: to.api.health("master")[0] == 200, within_s=within_s)
        self.is_master(to)

    # Forming

    def form(self) -> None:
        """From nothing to a group that is Up and equal."""
        for server in self.servers:
            server.start(wait=False)
        for server in self.servers:
            server.wait_live()
        self.exchange_certificates()
        self.make_master()
        self.list_slaves()
        for slave in self.slaves:
            self.make_slave(slave, follow=False)
        self.wait_settled(FORM_WITHIN_S)

    def exchange_certificates(self) -> None:
        """Every server's certificate file is copied to every other, and imported there by its name."""
        for here in self.servers:
            for other in self.servers:
                if other is not here:
                    trust(here, other)

    def make_master(self) -> None:
        """Apply the role Master on the first server, until it is Up."""
        self.master.apply(role="master", adapter=self.master.address, protocol=self.protocol)
        self.master.wait_up()

    def list_slaves(self) -> None:
        """Enter all Slaves in the Master's table."""
        targets = [slave.target(self.protocol) for slave in self.slaves]
        self.master.wait_up()
        self.master.apply(role="master", slaves=targets)

    def make_slave(self, slave: Server, *, follow: bool = True) -> None:
        """Test Connection, then Apply the role Slave."""
        target = self.master.target(self.protocol)
        tested = slave.api.post("replication/test-connection", {**target, "protocol": self.protocol})
        assert tested["ok"], tested
        wanted = {"role": "slave", "adapter": slave.address, "protocol": self.protocol, "master": target}
        job = slave.api.put("replication", {**wanted, "confirm": True})["job"]
        if follow:
            slave.follow(job, within_s=FORM_WITHIN_S)

    # Being one

    def wait_settled(self, within_s: float = 120.0) -> None:
        """Until every server is Up, owns 100 %, is in sync, and all have the same epoch, revision, hash and digest."""
        eventually(self.settled, within_s=within_s)

    def settled(self) -> bool:
        """True where it is so; fails with what isn't."""
        for server in self.servers:
            status = server.api.status()
            words = f"{server.name} is {status['role']}, {status['database_status']}: {status['reason']}"
            assert status["database_status"] == "Up", words
        for server in self.servers:
            self.check_details(server)
        self.check_equal()
        return True

    def check_details(self, server: Server) -> None:
        """Details as one server shows them: all there, owning everything, in sync."""
        nodes = server.api.nodes()
        told = [
            " ".join(str(n[k]) for k in ("server_name", "status", "state", "owns_percent", "in_sync", "detail"))
            for n in nodes
        ]
        good = [
            n
            for n in nodes
            if (n["status"], n["state"], n["in_sync"]) == ("UP", "NORMAL", True)
            and round(n["owns_percent"] or 0) == 100
        ]
        assert len(good) == len(nodes) == len(self.servers), f"Details on {server.name}: {told}"

    def check_equal(self) -> None:
        """The same epoch, revision, hash and digest on all."""
        positions = {s.name: position_of(s) for s in self.servers}
        assert len(set(positions.values())) == 1, f"the servers differ: {positions}"

    def wait_equal(self, within_s: float = 30.0) -> None:
        """Until all registries are equal, whatever the database does."""

        def equal() -> bool:
            self.check_equal()
            return True

        eventually(equal, within_s=within_s)

    def mend(self) -> None:
        """Undo what a test may have left: halted or ended processes, shut gates."""
        for server in self.servers:
            server.mend()

    def destroy(self) -> None:
        for server in self.servers:
            server.destroy()


def trust(here: Server, other: Server) -> None:
    """Copy the other's certificate file and import it by file name, unless it is trusted already."""
    name = f"{other.name}.cer"
    known = {c["friendly_name"] for c in here.api.get("trusted-certificates/mss")["items"]}
    if other.name in known:
        return
    shutil.copyfile(other.certificate_file, here.data_dir / "certificates" / name)
    here.api.post("trusted-certificates/mss", {"file_name": name, "friendly_name": other.name})


def trust_anew(here: Server, other: Server) -> None:
    """Trust the certificate that the other has now; one that it had before is deleted."""
    name, now = other.name, other.api.get("server")["fingerprint"]
    known = {c["friendly_name"]: c["fingerprint"] for c in here.api.get("trusted-certificates/mss")["items"]}
    if name in known and known[name] != now:
        here.api.delete(f"trusted-certificates/mss/{name}")
    trust(here, other)


def position_of(server: Server) -> tuple[Any, ...]:
    """What two servers must have in common to hold the same history and content."""
    status = server.api.status()
    return status["group"], status["epoch"], status["revision"], status["hash"], status["digest"]
