"""Trying back: whether the Master reaches the server that wants to be its Slave, at its own address and at the adapter
that its database will listen on. Asked at Apply, before anything is changed."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import secrets
from collections.abc import AsyncIterator

from hostward.domain.errors import PeerError

TIMEOUT_S = 3.0
WORD_BYTES = 16


@contextlib.asynccontextmanager
async def listening(address: str, port: int) -> AsyncIterator[str]:
    """Answer every connection there with a word, which is given; empty where the port is in use, as by this server's
    own node: then it can't be tried."""
    word = secrets.token_hex(WORD_BYTES)

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(word.encode())
            await writer.drain()
            writer.close()

    try:
        server = await asyncio.start_server(say, address, port)
    except OSError:
        yield ""
        return
    try:
        yield word
    finally:
        server.close()


async def reach(address: str, port: int, word: str) -> None:
    """Raises PeerError "try-back" unless that word is said there."""
    said = b""
    with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_connection(address, port)
            try:
                said = await reader.readexactly(2 * WORD_BYTES)
            finally:
                writer.close()
    if not hmac.compare_digest(said, word.encode()):
        raise PeerError(
            f"The Master can't reach this server's database port, {address}:{port}.",
            remedy=f"Choose a Database Network Adapter that the Master can reach, or open port {port} for it.",
            code="try-back",
        )
