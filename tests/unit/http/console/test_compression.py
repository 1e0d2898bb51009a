"""Compressed answers: which, and that nothing secret can be told from their size."""

from __future__ import annotations

import gzip
import re

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from tests.unit.http.conftest import client
from tests.unit.http.console.conftest import Browser

from hostward.http.compression import Compression

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R24")]

TOKEN = re.compile(r'name="csrf" content="([0-9a-f]+)"')


async def test_pages_and_lists_are_sent_compressed_to_whoever_takes_it(browser: Browser) -> None:
    for n in range(30):
        await browser.server.create(f"one {n}")
    for asking, path in ((browser.http, "/manage/sessions"), (browser.server.api, "/sessions")):
        plain = await asking.get(path, headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        async with asking.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as answer:
            raw = b"".join([piece async for piece in answer.aiter_raw()])
        assert answer.headers["content-encoding"] == "gzip"
        assert "accept-encoding" in answer.headers["vary"].lower()
        assert len(raw) < len(plain.content) / 3
        bare = [TOKEN.sub("", text) for text in (gzip.decompress(raw).decode(), plain.text)]
        assert re.sub("[0-9a-f]{128}", "", bare[0]) == re.sub("[0-9a-f]{128}", "", bare[1])
    small = await browser.server.api.get("/sessions", params={"q": "nothing"})
    assert "content-encoding" not in small.headers


async def test_events_and_servers_envelopes_are_not_compressed() -> None:
    async def pieces(_: Request) -> Response:
        return StreamingResponse(iter([b"x" * 5000]), media_type="text/event-stream")

    async def text(_: Request) -> Response:
        return PlainTextResponse("x" * 5000)

    app = FastAPI(openapi_url=None)
    for path, answer in (("/events", pieces), ("/peer/", text), ("/other", text)):
        app.add_route(path, answer)
    app.add_middleware(Compression, peer_path="/peer/")
    async with client(app, base="") as anyone:
        found = [(await anyone.get(path)).headers.get("content-encoding") for path in ("/events", "/peer/", "/other")]
    assert found == [None, None, "gzip"]


async def test_the_token_against_forgery_looks_different_in_each_answer_and_each_is_good(
    browser: Browser, stranger: Browser
) -> None:
    tokens = {TOKEN.findall(await browser.page("/settings/general"))[0] for _ in range(3)}
    assert len(tokens) == 3
    assert len({token[64:] for token in tokens}) == 3
    for token in tokens:
        browser.forgery = token
        assert (await browser.post("/settings/general", **{"concurrency-lock-timeout": "30"})).status_code == 200
    good = browser.forgery
    flipped = f"{int(good[-1], 16) ^ 1:x}"
    for wrong in ("", "0" * 128, good[:-1], good[:-1] + flipped, good[64:], good.upper() + "x", "ä" * 128, good + good):
        answer = await browser.post("/settings/general", headers={"X-CSRF": wrong.encode()})
        assert (answer.status_code, answer.json()["code"]) == (403, "forged-form"), wrong
