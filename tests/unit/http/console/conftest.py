"""A browser without a screen: it keeps the cookie, sends what a browser sends with a form, and reads what comes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from tests.unit.commands.servers import PASSWORD
from tests.unit.http.conftest import Server, client

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


@dataclass(slots=True)
class Browser:
    """`post` is a form that JavaScript sends, `submit` one that the browser sends itself."""

    server: Server
    http: httpx.AsyncClient
    forgery: str = ""

    async def log_in(self, user: str = "admin", password: str = PASSWORD, **fields: str) -> httpx.Response:
        answer = await self.submit("/login", user=user, password=password, **fields)
        if answer.status_code == 303:
            page = await self.http.get("/settings/replication")
            (self.forgery,) = set(re.findall(r'name="csrf" content="([0-9a-f]+)"', page.text))
        return answer

    async def submit(self, path: str, **fields: Any) -> httpx.Response:
        return await self.http.post(path, data=fields, headers=SAME_ORIGIN)

    async def post(self, path: str, headers: Any = None, **fields: Any) -> httpx.Response:
        sent = SAME_ORIGIN | {"HX-Request": "true", "X-CSRF": self.forgery} | (headers or {})
        return await self.http.post(path, data={k.replace("__", "."): v for k, v in fields.items()}, headers=sent)

    async def page(self, path: str) -> str:
        answer = await self.http.get(path)
        assert answer.status_code == 200, (path, answer.status_code, answer.headers)
        return answer.text

    @property
    def cookie(self) -> str:
        return next(name for name in self.http.cookies if name.startswith("__Host-"))


@pytest.fixture
async def stranger(server: Server) -> AsyncIterator[Browser]:
    """Nobody has logged in."""
    async with client(server.app, base="/mss") as http:
        yield Browser(server, http)


@pytest.fixture
async def browser(stranger: Browser) -> Browser:
    """An administrator has logged in."""
    answer = await stranger.log_in()
    assert answer.status_code == 303, answer.text
    return stranger
