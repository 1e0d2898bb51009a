"""Live status: one look at the server a second while anybody watches, handed to every open page as server-sent events;
with it which sessions' locks the page's login holds or waits for, and how long the login lasts if nobody uses it.

What is sent is the whole picture, so a reader that is slow loses nothing but what is out of date already.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from starlette.responses import StreamingResponse

from hostward.commands import accounts
from hostward.commands.services import Actor, Services
from hostward.domain.errors import Forbidden, HostwardError, Unauthenticated, Unavailable
from hostward.domain.permissions import Permission, check_allowed

EVERY_S: Final = 1.0
BEAT_S: Final = 10.0
"""A page that hears nothing for three beats says that the server is away. As often it hears of its login."""
LOOK_TIMEOUT_S: Final = 10.0
MAX_OPEN: Final = 200
MAX_OPEN_EACH: Final = 8
_SHOWN: Final = (
    "server_name", "role", "wanted_role", "database_status", "reason", "since", "revision", "lag_changes",
    "requests_waiting", "warnings",
)  # fmt: skip


def picture(status: dict[str, Any]) -> dict[str, Any]:
    """What every page shows of the server."""
    shown = {name: status.get(name) for name in _SHOWN}
    job = status.get("job")
    return shown | {"job": {k: job.get(k) for k in ("id", "state", "reason", "progress_percent")} if job else None}


@dataclass(eq=False, slots=True)
class Watcher:
    """One open page. `news` holds the newest picture alone."""

    login: str
    locks: Mapping[str, Any] = field(default_factory=dict)
    """What its page was last told of locks."""
    news: asyncio.Queue[bytes] = field(default_factory=lambda: asyncio.Queue(1))

    def tell(self, message: bytes) -> None:
        while not self.news.empty():
            self.news.get_nowait()
        self.news.put_nowait(message)


class Broadcaster:
    """Belongs to one event loop. It looks only while somebody watches."""

    def __init__(self, look: Callable[[], dict[str, Any]], locks: Callable[[str], Mapping[str, Any]]) -> None:
        self._look, self._locks = look, locks
        self._watchers: set[Watcher] = set()
        self._looking: asyncio.Task[None] | None = None
        self._last = b""

    def watch(self, login: str) -> Watcher:
        """Raises Unavailable where there are too many open pages; `leave` must follow."""
        mine = Counter(w.login for w in self._watchers)[login]
        if mine >= MAX_OPEN_EACH or len(self._watchers) >= MAX_OPEN:
            raise Unavailable("Too many pages are open.", remedy="Close some of them.", code="too-many-pages")
        watcher = Watcher(login)
        self._watchers.add(watcher)
        watcher.locks = self._locks(login)
        if self._last:
            watcher.tell(self._picture(watcher))
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._keep_looking())
        return watcher

    def leave(self, watcher: Watcher) -> None:
        """The page is closed."""
        self._watchers.discard(watcher)
        if not self._watchers and self._looking is not None:
            self._looking.cancel()
            self._looking, self._last = None, b""

    async def _keep_looking(self) -> None:
        while True:
            try:
                async with asyncio.timeout(LOOK_TIMEOUT_S):
                    message = event("status", picture(await asyncio.to_thread(self._look)))
            except (TimeoutError, HostwardError):
                await asyncio.sleep(EVERY_S)
                continue  # the pages go on with what they have, and beats tell them that the server lives
            changed, self._last = message != self._last, message
            for watcher in self._watchers:
                before, watcher.locks = watcher.locks, self._locks(watcher.login)
                if changed or before != watcher.locks:
                    watcher.tell(self._picture(watcher))
            await asyncio.sleep(EVERY_S)

    def _picture(self, watcher: Watcher) -> bytes:
        return self._last + event("locks", watcher.locks)


def event(name: str, data: object) -> bytes:
    """One server-sent event."""
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"


def stream(services: Services, broadcaster: Broadcaster, secret: str, actor: Actor) -> StreamingResponse:
    """The events of one page, until it is closed or its login ends. Watching doesn't count as using the login. Raises
    Unavailable."""
    watcher = broadcaster.watch(actor.token_id)

    async def events() -> AsyncGenerator[bytes, None]:
        quiet_s = 0.0
        try:
            yield b"retry: 2000\n\n"
            while True:
                message = b""
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(EVERY_S):
                        message = await watcher.news.get()
                quiet_s = 0.0 if message else quiet_s + EVERY_S
                if quiet_s >= BEAT_S:
                    quiet_s, message = 0.0, event("beat", {})
                # Each time, whether there is anything to say or not: who has logged out sees nothing more.
                try:
                    now = await accounts.authenticate_confirmed(services, secret, actor.address, used=False)
                    check_allowed(now.role, Permission.READ)
                except (Unauthenticated, Unavailable, Forbidden):
                    yield event("login-ended", {})
                    return
                if message:
                    yield message + event("login", {"left_s": int(accounts.left_s(services, now))})
        finally:
            broadcaster.leave(watcher)

    async def closing() -> AsyncGenerator[bytes, None]:
        async with aclosing(events()) as all_events:
            async for one in all_events:
                yield one

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(closing(), headers=headers, media_type="text/event-stream")
