"""Attacks with messages between servers: by outsiders, by servers that are trusted but no members, by a member that is
compromised. Refused, logged, nothing changed; and an outsider is told nothing."""

from __future__ import annotations

import asyncio
import random
import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.support.group import Group, position_of
from tests.support.impostor import Impostor
from tests.support.inventory import rows
from tests.support.light import LightGroup
from tests.support.peer import Peer, send
from tests.support.server import HTTPS_PORT, STORAGE_PORT, Server
from tests.support.waiting import always, eventually

from hostward.database.cassandra_log import BUCKET_BITS
from hostward.database.log_store import LogRow
from hostward.database.session import open_session
from hostward.database.settings import NodeSettings
from hostward.domain.changes import Change, Epoch, Position, Put, canonical, encode_operations, make_header, pack
from hostward.domain.changes import change_from_parts as change_of
from hostward.domain.errors import PeerError
from hostward.registry.content import SnapshotContent
from hostward.registry.group import GroupRegistry
from hostward.replication.changelog.snapshots import sign_snapshot
from hostward.replication.group.members import Member
from hostward.replication.group.membership import Asking
from hostward.replication.peers.messages import Message, error_message
from hostward.trust.identity import ServerIdentity, fingerprint, load_or_create
from hostward.trust.passphrase import Passphrase
from hostward.trust.renewals import Statement, new_pair

pytestmark = pytest.mark.cluster

FLOODS, FLOOD_BYTES, HELD_BYTES = 24, 60 << 20, 160 << 20
MEMBERS_ONLY = (
    "status", "nudge", "changes", "known", "epochs", "snapshot", "vouch", "joined", "submit", "removed", "passphrase",
    "renewed",
)  # fmt: skip


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> ServerIdentity:
    return load_or_create(tmp_path_factory.mktemp("stranger"), "stranger.example.com", [], datetime.now(UTC))


@contextmanager
def trusted(identity: ServerIdentity, *servers: Server) -> Iterator[None]:
    """The identity's certificate is in these servers' Trusted Certificates meanwhile."""
    for server in servers:
        server.api.post("trusted-certificates/mss", {"pem": identity.certificate_pem, "friendly_name": "stranger"})
    try:
        yield
    finally:
        for server in servers:
            server.api.delete("trusted-certificates/mss/stranger")


@contextmanager
def nothing_changes(group: Group) -> Iterator[None]:
    """All servers have the same content, roles and Trusted Certificates before and after."""
    before = [state_of(s) for s in group.servers]
    yield
    assert [state_of(s) for s in group.servers] == before


def state_of(server: Server) -> tuple[Any, ...]:
    trusted = {c["fingerprint"] for c in server.api.get("trusted-certificates/mss")["items"]}
    return position_of(server), server.api.status()["wanted_role"], len(server.api.nodes()), trusted


def member(server: Server, group: Group, **more: Any) -> Peer:
    """Somebody who has taken all that a member knows: its key, the group's id, the passphrase."""
    identity = load_or_create(server.data_dir, server.host, [], datetime.now(UTC))
    return Peer(identity, group=str(group.master.api.status()["group"]), **more)


def refusals(server: Server) -> int:
    return (server.data_dir / "logs" / "hostward.log").read_text(encoding="utf-8").count('"envelope-refused"')


def forged(group: Group, signer: ServerIdentity, comment: str) -> Change:
    """The next change, made by somebody else than the Master: well-formed, and signed."""
    status = group.master.api.status()
    body = {**rows(1, prefix="Forged")[0], "comment": comment}
    ops = encode_operations([Put("session", "f" * 32, canonical(body))])
    header = make_header(
        group=status["group"], epoch=Epoch.parse(status["epoch"]), revision=status["revision"] + 1,
        previous=bytes.fromhex(status["hash"]), digest=bytes.fromhex(status["digest"]), author="admin",
        origin=status["server"], time="2026-01-01T00:00:00Z", ops=ops,
    )  # fmt: skip
    unsigned = change_of(header, ops, b"")
    return replace(unsigned, signature=signer.sign(unsigned.hash))


@pytest.mark.feature("A1")
def test_an_outsider_is_told_nothing_whatever_it_sends(light: LightGroup, stranger: ServerIdentity) -> None:
    master, slave = light.master, light.slaves[0]
    outside, inside = Peer(stranger), member(slave, light)
    good = inside.seal(master, Message("status"))
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    attempts = {
        "nothing": b"",
        "text": b"GET / HTTP/1.1\r\n\r\n",
        "noise": random.Random(1).randbytes(5_000),
        "an envelope's beginning": b"HWE1\x00\x00\xff\xff",
        "noise in an envelope's form": b"HWE1" + (900).to_bytes(4) + random.Random(2).randbytes(2_000),
        "an unknown certificate": outside.seal(master, Message("check", {"protocol": "https"})),
        "another passphrase too": Peer(stranger, passphrase=Passphrase("guess")).seal(master, Message("check")),
        "a member's, for another server": inside.seal(light.slaves[1], Message("status")),
        "a member's, altered": bytes(flipped),
        "a member's, cut": good[:-1],
        "a member's, cut in its head": good[:500],
        "a member's, longer": good + b"x",
    }
    before = refusals(master)
    with nothing_changes(light):
        answers = {name: send(master, body) for name, body in attempts.items()}
    assert set(answers.values()) == {answers["nothing"]}, answers
    assert (answers["nothing"].status, answers["nothing"].body) == (403, b"")
    assert refusals(master) >= before + len(attempts)
    assert send(master, good).status == 200, "the true one is still good"


@pytest.mark.feature("A2")
def test_without_join_codes_nothing_is_read_of_who_says_it_has_one(light: LightGroup) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    there = light.master.address
    with socket.create_connection((there, HTTPS_PORT), 10) as plain, context.wrap_socket(plain) as connection:
        connection.sendall(b"POST /mss/peer/join HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 403 ")


@pytest.mark.feature("A1")
def test_large_requests_of_outsiders_are_not_held(light: LightGroup, stranger: ServerIdentity) -> None:
    """Each would be 60 MiB: none is taken beyond its head."""
    master = light.master
    envelope = Peer(stranger).seal(master, Message("check"))
    process = psutil.Process(master.pid)
    before = process.memory_info().rss
    peak = [before]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            peak[0] = max(peak[0], process.memory_info().rss)

    def flood(head: bytes) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            with (
                socket.create_connection((master.address, HTTPS_PORT), 10) as plain,
                context.wrap_socket(plain) as there,
            ):
                there.sendall(
                    b"POST /mss/peer/ HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (FLOOD_BYTES, head)
                )
                for _ in range(FLOOD_BYTES >> 16):
                    there.sendall(bytes(1 << 16))
        except OSError:
            return  # it was refused in the middle: so it should be

    watcher = threading.Thread(target=watch)
    watcher.start()
    heads = [envelope, b"", b"HWE1" + (48 << 10).to_bytes(4)]
    floods = [threading.Thread(target=flood, args=(heads[n % len(heads)],), daemon=True) for n in range(FLOODS)]
    for one in floods:
        one.start()
    for one in floods:
        one.join(60)
    done.set()
    watcher.join()
    assert peak[0] - before < HELD_BYTES, f"{(peak[0] - before) >> 20} MiB were held"
    light.wait_equal()


@pytest.mark.feature("R5")
@pytest.mark.feature("A1")
def test_trusted_but_no_member(light: LightGroup, stranger: ServerIdentity) -> None:
    """The default passphrase and a certificate that is trusted: enough to ask for admission, for nothing else."""
    master = light.master
    group_id = str(master.api.status()["group"])
    check = Message("check", {"protocol": "https"})
    assert send(master, Peer(stranger).seal(master, check)).status == 403, "the passphrase alone opens nothing"
    with trusted(stranger, master), nothing_changes(light):
        outside = Peer(stranger)
        assert outside.ask(master, check).act == "ok"
        hello = outside.hello(master)
        assert set(hello) == {"certificate", "instance", "renewals"}, "more than TLS shows"
        for act in MEMBERS_ONLY:
            assert outside.refusal(master, Message(act)) == "group", act
        pretender = Peer(stranger, group=group_id)
        for act in MEMBERS_ONLY:
            assert pretender.refusal(master, Message(act, nonsense())) in (
                "removed",
                "group",
                "role",
                "busy",
                "version",
            ), act
        assert pretender.refusal(master, Message("no-such-act")) == "version"
        assert Peer(stranger, group="f" * 32).refusal(master, check) == "group"
        assert Peer(stranger, passphrase=Passphrase("guess")).refusal(master, check) == "passphrase"
        assert Peer(stranger, clock_ahead_s=3_600).refusal(master, check) == "clock"
        assert outside.refusal(master, check, instance="0" * 32) == "instance"
        envelope = outside.seal(master, check, nonce="ab" * 16)
        first, second = send(master, envelope), send(master, envelope)
        assert outside.open(first, "ab" * 16).act == "ok"
        assert outside.open(second, "ab" * 16).data["code"] == "replay"
        for wrong in hostile_descriptions(stranger, light):
            asking = Message("admit", Asking(wrong, None, True).to_json())
            assert outside.refusal(master, asking) == "description", wrong
    assert send(master, Peer(stranger).seal(master, check)).status == 403, "no longer trusted"


def nonsense() -> dict[str, Any]:
    """Data that has what each act looks for first, and nothing that is true."""
    return {
        "position": None, "after": None, "points": [], "records": [], "host_id": "0", "passphrase": "x", "id": "y",
        "member": None, "statements": [],
    }  # fmt: skip


def hostile_descriptions(stranger: ServerIdentity, group: Group) -> list[Member]:
    there = group.master
    own = Member(
        server_id=stranger.server_id, name="stranger", host="192.0.2.9", port=8443, context="mss", protocol="https",
        certificate=stranger.certificate_pem, internode_certificate=stranger.certificate_pem, address="192.0.2.9",
        storage_port=STORAGE_PORT, version="0.1.0", state="joined",
    )  # fmt: skip
    other = str(there.api.get("server")["server"])
    return [
        replace(own, server_id=other),
        replace(own, certificate=there.certificate_file.read_text()),
        replace(own, internode_certificate=stranger.certificate_pem + there.certificate_file.read_text()),
        replace(own, address="192.0.2.9\n- 198.51.100.1"),
        replace(own, address="192.0.2.9,198.51.100.1"),
        replace(own, name="a\nb"),
    ]


@pytest.mark.feature("R5")
@pytest.mark.feature("A1")
def test_an_expired_certificate_cannot_be_trusted(light: LightGroup, tmp_path: Path) -> None:
    old = load_or_create(tmp_path, "old.example.com", [], datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(Exception, match="certificate-expired"), trusted(old, light.master):
        pass
    assert send(light.master, Peer(old).seal(light.master, Message("check"))).status == 403


@pytest.mark.feature("R5")
@pytest.mark.feature("A5")
def test_a_compromised_slave_speaks_for_nobody_but_itself(light: LightGroup) -> None:
    master, (honest, compromised) = light.master, light.slaves
    evil, own_id = member(compromised, light), id_of(compromised)
    position = Position.from_json(evil.ask(master, Message("status")).data["position"])
    change = forged(light, evil.identity, "forged by nudge")
    claimed = replace(position, revision=change.revision, hash=change.hash, digest=change.digest)
    _, second = new_pair(own_id, compromised.host, [compromised.address], datetime.now(UTC))
    with nothing_changes(light):
        for there in (honest, master):
            assert evil.refusal(there, Message("nudge", {"position": claimed.to_json()}, pack([change]))) == "role"
            assert evil.refusal(there, Message("passphrase", {"id": "x", "passphrase": "mine now"})) == "role"
            assert evil.refusal(there, Message("removed")) == "role"
            for other in (honest, master):
                _, pem = new_pair(id_of(other), other.host, [other.address], datetime.now(UTC))
                assert evil.refusal(there, renewed(id_of(other), other, pem, evil)) == "role"
                assert evil.refusal(there, renewed(own_id, compromised, pem, evil)) == "statement"
        asking = Asking(described(honest, id_of(honest)), None, True)
        assert evil.refusal(master, Message("admit", asking.to_json())) == "description"
        assert evil.refusal(honest, Message("vouch", asking.to_json())) == "description"
        # A certificate with its own id that nobody has seen: all members would come to trust it.
        asking = Asking(replace(described(compromised, own_id), certificate=second), None, True)
        assert evil.refusal(master, Message("admit", asking.to_json())) == "certificate"
        always(lambda: all(s.api.status()["revision"] == position.revision for s in light.servers), for_s=3)
    light.wait_equal()


def id_of(server: Server) -> str:
    return str(server.api.get("server")["server"])


def renewed(server_id: str, server: Server, new: str, signer: Peer) -> Message:
    """That this server's certificate is followed by another, as the signer says."""
    now, old = datetime.now(UTC).isoformat(), fingerprint(server.certificate_file.read_text())
    unsigned = Statement(server_id, 1, old, new, now, "")
    signed = replace(unsigned, signature=signer.identity.sign(unsigned.signed()).hex())
    return Message("renewed", {"statements": [asdict(signed)]})


@pytest.mark.feature("R5")
@pytest.mark.feature("A5")
def test_a_compromised_slave_that_says_it_is_ahead_gives_the_group_nothing(tmp_path: Path) -> None:
    """In its place answers somebody with its key: it has more of the Master's changes than the Master itself, and a
    snapshot of them. Neither the Master takes that, nor a Slave that is promoted; and nobody is kept waiting."""
    group = LightGroup(tmp_path, count=3)
    group.form()
    master, (honest, compromised) = group.master, group.slaves
    try:
        evil = member(compromised, group)
        made = [master.api.post("sessions", row)["session"]["name"] for row in rows(3, prefix="Before")]
        group.wait_equal()
        status = evil.ask(compromised, Message("status")).data
        compromised.stop()
        assert compromised.gate is not None
        compromised.gate.shut()
        content = asyncio.run(forged_content(compromised, tmp_path, id_of(master), evil.identity))
        with Impostor(
            compromised.host, evil, partial(told_by_the_compromised, content, evil.identity, status)
        ) as there:
            for _ in range(2):
                eventually(lambda: "snapshot" in there.asked, within_s=60)
                eventually(lambda: any(compromised.name in w for w in master.api.status()["warnings"]), within_s=60)
                eventually(lambda: master.api.health("master")[0] == 200, within_s=60)
                answer = master.api.post("sessions", rows(1, prefix=f"In spite of it {len(made)}")[0])
                made.append(answer["session"]["name"])
                assert answer["replicated"]["confirmed"]
                there.asked.clear()
                master.restart()
            master.kill()
            there.asked.clear()
            honest.api.post("replication/promote", {"confirm": True})
            eventually(lambda: honest.api.health("master")[0] == 200, within_s=90)
            assert "snapshot" in there.asked
            assert sorted(s["name"] for s in honest.api.export()) == sorted(made)
            master.start()
            eventually(lambda: master.api.status()["role"] == "slave", within_s=90)
            group.servers[:] = [honest, master]
            group.wait_equal(60)
            assert sorted(s["name"] for s in master.api.export()) == sorted(made)
    finally:
        group.servers[:] = [master, honest, compromised]
        group.destroy()


async def forged_content(server: Server, directory: Path, master_id: str, signer: ServerIdentity) -> SnapshotContent:
    """What a stopped server's registry would hold after more changes, by whoever has its files."""
    for file in server.data_dir.glob("group.db*"):
        shutil.copyfile(file, directory / file.name)
    registry = GroupRegistry.open(
        directory / "group.db", server_id=master_id, sign=signer.sign, now=lambda: "2026-01-01T00:00:00Z"
    )
    for number in range(20):
        body = canonical({**rows(1, prefix="Forged")[0], "comment": f"forged in a snapshot {number}"})
        await registry.commit("admin", lambda _, body=body: [Put("session", "f" * 32, body)])  # type: ignore[misc]
    content = registry.snapshot()
    registry.close()
    assert content.last is not None
    assert content.position.epoch.server == master_id
    return content


def told_by_the_compromised(
    content: SnapshotContent, identity: ServerIdentity, status: dict[str, Any], message: Message
) -> Message:
    position = {"position": content.position.to_json()}
    match message.act:
        case "status":
            return Message("ok", {**status, **position, "master_silent_s": 100.0})
        case "nudge":
            return Message("ok", position)
        case "changes":
            return Message("ok", {"kept": False, **position})
        case "known":
            return Message("ok", {"known": [True] * len(message.data["points"]), **position})
        case "snapshot":
            return Message("ok", {"revision": content.position.revision}, sign_snapshot(content, identity).to_bytes())
    return error_message(PeerError("No.", code="role"))


def described(server: Server, server_id: str) -> Member:
    certificate = server.certificate_file.read_text()
    return Member(
        server_id=server_id, name=server.name, host=server.host, port=HTTPS_PORT, context="mss", protocol="https",
        certificate=certificate, internode_certificate=certificate, address=server.address,
        storage_port=STORAGE_PORT, version="0.1.0", state="joined",
    )  # fmt: skip


@pytest.mark.feature("A5")
def test_rows_that_a_compromised_slave_writes_into_the_database_are_never_applied(group: Group) -> None:
    """With a time that wins over whatever the Master writes there later: a server that finds that row where it goes on
    gets what it lacks from the others' registries."""
    master, (honest, compromised) = group.master, group.slaves
    evil = member(compromised, group)
    group.wait_equal()
    honest.kill()
    asyncio.run(put_row(compromised, forged(group, evil.identity, "forged in the log")))
    made = [master.api.post("sessions", row) for row in rows(5, prefix="After the forged row")]
    assert all(m["replicated"]["confirmed"] for m in made)
    honest.start()
    group.wait_settled(240)
    for server in group.servers:
        exported = server.api.export()
        assert not [s for s in exported if "forged" in s["comment"]], server.name
        assert {m["session"]["name"] for m in made} <= {s["name"] for s in exported}


async def put_row(server: Server, change: Change) -> None:
    database = server.data_dir / "database"
    settings = NodeSettings(
        cluster_name="", listen_address=server.address, seeds=(), data_dir=database, log_dir=server.data_dir / "logs",
        key_path=database / "identity" / "node.key", certificate_path=database / "identity" / "node.cer",
        loopback=server.address,
    )  # fmt: skip
    session = await open_session(settings)
    row = LogRow(change.epoch, change.revision, change.revision, pack([change]))
    future_us = (int(datetime.now(UTC).timestamp()) + 3_600) * 1_000_000
    try:
        await session.execute(
            "INSERT INTO hostward.log (epoch_number, epoch_server, bucket, first_revision, last_revision, parts,"
            " sha256, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?",
            (
                row.epoch.number, row.epoch.server, row.first_revision >> BUCKET_BITS, row.first_revision,
                row.last_revision, 0, row.checksum(), row.payload, future_us,
            ),
        )  # fmt: skip
    finally:
        await session.close()
