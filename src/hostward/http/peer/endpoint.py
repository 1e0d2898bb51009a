"""The servers' conversation: POST of an envelope, answered by an envelope; or a bare 403 that tells nothing.

GET answers this server's certificate and which life of it this is: both are public, and needed to seal an envelope.
POST of join is for a server that isn't trusted yet and has a join code.
"""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hostward.access.throttle import TooManyAttempts
from hostward.domain.errors import HostwardError, TrustError, Unavailable
from hostward.replication.group.welcoming import MAX_ENVELOPE_BYTES as MAX_JOIN_BYTES
from hostward.replication.group.welcoming import Welcoming
from hostward.replication.peers.envelopes import Receiver

JOIN_TIMEOUT_S = 10.0


def peer_routes(receiver: Receiver, welcoming: Welcoming) -> list[Route]:
    """The routes below /<context>/peer/."""

    async def hello(request: Request) -> Response:
        return JSONResponse(receiver.hello(), headers={"Cache-Control": "no-store"})

    async def envelope(request: Request) -> Response:
        try:
            answer = await receiver.receive(request.stream())
        except (TrustError, ClientDisconnect):
            return Response(status_code=403)
        except Unavailable:
            return Response(status_code=503)
        return Response(answer, media_type="application/octet-stream")

    async def join(request: Request) -> Response:
        if not welcoming.expects_somebody:
            return Response(status_code=403)
        try:
            async with asyncio.timeout(JOIN_TIMEOUT_S):
                body = await _body(request, MAX_JOIN_BYTES)
            answer = welcoming.receive(body, request.client.host if request.client else "")
        except TooManyAttempts as error:
            return Response(status_code=429, headers={"Retry-After": str(error.retry_after_s)})
        except (HostwardError, ClientDisconnect, TimeoutError, KeyError, TypeError, ValueError):
            return Response(status_code=403)
        return Response(answer, media_type="application/octet-stream")

    return [
        Route("/", hello, methods=["GET"]),
        Route("/", envelope, methods=["POST"]),
        Route("/join", join, methods=["POST"]),
    ]


async def _body(request: Request, limit: int) -> bytes:
    parts, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise TrustError("An envelope was too large.", code="untrusted")
        parts.append(chunk)
    return b"".join(parts)
