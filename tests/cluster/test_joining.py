"""Joining by a code: one command on the Master, one on the new server (guide, 5.13.2 in one step); and what a false
Master, or a code that is used in another way than it was meant, gets: nothing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.api import Refused
from tests.support.command import hostward
from tests.support.group import FORM_WITHIN_S, Group
from tests.support.history import History
from tests.support.listener import Listener
from tests.support.server import HTTPS_PORT, Server
from tests.support.waiting import eventually
from tests.support.writers import Writers

from hostward.domain.join_code import JoinCode
from hostward.domain.replication import Target
from hostward.trust.identity import fingerprint

pytestmark = [pytest.mark.cluster, pytest.mark.feature("R7")]


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Server]:
    server = Server("newcomer", tmp_path)
    server.start()
    yield server
    server.destroy()


@pytest.fixture(scope="module")
def bare_master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Master whose database can't start: enough for everything before it."""
    server = Server("bare", tmp_path_factory.mktemp("bare"))
    try:
        server.start(env={"HOSTWARD_DATABASE_JAVA": "/no/such/java"})
        server.api.put("replication", {"role": "master", "adapter": server.address, "confirm": True})
        yield server
    finally:
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
    with pytest.raises(Refused) as found:
        join(server, code, **fields)
    assert found.value.problem["remedy"], found.value.problem
    assert server.api.status()["role"] == "standalone"
    return found.value


def test_one_command_on_each_side_and_every_server_trusts_the_new_one(
    group: Group, newcomer: Server, history: History, tmp_path: Path
) -> None:
    made = hostward("group", "invite", "--minutes", "5", "--json", on=group.master, home=tmp_path)
    assert made.returncode == 0, made.stderr
    code = json.loads(made.stdout)["code"]
    with pytest.raises(Refused) as asked:
        newcomer.api.post("group/join", {"code": code})
    assert asked.value.code == "confirmation-required"
    assert any(group.master.host in c for c in asked.value.problem["consequences"])
    assert trusted_names(newcomer) == {}, "nothing was done without a confirmation"
    joined = hostward(
        "group", "join", *code.lower().split("-"), "--adapter", newcomer.address, "--yes", "--wait",
        on=newcomer, home=tmp_path,
    )  # fmt: skip
    assert joined.returncode == 0, joined.stderr + joined.stdout
    everyone = Group.__new__(Group)
    everyone.protocol, everyone.servers = "https", [*group.servers, newcomer]
    everyone.wait_settled(FORM_WITHIN_S)
    assert trusted_names(group.master)["newcomer"] == "join code"
    assert set(trusted_names(newcomer).values()) == {"join code"}
    assert set(trusted_names(newcomer)) == {s.name for s in group.servers}
    eventually(lambda: [trusted_names(s).get("newcomer") for s in group.slaves] == ["group"] * 2, within_s=20)
    writers = Writers(group.master.api, history, count=1, seed=1, prefix="after joining", changes=5)
    writers.start()
    writers.join(within_s=60)
    everyone.wait_equal()
    (used, *_) = group.master.api.get("group/invites")["items"]
    assert (used["state"], used["used_by"], used["role"]) == ("used", "newcomer", "slave")
    assert "code" not in used
    # A removed server's certificate goes where only the group had brought it in; so does a deleted one, for good.
    newcomer.apply(role="standalone")
    newcomer.wait_up()
    eventually(lambda: not any("newcomer" in trusted_names(s) for s in group.slaves), within_s=60)
    group.master.api.delete("trusted-certificates/mss/newcomer")
    group.wait_settled()


def test_over_http(tmp_path: Path) -> None:
    group = Group(tmp_path / "http", count=2, protocol="http")
    master, newcomer = group.servers
    try:
        for server in group.servers:
            server.start()
        group.make_master()
        code = invite(master)
        assert JoinCode.parse(code).protocol == "http"
        job = join(newcomer, code)["job"]["id"]
        newcomer.follow(job, within_s=FORM_WITHIN_S)
        group.wait_settled(FORM_WITHIN_S)
        assert trusted_names(master) == {newcomer.name: "join code"}
        assert trusted_names(newcomer) == {master.name: "join code"}
    finally:
        group.destroy()


def test_a_code_is_for_one_server_one_role_and_a_while(bare_master: Server, newcomer: Server, tmp_path: Path) -> None:
    master = bare_master
    assert refused(newcomer, "ABCDE-12345").code == "join-code"
    code = invite(master)
    assert refused(newcomer, code, adapter="192.0.2.1").code == "invalid-input"
    assert trusted_names(master) == trusted_names(newcomer) == {}, "what can be seen here is looked at before"
    # The Master's database is down, so joining stops after the exchange; trying again doesn't need the code any more.
    assert refused(newcomer, code).code == "connection-database-port"
    assert trusted_names(master) == {"newcomer": "join code"}
    assert trusted_names(newcomer) == {"bare": "join code"}
    assert refused(newcomer, code).code == "connection-database-port"
    newcomer.api.delete("trusted-certificates/mss/bare")
    assert refused(newcomer, code).code == "connection-database-port", "the same server may come again"
    assert set(trusted_names(newcomer)) == {"bare"}
    second = Server("second", tmp_path)
    try:
        second.start()
        error = refused(second, code)
        assert error.code == "join-code"
        assert "used already, by the server newcomer" in error.problem["detail"]
        assert trusted_names(second) == {}
        other = invite(master, minutes=1)
        age_invites(master)
        assert "expired" in refused(second, other).problem["detail"]
        third = invite(master)
        (newest, *_) = master.api.get("group/invites")["items"]
        master.api.delete(f"group/invites/{newest['id']}")
        error = refused(second, third)
        assert "doesn't know this join code" in error.problem["detail"]
        assert set(trusted_names(master)) == {"newcomer"}
    finally:
        second.destroy()


def age_invites(server: Server) -> None:
    """As if half an hour had gone by."""
    server.stop()
    with sqlite3.connect(server.data_dir / "server.db") as db:
        (text,) = db.execute("SELECT value FROM setting WHERE name = 'invites'").fetchone()
        invites = [i | {"expires_s": i["expires_s"] - 1800} for i in json.loads(text)]
        db.execute("UPDATE setting SET value = ? WHERE name = 'invites'", (json.dumps(invites),))
    db.close()
    server.start(env={"HOSTWARD_DATABASE_JAVA": "/no/such/java"})


def test_codes_are_made_on_a_master_and_used_on_a_standalone(bare_master: Server, newcomer: Server) -> None:
    with pytest.raises(Refused) as error:
        newcomer.api.post("group/invite", {})
    assert error.value.code == "role"
    code = invite(bare_master)
    with pytest.raises(Refused) as error:
        join(bare_master, code)
    assert error.value.code == "role"
    for minutes in (0, 31):
        with pytest.raises(Refused):
            bare_master.api.post("group/invite", {"minutes": minutes})


@pytest.mark.parametrize("protocol", ["https", "http"])
def test_a_false_master_gets_nothing(
    protocol: str, bare_master: Server, newcomer: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers at the Master's address as the Master would, even with the Master's own public certificate in its
    hello, but for TLS it has only its own."""
    false = Server("false", tmp_path)
    false.start()
    false.stop()
    identity = false.data_dir / "identity"
    true_code = JoinCode.parse(invite(bare_master))
    code = JoinCode(Target(false.address, HTTPS_PORT), protocol, true_code.fingerprint, true_code.secret)
    tls = (
        {"certificate": identity / "servletcontainer.cer", "key": identity / "servletcontainer.key"}
        if protocol == "https"
        else {}
    )
    for shown, said in ((false, "isn't the one that made the join code"), (bare_master, "")):
        hello = json.dumps({"certificate": shown.certificate_file.read_text(), "instance": "0" * 32}).encode()
        answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(hello) + hello
        with Listener(false.address, HTTPS_PORT, answer, **tls) as listener:
            error = refused(newcomer, code.text())
        assert said in error.problem["detail"]
        assert listener.received, "it was greeted"
        sent = b"".join(listener.received)
        assert true_code.secret not in sent
        assert true_code.secret.hex().encode() not in sent
        assert fingerprint(newcomer.certificate_file.read_text()).encode() not in sent
        if said or protocol == "https":
            assert all(piece.startswith(b"GET /mss/peer/ ") for piece in listener.received), "and told nothing"
        assert trusted_names(newcomer) == {}
    false.destroy()
    assert refused(newcomer, true_code.text()).code == "connection-database-port", "the code is still good"
