"""The receiving side: opens a request's envelope, has it answered, and seals the answer for its sender."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from hostward.domain.errors import PeerError, TrustError
from hostward.replication.messages import Message, error_message
from hostward.trust.envelope import EnvelopeRefused, Instance, Opened, Opener, Sealer
from hostward.trust.identity import ServerIdentity

IN_THREAD_BYTES = 256 << 10

log = structlog.get_logger()


class Receiver:
    """`answer` gets the sender's server id and its message. `group_id` is this server's group, whatever it is."""

    def __init__(
        self,
        identity: ServerIdentity,
        instance: Instance,
        sealer: Sealer,
        opener: Opener,
        group_id: Callable[[], str],
        answer: Callable[[str, Message], Awaitable[Message]],
    ) -> None:
        self._identity, self._instance = identity, instance
        self._sealer, self._opener = sealer, opener
        self._group_id, self._answer = group_id, answer

    def hello(self) -> dict[str, Any]:
        """What anyone may know: the certificate that TLS shows too, and the name of this life of the server."""
        return {"certificate": self._identity.certificate_pem, "instance": self._instance.id}

    async def receive(self, envelope: bytes) -> bytes:
        """The answer to a request's envelope. Raises TrustError where the sender isn't trusted: it is then told
        nothing."""
        request: Opened | EnvelopeRefused
        try:
            if len(envelope) > IN_THREAD_BYTES:
                request = await asyncio.to_thread(self._opener.open, envelope, group=self._group_id())
            else:
                request = self._opener.open(envelope, group=self._group_id())
            answer = await self._answered(request)
        except EnvelopeRefused as refused:
            log.warning("envelope-refused", sender=refused.claims.sender, code=refused.code, reason=refused.message)
            request, answer = refused, error_message(refused)
        except TrustError as error:
            log.warning("envelope-refused", code=error.code, reason=error.message)
            raise
        body = answer.to_bytes()
        if len(body) > IN_THREAD_BYTES:
            return await asyncio.to_thread(self._sealer.reply, request, body)
        return self._sealer.reply(request, body)

    async def _answered(self, request: Opened) -> Message:
        try:
            message = Message.from_bytes(request.body)
        except PeerError as error:
            return error_message(error)
        return await self._answer(request.claims.sender, message)
