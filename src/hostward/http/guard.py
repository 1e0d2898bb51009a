"""The outermost layer: limits on what comes in, headers on what goes out, and a name for each request in the log."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from typing import Final

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hostward.http.problems import problem

log = structlog.get_logger()

MAX_BODY_BYTES: Final = 1 << 20
MAX_IMPORT_BYTES: Final = 64 << 20
FORM_BYTES: Final = 64 << 10
"""What a multipart form may add to a file's own bytes."""
SILENCE_S: Final = 60.0
"""How long the next piece of a body may be awaited."""
MAX_LOGGED_PATH: Final = 300

API_POLICY: Final = b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", API_POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
"""For what says nothing else itself."""


class Guard:
    """ASGI middleware. Servers' envelopes, under `peer_path`, have a limit of their own and pass untouched."""

    def __init__(self, app: ASGIApp, *, peer_path: str, limits: Mapping[str, int]) -> None:
        """`limits` are of the bodies on certain paths, in bytes."""
        self._app, self._peer_path, self._limits = app, peer_path, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(self._peer_path):
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request=request_id)
        secured = _logged(_secured(send, request_id.encode()), scope)
        limit = self._limits.get(scope["path"], MAX_BODY_BYTES)
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
        if len(declared) > 18 or (declared.isdigit() and int(declared) > limit):
            # Not read at all, so the connection can't be used any further.
            text, remedy = _too_large(limit)
            answer = problem(413, text, code="body-too-large", remedy=remedy, headers={"Connection": "close"})
            await answer(scope, receive, secured)
            return
        await self._app(scope, _limited(receive, limit), secured)


def _logged(send: Send, scope: Scope) -> Send:
    """At Debug, a line for each request. What comes after the path is left out, and so is the body: people search for
    what they like, and forms hold passwords."""
    since_s = time.monotonic()

    async def logged(message: Message) -> None:
        if message["type"] == "http.response.start":
            took_ms = round((time.monotonic() - since_s) * 1000)
            path, address = scope["path"][:MAX_LOGGED_PATH], (scope.get("client") or ("",))[0]
            log.debug(
                "request", method=scope["method"], path=path, status=message["status"], ms=took_ms, address=address
            )
        await send(message)

    return logged


def _secured(send: Send, request_id: bytes) -> Send:
    async def secured(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            names = {name for name, _ in headers}
            headers += [pair for pair in _HEADERS if pair[0] not in names]
            headers.append((b"x-request-id", request_id))
            message = {**message, "headers": headers}
        await send(message)

    return secured


def _limited(receive: Receive, limit: int) -> Receive:
    """Counts a body while it comes in. What is raised reaches whoever reads it: an HTTPException, because the framework
    makes a plain 400 of everything else."""
    size, whole = 0, False

    async def limited() -> Message:
        nonlocal size, whole
        if whole:
            return await receive()  # waits for the client to leave, however long that takes
        try:
            async with asyncio.timeout(SILENCE_S):
                message = await receive()
        except TimeoutError as error:
            raise HTTPException(408, "The request's body didn't arrive in time.", {"Connection": "close"}) from error
        size += len(message.get("body", b""))
        whole = not message.get("more_body", False)
        if size > limit:
            raise HTTPException(413, " ".join(_too_large(limit)), {"Connection": "close"})
        return message

    return limited


def _too_large(limit: int) -> tuple[str, str]:
    return f"The request's body is larger than {limit >> 20} MiB.", "Send it in parts; an import as several files."
