"""What is unlocked on a server, and what is never."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.replication.served import served

from hostward.access.administrators import FIRST
from hostward.access.throttle import LIMITS
from hostward.replication.peers.messages import Message

pytestmark = [pytest.mark.anyio, pytest.mark.feature("A10")]

HERE = "192.0.2.1"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_another_server_unlocks_users_and_no_account_of_this_server(tmp_path: Path) -> None:
    async with served(tmp_path, "one") as one:
        administrators = one.administrators
        administrators.add_first("a good password")
        for _ in range(LIMITS["pair"].free):
            administrators.throttle.attempt("anna", HERE)
            administrators.throttle.attempt(FIRST, HERE)
        for user, said in ((FIRST, []), ("ANNA", [[HERE, LIMITS["pair"].free]])):
            answer = await one.server.unlocking.answer(Message("unlock", {"user": user, "forget": True}))
            assert [w[:2] for w in answer.data["waits"]] == said
        assert administrators.throttle.waits("anna") == []
        assert len(administrators.throttle.waits(FIRST)) == 1


async def test_a_user_is_unlocked_here_but_not_the_servers_own_account_of_that_name(tmp_path: Path) -> None:
    async with served(tmp_path, "one") as one:
        administrators, unlocking = one.administrators, one.server.unlocking
        administrators.add_first("a good password")
        for _ in range(LIMITS["pair"].free):
            administrators.throttle.attempt("anna", HERE)
            administrators.throttle.attempt(FIRST, HERE)
        for user, counted in ((FIRST.upper(), []), ("ANNA", [HERE])):
            for ask in (unlocking.waits, unlocking.forget):
                assert [[w.address for w in s.waits] for s in await ask(user)] == [counted]
        assert administrators.throttle.waits("anna") == []
        assert len(administrators.throttle.waits(FIRST)) == 1
