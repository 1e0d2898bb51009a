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


@pytest.fixture(autouse=True)
def leaves_nothing_in_the_lists(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests share north in any order: what one leaves in a list could lead to a second page, where the next one looks
    for what it made on the first. What a module's own fixture makes stays."""
    if "servers" not in request.fixturenames:
        yield
        return
    north: Server = request.getfixturevalue("north")
    before = {kind: listed(north, kind) for kind in ("assignments", "sessions", "users", "user-groups")}
    yield
    for kind, known in before.items():
        made = sorted(listed(north, kind) - known)
        if kind == "user-groups":
            for one in made:
                north.api.delete(f"{kind}/{one}", confirm="true")
        elif made and kind == "assignments":
            north.api.post(f"{kind}/remove", {"ids": made})
        elif made:
            north.api.post(f"{kind}/delete?take_over=true", {"ids": made, "confirm": True})


def listed(server: Server, kind: str) -> set[str]:
    found = server.api.get(kind, per_page=1000)
    assert found["total"] == len(found["items"]), "more than are looked at"
    return {one["id"] for one in found["items"]}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LightGroup]:
    """A Master and a Slave, for one module."""
    group = LightGroup(tmp_path_factory.mktemp("pair"), count=2)
    yield from formed(group)
