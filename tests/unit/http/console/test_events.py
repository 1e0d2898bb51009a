"""Live status: one look for all pages, the newest picture for each, and limits."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import orjson
import pytest
from tests.unit.http.console.conftest import Browser

from hostward.commands import accounts
from hostward.domain.errors import RegistryError, Unavailable
from hostward.http.console.events import BEAT_S, MAX_OPEN, MAX_OPEN_EACH, Broadcaster, Watcher, event, stream

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R2"), pytest.mark.feature("R24")]


class Server:
    """What there is to look at, and how often somebody looked."""

    def __init__(self) -> None:
        self.looks, self.revision, self.fails = 0, 0, False
        self.looked = threading.Event()

    def look(self) -> dict[str, Any]:
        self.looks += 1
        self.looked.set()
        if self.fails:
            raise RegistryError("The file is locked.")
        return {"database_status": "Up", "revision": self.revision, "job": None, "secret": "not shown"}


async def news_of(watcher: Watcher) -> dict[str, Any]:
    async with asyncio.timeout(10):
        message = await watcher.news.get()
    found: dict[str, Any] = orjson.loads(message.partition(b"data: ")[2].partition(b"\n")[0])
    return found


async def test_all_pages_get_the_newest_picture_of_one_look() -> None:
    server = Server()
    broadcaster = Broadcaster(server.look, lambda _: {})
    first = broadcaster.watch("a")
    assert (await news_of(first))["revision"] == 0
    late = broadcaster.watch("b")
    shown = await news_of(late)  # at once, not when something changes
    assert (shown["revision"], "secret" in shown) == (0, False)
    for server.revision in (1, 2):
        server.looked.clear()
        await asyncio.to_thread(server.looked.wait, 10)
    server.fails = True  # a look that fails ends nothing
    server.looked.clear()
    await asyncio.to_thread(server.looked.wait, 10)
    server.fails, server.revision = False, 3
    while (await news_of(late))["revision"] != 3:
        pass
    assert first.news.qsize() == 1  # a page that doesn't read holds one picture, not a queue of them
    assert (await news_of(first))["revision"] == 3
    broadcaster.leave(first)
    broadcaster.leave(late)
    await asyncio.sleep(0)
    looks = server.looks
    assert broadcaster.watch("c").news.empty()  # what nobody saw for a while may be old
    assert server.looks == looks


async def test_a_login_has_few_open_pages_and_a_server_not_too_many() -> None:
    broadcaster = Broadcaster(Server().look, lambda _: {})
    mine = [broadcaster.watch("a") for _ in range(MAX_OPEN_EACH)]
    with pytest.raises(Unavailable):
        broadcaster.watch("a")
    broadcaster.leave(mine.pop())
    mine.append(broadcaster.watch("a"))
    others = [broadcaster.watch(str(n)) for n in range(MAX_OPEN - len(mine))]
    with pytest.raises(Unavailable):
        broadcaster.watch("new")
    for watcher in mine + others:
        broadcaster.leave(watcher)


@pytest.mark.feature("A10")
async def test_the_stream_ends_with_its_login_though_there_is_nothing_to_say(browser: Browser) -> None:
    services = browser.server.services
    secret = browser.http.cookies[browser.cookie]
    broadcaster = Broadcaster(Server().look, lambda _: {})
    answer = stream(services, broadcaster, secret, accounts.authenticate(services, secret, "192.0.2.1"))
    pieces = aiter(answer.body_iterator)
    async with asyncio.timeout(BEAT_S):  # before it would have said anything
        assert b"event: status" in await anext(pieces) + await anext(pieces)  # type: ignore[operator]
        await browser.submit("/logout", csrf=browser.forgery)
        assert [piece async for piece in pieces] == [event("login-ended", {})]
    assert not broadcaster._watchers


async def test_events_need_a_login(stranger: Browser) -> None:
    refused = await stranger.http.get("/events")
    assert (refused.status_code, refused.json()["code"]) == (401, "login-needed")
