"""Test Connection, followed: each check is known as soon as it is made."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path

import pytest
from tests.unit.commands.servers import open_server

from hostward.commands.replication import test_connection as tried
from hostward.domain.replication import Target

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R9")]

TARGET = Target("master.example.com", 443)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_each_check_is_known_before_the_next_is_made(tmp_path: Path) -> None:
    with open_server(tmp_path) as (services, replication):
        replication.go_on.clear()
        async with aclosing(tried(services, TARGET, protocol="https", passphrase=None)) as checks:
            assert (await anext(checks)).name == "name"
            replication.go_on.set()
            assert [(c.name, c.ok) async for c in checks] == [("port", False), ("protocol", None)]


async def test_who_no_longer_listens_ends_the_test(tmp_path: Path) -> None:
    with open_server(tmp_path) as (services, replication):
        replication.go_on.clear()
        async with aclosing(tried(services, TARGET, protocol="https", passphrase=None)) as checks:
            await anext(checks)
        await replication.given_up.wait()
