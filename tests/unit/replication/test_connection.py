"""Test Connection's checks: told one by one, and none is taken back."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from hostward.domain.errors import PeerError
from hostward.domain.replication import Check, Target
from hostward.replication.peers.connection import NAMES, run_checks
from hostward.replication.peers.try_back import listening

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R9")]

HERE = "127.0.0.1"
WELL = {"version": "1.0.0", "role": "standalone", "database": {"running": False}}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def port() -> int:
    """One that nobody listens at."""
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("code", ["timeout", "port", "name", "busy", "peer"])
async def test_a_check_that_was_told_is_not_taken_back(code: str, port: int) -> None:
    """The name resolves and the port accepts connections; then nobody answers, whatever that is called."""
    told: list[Check] = []

    async def ask() -> dict[str, Any]:
        assert [(c.name, c.ok) for c in told] == [("name", True), ("port", True)], "they are known by now"
        raise PeerError("Nobody answers.", remedy="See whether it runs.", code=code)

    async with listening(HERE, port):
        target = Target(HERE, port)
        reached = await run_checks(target, version="1.0.0", ask=ask, database_down_is_wrong=False, tell=told.append)
    assert reached.checks[: len(told)] == told
    assert [c.ok for c in reached.checks] == [True, True, False] + [None] * (len(NAMES) - 3)
    assert reached.failed is not None
    assert (reached.failed.name, reached.failed.remedy) == ("protocol", "See whether it runs.")


async def test_all_checks_are_told_once_and_in_their_order(port: int) -> None:
    told: list[Check] = []
    async with listening(HERE, port):
        target = Target(HERE, port)
        reached = await run_checks(
            target, version="1.0.0", ask=lambda: _at_once(WELL), database_down_is_wrong=False, tell=told.append
        )
    assert told == reached.checks
    assert tuple(c.name for c in told) == NAMES


async def _at_once(answer: dict[str, Any]) -> dict[str, Any]:
    return answer
