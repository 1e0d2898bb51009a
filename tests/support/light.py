"""A group whose database nodes never start: real servers, connections, certificates and registries, in a few seconds.

Changes go from registry to registry by nudges and fetches; so everything that depends on the registries alone, such as
who is the Master and what becomes of whose changes, can be tested without a JVM. The Database Status is never Up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.support.gate import Gate
from tests.support.group import Group
from tests.support.server import HTTP_PORT, HTTPS_PORT, STORAGE_PORT, Server
from tests.support.waiting import eventually

from hostward import __version__
from hostward.domain.changes import Operation
from hostward.main import certificate_stores, make_data_dir
from hostward.registry.group import GroupRegistry, Reader
from hostward.registry.server import ServerRegistry
from hostward.replication.group.members import JOINED, Member, put_ring_generation, slave_table_changes
from hostward.replication.state import KEY
from hostward.trust.identity import ServerIdentity, load_or_create

READY_WITHIN_S = 90.0


class LightServer(Server):
    """A server that finds no Java."""

    def config(self) -> str:
        return super().config() + 'java = "/nowhere/java"\n'


class LightGroup(Group):
    """The first server is the Master, the others Slaves; all have joined, as far as their registries know."""

    def __init__(self, directory: Path, *, count: int, protocol: str = "https", gate: type[Gate] = Gate) -> None:
        self.protocol = protocol
        self.servers = [LightServer(f"server{n + 1}", directory, gated=True, gate=gate) for n in range(count)]

    def form(self) -> None:
        asyncio.run(_write_files(self.servers, self.protocol))
        for server in self.servers:
            server.start(wait=False)
        for server in self.servers:
            server.wait_live()
        self.wait_writable()

    def wait_writable(self, within_s: float = READY_WITHIN_S) -> None:
        """Until the Master accepts changes, and all registries are equal."""
        eventually(lambda: self.master.api.health("master")[0] == 200, within_s=within_s)
        self.wait_equal(within_s)

    def wait_led_by(self, server: Server, within_s: float = READY_WITHIN_S) -> None:
        """Until that server is the Master for all the others, and all registries are equal."""
        self.is_master(server)
        eventually(lambda: {s.api.status()["role"] for s in self.slaves} == {"slave"}, within_s=within_s)
        self.wait_writable(within_s)


async def _write_files(servers: Sequence[Server], protocol: str) -> None:
    """What the servers' files hold after the Slaves have joined."""
    for server in servers:
        make_data_dir(server.data_dir)
    identities = [load_or_create(s.data_dir, s.host, [s.address], datetime.now(UTC)) for s in servers]
    members = [_member(s, i, protocol) for s, i in zip(servers, identities, strict=True)]
    master = _opened(servers[0], identities[0])

    def entries(_: Reader) -> Sequence[Operation]:
        return [put_ring_generation(1), *(m.put() for m in members)]

    await master.commit("tests", entries)
    await master.commit("tests", lambda reader: slave_table_changes(reader, members[0].server_id))
    for server, identity in zip(servers[1:], identities[1:], strict=True):
        registry = _opened(server, identity)
        await registry.replace(master.snapshot())
        registry.close()
    for server, member, identity in zip(servers, members, identities, strict=True):
        _write_own(server, member, members, master.group_id, identity)
    master.close()


def _opened(server: Server, identity: ServerIdentity) -> GroupRegistry:
    return GroupRegistry.open(
        server.group_file,
        server_id=identity.server_id,
        sign=identity.sign,
        now=lambda: datetime.now(UTC).isoformat(),
    )


def _member(server: Server, identity: ServerIdentity, protocol: str) -> Member:
    return Member(
        server_id=identity.server_id,
        name=server.title,
        host=server.host,
        port=HTTPS_PORT if protocol == "https" else HTTP_PORT,
        context="mss",
        protocol=protocol,
        certificate=identity.certificate_pem,
        internode_certificate=identity.certificate_pem,
        address=server.address,
        storage_port=STORAGE_PORT,
        version=__version__,
        state=JOINED,
        host_id=f"node of {server.name}",
        https_port=HTTPS_PORT,
    )


def _write_own(server: Server, member: Member, members: Sequence[Member], group_id: str, own: ServerIdentity) -> None:
    """What is this server's alone: whom it trusts, its role, and its Master."""
    master = members[0]
    state: dict[str, object] = {"role": "master", "adapter": server.address, "protocol": member.protocol}
    if member is not master:
        target = {"host": master.host, "port": master.port, "context": master.context}
        state |= {"role": "slave", "master": target, "master_id": master.server_id, "master_group": group_id}
        state |= {"master_certificate": master.certificate, "backup_group": group_id}
    registry = ServerRegistry.open(server.data_dir / "server.db")
    registry.put(KEY, state)
    trusted = certificate_stores(server.data_dir, registry, own)["mss"]
    for other in members:
        if other is not member:
            trusted.import_text(other.certificate, other.name)
    registry.close()
