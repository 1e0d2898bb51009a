"""Joining by a code, as far as the exchange of certificates goes: two real servers over HTTP on loopback."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.unit.replication.served import HOST, Served, served

from hostward.domain.errors import HostwardError, InvalidInput, PeerError
from hostward.domain.join_code import JoinCode
from hostward.domain.replication import Role
from hostward.replication.acts.node import NodeActs
from hostward.replication.acts.slave import SlaveActs
from hostward.replication.wanted import Wanted
from hostward.trust.renewals import new_pair

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


def states(master: Served) -> list[str]:
    """Of the codes that were given out."""
    return [str(i["state"]) for i in master.server.welcoming.invites()]


@pytest.mark.feature("R7")
async def test_a_code_is_kept_where_one_server_cant_trust_the_other_and_the_reason_is_said(
    two: tuple[Served, Served], tmp_path: Path
) -> None:
    master, newcomer = two
    code = invite(master)
    for here, other, refusal in ((newcomer, master, "certificate"), (master, newcomer, "certificate-there")):
        _, another = new_pair(other.identity.server_id, HOST, [], datetime.now(UTC))
        here.store.import_text(another, "another")
        refused = await joined(newcomer, code)
        assert refused.code == refusal
        assert "under the friendly name 'another'" in refused.message
        assert states(master) == ["open"]
        here.store.delete("another")
    async with served(tmp_path, "copy", master.identity.server_id) as copy:
        refused = await joined(copy, code)
        assert "names this server itself" in refused.message
        assert states(master) == ["open"]
    assert (await joined(newcomer, code)).code == EXCHANGED, "the code is still good"
    assert states(master) == ["used"]


@pytest.mark.feature("R7")
async def test_a_code_is_kept_where_its_server_isnt_the_master_any_more(two: tuple[Served, Served]) -> None:
    master, newcomer = two
    code = invite(master)
    master.parts.state.update(role=Role.SLAVE)
    assert "no longer the Master" in (await joined(newcomer, code)).message
    assert states(master) == ["open"]


@pytest.mark.feature("R7")
async def test_only_the_master_that_a_code_names_takes_the_new_server_in(
    two: tuple[Served, Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another member, which the newcomer trusts after the exchange, has taken the Master's address and says that it is
    the Master: at the second try, at Apply, and when the new server asks to be let in."""
    master, newcomer = two
    code = invite(master)
    async with served(tmp_path, "other") as other:
        assert (await joined(newcomer, code)).code == EXCHANGED
        newcomer.trust(other)
        other.trust(newcomer)
        other.parts.state.update(role=Role.MASTER)
        taken = replace(code, master=other.target)
        assert "isn't the one that made the join code" in (await joined(newcomer, taken)).message
        wanted = Wanted(Role.SLAVE, HOST, "http", master=other.target, master_id=master.identity.server_id)
        with pytest.raises(InvalidInput) as refused:
            await newcomer.server.service.applying.apply(wanted, "admin")
        assert refused.value.code == "connection-certificate"
        # The Master's database runs, as far as Apply can see.
        with socket.create_server((HOST, 0)) as database:
            running = {"running": True, "address": HOST, "storage_port": database.getsockname()[1]}
            monkeypatch.setattr(master.parts.node, "summary", lambda: running)
            await newcomer.server.joining.join(code, "admin", adapter=HOST, passphrase=None)
        state = newcomer.parts.state.now
        assert (state.role, state.pinned) == (Role.SLAVE, master.identity.server_id)
        newcomer.parts.state.update(master=other.target)
        slave = SlaveActs(newcomer.parts, NodeActs(newcomer.parts))
        with pytest.raises(PeerError) as not_asked:
            await slave.ask_admission()
        assert not_asked.value.code == "certificate"
        assert set(other.received) == {"GET /"}, "it was greeted each time, and told nothing"
        # A hand-over since: the Master that the code names says who is the Master now.
        newcomer.parts.state.update(master=master.target)
        other_id = other.identity.server_id
        master.parts.state.update(role=Role.SLAVE, master=other.target, master_id=other_id)
        with pytest.raises(PeerError):
            await slave.ask_admission()
        state = newcomer.parts.state.now
        assert (state.master, state.pinned) == (other.target, other_id)
