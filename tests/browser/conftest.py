"""One real browser and two real servers for all tests here. The servers find no Java, so nothing is expensive."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.browser import chromium, formed, log_in, open_browser
from tests.support.light import LightGroup, LightServer
from tests.support.server import Server

__all__ = ["chromium", "log_in", "open_browser"]


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """Two Standalone servers, north and south, which don't know each other."""
    directory = tmp_path_factory.mktemp("servers")
    north, south = LightServer("north", directory), LightServer("south", directory)
    for server in (north, south):
        server.start(wait=False)
    for server in (north, south):
        server.wait_live()
    yield north, south
    for server in (north, south):
        server.kill()


@pytest.fixture
def north(servers: tuple[Server, Server]) -> Server:
    return servers[0]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LightGroup]:
    """A Master and a Slave, for one module."""
    group = LightGroup(tmp_path_factory.mktemp("pair"), count=2)
    yield from formed(group)
