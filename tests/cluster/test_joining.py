"""Joining by a code: one command on the Master, one on the new server (guide, 5.13.2 in one step); and what a false
Master, or a code that is used in another way than it was meant, gets: nothing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.api import Refused
from tests.support.command import hostward
from tests.support.group import FORM_WITHIN_S, Group
from tests.support.history import History
from tests.support.light import LightServer
from tests.support.listener import Listener
from tests.support.server import HTTPS_PORT, Server
from tests.support.waiting import eventually
from tests.support.writers import Writers

from hostward.domain.join_code import JoinCode
from hostward.domain.replication import Target
from hostward.main import make_data_dir
from hostward.trust.identity import ServerIdentity, fingerprint, load_or_create

pytestmark = [pytest.mark.cluster, pytest.mark.feature("R7")]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[LightServer]]:
    """A Master and two Standalone servers, whose databases can't start: enough for everything before Apply."""
    directory = tmp_path_factory.mktemp("bare")
    servers = [LightServer(name, directory) for name in ("bare", "newcomer", "second")]
    try:
        for server in servers:
            server.start(wait=False)
        for server in servers:
            server.wait_live()
        master = servers[0]
        master.api.put("replication", {"role": "master", "adapter": master.address, "confirm": True})
        yield servers
    finally:
        for server in servers:
            server.destroy()


def trusted_names(server: Server) -> dict[str, str]:
    """Who is trusted, and who brought that in."""
    items = server.api.get("trusted-certificates/mss")["items"]
    return {c["friendly_name"]: c["source"] for c in items if not c["own"]}


def invite(master: Server, **fields: Any) -> str:
    return str(master.api.post("group/invite", fields)["code"])


def join(server: Server, code: str, **fields: Any) -> Any:
    return server.api.post("group/join", {"code": code, "adapter": server.address, "confirm": True, **fields})


def refused(server: Server, code: str, **fields: Any) -> Refused:
    """Joining is refused, and this server is as before."""
    before = server.api.status()
    with pytest.raises(Refused) as found:
        join(server, code, **fields)
    assert found.value.problem["remedy"], found.value.problem
    now = server.api.status()
    for what in ("role", "wanted_role", "master", "protocol", "adapter", "job"):
        assert now[what] == before[what], what
    assert now["role"] == "standalone"
    return found.value


def test_one_command_on_each_side_and_every_server_trusts_the_new_one(
    group: Group, history: History, tmp_path: Path
) -> None:
    newcomer = Server("newcomer", tmp_path)
    try:
        newcomer.start()
        join_and_leave(group, newcomer, history, tmp_path)
    finally:
        newcomer.destroy()


def join_and_leave(group: Group, newcomer: Server, history: History, home: Path) -> None:
    master = group.master
    made = hostward("group", "invite", "--minutes", "5", "--json", on=master, home=home)
    assert made.returncode == 0, made.stderr
    code = json.loads(made.stdout)["code"]
    with pytest.raises(Refused) as asked:
        newcomer.api.post("group/join", {"code": code})
    assert asked.value.code == "confirmation-required"
    assert any(master.host in c for c in asked.value.problem["consequences"])
    assert trusted_names(newcomer) == {}, "nothing was done without a confirmation"
    joined = hostward(
        "group", "join", *code.lower().split("-"), "--adapter", newcomer.address, "--yes", "--wait",
        on=newcomer, home=home,
    )  # fmt: skip
    assert joined.returncode == 0, joined.stderr + joined.stdout
    everyone = Group.__new__(Group)
    everyone.protocol, everyone.servers = "https", [*group.servers, newcomer]
    everyone.wait_settled(FORM_WITHIN_S)
    assert trusted_names(master)["newcomer"] == "join code"
    assert set(trusted_names(newcomer).values()) == {"join code"}
    assert set(trusted_names(newcomer)) == {s.name for s in group.servers}
    eventually(lambda: [trusted_names(s).get("newcomer") for s in group.slaves] == ["group"] * 2, within_s=20)
    assert newcomer.host in {row["host"] for row in master.api.status()["slaves"]}, "it is in the Slave table"
    # Renewals don't touch the database nodes.
    nodes = {s.name: s.jvm_pid for s in everyone.servers}
    for server in (master, newcomer):
        server.api.post("server/certificate/renew", {"confirm": True})
    writers = Writers(master.api, history, count=1, seed=1, prefix="after joining", changes=5)
    writers.start()
    writers.join(within_s=60)
    everyone.wait_settled()
    assert {s.name: s.jvm_pid for s in everyone.servers} == nodes
    (used, *_) = master.api.get("group/invites")["items"]
    assert (used["state"], used["used_by"], used["role"]) == ("used", "newcomer", "slave")
    assert "code" not in used
    # A removed server's certificate goes where only the group had brought it in; and no renewal brings it back.
    newcomer.apply(role="standalone")
    newcomer.wait_up()
    eventually(lambda: not any("newcomer" in trusted_names(s) for s in group.slaves), within_s=60)
    newcomer.api.post("server/certificate/renew", {"confirm": True})
    assert failed_check(newcomer, master) == "certificate-there"
    assert failed_check(master, newcomer) == "certificate"
    marks = {c["fingerprint"] for s in group.servers for c in s.api.get("trusted-certificates/mss")["items"]}
    assert fingerprint(newcomer.certificate_file.read_text()) not in marks
    master.api.delete("trusted-certificates/mss/newcomer")
    group.wait_settled()


def failed_check(here: Server, there: Server) -> str:
    """Which check of Test Connection fails."""
    tested = here.api.post("replication/test-connection", there.target())
    return next((c["name"] for c in tested["checks"] if c["ok"] is False), "")


@pytest.mark.feature("A2")
def test_a_code_is_for_one_server_one_role_and_a_while(bare: list[LightServer]) -> None:
    master, newcomer, second = bare
    with pytest.raises(Refused) as error:
        newcomer.api.post("group/invite", {})
    assert error.value.code == "role"
    for minutes in (0, 31):
        with pytest.raises(Refused):
            master.api.post("group/invite", {"minutes": minutes})
    assert refused(newcomer, "ABCDE-12345").code == "join-code"
    code = invite(master)
    with pytest.raises(Refused) as error:
        join(master, code)
    assert error.value.code == "role"
    altered = JoinCode.parse(code)
    assert refused(newcomer, code[:-1] + ("0" if code[-1] != "0" else "1")).code == "join-code", "a typo"
    wrong = refused(newcomer, replace(altered, secret=bytes(16)).text())
    assert "doesn't know this join code" in wrong.problem["detail"]
    assert refused(newcomer, replace(altered, fingerprint=fingerprint_of(second)).text()).code == "certificate"
    assert refused(newcomer, code, adapter="192.0.2.1").code == "invalid-input"
    assert trusted_names(master) == trusted_names(newcomer) == {}, "what can be seen here is looked at before"
    # The Master's database is down, so joining stops after the exchange; trying again doesn't need the code any more.
    stopped = refused(newcomer, code)
    assert stopped.code == "connection-database-port"
    assert "join with the same code again" in stopped.problem["remedy"]
    assert trusted_names(master) == {"newcomer": "join code"}
    assert trusted_names(newcomer) == {"bare": "join code"}
    assert refused(newcomer, code).code == "connection-database-port"
    newcomer.api.delete("trusted-certificates/mss/bare")
    assert refused(newcomer, code).code == "connection-database-port", "the same server may come again"
    assert set(trusted_names(newcomer)) == {"bare"}
    error_ = refused(second, code)
    assert error_.code == "join-code"
    assert "used already, by the server newcomer" in error_.problem["detail"]
    other = invite(master, minutes=1)
    third = invite(master)
    (newest, *_) = master.api.get("group/invites")["items"]
    master.api.delete(f"group/invites/{newest['id']}")
    assert "doesn't know this join code" in refused(second, third).problem["detail"]
    master.stop()
    assert refused(second, other).code == "port", "the Master isn't there"
    age_invites(master)
    master.start()
    assert "expired" in refused(second, other).problem["detail"]
    assert "used already" in refused(second, code).problem["detail"], "also after a restart"
    assert trusted_names(second) == {}
    assert set(trusted_names(master)) == {"newcomer"}


def age_invites(server: Server) -> None:
    """As if half an hour had gone by."""
    with sqlite3.connect(server.data_dir / "server.db") as db:
        (text,) = db.execute("SELECT value FROM setting WHERE name = 'invites'").fetchone()
        invites = [i | {"expires_s": i["expires_s"] - 1800} for i in json.loads(text)]
        db.execute("UPDATE setting SET value = ? WHERE name = 'invites'", (json.dumps(invites),))
    db.close()


def fingerprint_of(server: Server) -> str:
    return fingerprint(server.certificate_file.read_text())


@pytest.fixture(scope="module")
def false(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, ServerIdentity]]:
    """A server that isn't started: another program answers at its address."""
    server = Server("false", tmp_path_factory.mktemp("false"))
    make_data_dir(server.data_dir)
    yield server, load_or_create(server.data_dir, server.host, [server.address], datetime.now(UTC))
    server.destroy()


def hello_of(certificate: str) -> bytes:
    """What a server with that certificate answers to everybody."""
    hello = json.dumps({"certificate": certificate, "instance": "0" * 32}).encode()
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(hello) + hello


@pytest.mark.parametrize("protocol", ["https", "http"])
@pytest.mark.feature("A2")
def test_a_false_master_gets_nothing(
    protocol: str, bare: list[LightServer], false: tuple[Server, ServerIdentity]
) -> None:
    """It answers at the Master's address as the Master would, even with the Master's own public certificate in its
    hello, but for TLS it has only its own."""
    master, _, newcomer = bare
    impostor, identity = false
    true_code = JoinCode.parse(invite(master))
    code = replace(true_code, master=Target(impostor.address, HTTPS_PORT), protocol=protocol)
    tls = {"certificate": identity.certificate_path, "key": identity.key_path} if protocol == "https" else {}
    true_certificate = master.certificate_file.read_text()
    for shown, said in (
        (identity.certificate_pem, "isn't the one that made the join code"),
        (true_certificate, ""),
    ):
        with Listener(impostor.address, HTTPS_PORT, hello_of(shown), **tls) as listener:
            error = refused(newcomer, code.text())
        assert said in error.problem["detail"]
        assert listener.received, "it was greeted"
        sent = b"".join(listener.received)
        assert true_code.secret not in sent
        assert true_code.secret.hex().encode() not in sent
        assert fingerprint_of(newcomer).encode() not in sent
        if said or protocol == "https":
            assert all(piece.startswith(b"GET /mss/peer/ ") for piece in listener.received), "and told nothing"
        assert trusted_names(newcomer) == {}


def test_a_master_whose_certificate_has_expired_is_named_before_the_code_is_used(
    bare: list[LightServer], tmp_path: Path
) -> None:
    _, _, newcomer = bare
    place = Server("expired", tmp_path)
    make_data_dir(place.data_dir)
    long_ago = datetime.now(UTC) - timedelta(days=900)
    old = load_or_create(place.data_dir, place.host, [place.address], long_ago)
    code = JoinCode(Target(place.address, HTTPS_PORT), "http", old.fingerprint, bytes(16))
    with Listener(place.address, HTTPS_PORT, hello_of(old.certificate_pem)) as listener:
        error = refused(newcomer, code.text())
    assert error.code == "certificate-expired"
    assert "wasn't used" in error.problem["detail"]
    assert all(piece.startswith(b"GET ") for piece in listener.received)
    assert trusted_names(newcomer) == {}
    place.destroy()


def test_over_http(bare: list[LightServer]) -> None:
    """The same exchange; what is sealed to the pinned certificate needs no TLS. Last, since the Master changes."""
    master, _, newcomer = bare
    master.api.put("replication", {"role": "master", "protocol": "http", "confirm": True})
    code = invite(master)
    assert JoinCode.parse(code).protocol == "http"
    assert refused(newcomer, code).code == "connection-database-port", "all the checks before that one were passed"
    assert trusted_names(master)["second"] == "join code"
    assert trusted_names(newcomer) == {"bare": "join code"}
