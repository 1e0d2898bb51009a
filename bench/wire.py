"""HTTP/1.1 over TLS with as little work as possible, so that what is measured is the server and not its client.

One connection, kept open, one request at a time. It knows only what the server in question sends: answers with a
Content-Length.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

CONNECT_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server's API is, what its certificate is, and who asks."""

    host: str
    port: int
    base: str
    certificate: Path
    token: str = ""

    def __repr__(self) -> str:
        return f"Place({self.host}:{self.port}{self.base})"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


class Connection(asyncio.Protocol):
    """Use `connect`. A request raises ConnectionError where no whole answer came; its deadline is the caller's."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._buffer = b""
        self._end = 0
        """Length of the answer that is coming in, head and body; 0 while its head isn't whole."""
        self._body_at = 0
        self._status = 0
        self._head_tail = b""
        self._base = ""

    @classmethod
    async def connect(cls, place: Place) -> Connection:
        """Raises OSError or TimeoutError."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, connection = await loop.create_connection(cls, place.host, place.port, ssl=tls(place.certificate))
        authorization = f"Authorization: Bearer {place.token}\r\n" if place.token else ""
        connection._base = place.base
        connection._head_tail = f" HTTP/1.1\r\nHost: {place.host}:{place.port}\r\n{authorization}".encode()
        return connection

    async def request(
        self, method: str, path: str, body: bytes = b"", content_type: str = "application/json"
    ) -> Answer:
        """`path` is relative to the API's own."""
        if self._transport is None or self.closed:
            raise ConnectionError("the connection is closed")
        assert self._waiting is None, "one request at a time"
        self._waiting = asyncio.get_running_loop().create_future()
        head = f"{method} {self._base}{path}".encode() + self._head_tail
        if method != "GET":
            head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n".encode()
        self._transport.write(head + b"\r\n" + body)
        return await self._waiting

    @property
    def closed(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has no base in common with asyncio's

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._end:
            at = self._buffer.find(b"\r\n\r\n")
            if at < 0:
                return
            head = self._buffer[:at].lower()
            self._status, self._body_at = int(head[9:12]), at + 4
            length_at = head.find(b"\r\ncontent-length:")
            length = int(head[length_at + 17 :].split(b"\r\n", 1)[0]) if length_at >= 0 else 0
            self._end = self._body_at + length
        if len(self._buffer) >= self._end:
            answer = Answer(self._status, self._buffer[self._body_at : self._end])
            self._buffer, self._end = self._buffer[self._end :], 0
            if self._waiting is not None and not self._waiting.done():
                self._waiting.set_result(answer)
            self._waiting = None

    def connection_lost(self, error: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionError(f"the server ended the connection: {error or 'end of file'}"))
        self._waiting = None


def tls(certificate: Path) -> ssl.SSLContext:
    """Trusts this one certificate; the name in it doesn't matter."""
    context = ssl.create_default_context(cafile=str(certificate))
    context.check_hostname = False
    return context
