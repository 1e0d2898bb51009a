"""Joining by a code, as far as the exchange of certificates goes: two real servers over HTTP on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.unit.replication.served import HOST, Served, served

from hostward.domain.errors import HostwardError
from hostward.domain.join_code import JoinCode
from hostward.domain.replication import Role

pytestmark = pytest.mark.anyio
EXCHANGED = "connection-database-port"
"""How far joining gets: the certificates are exchanged, and the Master's database, which there is none of, is asked."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[tuple[Served, Served]]:
    """A Master and a Standalone server that don't know each other."""
    async with served(tmp_path, "master") as master, served(tmp_path, "newcomer") as newcomer:
        master.parts.state.update(role=Role.MASTER)
        yield master, newcomer


def invite(master: Served) -> JoinCode:
    _, code = master.server.welcoming.invite("admin", 10)
    return code


async def joined(newcomer: Served, code: JoinCode) -> HostwardError:
    """Why joining stops."""
    with pytest.raises(HostwardError) as stopped:
        await newcomer.server.joining.join(code, "admin", adapter=HOST, passphrase=None)
    assert stopped.value.remedy
    return stopped.value


@pytest.mark.feature("R7")
async def test_a_used_code_doesnt_bring_back_a_certificate_that_was_deleted(two: tuple[Served, Served]) -> None:
    master, newcomer = two
    code = invite(master)
    assert (await joined(newcomer, code)).code == EXCHANGED
    assert master.store.trusted(newcomer.identity.fingerprint)
    newcomer.store.delete("master")
    assert (await joined(newcomer, code)).code == EXCHANGED, "the same server may come again"
    master.store.delete("newcomer")
    refused = await joined(newcomer, code)
    assert refused.code == "join-code"
    assert "deleted" in refused.message
    assert not master.store.trusted(newcomer.identity.fingerprint)
    again = invite(master)
    for code in (again, again):
        assert (await joined(newcomer, code)).code == EXCHANGED, "a new code is an administrator's new word"
    assert master.store.trusted(newcomer.identity.fingerprint)
