"""What is kept of jobs, and what an administrator is told of the last one of a kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hostward.registry.server import ServerRegistry
from hostward.replication.jobs import Jobs

TIMES = [f"2026-03-0{day}T00:00:{second:02}Z" for day in (1, 2) for second in (0, 5, 17, 40)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerRegistry]:
    registry = ServerRegistry.open(tmp_path / "server.db")
    yield registry
    registry.close()


def test_the_last_one_of_a_kind_that_went_well_says_how_long_it_took(server: ServerRegistry) -> None:
    clock = iter(TIMES)
    jobs = Jobs(server, lambda: next(clock))
    assert jobs.last_took_s("standalone to master") is None
    jobs.start("standalone to master", "admin", ["one", "two"])
    jobs.progress(1, "waits")
    assert jobs.last_took_s("standalone to master") is None, "it runs still"
    jobs.progress(2, "")
    assert jobs.last_took_s("standalone to master") == 17.0
    jobs.start("standalone to master", "admin", ["one", "two"])
    jobs.start("master to standalone", "admin", ["one"])
    assert Jobs(server, lambda: "").last_took_s("standalone to master") == 17.0, "the other was replaced"
    assert jobs.last_took_s("master to standalone") is None
