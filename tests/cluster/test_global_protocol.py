"""Global protocol: it can't be changed while Slaves are configured (5.13.6); and over HTTP nothing secret can be read
on the wire between the servers, nor anything changed there."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.api import Refused
from tests.support.command import hostward
from tests.support.gate import Gate
from tests.support.group import Group, position_of
from tests.support.history import History, assert_kept
from tests.support.inventory import rows
from tests.support.light import LightGroup
from tests.support.peer import send
from tests.support.relay import Altering, Relay
from tests.support.server import Server
from tests.support.waiting import eventually
from tests.support.writers import Writers

pytestmark = pytest.mark.cluster

MARKS = ("Xylophone", "Quicksilver", "Zeppelin-Passphrase-77", "Marmalade-Passphrase-78")
SETTLED_WITHIN_S, ALTERED_FOR_S = 120.0, 3.0
REASON = "You cannot change the transport and retain previously configured Slave servers."


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LightGroup]:
    """Over HTTP, each server behind a relay. Without database nodes, which have TLS of their own whatever is chosen."""
    group = LightGroup(tmp_path_factory.mktemp("wire"), count=2, protocol="http", gate=Relay)
    try:
        group.form()
        yield group
    finally:
        group.destroy()


def relay_of(server: Server) -> Relay:
    gate: Gate | None = server.gate
    assert isinstance(gate, Relay)
    return gate


def check_refused(group: Group, protocol: str, home: Path) -> None:
    """With Slaves configured it can't be changed, by the API nor the command line; with the guide's reason."""
    before = group.master.api.status()
    with pytest.raises(Refused) as refused:
        group.master.api.put("replication", {"role": "master", "protocol": protocol, "confirm": True})
    assert (refused.value.status, refused.value.code) == (409, "slaves-configured")
    assert refused.value.problem["detail"] == REASON
    said = hostward("replication", "set", "--protocol", protocol, "--yes", on=group.master, home=home)
    assert said.returncode != 0
    assert REASON in re.sub(r"\s+", " ", said.stderr)
    after = group.master.api.status()
    assert [after[k] for k in ("protocol", "slaves", "revision")] == [
        before[k] for k in ("protocol", "slaves", "revision")
    ]


@pytest.mark.feature("R5")
@pytest.mark.feature("R6")
def test_over_http_nothing_secret_can_be_read_or_changed_on_the_wire(pair: LightGroup, tmp_path: Path) -> None:
    master, (slave,) = pair.master, pair.slaves
    relays = [relay_of(s) for s in pair.servers]
    check_refused(pair, "https", tmp_path)
    for passphrase in MARKS[2:]:
        master.api.post("replication/passphrase", {"passphrase": passphrase, "confirm": True})
        eventually(lambda: slave.api.status()["passphrase_change"] is None, within_s=60)
    for row in rows(20, prefix=MARKS[0]):
        answer = master.api.post("sessions", {**row, "comment": f"{MARKS[1]} {row['name']}"})
    assert answer["replicated"]["confirmed"]
    pair.wait_equal()
    alter(pair, relays)
    check_recordings(pair, relays)
    replay(pair)


def alter(pair: LightGroup, relays: list[Relay]) -> None:
    """Each way to alter, while changes are written: none acts, and the group recovers by itself each time."""
    history = History()
    for number, altering in enumerate(Altering):
        writers = Writers(pair.master.api, history, count=2, seed=number, prefix=f"Altered {number}")
        before = [r.altered for r in relays]
        for relay in relays:
            relay.altering = altering
        writers.start()
        time.sleep(ALTERED_FOR_S)  # the length of the disturbance, not a wait
        writers.stop()
        for relay in relays:
            relay.altering = Altering.NOTHING
        if altering is not Altering.NOTHING:
            assert sum(r.altered for r in relays) > sum(before), altering
    pair.wait_equal(SETTLED_WITHIN_S)
    assert_kept(history, pair.servers)


def check_recordings(pair: LightGroup, relays: list[Relay]) -> None:
    """What passed is a lot, and holds nothing of what it was about."""
    for server, relay in zip(pair.servers, relays, strict=True):
        recorded = relay.recorded()
        assert len(relay.requests()) > 20, server.name
        assert b"HWE1" in recorded
        secrets = [*MARKS, "hostward-replication", "Altered", str(server.api.status()["group"]), "BEGIN PRIVATE KEY"]
        for secret in secrets:
            assert secret.encode() not in recorded, f"{secret} can be read on the way to {server.name}"


def replay(pair: LightGroup) -> None:
    """Every request ever recorded, sent again: it changes nothing. One that was lost on the way may arrive now, late,
    but no other; and once more, none at all."""
    pair.wait_equal()
    before = [position_of(s) for s in pair.servers]
    recorded = {server: relay_of(server).requests() for server in pair.servers}
    for server, requests in recorded.items():
        taken = sum(is_taken(server, body) for body in requests)
        assert taken <= relay_of(server).altered
        assert not any(is_taken(server, body) for body in requests), server.name
    assert [position_of(s) for s in pair.servers] == before
    pair.wait_equal(SETTLED_WITHIN_S)


def is_taken(server: Server, body: bytes) -> bool:
    """Whether the server has acted on a request: each refusal of an envelope is in its log."""
    before = refusals(server)
    send(server, body, protocol="http")
    return refusals(server) == before


def refusals(server: Server) -> int:
    return (server.data_dir / "logs" / "hostward.log").read_text(encoding="utf-8").count('"envelope-refused"')
