"""The servers' conversation: POST of an envelope, answered by an envelope; or a bare 403 that tells nothing.

GET answers this server's certificate and which life of it this is: both are public, and needed to seal an envelope.
"""

from __future__ import annotations

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hostward.domain.errors import TrustError, Unavailable
from hostward.replication.envelopes import Receiver


def peer_routes(receiver: Receiver) -> list[Route]:
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

    return [Route("/", hello, methods=["GET"]), Route("/", envelope, methods=["POST"])]
