"""What the author of a change hears whose server was no longer the Master by then."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from tests.unit.registry.support import opened, session

from hostward.domain.changes import Position
from hostward.domain.errors import Conflict
from hostward.domain.replication import Role
from hostward.registry.server import ServerRegistry
from hostward.replication.change_requests.outbox import Outbox
from hostward.replication.change_requests.requests import Requests
from hostward.replication.masters.claims import Claims
from hostward.replication.masters.promotion import Promotion
from hostward.replication.parts import Parts

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.feature("R27")
async def test_a_request_is_named_only_where_there_is_one(tmp_path: Path) -> None:
    group, server = opened(tmp_path / "group.db"), ServerRegistry.open(tmp_path / "server.db")
    before = group.position
    done = await group.commit("admin", lambda _: [session("1", "one")])
    change = group.change(1)
    assert change is not None
    outbox = Outbox(server, group, "a", "north")
    requests = Requests(group, outbox, "a", "north", lambda: "2026-01-01T00:00:00Z")
    state = SimpleNamespace(now=SimpleNamespace(role=Role.SLAVE, coming=(), master=None))
    parts = cast(Parts, SimpleNamespace(group=group, requests=requests, state=state))
    promotion = Promotion(parts, cast(Claims, SimpleNamespace()))
    await promotion.check_stands(done.revision, done.hash)

    # Its history went on from that change, but what was loaded is a later whole.
    await group.replace(group.snapshot())
    with pytest.raises(Conflict, match="isn't known here") as unknown:
        await promotion.check_stands(done.revision, done.hash)
    assert done.hash.hex() not in f"{unknown.value.message} {unknown.value.remedy}"

    outbox.set_aside([change], Position(before.epoch, 0, before.hash, before.digest))
    with pytest.raises(Conflict, match=f"the change request {done.hash.hex()}"):
        await promotion.check_stands(done.revision, done.hash)

    await group.commit("admin", lambda _: [session("2", "two")])
    with pytest.raises(Conflict, match=r"configuration\. Make"):
        await promotion.check_stands(group.position.revision, b"another")
    group.close()
    server.close()
