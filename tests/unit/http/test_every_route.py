"""What holds for every route: a login, problems as answers, limits, headers, a true description."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import structlog
from fastapi.openapi.models import OpenAPI
from tests.unit.http.conftest import Server, client

from hostward.http.guard import FORM_BYTES, MAX_BODY_BYTES, MAX_IMPORT_BYTES

pytestmark = pytest.mark.anyio

OPEN = {
    "/mss/api/v1/login",
    "/mss/api/v1/login/exchange",
    "/mss/api/v1/login/siteminder",
    *(f"/mss/api/v1/health/{c}" for c in ("live", "ready", "in-sync", "master")),
}


async def description(server: Server) -> dict[str, Any]:
    answer = await server.anyone.get("/openapi.json")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def operations(described: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def assert_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert all(problem[k] for k in ("type", "title", "detail", "code", "remedy")), problem
    return problem


async def test_every_route_needs_a_login_before_it_looks_at_anything_else(server: Server) -> None:
    closed = [(m, p) for m, p, _ in operations(await description(server)) if p not in OPEN]
    assert len(closed) > 25
    root = str(server.anyone.base_url).removesuffix("/mss/api/v1/")
    for method, path in closed:
        url = root + path.replace("{", "").replace("}", "")
        for authorization in (None, "Bearer", "Bearer hw_wrong", f"Basic {server.token}", "Bearer " + "x" * 5000):
            headers = {"Authorization": authorization} if authorization else {}
            refused = await server.anyone.request(method, url, content=b"{not json", headers=headers)
            problem = assert_problem(refused, 401)
            assert problem["code"] in ("login-needed", "token-invalid")
            assert refused.headers["www-authenticate"].startswith("Bearer")
    assert server.services.group.position.revision == 0
    assert server.replication.applied == []
    assert server.replication.tested == []


async def test_the_description_is_valid_and_complete(server: Server) -> None:
    described = await description(server)
    OpenAPI.model_validate(described)
    names = [o["operationId"] for _, _, o in operations(described)]
    assert len(names) == len(set(names))
    for method, path, operation in operations(described):
        assert operation["summary"], (method, path)
        assert operation["tags"], (method, path)
        assert operation["responses"]["default"] == {"$ref": "#/components/responses/Problem"}
        assert "422" not in operation["responses"]
        assert bool(operation.get("security")) == (path not in OPEN), path
        if method in ("PUT", "PATCH"):
            assert operation["requestBody"], (method, path)
    problem = described["components"]["responses"]["Problem"]["content"]
    assert list(problem) == ["application/problem+json"]
    fields = described["paths"]["/mss/api/v1/sessions"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert fields["required"] == ["name", "type", "host"]
    assert fields["properties"]["type"]["enum"] == ["IBM 3270", "IBM 5250", "VT", "SSH"]
    for reference in references(described):
        part: Any = described
        for name in reference.removeprefix("#/").split("/"):
            part = part[name]


def references(value: Any) -> Iterator[str]:
    """Every $ref in a document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


async def test_what_is_not_there_is_a_problem_that_repeats_nothing(server: Server) -> None:
    for path in ("/sesions", "/sessions/x/y/z", "/%00%0d%0a<script>", "/../../etc/passwd"):
        problem = assert_problem(await server.api.get(path), 404)
        assert "<script" not in str(problem)
        assert "passwd" not in str(problem)
    refused = await server.api.request("PROPFIND", "/sessions")
    assert_problem(refused, 405)
    assert refused.headers["allow"] == "GET, POST"
    refused = await server.api.post("/sessions/x")
    assert assert_problem(refused, 405)["remedy"].startswith("Use DELETE, GET, PATCH, PUT;")
    assert_problem(await server.anyone.post("https://server.example.com/mss/"), 405)
    outside = await server.api.get("https://server.example.com/elsewhere")
    assert_problem(outside, 404)


async def test_no_redirect_or_answer_uses_the_requests_host(server: Server) -> None:
    evil = {"Host": "evil.example.net", "X-Forwarded-Host": "evil.example.net", "X-Request-Id": "evil.example.net"}
    async with client(server.app, base="") as browser:
        for path in ("/", "/mss", "/mss/", "/mss/api/v1/sessions/", "/mss/api/v1/openapi.json", "/mss//", "//evil"):
            answer = await browser.get(path, headers=evil)
            assert answer.status_code < 500
            assert "evil" not in answer.text + str(answer.headers)
        lead = await browser.get("/", headers=evil)
        assert (lead.status_code // 100, lead.headers["location"]) == (3, "/mss/")


async def test_every_answer_has_the_security_headers(server: Server) -> None:
    answers = [
        await server.api.get("/sessions"),
        await server.anyone.get("/sessions"),
        await server.api.get("/nothing"),
        await server.api.post("/tokens", content=b"x" * (MAX_BODY_BYTES + 1)),
        await server.anyone.get("/health/live"),
        await server.anyone.get("https://server.example.com/mss/"),
    ]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers
    assert len({a.headers["x-request-id"] for a in answers}) == len(answers)


async def pieces(size: int) -> AsyncIterator[bytes]:
    """A body that doesn't say how long it is."""
    for _ in range(size >> 16):
        yield b"x" * (1 << 16)
    yield b"x" * (size & 0xFFFF)


@pytest.mark.parametrize(
    ("path", "limit"), [("/tokens", MAX_BODY_BYTES), ("/sessions/import", MAX_IMPORT_BYTES + FORM_BYTES)]
)
async def test_a_body_that_is_too_large_is_refused(server: Server, path: str, limit: int) -> None:
    is_json = {"Content-Type": "application/json"}
    declared = await server.api.post(path, content=b"", headers={**is_json, "Content-Length": str(limit + 1)})
    problem = assert_problem(declared, 413)
    assert "parts" in problem["remedy"]
    assert_problem(await server.api.post(path, content=b"", headers={"Content-Length": "9" * 5000}), 413)
    streamed = await server.api.post(path, content=pieces(limit + 1), headers=is_json)
    assert_problem(streamed, 413)
    assert server.services.group.position.revision == 0


async def test_a_login_needs_no_large_body(server: Server) -> None:
    assert_problem(await server.anyone.post("/login", content=pieces(MAX_BODY_BYTES + 1)), 413)


@pytest.mark.parametrize(
    ("content", "content_type", "said"),
    [
        (b"", "application/json", "missing"),
        (b"{", "application/json", "isn't JSON"),
        (b"[]", "application/json", ""),
        (b'{"name": NaN, "days": 1}', "application/json", "isn't JSON"),
        (b"[" * 100_000, "application/json", "isn't JSON"),
        (b'{"name": "a", "days": 1}', "application/x-www-form-urlencoded", "Content-Type: application/json"),
        (b"\xff\xfe", "application/json", "isn't JSON"),
    ],
)
async def test_a_body_that_is_not_json_says_so(server: Server, content: bytes, content_type: str, said: str) -> None:
    refused = await server.api.post("/tokens", content=content, headers={"Content-Type": content_type})
    problem = assert_problem(refused, 422)
    assert said in problem["detail"] + problem["remedy"]


async def test_unknown_query_parameters_are_refused_with_what_was_meant(server: Server) -> None:
    problem = assert_problem(await server.api.get("/sessions", params={"perpage": 10}), 422)
    (mistake,) = problem["mistakes"]
    assert mistake["field"] == "perpage"
    assert "“per_page”" in mistake["remedy"]


async def test_a_defect_is_a_problem_without_its_text(server: Server) -> None:
    server.app.state.services = None
    with structlog.testing.capture_logs() as logged:
        problem = assert_problem(await server.api.get("/sessions/x"), 500)
    assert [e["event"] for e in logged] == ["request-failed"]
    assert problem["code"] == "defect"
    assert "NoneType" not in str(problem)


async def test_health_needs_no_login_and_says_why_not(server: Server) -> None:
    for check in ("live", "ready", "in-sync"):
        assert (await server.anyone.get(f"/health/{check}")).json() == {"ok": True}
        assert (await server.anyone.head(f"/health/{check}")).status_code == 200
    problem = assert_problem(await server.anyone.get("/health/master"), 503)
    assert problem["reason"] == "This server's role is Standalone."
    server.replication.master_url = "https://master.example.com/mss"
    assert_problem(await server.anyone.get("/health/in-sync"), 503)
    assert (await server.anyone.get("/health/in-sync", params={"lag": 5})).status_code == 200
    assert_problem(await server.anyone.get("/health/in-sync", params={"lag": -1}), 422)


NASTY: tuple[Any, ...] = (
    None, True, 0, -1, 10**18, 10**400, 1.5, "", " ", "\0", "\r\nSet-Cookie: a=b", "../../x", "a" * 7_000, "\u202e",
    [], {}, [[]], [None], {"": None}, {"a": {"a": {}}}, "'; DROP TABLE element; --", "{{7*7}}", "<script>",
    "\U0001f512", "%00%ff",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_is_sent_is_answered_and_never_a_defect(server: Server, seed: int) -> None:
    choose = random.Random(seed)
    described = await description(server)
    schemas = described["components"]["schemas"]
    for method, template, operation in operations(described):
        if template.endswith(("/logout", "/me/password", "/login")):
            continue  # these are slow on purpose, or end the login
        for _ in range(6):
            parts = [quote(choose.choice(SEGMENTS), safe="") if p.startswith("{") else p for p in template.split("/")]
            given = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            shape = schemas.get(given.get("$ref", "").rpartition("/")[2], given)
            fields = {name: choose.choice(NASTY) for name in shape.get("properties", {}) if choose.random() < 0.7}
            body = json.dumps(choose.choice((fields, fields, fields, *NASTY)))
            query = {
                p["name"]: str(choose.choice(NASTY)) for p in operation.get("parameters", ()) if choose.random() < 0.3
            }
            answer = await server.api.request(
                method,
                f"https://server.example.com{'/'.join(parts)}",
                content=body,
                params=query,
                headers={b"Content-Type": b"application/json", b"Idempotency-Key": choose.choice((b"", b"k", b"\xff"))},
            )
            assert answer.status_code < 500 or template.endswith("/master"), (method, template, body, answer.text)
            if answer.status_code >= 400:
                assert_problem(answer, answer.status_code)
            assert "set-cookie" not in answer.headers


SEGMENTS = ("x", "..", "%", "\0", "a/b", "'", "\u202e", "a" * 5000, "{}", "mss", "import", "export", "\r\n", "job1")
