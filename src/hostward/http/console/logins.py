"""Log in and out. The cookie holds a login's token: what the API takes as a bearer token, but for half an hour's rest.

It is sent by the browser alone (HttpOnly), over HTTPS alone, and never with what another site has caused (SameSite).
"""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from hostward.access.throttle import TooManyAttempts
from hostward.access.tokens import CONSOLE
from hostward.commands import accounts, siteminder
from hostward.commands.siteminder import BY
from hostward.domain.errors import HostwardError, InvalidInput, Unauthenticated
from hostward.domain.permissions import Permission
from hostward.http.agents import said_by_agent
from hostward.http.console.visits import (
    AGAIN,
    HEADERS,
    Console,
    Visit,
    authenticated,
    check_origin,
    forgery_token,
    form_of,
    html,
    panel_routes,
    to_https,
)
from hostward.http.problems import status_of
from hostward.http.requests import MAX_SECRET, Json, address_of

MAX_NAME: Final = 1000
PASSWORD: Final = "password"  # noqa: S105
FRAMES: Final = ("iframe", "frame", "embed", "object")


def login_routes(console: Console) -> list[Route]:
    """login, stay, logout, logout-everywhere."""

    async def show(request: Request) -> Response:
        elsewhere = to_https(console.services, request)
        if elsewhere is not None:
            return elsewhere
        onward = _onward(console, request.query_params.get("next", ""))
        try:
            await authenticated(console, request)
        except Unauthenticated:
            return await _let_in_or_ask(console, request, onward)
        return RedirectResponse(onward, 303, HEADERS)

    async def log_in(request: Request) -> Response:
        elsewhere = to_https(console.services, request)
        if elsewhere is not None:
            return elsewhere
        check_origin(request)
        form = await form_of(request)
        user, password = str(form.get("user", "")), str(form.get("password", ""))
        onward, by_script = _onward(console, str(form.get("next", ""))), "hx-request" in request.headers
        try:
            if form.get("by") == BY:
                return await _by_agent(console, request, onward)
            if not 0 < len(user) <= MAX_NAME or len(password) > MAX_SECRET:
                raise InvalidInput("No user name is given.", remedy="Enter it, then the password.")
            issued = await accounts.log_in(console.services, user, password, address_of(request), CONSOLE)
        except HostwardError as error:
            if by_script:
                raise
            return _login_page(console, onward, user=user[:MAX_NAME], error=error)
        return await _logged_in(console, request, issued, onward)

    async def stay(visit: Visit) -> Response:
        """Asking is what counts as use."""
        left_s = int(accounts.left_s(visit.services, visit.actor))
        return Response(
            status_code=204, headers={**HEADERS, "HX-Trigger": json.dumps({"hw:stays": {"left_s": left_s}})}
        )

    async def log_out(visit: Visit) -> Response:
        await accounts.log_out(visit.services, visit.actor)
        return _logged_out(console, visit.request)

    async def log_out_everywhere(visit: Visit) -> Response:
        await accounts.log_out_everywhere(visit.services, visit.actor, programs=visit.text("tokens") == "yes")
        return _logged_out(console, visit.request)

    base, own = console.base, panel_routes(console, "", reads=Permission.OWN, writes=Permission.OWN)
    return [
        Route(f"{base}/login", show, methods=["GET"]),
        Route(f"{base}/login", log_in, methods=["POST"]),
        own("/stay", stay, "GET"),
        own("/logout", log_out),
        own("/logout-everywhere", log_out_everywhere),
    ]


async def _let_in_or_ask(console: Console, request: Request, onward: str) -> Response:
    """Whom a web agent names is let in; whoever isn't is asked for a password."""
    said = said_by_agent(console.services, request)
    if said is None or request.query_params.get("by") == PASSWORD:
        return _login_page(console, onward, agent=said is not None and said.believed)
    site, mode = request.headers.get("sec-fetch-site"), request.headers.get("sec-fetch-mode", "navigate")
    if request.method != "GET" or mode != "navigate" or request.headers.get("sec-fetch-dest") in FRAMES:
        return _login_page(console, onward, agent=said.believed)
    if site == "cross-site":
        return html(AGAIN)  # with the cookie, if there is one: another site's page must not make logins without end
    try:
        return await _by_agent(console, request, onward)
    except HostwardError as error:
        return _login_page(console, onward, error=error)


async def _by_agent(console: Console, request: Request, onward: str) -> Response:
    """Log in whom the web agent names. Raises Forbidden, Unauthenticated."""
    said = said_by_agent(console.services, request)
    if said is None:
        raise Unauthenticated("No web agent names a user.", remedy="Log in with a password.", code="login-needed")
    issued = await siteminder.log_in(console.services, said.policy, said.claim, CONSOLE)
    return await _logged_in(console, request, issued, onward)


async def _logged_in(console: Console, request: Request, issued: accounts.Issued, onward: str) -> Response:
    """The login takes the place of the one that the browser had."""
    await accounts.end_replaced(console.services, request.cookies.get(console.cookie, ""), address_of(request))
    answer: Response = RedirectResponse(onward, 303, HEADERS)
    if "hx-request" in request.headers:
        answer = Json({"csrf": forgery_token(issued.secret), "user": issued.token.user}, headers=HEADERS)
    answer.set_cookie(console.cookie, issued.secret, path="/", secure=True, httponly=True, samesite="strict")
    return answer


def _login_page(
    console: Console, onward: str, *, user: str = "", error: HostwardError | None = None, agent: bool = False
) -> Response:
    """`agent`: a web agent names somebody, who may also be let in."""
    s = console.services.configuration.server
    status = status_of(error) if error is not None else 200
    shown = console.pages.render(
        "login.html",
        base=console.base,
        server_name=s.name or s.host_name,
        onward=onward,
        user=user,
        error=error,
        by_agent=f"{console.base}/login?{urlencode({'next': onward})}" if agent else "",
    )
    retry = {"Retry-After": str(error.retry_after_s)} if isinstance(error, TooManyAttempts) else {}
    return html(shown, status, retry)


def _logged_out(console: Console, request: Request) -> Response:
    """To the login page; where a web agent would log the same user in again at once, one that waits."""
    waits = f"?by={PASSWORD}" if said_by_agent(console.services, request) else ""
    answer = RedirectResponse(f"{console.base}/login{waits}", 303, HEADERS)
    answer.delete_cookie(console.cookie, path="/", secure=True, httponly=True, samesite="strict")
    return answer


def _onward(console: Console, wanted: str) -> str:
    """Where to go after the login: a page of this console, whatever was asked for."""
    parts = urlsplit(wanted)
    fine = not parts.scheme and not parts.netloc and parts.path.startswith(f"{console.base}/")
    plain = "\\" not in wanted and "//" not in parts.path and wanted.isprintable()
    return wanted if fine and plain and not parts.path.endswith("/login") else f"{console.base}/"
