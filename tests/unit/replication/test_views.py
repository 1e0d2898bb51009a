"""One server that answers nonsense, or not at all, doesn't keep the others from being heard."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hostward.domain.changes import GENESIS_HASH, Epoch, Position
from hostward.domain.errors import PeerError
from hostward.domain.replication import Target
from hostward.registry.group import GroupRegistry
from hostward.replication.group.members import JOINED, Member
from hostward.replication.peers.links import Links
from hostward.replication.peers.messages import Message
from hostward.replication.peers.views import View, Views
from hostward.trust.certificates import CertificateStore
from hostward.trust.envelope import Instance, Opener, Sealer
from hostward.trust.identity import load_or_create

pytestmark = pytest.mark.anyio
HERE = Position(Epoch(1, "m"), 0, GENESIS_HASH, bytes(32))
GOOD = {
    "position": HERE.to_json(), "content_ok": True, "role": "slave", "database_status": "Up", "group": "g",
    "master": "m", "records": [],
}  # fmt: skip


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def member(name: str) -> Member:
    return Member(name, name, "h", 443, "mss", "https", "", "", "10.0.0.1", 7000, "1", JOINED)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {**GOOD, "position": None},
        {**GOOD, "position": {"epoch": 5}},
        {**GOOD, "content_ok": "yes"},
        {k: v for k, v in GOOD.items() if k != "role"},
    ],
)
async def test_nonsense_is_that_servers_own_trouble(answer: dict[str, Any]) -> None:
    heard = []

    async def ask(them: Member) -> dict[str, Any]:
        return answer if them.name == "odd" else GOOD

    async def answered(view: View) -> None:
        heard.append(view.server_id)

    views = Views(cast(GroupRegistry, None), ask, answered, lambda: "now")
    await views.poll([member("odd"), member("south")])
    assert heard == ["south"]
    assert "isn't understood" in views.of("odd").silent
    assert views.of("south").silent == ""


async def test_an_answer_counts_from_when_it_was_asked_for() -> None:
    clock, asked, answers = [100.0], asyncio.Event(), asyncio.Queue[dict[str, Any]]()
    questions = []

    async def ask(them: Member) -> dict[str, Any]:
        questions.append(them.name)
        asked.set()
        return await answers.get()

    async def answered(view: View) -> None: ...

    views = Views(cast(GroupRegistry, None), ask, answered, lambda: "now", lambda: clock[0])
    round_ = asyncio.create_task(views.poll([member("master")]))
    await asyncio.wait_for(asked.wait(), 10)
    clock[0] += 30  # halted, with the answer on its way
    answers.put_nowait(GOOD)
    await round_
    assert views.of("master").asked == 100.0
    answers.put_nowait(GOOD)
    await views.refresh(member("master"))
    assert views.of("master").asked == 130.0
    await views.refresh(member("master"))  # that is new enough
    assert len(questions) == 2


async def test_however_many_want_to_know_one_question_is_put_also_to_a_server_that_is_silent() -> None:
    clock, asked, go = [100.0], 0, asyncio.Event()

    async def ask(them: Member) -> dict[str, Any]:
        nonlocal asked
        asked += 1
        await go.wait()
        clock[0] += 2
        raise PeerError("It doesn't answer.", code="timeout")

    async def answered(view: View) -> None: ...

    views = Views(cast(GroupRegistry, None), ask, answered, lambda: "now", lambda: clock[0])
    waiting = [asyncio.create_task(views.refresh(member("master"))) for _ in range(300)]
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(*waiting)
    assert asked == 1
    assert views.of("master").silent == "It doesn't answer."
    await views.refresh(member("master"))  # which comes two seconds later
    assert asked == 2


async def test_a_question_takes_no_longer_than_it_may_with_the_greeting_before_it(tmp_path: Path) -> None:
    identity = load_or_create(tmp_path, "h.example.com", [], datetime.now(UTC))
    instance, keys = Instance(os.urandom), lambda: [b"0" * 32]
    sealer = Sealer(identity, instance, keys, time.time, os.urandom)
    opener = Opener(identity, instance, lambda _: True, keys, time.time)
    store = cast(CertificateStore, SimpleNamespace(trusted=lambda _: True, find=lambda _: None, pems=list))
    links = Links(store, sealer, opener, lambda _: (sealer, opener), lambda: "g", lambda *_: False)

    ended = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the client has had enough
        writer.close()
        ended.set()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as hung:
        port = hung.sockets[0].getsockname()[1]
        with pytest.raises(PeerError) as silent:
            async with asyncio.timeout(4):  # less than a greeting alone could take
                await links.ask_target(
                    Target("127.0.0.1", port, "mss"), Message("status"), protocol="http", timeout_s=0.5
                )
        assert silent.value.code == "timeout"
        await links.close()
        await asyncio.wait_for(ended.wait(), 10)
