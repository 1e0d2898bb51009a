"""Whole servers that answer each other over HTTP on loopback, without their loops and their database nodes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn

from hostward.access.administrators import Administrators
from hostward.access.auditing import open_auditor
from hostward.configuration import load_configuration
from hostward.domain.replication import Target
from hostward.http.peer.endpoint import peer_routes
from hostward.main import certificate_stores, make_data_dir, now, warned_of
from hostward.packages.folder import Folder
from hostward.registry.group import GroupRegistry
from hostward.registry.server import ServerRegistry
from hostward.replication.group.members import Member
from hostward.replication.group_server import Foundation, GroupServer
from hostward.replication.parts import Parts
from hostward.trust.browser_certificate import BrowserCertificate
from hostward.trust.certificates import CertificateStore
from hostward.trust.identity import ServerIdentity, load_or_create, write_pair
from hostward.trust.renewals import new_pair
from hostward.trust.tls import ServerTls

HOST = "127.0.0.1"


class _Embedded(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(slots=True)
class Served:
    """One server. `received` are the methods and paths that others have asked it for."""

    data_dir: Path
    identity: ServerIdentity
    server: GroupServer
    port: int
    administrators: Administrators
    received: list[str] = field(default_factory=list)

    @property
    def parts(self) -> Parts:
        return self.server.parts

    @property
    def store(self) -> CertificateStore:
        return self.server.parts.store

    @property
    def target(self) -> Target:
        return Target(HOST, self.port)

    @property
    def member(self) -> Member:
        return self.parts.describe_self()

    def trust(self, *others: Served) -> None:
        for other in others:
            self.store.import_text(other.identity.certificate_pem, other.member.name)


@contextlib.asynccontextmanager
async def served(directory: Path, name: str, server_id: str = "") -> AsyncIterator[Served]:
    """A Standalone server that listens at a free port; with that id, as a copy of another one has it."""
    with socket.create_server((HOST, 0)) as sock:
        port = sock.getsockname()[1]
        environment = {
            "HOSTWARD_SERVER_NAME": name, "HOSTWARD_SERVER_HOST_NAME": HOST, "HOSTWARD_SERVER_HTTP_PORT": str(port),
            "HOSTWARD_SERVER_HTTPS_PORT": "0", "HOSTWARD_DATABASE_ADDRESS": HOST,
        }  # fmt: skip
        data_dir = make_data_dir(directory / name)
        if server_id:
            write_pair(data_dir / "identity", *new_pair(server_id, HOST, [], datetime.now(UTC)))
        identity = load_or_create(data_dir, HOST, [HOST], datetime.now(UTC))
        registry = ServerRegistry.open(data_dir / "server.db")
        group = GroupRegistry.open(data_dir / "group.db", server_id=identity.server_id, sign=identity.sign, now=_now)
        auditor = open_auditor(data_dir, registry, identity, name, now, lambda: "log of a test")
        administrators = Administrators(registry)
        for_browsers = BrowserCertificate(data_dir, ServerTls(identity), time.time, warned_of(registry))
        foundation = Foundation(
            data_dir=data_dir, configuration=load_configuration(None, environment, lambda: HOST), identity=identity,
            group=group, server=registry, auditor=auditor,
            store=certificate_stores(data_dir, registry, identity)["mss"], for_browsers=for_browsers, now=_now,
            version="0.1.0", new_id=lambda: "0" * 32, reload_tls=lambda: None, logins=lambda: (),
            administrators=administrators, packages=Folder(data_dir / "deploy" / "packages", registry),
        )  # fmt: skip
        server = GroupServer(foundation)
        server.parts.state.update(protocol="http")
        found = Served(data_dir, identity, server, port, administrators)
        listening = _Embedded(uvicorn.Config(_app(found), lifespan="off", log_config=None, access_log=False))
        task = asyncio.create_task(listening.serve(sockets=[sock]))
        try:
            yield found
        finally:
            await server.stop()
            listening.should_exit = True
            await task
            auditor.log.close()
            group.close()
            registry.close()


def _app(one: Served) -> Any:
    peers = one.server.peer_app(peer_routes)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"].removeprefix("/mss/peer")
        one.received.append(f"{scope['method']} {path}")
        await peers({**scope, "path": path}, receive, send)

    return app


def _now() -> str:
    return datetime.now(UTC).isoformat()
