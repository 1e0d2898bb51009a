"""Three servers that the sections share: each walk brings them to where it begins, in order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.cluster.walkthrough.steps import (
    apply_with_confirmation,
    configure_master,
    configure_slave,
    import_certificate,
    slaves_of,
)
from tests.support.inventory import as_csv, rows
from tests.support.server import Server

SESSIONS = 20


class Three:
    """The servers of the guide's procedures. The Master has sessions of its own from the beginning."""

    def __init__(self, directories: pytest.TempPathFactory) -> None:
        directory = directories.mktemp("walkthrough")
        self.master, self.first, self.second = (Server(name, directory) for name in ("north", "south", "west"))
        self.all = [self.master, self.first, self.second]
        for server in self.all:
            server.start(wait=False)
        for server in self.all:
            server.wait_live()
        self.master.api.import_(as_csv(rows(SESSIONS, prefix="Of the Master")))

    def roles(self) -> list[str]:
        return [str(s.api.status()["role"]) for s in self.all]

    def all_standalone(self) -> None:
        """Every server runs, and is Standalone."""
        for server in self.all:
            server.mend()
        for server in reversed(self.all):
            if server.api.status()["role"] != "standalone":
                server.apply(role="standalone")

    def trusting(self) -> None:
        """Section 5.13.3 is done on all of them."""
        for here in self.all:
            for other in self.all:
                if other is not here:
                    import_certificate(here, other)

    def grouped(self, protocol: str = "https") -> None:
        """Sections 5.13.2 to 5.13.7 are done: one Master and two Slaves. What is done already isn't done again; the
        Global protocol is that of the Master, where there is one."""
        for server in self.all:
            server.mend()
        if self.master.api.status()["role"] != "master":
            self.all_standalone()
            self.trusting()
            configure_master(self.master, protocol)
        protocol = self.master.api.status()["protocol"]
        for slave in (self.first, self.second):
            if slave.api.status()["removed"]:
                slave.apply(role="standalone")
            if slave.api.status()["role"] != "slave":
                self.trusting()
                if slave.target(protocol) not in slaves_of(
                    self.master
                ):  # one that was removed comes back by this alone
                    apply_with_confirmation(
                        self.master, role="master", slaves=[*slaves_of(self.master), slave.target(protocol)]
                    )
                configure_slave(slave, self.master, protocol)


@pytest.fixture(scope="package")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Three]:
    three = Three(tmp_path_factory)
    yield three
    for server in three.all:
        server.destroy()


@pytest.fixture
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server as it is when it was just installed."""
    server = Server("alone", tmp_path_factory.mktemp("alone"))
    server.start()
    yield server
    server.destroy()
