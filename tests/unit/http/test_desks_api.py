"""A login at a desk: what it may do, and the ticket that carries it to the group's other servers."""

from __future__ import annotations

import base64
import json
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.unit.http.conftest import Server, client
from tests.unit.http.test_people_api import SECRET, created

from hostward.domain.changes import Delete, Put
from hostward.domain.tickets import DESK_LASTS, LASTS, PREFIX, Ticket
from hostward.registry.group import Reader
from hostward.replication.group.members import JOINED, MEMBER, Member
from hostward.trust.identity import ServerIdentity, load_or_create

pytestmark = [pytest.mark.anyio, pytest.mark.feature("A10")]


def described(identity: ServerIdentity, name: str) -> Member:
    return Member(
        server_id=identity.server_id, name=name, host=f"{name}.example.com", port=8443, context="mss",
        protocol="https", certificate=identity.certificate_pem, internode_certificate=identity.certificate_pem,
        address="127.0.0.1", storage_port=7000, version="0.1.0", state=JOINED,
        https_port=8443,
    )  # fmt: skip


async def changed(server: Server, *operations: Put | Delete) -> None:
    def decide(_: Reader) -> list[Put | Delete]:
        return list(operations)

    await server.services.group.commit("tests", decide)


@dataclass(frozen=True)
class Other:
    """Another member, and a ticket of it for the user anna."""

    identity: ServerIdentity
    ticket: Ticket
    user: dict[str, Any]

    def text(self, **otherwise: Any) -> str:
        return replace(self.ticket, **otherwise).to_text(self.identity.sign)


@pytest.fixture
async def other(server: Server, tmp_path: Path) -> Other:
    directory = tmp_path / "other"
    directory.mkdir()
    identity = load_or_create(directory, "other.example.com", [], datetime.now(UTC))
    own = server.services.identity
    await changed(server, described(own, "this").put(), described(identity, "other").put())
    user = await created(server, "anna", role="administrator")
    now = datetime.now(UTC)
    ticket = Ticket(
        group=server.services.group.group_id,
        server=identity.server_id,
        account=user["id"],
        generation=server.services.users.get(user["id"]).generation,  # type: ignore[union-attr]
        began=int(now.timestamp()),
        expires=int((now + LASTS).timestamp()),
    )
    return Other(identity, ticket, user)


async def exchanged(server: Server, text: str) -> httpx.Response:
    return await server.anyone.post("/login/exchange", json={"ticket": text})


async def refused(server: Server, text: str) -> str:
    """Nobody was let in, and the answer is the one for all tickets that aren't good; why."""
    before = len((await server.api.get("/tokens")).json()["items"])
    answer = await exchanged(server, text)
    assert (answer.status_code, answer.json()["code"]) == (401, "ticket"), answer.text
    assert len((await server.api.get("/tokens")).json()["items"]) == before
    return str(answer.json()["detail"])


async def test_a_ticket_of_a_member_is_a_login_that_administers_nothing(server: Server, other: Other) -> None:
    answer = await exchanged(server, other.text())
    assert answer.status_code == 200, answer.text
    async with client(server.app, answer.json()["token"]) as desk:
        me = (await desk.get("/me")).json()
        assert (me["user"], me["role"], me["token"]["kind"]) == ("anna", "", "desk")
        assert (await desk.get("/me/sessions")).status_code == 200
        for path in ("/sessions", "/users", "/audit", "/tokens", "/replication"):
            assert (await desk.get(path)).status_code == 403, path
        named = {"name": "x", "type": "VT", "host": "a.example.com"}
        assert (await desk.post("/sessions", json=named)).status_code == 403
        assert (await desk.post("/tokens", json={"name": "x"})).status_code == 403
    entry = (await server.api.get("/audit", params={"user": "anna", "act": "logged-in"})).json()["items"][0]
    assert (entry["about"]["kind"], entry["about"]["ticket_of"]) == ("desk", "other")


async def test_a_forged_ticket_is_refused(server: Server, other: Other, tmp_path: Path) -> None:
    good = other.text()
    stranger_dir = tmp_path / "stranger"
    stranger_dir.mkdir()
    stranger = load_or_create(stranger_dir, "stranger.example.com", [], datetime.now(UTC))
    await created(server, "ben")
    ben = server.services.users.named("ben")
    assert ben is not None
    head, _, signature = good.removeprefix(PREFIX).partition(".")
    said = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))

    def with_content(content: bytes) -> str:
        return f"{PREFIX}{base64.urlsafe_b64encode(content).decode().rstrip('=')}.{signature}"

    forged = [
        other.ticket.to_text(stranger.sign),
        replace(other.ticket, server=stranger.server_id).to_text(stranger.sign),
        replace(other.ticket, server=server.services.identity.server_id).to_text(other.identity.sign),
        with_content(json.dumps(said | {"account": ben.id}).encode()),
        with_content(json.dumps(said | {"generation": said["generation"] + 1}).encode()),
        with_content(json.dumps(said | {"expires": said["expires"] + 1}).encode()),
        with_content(json.dumps(said).encode() + b" "),
        good[:-4],
        good.replace(PREFIX, "hw_"),
        PREFIX + "." + signature,
        PREFIX + "x" * 900,
        other.ticket.to_text(lambda data: other.identity.sign(b"other purpose" + data)),
        other.text(group="another group"),
    ]
    for text in forged:
        await refused(server, text)
    assert (await exchanged(server, good)).status_code == 200


@pytest.mark.parametrize("content", [b"[]", b"{}", b"null", b"[" * 600, b"\xff", b'{"group":1}'])
async def test_what_is_no_ticket_is_refused_however_it_is_signed(server: Server, other: Other, content: bytes) -> None:
    signature = other.identity.sign(b"hostward-ticket-1\0" + content)
    parts = (base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (content, signature))
    await refused(server, PREFIX + ".".join(parts))


@pytest.mark.parametrize(
    ("field", "value"),
    [("generation", True), ("generation", "0"), ("began", 1.5), ("expires", float("inf")), ("account", ["x"])],
)
async def test_a_member_that_signs_other_types_is_refused(
    server: Server, other: Other, field: str, value: object
) -> None:
    await refused(server, other.text(**{field: value}))


@pytest.mark.feature("A16")
async def test_a_removed_servers_ticket_is_refused(server: Server, other: Other) -> None:
    text = other.text()
    await changed(server, Delete(MEMBER, other.identity.server_id))
    assert "no server of this group" in await refused(server, text)


async def test_a_ticket_ends_with_the_users_logins(server: Server, other: Other) -> None:
    path, text = f"/users/{other.user['id']}", other.text()
    assert (await exchanged(server, text)).status_code == 200
    async with AsyncExitStack() as stack:
        answer = await server.anyone.post("/login", json={"user": "anna", "password": SECRET})
        api = await stack.enter_async_context(client(server.app, answer.json()["token"]))
        assert (await api.delete("/me/logins")).status_code == 200
    assert "ended" in await refused(server, text)
    await refused(server, other.text(generation=other.ticket.generation + 7))
    now = server.services.users.get(other.user["id"])
    assert now is not None
    text = other.text(generation=now.generation)
    assert (await exchanged(server, text)).status_code == 200
    assert (await server.api.patch(path, json={"disabled": True})).status_code == 200
    await refused(server, text)
    await refused(server, other.text(account="nobody", generation=now.generation))


async def test_a_ticket_ends_by_itself_and_a_clock_far_ahead_makes_none_that_lasts(
    server: Server, other: Other
) -> None:
    now = datetime.now(UTC)

    def at(moment: timedelta) -> int:
        return int((now + moment).timestamp())

    hour = timedelta(hours=1)
    for wrong in (
        {"expires": at(-timedelta(seconds=1))},
        {"expires": at(LASTS + hour)},
        {"began": at(hour)},
        {"began": at(-DESK_LASTS), "expires": at(hour)},
    ):
        await refused(server, other.text(**wrong))
    a_week = at(hour - DESK_LASTS)
    answer = await exchanged(server, other.text(began=a_week))
    assert answer.status_code == 200
    ends = datetime.fromisoformat(answer.json()["expires_at"])
    assert abs(ends - now - hour) < timedelta(minutes=1), "it lasts no longer than 7 days from the password"
    async with client(server.app, answer.json()["token"]) as desk:
        assert (await desk.get("/me")).json()["token"]["expires_at"] == answer.json()["expires_at"]
        again = (await desk.post("/me/ticket")).json()["ticket"]
    once_more = await exchanged(server, again)
    assert once_more.json()["expires_at"] == answer.json()["expires_at"]


async def test_a_desk_is_told_the_servers_and_given_a_ticket_that_is_good(server: Server, other: Other) -> None:
    login = {"user": "anna", "password": SECRET, "desk": True}
    answer = (await server.anyone.post("/login", json=login)).json()
    assert (await exchanged(server, answer["ticket"])).status_code == 200
    async with client(server.app, answer["token"]) as desk:
        assert (await desk.get("/me")).json()["role"] == ""
        found = (await desk.get("/me/servers")).json()
        assert [(s["name"], s["url"]) for s in found["items"]] == [
            ("server.example.com", "https://server.example.com:443/mss"),
            ("other", "https://other.example.com:8443/mss"),
        ]
        assert found["items"][1]["certificate"] == other.identity.certificate_pem
    admin = await server.api.post("/me/ticket")
    assert (admin.status_code, admin.json()["code"]) == (409, "no-desk")
    usual = (await server.anyone.post("/login", json={"user": "anna", "password": SECRET})).json()
    assert "ticket" not in usual


async def test_servers_that_talk_http_are_for_desks_by_their_https_port(server: Server, other: Other) -> None:
    them = replace(described(other.identity, "other"), protocol="http", port=8080, https_port=9443)
    login = {"user": "anna", "password": SECRET, "desk": True}
    token = (await server.anyone.post("/login", json=login)).json()["token"]
    async with client(server.app, token) as desk:
        for https_port, urls in ((9443, ["https://other.example.com:9443/mss"]), (0, [])):
            await changed(server, replace(them, https_port=https_port).put())
            assert [s["url"] for s in (await desk.get("/me/servers")).json()["items"][1:]] == urls


async def test_an_account_of_one_server_gets_no_ticket_nor_a_server_without_a_group(server: Server) -> None:
    await created(server, "anna")
    for user, password in (("anna", SECRET), ("admin", "four words of mine")):
        login = {"user": user, "password": password, "desk": True}
        answer = (await server.anyone.post("/login", json=login)).json()
        assert answer["ticket"] == ""
        async with client(server.app, answer["token"]) as desk:
            assert (await desk.get("/me")).json()["role"] == ""
            assert (await desk.get("/sessions")).status_code == 403


async def test_logins_by_ticket_push_out_no_other_login(server: Server, other: Other) -> None:
    usual = (await server.anyone.post("/login", json={"user": "anna", "password": SECRET})).json()["token"]
    for _ in range(120):
        assert (await exchanged(server, other.text())).status_code == 200
    async with client(server.app, usual) as api:
        assert (await api.get("/me")).status_code == 200
