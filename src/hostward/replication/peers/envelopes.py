"""The receiving side: opens a request's envelope, has it answered, and seals the answer for its sender.

Nothing large is taken from anyone who isn't known: an envelope's head (at most 48 KiB) says whose it is, and only then
is the rest read. The number of requests read at once is limited, and the time that each may take.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import structlog

from hostward.domain.errors import PeerError, TrustError, Unavailable
from hostward.replication.peers.messages import WITHOUT_GROUP, Message, error_message
from hostward.trust.envelope import (
    MAX_BODY_BYTES,
    OVERHEAD_BYTES,
    PREFIX_BYTES,
    EnvelopeRefused,
    Instance,
    Opened,
    Opener,
    Recognised,
    Sealer,
    head_size,
)
from hostward.trust.identity import ServerIdentity

IN_THREAD_BYTES = 256 << 10
HEAD_TIMEOUT_S = 5.0
BODY_TIMEOUT_S = 600.0
MAX_HEADS = 256
MAX_LARGE = 4

log = structlog.get_logger()


class Receiver:
    """`answer` gets the sender's server id and its message. `group_id` is this server's group, whatever it is.
    `renewals` are this server's own, as they are told; `seen` gets the certificate of each sender."""

    def __init__(
        self,
        identity: ServerIdentity,
        instance: Instance,
        sealer: Sealer,
        opener: Opener,
        group_id: Callable[[], str],
        answer: Callable[[str, Message], Awaitable[Message]],
        renewals: Callable[[], list[dict[str, Any]]],
        seen: Callable[[str], None],
    ) -> None:
        self._renewals, self._seen = renewals, seen
        self._identity, self._instance = identity, instance
        self._sealer, self._opener = sealer, opener
        self._group_id, self._answer = group_id, answer
        self._heads, self._large = 0, asyncio.Semaphore(MAX_LARGE)

    def hello(self) -> dict[str, Any]:
        """What anyone may know: the certificate that TLS shows too, how it came to be, and the name of this life of the
        server."""
        certificate = self._identity.certificate_pem
        return {"certificate": certificate, "instance": self._instance.id, "renewals": self._renewals()}

    async def receive(self, chunks: AsyncIterator[bytes]) -> bytes:
        """The answer to a request's envelope. Raises TrustError where the sender isn't trusted: it is then told
        nothing; Unavailable where too many are being read."""
        request: Opened | EnvelopeRefused
        try:
            head, start = await self._read_head(chunks)
            try:
                async with asyncio.timeout(BODY_TIMEOUT_S):
                    request = await self._read_body(head, start, chunks)
            except TimeoutError as error:
                raise TrustError("An envelope was refused: it took too long.", code="untrusted") from error
            answer = await self._answered(request)
        except EnvelopeRefused as refused:
            log.warning("envelope-refused", sender=refused.claims.sender, code=refused.code, reason=refused.message)
            await _discard(chunks)
            request, answer = refused, error_message(refused)
        except TrustError as error:
            log.warning("envelope-refused", code=error.code, reason=error.message)
            raise
        body = answer.to_bytes()
        if len(body) > MAX_BODY_BYTES:
            log.error("answer-too-large", sender=request.claims.sender, size_bytes=len(body))
            answer = error_message(
                PeerError(
                    f"The answer would be {len(body) >> 20} MiB; at most {MAX_BODY_BYTES >> 20} MiB can be sent.",
                    remedy="Withdraw large change requests where they were made: those that wait are a part of it.",
                    code="too-large",
                )
            )
            body = answer.to_bytes()
        group = request.claims.group if answer.act != "error" else ""
        if len(body) > IN_THREAD_BYTES:
            return await asyncio.to_thread(self._sealer.reply, request, body, group=group)
        return self._sealer.reply(request, body, group=group)

    async def _read_head(self, chunks: AsyncIterator[bytes]) -> tuple[Recognised, bytearray]:
        """Who sends it; and what was read beyond the head."""
        if self._heads >= MAX_HEADS:
            raise Unavailable("Too many requests are being read.", remedy="Try again.", code="busy")
        self._heads += 1
        data, size = bytearray(), PREFIX_BYTES
        try:
            async with asyncio.timeout(HEAD_TIMEOUT_S):
                while len(data) < size:
                    data += await anext(chunks)
                    if size == PREFIX_BYTES <= len(data):
                        size = head_size(bytes(data[:PREFIX_BYTES]))
        except (StopAsyncIteration, TimeoutError) as error:
            raise TrustError("An envelope was refused: it is cut off.", code="untrusted") from error
        finally:
            self._heads -= 1
        return self._opener.recognise(bytes(data[:size]), group=self._group_id()), data[size:]

    async def _read_body(self, head: Recognised, start: bytearray, chunks: AsyncIterator[bytes]) -> Opened:
        data = start
        async for chunk in chunks:
            data += chunk
            if len(data) > IN_THREAD_BYTES:
                break
        else:
            return self._opener.complete(head, memoryview(data))
        async with self._large:
            async for chunk in chunks:
                data += chunk
                if len(data) > MAX_BODY_BYTES + OVERHEAD_BYTES:
                    raise TrustError("An envelope was refused: it is too large.", code="untrusted")
            return await asyncio.to_thread(self._opener.complete, head, memoryview(data))

    async def _answered(self, request: Opened) -> Message:
        self._seen(request.sender_certificate)
        try:
            message = Message.from_bytes(request.body)
        except PeerError as error:
            return error_message(error)
        if not request.claims.group and message.act not in WITHOUT_GROUP:
            return error_message(PeerError("Only members of the group may ask that.", code="group"))
        return await self._answer(request.claims.sender, message)


async def _discard(chunks: AsyncIterator[bytes]) -> None:
    """What a known sender still sends of a refused request, so that it gets to read why."""
    size = 0
    try:
        async with asyncio.timeout(HEAD_TIMEOUT_S):
            async for chunk in chunks:
                size += len(chunk)
                if size > MAX_BODY_BYTES:
                    return
    except TimeoutError:
        return
