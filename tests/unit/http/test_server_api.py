"""Replication, certificates, backups and the server itself through the REST API."""

from __future__ import annotations

import base64
import json
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.unit.http.conftest import Server

from hostward.domain.replication import Role, Target
from hostward.trust.identity import load_or_create

pytestmark = pytest.mark.anyio

PLACE = {"host": "Master.example.com", "port": 8443, "context": "mss"}


@pytest.mark.feature("R6")
async def test_apply_needs_a_confirmation_that_tells_the_consequences(server: Server) -> None:
    wanted = {"role": "slave", "adapter": "10.0.0.2", "protocol": "https", "passphrase": "se cret", "master": PLACE}
    refused = await server.api.put("/replication", json=wanted)
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (409, "confirmation-required")
    assert problem["consequences"] == ["This server becomes slave."]
    assert server.replication.applied == []
    accepted = await server.api.put("/replication", json={**wanted, "confirm": True})
    assert (accepted.status_code, accepted.json()["job"]["id"]) == (202, "job1")
    ((applied, author),) = server.replication.applied
    assert (applied.role, applied.adapter, applied.protocol, applied.slaves) == (Role.SLAVE, "10.0.0.2", "https", None)
    assert applied.master == Target("master.example.com", 8443, "mss")
    assert applied.passphrase is not None
    assert applied.passphrase.reveal() == "se cret"
    assert "se cret" not in repr(applied)
    assert author == "admin"
    assert (await server.api.get("/jobs/job1")).json()["state"] == "running"
    assert [j["id"] for j in (await server.api.get("/jobs")).json()["items"]] == ["job1"]
    assert (await server.api.get("/jobs/nothing")).status_code == 404


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        ({"role": "slav"}, "role", "'slave'"),
        ({}, "role", "Add"),
        ({"role": "slave", "mastr": PLACE}, "mastr", "“master”"),
        ({"role": "slave", "master": {**PLACE, "hots": "x"}}, "master.hots", "“host”"),
        ({"role": "slave", "master": {**PLACE, "host": "https://a"}}, "master.host", "host name"),
        ({"role": "master", "slaves": [PLACE, {**PLACE, "port": 0}]}, "slaves.1.port", "65535"),
        ({"role": "master", "slaves": [{**PLACE, "context": "/mss"}]}, "slaves.0.context", "“mss”"),
        ({"role": "master", "slaves": [{**PLACE, "prt": 1}]}, "slaves.0.prt", "“port”"),
        ({"role": "master", "protocol": "ftp"}, "protocol", "'https'"),
        ({"role": "master", "slaves": [PLACE] * 16}, "slaves", ""),
        ({"role": "master", "confirm": "yes"}, "confirm", ""),
    ],
)
@pytest.mark.feature("A7")
async def test_settings_that_cannot_be_are_refused_by_field(
    server: Server, given: dict[str, Any], field: str, said: str
) -> None:
    refused = await server.api.put("/replication", json={"confirm": True, **given})
    assert refused.status_code == 422, refused.text
    mistake = refused.json()["mistakes"][0]
    assert mistake["field"] == field
    assert said in mistake["problem"] + mistake["remedy"]
    assert server.replication.applied == []


async def test_a_passphrase_with_a_line_break_is_refused_and_not_repeated(server: Server) -> None:
    refused = await server.api.put("/replication", json={"role": "master", "passphrase": "abc\ndef", "confirm": True})
    assert (refused.status_code, refused.json()["code"]) == (422, "passphrase")
    assert "abc" not in refused.text


async def test_connection_tests_answer_each_check(server: Server) -> None:
    answer = (await server.api.post("/replication/test-connection", json={**PLACE, "protocol": "http"})).json()
    assert answer["ok"] is False
    assert [(c["name"], c["ok"]) for c in answer["checks"]] == [("name", True), ("port", False), ("protocol", None)]
    assert answer["checks"][1]["remedy"] == "Check the port."
    ((target, protocol, passphrase),) = server.replication.tested
    assert (target.host, protocol, passphrase) == ("master.example.com", "http", None)


async def test_connection_tests_can_be_followed_line_by_line(server: Server) -> None:
    answer = await server.api.post("/replication/test-connection?follow=true", json=PLACE)
    assert answer.headers["content-type"] == "application/x-ndjson"
    *checks, whole = [json.loads(line) for line in answer.text.splitlines()]
    assert whole == {"ok": False, "checks": checks}
    assert [(c["name"], c["ok"]) for c in checks] == [("name", True), ("port", False), ("protocol", None)]


async def test_details_and_removal(server: Server) -> None:
    assert (await server.api.get("/replication/nodes")).json()[0]["status"] == "UP"
    assert (await server.api.get("/replication")).json()["role"] == "standalone"
    refused = await server.api.request("DELETE", "/replication/nodes/there", json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "confirmation-required")
    # What else to change is said before it is done.
    said = " ".join(refused.json()["consequences"])
    assert "change-passphrase" in said
    assert "Trusted Certificates" in said
    assert server.replication.removed == []
    with_body = await server.api.request("DELETE", "/replication/nodes/there", json={"confirm": True})
    with_query = await server.api.delete("/replication/nodes/there", params={"confirm": "true"})
    assert (with_body.status_code, with_query.status_code) == (202, 202)
    assert server.replication.removed == ["there"] * 2
    missing = await server.api.delete("/replication/nodes/elsewhere", params={"confirm": "true"})
    assert missing.status_code == 404


@pytest.mark.feature("R10")
async def test_certificates_are_imported_by_file_name_or_text_and_deleted(server: Server, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "third").mkdir()
    other = load_or_create(tmp_path / "other", "other.example.com", [], datetime.now(UTC))
    third = load_or_create(tmp_path / "third", "third.example.com", [], datetime.now(UTC))
    folder = server.services.data_dir / "certificates"
    (folder / "other.cer").write_text(other.certificate_pem)
    path = "/trusted-certificates/mss"
    made = await server.api.post(path, json={"file_name": "other.cer", "friendly_name": "other"})
    assert made.status_code == 201
    assert made.json()["fingerprint"] == other.fingerprint
    assert made.json()["server"] == other.server_id
    der = base64.b64encode(ssl.PEM_cert_to_DER_cert(third.certificate_pem)).decode()
    assert (await server.api.post(path, json={"pem": der, "friendly_name": "a b%"})).status_code == 201
    listed = (await server.api.get(path)).json()["items"]
    assert [(c["friendly_name"], c["own"]) for c in listed] == [
        ("this server", True),
        ("a b%", False),
        ("other", False),
    ]
    own = (await server.api.get("/server")).json()
    assert listed[0]["fingerprint"] == own["fingerprint"]
    assert listed[0]["not_after"].endswith("Z")
    assert (await server.api.delete(f"{path}/a%20b%25")).status_code == 204
    assert (await server.api.delete(f"{path}/a%20b%25")).status_code == 404
    kept = await server.api.delete(f"{path}/this%20server")
    assert (kept.status_code, kept.json()["code"]) == (409, "own-certificate")
    assert (await server.api.get("/trusted-certificates/security-proxy")).json() == {"items": []}
    unknown = await server.api.get("/trusted-certificates/other")
    assert (unknown.status_code, "security-proxy" in unknown.json()["remedy"]) == (404, True)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"friendly_name": "x"}, "file_name"),
        ({"friendly_name": "x", "file_name": "a", "pem": "b"}, "not both"),
        ({"friendly_name": "x", "file_name": "../server.db"}, "without a path"),
        ({"friendly_name": "x", "file_name": "missing.cer"}, "no file"),
        ({"friendly_name": "x", "pem": "nothing"}, "not an X.509"),
        ({"friendly_name": "", "pem": "nothing"}, "friendly name"),
        ({"friendly_name": "x", "pme": "nothing"}, "“pem”"),
    ],
)
async def test_a_certificate_that_cannot_be_trusted_says_why(server: Server, given: dict[str, str], said: str) -> None:
    refused = await server.api.post("/trusted-certificates/mss", json=given)
    assert refused.status_code == 422
    assert said in str(refused.json())


@pytest.mark.feature("R4")
async def test_a_backup_is_restored_as_a_new_change(server: Server) -> None:
    first = (await server.create("kept")).json()["session"]
    made = await server.api.post("/backups")
    assert made.status_code == 201
    name = made.json()["name"]
    await server.api.patch(f"/sessions/{first['id']}", json={"comment": "changed"})
    await server.create("added")
    refused = await server.api.post(f"/backups/{name}/restore")
    assert (refused.status_code, refused.json()["code"]) == (409, "confirmation-required")
    assert "2 sessions" in refused.json()["consequences"][0]
    assert "1 of the backup" in refused.json()["consequences"][0]
    assert server.services.group.position.revision == 3
    done = (await server.api.post(f"/backups/{name}/restore", json={"confirm": True})).json()
    assert (done["revision"], done["replicated"]["have"]) == (4, 1)
    (session,) = (await server.api.get("/sessions")).json()["items"]
    assert {**session, "revision": 1} == first
    back = (await server.api.post(f"/backups/{done['kept']}/restore", json={"confirm": True})).json()
    assert back["revision"] == 5
    assert (await server.api.get("/sessions")).json()["total"] == 2
    listed = (await server.api.get("/backups")).json()["items"]
    assert {b["name"] for b in listed} == {name, done["kept"], back["kept"]}
    assert all(b["size_bytes"] and b["created_at"] and b["reason"] for b in listed)


async def test_only_what_is_in_the_folder_of_backups_is_restored(server: Server) -> None:
    folder = server.services.data_dir / "backups"
    (folder / "garbage.db").write_bytes(b"not a database" * 1000)
    (folder / "link.db").symlink_to(server.services.data_dir / "server.db")
    for name, status in (("nothing.db", 404), ("..%2Fserver.db", 404), ("link.db", 404), ("garbage.db", 503)):
        refused = await server.api.post(f"/backups/{name}/restore", json={"confirm": True})
        assert refused.status_code == status, refused.text
        assert refused.json()["remedy"]
    assert server.services.group.position.revision == 0


async def test_the_server_says_what_it_is(server: Server) -> None:
    told = (await server.api.get("/server")).json()
    assert told["server"] == server.services.identity.server_id
    assert told["certificate_pem"] == server.services.identity.certificate_pem
    assert (told["server_name"], told["context"]) == ("server.example.com", "mss")
    assert (told["http_port"], told["https_port"]) == (80, 443)


@pytest.mark.feature("A16")
async def test_before_a_server_is_removed_it_is_said_what_it_still_knows_and_what_to_change(server: Server) -> None:
    asked = await server.api.delete("/replication/nodes/there")
    assert asked.status_code == 409, asked.text
    said = " ".join(asked.json()["consequences"])
    for text in ("still knows", "passphrase", "passwords", "certificate"):
        assert text in said
    assert server.replication.removed == []
