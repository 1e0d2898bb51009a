"""A plain status page: what this server is, and after a login, how the group is."""

from __future__ import annotations

import secrets
from importlib import resources

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route


def page_routes(context: str) -> list[Route]:
    """The page at /<context>/."""
    template = resources.files("hostward.http.console").joinpath("status.html").read_text()

    async def page(_: Request) -> Response:
        nonce = secrets.token_urlsafe(16)
        policy = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self';"
            " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        return HTMLResponse(template.replace("NONCE", nonce), headers={"Content-Security-Policy": policy})

    async def without_slash(_: Request) -> Response:
        return RedirectResponse(f"/{context}/")

    return [Route(f"/{context}/", page), Route(f"/{context}", without_slash)]
