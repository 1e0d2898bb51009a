"""A whole server's application on real registries, without a network: requests go in by ASGI."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from tests.unit.commands.servers import PASSWORD, StandaloneReplication, open_server

from hostward.commands.services import Services
from hostward.http.app import create_app

BASE = "/mss/api/v1"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass(slots=True)
class Server:
    """One server and a client of its API. `api` sends its token; `anyone` sends none."""

    services: Services
    replication: StandaloneReplication
    app: FastAPI
    api: httpx.AsyncClient
    anyone: httpx.AsyncClient
    token: str = field(repr=False)

    async def create(self, name: str, **fields: Any) -> httpx.Response:
        return await self.api.post("/sessions", json={"name": name, "type": "VT", "host": "a.example.com", **fields})


def client(
    app: FastAPI, token: str = "", address: str = "192.0.2.1", base: str = BASE, scheme: str = "https"
) -> httpx.AsyncClient:
    """A client at that address."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 50000))
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(transport=transport, base_url=f"{scheme}://server.example.com{base}", headers=headers)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    with open_server(tmp_path) as (services, replication):
        app = create_app(services)
        async with client(app) as anyone:
            answer = await anyone.post("/login", json={"user": "admin", "password": PASSWORD})
            assert answer.status_code == 200, answer.text
            token = answer.json()["token"]
            async with client(app, token) as api:
                yield Server(services, replication, app, api, anyone, token)
