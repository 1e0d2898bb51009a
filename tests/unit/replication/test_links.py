"""Whom a server tells what: real servers over HTTP on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.replication.served import Served, served

from hostward.domain.errors import PeerError
from hostward.domain.replication import Role
from hostward.replication.peers import envelopes
from hostward.replication.peers.messages import Message

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[tuple[Served, Served, Served]]:
    """A Master, a member of its group, and another server, all of whom trust each other."""
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(served(tmp_path, name)) for name in ("master", "member", "other")]
        for one in servers:
            one.trust(*(o for o in servers if o is not one))
        master, member, other = servers
        yield master, member, other


@pytest.mark.feature("R7")
async def test_nothing_is_told_to_another_server_at_a_members_address(three: tuple[Served, Served, Served]) -> None:
    master, member, other = three
    taken = replace(member.member, port=other.port)
    for message in (Message("passphrase", {"id": "1", "passphrase": "the new one"}), Message("nudge", blob=b"changes")):
        with pytest.raises(PeerError) as refused:
            await master.parts.links.ask(taken, message)
        assert set(other.received) == {"GET /"}, "it was greeted, and sent nothing"
        assert refused.value.code == "certificate"
        assert "Another server answers" in refused.value.message
        assert refused.value.remedy
    # The member comes to an address that was another's a moment ago.
    with pytest.raises(PeerError):
        await master.parts.links.ask(replace(other.member, port=member.port), Message("status"))
    with pytest.raises(PeerError) as answered:
        await master.parts.links.ask(member.member, Message("status"))
    assert answered.value.code == "group", "the member itself has answered: it belongs to no group of the Master's"


async def test_an_answer_that_is_too_large_says_so(
    three: tuple[Served, Served, Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    master, member, _ = three
    monkeypatch.setattr(envelopes, "MAX_BODY_BYTES", 10)
    with pytest.raises(PeerError) as refused:
        await master.parts.links.ask(member.member, Message("status"))
    assert refused.value.code == "too-large"
    assert refused.value.remedy


async def test_a_removal_that_was_meant_for_another_removes_nobody(three: tuple[Served, Served, Served]) -> None:
    master, member, other = three
    group = master.parts.group.group_id
    member.parts.state.update(role=Role.SLAVE, master_id=master.identity.server_id, master_group=group)
    for named in ({}, {"server": other.identity.server_id}):
        with pytest.raises(PeerError) as refused:
            await master.parts.links.ask(member.member, Message("removed", named))
        assert refused.value.code == "role"
        assert member.parts.state.now.removed == ""
    await master.parts.links.ask(member.member, Message("removed", {"server": member.identity.server_id}))
    assert "removed from the group" in member.parts.state.now.removed
