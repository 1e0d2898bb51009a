"""Logging in, tokens and passwords through the REST API."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from argon2 import PasswordHasher
from tests.unit.commands.servers import PASSWORD, open_server
from tests.unit.http.conftest import Server, client
from tests.unit.http.test_people_api import created

from hostward.access import passwords
from hostward.access.throttle import LIMITS
from hostward.http.app import create_app

pytestmark = pytest.mark.anyio


async def test_a_login_gives_a_token_that_logging_out_ends(server: Server) -> None:
    answer = (await server.anyone.post("/login", json={"user": "admin", "password": PASSWORD})).json()
    lasts = datetime.fromisoformat(answer["expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=11, minutes=59) < lasts <= timedelta(hours=12)
    async with client(server.app, answer["token"]) as api:
        me = (await api.get("/me")).json()
        assert (me["user"], me["token"]["kind"]) == ("admin", "login")
        out = await api.post("/logout")
        assert (out.status_code, out.content) == (204, b"")
        assert (await api.get("/me")).status_code == 401
    assert (await server.api.get("/me")).status_code == 200


@pytest.mark.feature("A10")
async def test_a_wrong_password_says_nothing_about_the_user(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same answer, by the same work: as many hashes are computed, with the same parameters."""
    await created(server, "anna")
    await created(server, "without", password=None)
    work: list[str] = []

    class Counting(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
            work.append(str(hash).rpartition("$")[0].rpartition("$")[0])
            return super().verify(hash, password)

    monkeypatch.setattr(passwords, "_hasher", Counting(time_cost=5, memory_cost=19 << 10, parallelism=1))
    said = []
    for user in ("admin", "nobody", "anna", "without"):
        refused = await server.anyone.post("/login", json={"user": user, "password": "wrong password"})
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Bearer")
        said.append(refused.json())
    assert said == [said[0]] * 4
    assert said[0]["code"] == "wrong-password"
    assert work == [work[0]] * 4


async def test_guessing_has_to_wait_and_others_do_not(server: Server) -> None:
    wrong = {"user": "admin", "password": "wrong password"}
    async with client(server.app, address="198.51.100.7") as guesser:
        statuses = [(await guesser.post("/login", json=wrong)).status_code for _ in range(LIMITS["pair"].free)]
        assert set(statuses) == {401}
        refused = await guesser.post("/login", json={"user": "admin", "password": PASSWORD})
    assert (refused.status_code, refused.json()["code"]) == (429, "too-many-attempts")
    assert int(refused.headers["retry-after"]) == 1
    right = await server.anyone.post("/login", json={"user": "admin", "password": PASSWORD})
    assert right.status_code == 200


async def test_the_address_a_request_claims_is_not_believed(server: Server) -> None:
    wrong = {"user": "admin", "password": "wrong password"}
    async with client(server.app, address="198.51.100.8") as guesser:
        last = None
        for n in range(LIMITS["pair"].free + 1):
            last = await guesser.post("/login", json=wrong, headers={"X-Forwarded-For": f"203.0.113.{n}"})
    assert last is not None
    assert last.status_code == 429


async def test_tokens_for_programs(server: Server) -> None:
    made = await server.api.post("/tokens", json={"name": "night job", "days": 30})
    assert made.status_code == 201
    token = made.json()
    assert token["expires_at"][:10] == (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    async with client(server.app, token["token"]) as program:
        assert (await program.get("/me")).json()["token"]["name"] == "night job"
        listed = (await server.api.get("/tokens")).json()["items"]
        assert [t["name"] for t in listed if t["kind"] == "program"] == ["night job"]
        assert token["token"] not in json.dumps(listed)
        assert all(t["last_used_at"] for t in listed if t["kind"] == "program")
        again = await server.api.post("/tokens", json={"name": "night job", "days": 1})
        assert (again.status_code, again.json()["code"]) == (409, "name-taken")
        assert (await server.api.delete(f"/tokens/{token['id']}")).status_code == 204
        assert (await program.get("/me")).status_code == 401
    assert (await server.api.delete(f"/tokens/{token['id']}")).status_code == 404


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": "", "days": 1}, "name"),
        ({"name": "a\nb", "days": 1}, "name"),
        ({"name": "a", "days": 0}, "days"),
        ({"name": "a", "days": "1"}, "days"),
        ({"name": "a", "days": 10**9}, "days"),
        ({"name": "a", "day": 1}, "day"),
        ({"days": 1}, "name"),
    ],
)
async def test_a_token_that_cannot_be_is_refused(server: Server, given: dict[str, Any], field: str) -> None:
    refused = await server.api.post("/tokens", json=given)
    assert refused.status_code == 422
    (mistake,) = refused.json()["mistakes"]
    assert mistake["field"] == field
    if field == "day":
        assert "“days”" in mistake["remedy"]


@pytest.mark.feature("A10")
async def test_logging_out_everywhere_leaves_tokens_for_programs_unless_they_are_to_end_too(server: Server) -> None:
    program = (await server.api.post("/tokens", json={"name": "night job"})).json()["token"]
    async with client(server.app, program) as api:
        other = (await server.anyone.post("/login", json={"user": "admin", "password": PASSWORD})).json()["token"]
        assert (await server.api.delete("/me/logins")).json() == {"logins_ended": 2}
        async with client(server.app, other) as ended:
            assert (await ended.get("/me")).status_code == 401
        assert (await api.get("/me")).status_code == 200
        assert (await api.delete("/me/logins", params={"tokens": "true"})).json() == {"logins_ended": 1}
        assert (await api.get("/me")).status_code == 401


@pytest.mark.feature("A10")
async def test_changing_the_password_ends_other_logins(server: Server) -> None:
    other = (await server.anyone.post("/login", json={"user": "admin", "password": PASSWORD})).json()["token"]
    wrong = await server.api.put("/me/password", json={"current": "wrong one", "new": "a new password"})
    assert (wrong.status_code, wrong.json()["mistakes"][0]["field"]) == (422, "current")
    short = await server.api.put("/me/password", json={"current": PASSWORD, "new": "short"})
    assert (short.status_code, short.json()["mistakes"][0]["field"]) == (422, "new")
    done = await server.api.put("/me/password", json={"current": PASSWORD, "new": "a new password"})
    assert (done.status_code, done.json()) == (200, {"logins_ended": 1})
    assert (await server.api.get("/me")).status_code == 200
    async with client(server.app, other) as ended:
        assert (await ended.get("/me")).status_code == 401
    for password, status in ((PASSWORD, 401), ("a new password", 200)):
        answer = await server.anyone.post("/login", json={"user": "admin", "password": password})
        assert answer.status_code == status


async def test_a_password_in_the_wrong_place_is_not_repeated(server: Server) -> None:
    for body in ({"user": "admin", "password": ["hunter2hunter2"]}, {"user": "admin", "passwort": "hunter2hunter2"}):
        refused = await server.anyone.post("/login", json=body)
        assert refused.status_code == 422
        assert "hunter2" not in refused.text
    assert "“password”" in refused.json()["mistakes"][-1]["remedy"]


@pytest.mark.feature("A11")
@pytest.mark.parametrize("address", ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "128.0.0.1", ""])
async def test_over_http_no_password_and_no_token_is_taken(server: Server, address: str) -> None:
    """It names where to go instead, as configured and not as the request says; no token is even looked at."""
    async with client(server.app, server.token, address, scheme="http") as plain:
        evil = {"Host": "evil.example.net", "X-Forwarded-Proto": "https", "X-Forwarded-For": "127.0.0.1"}
        answers = [
            await plain.post("/login", json={"user": "admin", "password": PASSWORD}, headers=evil),
            await plain.post("/login", content=b"{", headers=evil),
            await plain.get("/sessions", headers=evil),
            await plain.put("/me/password", json={"current": PASSWORD, "new": "five words of mine now"}, headers=evil),
        ]
        for answer in answers:
            assert (answer.status_code, answer.json()["code"]) == (403, "https-needed")
            assert f"https://{server.services.configuration.server.host_name}/mss/api/v1/" in answer.json()["remedy"]
            assert "evil" not in answer.text
        assert (await plain.get("/health/live")).json() == {"ok": True}
        assert (await plain.get("/openapi.json")).status_code == 200
    assert (await server.anyone.post("/login", json={"user": "admin", "password": PASSWORD})).status_code == 200


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
async def test_on_the_machine_itself_http_is_enough(server: Server, address: str) -> None:
    async with client(server.app, address=address, scheme="http") as plain:
        assert (await plain.post("/login", json={"user": "admin", "password": PASSWORD})).status_code == 200


async def test_a_server_without_https_says_that_it_needs_it(tmp_path: Path) -> None:
    with open_server(tmp_path, {"HOSTWARD_SERVER_HTTPS_PORT": "0"}) as (services, _):
        async with client(create_app(services), scheme="http") as plain:
            refused = await plain.post("/login", json={"user": "admin", "password": PASSWORD})
    assert (refused.status_code, refused.json()["code"]) == (403, "https-needed")
    assert "https_port" in refused.json()["remedy"]
