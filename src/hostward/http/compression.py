"""Answers are sent compressed to whoever takes gzip: pages and JSON are text that repeats itself.

Compression tells something of what is secret where an attacker can put words beside it and see the size (BREACH). So
the only secret that pages repeat, the token against forgery, looks different in each (console/visits.py); what else is
secret is shown once. Besides, no other site's page can cause an answer with anything in it: the cookie is
SameSite=Strict, and the API takes no cookie.
"""

from __future__ import annotations

from typing import Final

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

LEAST_BYTES: Final = 1000
LEVEL: Final = 4
"""A list of 73 kB becomes 11 kB in 0.6 ms; level 9 would take a twentieth less room and more than twice the time."""

PLAIN: Final = ("/file", "/replication/test", "/replication/test-connection")
"""How paths end whose answers stay as they are: packages' files are compressed already, and asked for in parts; of
Test Connection each check must leave at once."""


class Compression:
    """ASGI middleware. The event stream isn't compressed, as each event must leave at once; nor are servers' envelopes,
    under `peer_path`, which nothing makes smaller."""

    def __init__(self, app: ASGIApp, *, peer_path: str) -> None:
        self._app, self._peer_path = app, peer_path
        self._compressed = GZipMiddleware(app, minimum_size=LEAST_BYTES, compresslevel=LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        plain = scope["type"] != "http" or path.startswith(self._peer_path) or path.endswith(PLAIN)
        await (self._app if plain else self._compressed)(scope, receive, send)
