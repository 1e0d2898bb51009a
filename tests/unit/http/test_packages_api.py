"""Packages through the API: upload, update, who gets them, and how."""

from __future__ import annotations

import hashlib
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from tests.support.zips import with_entry, zipped
from tests.unit.http.conftest import Server
from tests.unit.http.test_people_api import as_user, code, created, group, stack

__all__ = ["stack"]

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R15")]

FIRST, SECOND = zipped(setup_msi=b"version 1"), zipped(setup_msi=b"version 2", readme_txt=b"words")


async def upload(server: Server, name: str, content: bytes, **about: str) -> httpx.Response:
    headers = {"Content-Type": "application/zip"}
    return await server.api.post("/packages", params={"name": name, **about}, content=content, headers=headers)


async def made(server: Server, name: str, content: bytes = FIRST, **about: str) -> dict[str, Any]:
    answer = await upload(server, name, content, **about)
    assert answer.status_code in (200, 201), answer.text
    found: dict[str, Any] = answer.json()["package"]
    return found


async def test_a_package_is_uploaded_updated_by_its_name_edited_and_deleted(server: Server) -> None:
    first = await upload(server, "Claims client", FIRST, version="1.0", description="For claims.")
    assert first.status_code == 201
    package = first.json()["package"]
    assert package["sha256"] == hashlib.sha256(FIRST).hexdigest()
    assert (package["size"], package["installers"]) == (len(FIRST), ["setup.msi"])
    path = f"/packages/{package['id']}"
    assert (await server.api.get(f"{path}/file")).content == FIRST
    second = await upload(server, "CLAIMS CLIENT", SECOND, version="2.0")
    assert second.status_code == 200
    updated = second.json()["package"]
    assert (updated["id"], updated["version"], updated["description"]) == (package["id"], "2.0", "For claims.")
    assert updated["name"] == "Claims client"
    assert (await server.api.get(f"{path}/file")).content == SECOND
    edited = await server.api.patch(path, json={"name": "Claims"})
    assert edited.json()["package"]["name"] == "Claims"
    downloaded = await server.api.get(f"{path}/file")
    assert downloaded.content == SECOND
    assert downloaded.headers["content-disposition"].startswith('attachment; filename="Claims.zip"')
    assert "content-encoding" not in downloaded.headers
    asked = await server.api.delete(path)
    assert code(asked, 409) == "confirmation-required"
    assert (await server.api.delete(f"{path}?confirm=true")).status_code == 200
    assert code(await server.api.get(path), 404) == "not-found"


async def test_a_cut_download_goes_on_with_the_same_file_alone(server: Server) -> None:
    package = await made(server, "Claims")
    path = f"/packages/{package['id']}/file"
    whole = await server.api.get(path)
    etag = whole.headers["etag"]
    assert etag == f'"sha256:{package["sha256"]}"'
    rest = await server.api.get(path, headers={"Range": "bytes=10-", "If-Range": etag})
    assert (rest.status_code, rest.content) == (206, FIRST[10:])
    assert rest.headers["content-range"] == f"bytes 10-{len(FIRST) - 1}/{len(FIRST)}"
    await made(server, "Claims", SECOND)
    other = await server.api.get(path, headers={"Range": "bytes=10-", "If-Range": etag})
    assert (other.status_code, other.content) == (200, SECOND), "never the rest of another file"
    beyond = await server.api.get(path, headers={"Range": "bytes=99999-"})
    assert beyond.status_code == 416


@pytest.mark.feature("A8")
@pytest.mark.feature("F15")
async def test_nothing_changes_where_an_upload_is_refused(server: Server) -> None:
    package = await made(server, "Claims", version="1")
    there = server.services.group.position
    for content in (b"", b"MZ", FIRST[:-5], with_entry("../evil.exe"), zipped()):
        refused = await upload(server, "Claims", content, version="2")
        assert code(refused, 422) in ("package-broken", "package-refused")
        assert refused.json()["remedy"]
    assert code(await upload(server, "a\nb", FIRST), 422) == "package-invalid"
    assert code(await upload(server, "Claims", FIRST, version="x" * 200), 422) == "package-invalid"
    stale = await server.api.post(
        "/packages", params={"name": "Claims"}, content=SECOND, headers={"If-Match": '"somethingelse"'}
    )
    assert code(stale, 412) == "precondition-failed"
    assert server.services.group.position == there
    folder = server.services.packages.path
    assert [p.name for p in folder.rglob("*.zip")] == [package["file_name"]]
    assert list((folder / ".incoming").iterdir()) == []


async def test_an_upload_that_is_sent_again_is_the_same_one(server: Server) -> None:
    params, headers = {"name": "Claims"}, {"Idempotency-Key": "once"}
    first = await server.api.post("/packages", params=params, content=FIRST, headers=headers)
    again = await server.api.post("/packages", params=params, content=FIRST, headers=headers)
    assert first.json()["package"]["id"] == again.json()["package"]["id"]
    assert first.json()["revision"] == again.json()["revision"]


@pytest.mark.feature("R23")
@pytest.mark.feature("A12")
async def test_users_get_what_is_assigned_to_them_and_nothing_else_exists(
    server: Server, stack: AsyncExitStack
) -> None:
    await group(server, "Nordics")
    user = await created(server, "anna", groups=["Nordics"])
    ids = {name: (await made(server, name, zipped(a_txt=name.encode())))["id"] for name in ("one", "two", "three")}
    await group(server, "three")
    for given in (
        {"to": [{"kind": "user-group", "name": "nordics"}], "packages": ["ONE", ids["two"]]},
        {"to": [{"kind": "user", "name": "anna"}], "packages": ["two"], "effect": "deny"},
    ):
        assert (await server.api.post("/assignments", json=given)).status_code == 200
    anna = await as_user(server, stack, "anna")
    assert [p["name"] for p in (await anna.get("/me/packages")).json()["items"]] == ["one"]
    assert [p["name"] for p in (await server.api.get(f"/users/{user['id']}/packages")).json()["items"]] == ["one"]
    assert (await anna.get(f"/me/packages/{ids['one']}/file")).status_code == 200
    unknown = await anna.get(f"/me/packages/{'0' * 32}/file")
    for name in ("two", "three"):
        refused = await anna.get(f"/me/packages/{ids[name]}/file")
        assert code(refused, 404) == "not-found"
        assert refused.text.replace(ids[name], "0" * 32) == unknown.text
    assert (await anna.get("/packages")).status_code == 403
    why = (await server.api.get(f"/users/{user['id']}/packages/{ids['two']}")).json()
    assert (why["allowed"], why["of"]["name"]) == (False, "two")
    assert [g["effect"] for g in why["because"]] == ["deny", "allow"]
    entries = (await server.api.get("/audit?act=package-downloaded")).json()["items"]
    assert [e["outcome"] for e in entries].count("done") == 1
    assert {e["user"] for e in entries} == {"anna"}


async def test_unknown_names_and_nothing_at_all_are_refused_as_a_whole(server: Server) -> None:
    await made(server, "one")
    to = [{"kind": "everyone"}]
    refused = await server.api.post("/assignments", json={"to": to, "packages": ["one", "two"]})
    assert code(refused, 422) == "assignment-unknown"
    assert [m["field"] for m in refused.json()["mistakes"]] == ["packages"]
    assert code(await server.api.post("/assignments", json={"to": to}), 422) == "assignment-unknown"
    assert (await server.api.get("/assignments")).json()["total"] == 0
