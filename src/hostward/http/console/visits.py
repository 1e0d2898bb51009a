"""One request to a page: who makes it, whether it may be believed, and how it is answered.

A page is for a logged in administrator, over HTTPS. What changes anything is a POST that comes from the server's own
pages (Sec-Fetch-Site, Origin) and shows the login's token against forgery.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import quote, urlsplit

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from hostward.commands.accounts import authenticate_confirmed, check_permitted
from hostward.commands.services import Actor, Services
from hostward.commands.siteminder import names_another
from hostward.domain.errors import (
    ConfirmationRequired,
    Forbidden,
    HostwardError,
    InvalidInput,
    Mistake,
    SessionLocked,
    Unauthenticated,
)
from hostward.domain.locks import TakeOver
from hostward.domain.panels import navigation
from hostward.domain.people import ROLES, Role
from hostward.domain.permissions import ALLOWED, Permission
from hostward.http.agents import said_by_agent
from hostward.http.console.events import Broadcaster, picture
from hostward.http.console.rendering import Pages
from hostward.http.encrypted import CODE, https_url, needs_https
from hostward.http.problems import status_of
from hostward.http.requests import MAX_FILES, MAX_SECRET, READING, address_of

FORGERY_FIELD: Final = "csrf"
_TOKEN_BYTES: Final = hashlib.sha256().digest_size
FORGERY_HEADER: Final = "x-csrf"
BACKGROUND_HEADER: Final = "x-background"
"""Sent with what a page asks for by itself, so that it doesn't count as using the login."""
MAX_FIELDS: Final = 300
AGAIN: Final = '<!doctype html><html lang="en"><title>Hostward</title><meta http-equiv="refresh" content="0">'

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    # Without its own pages' addresses the browser sends "Origin: null" with a form.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


@dataclass(frozen=True, slots=True)
class Console:
    """What all pages of one server have in common."""

    services: Services
    pages: Pages
    broadcaster: Broadcaster

    @property
    def base(self) -> str:
        """The path that all pages are under, without a slash at its end."""
        return f"/{self.services.configuration.server.context}"

    @property
    def cookie(self) -> str:
        """Of this server alone: browsers keep cookies by host name, whatever the port."""
        return f"__Host-hostward-{self.services.identity.server_id[:8]}"


@dataclass(frozen=True, slots=True)
class Visit:
    """A request by a logged in administrator. `form` is empty for GET."""

    console: Console
    request: Request
    actor: Actor
    secret: str
    form: FormData

    @property
    def services(self) -> Services:
        return self.console.services

    @property
    def may(self) -> dict[str, bool]:
        """What this one's role allows."""
        return may(self.actor.role)

    @property
    def confirmed(self) -> bool:
        """Whether Yes was pressed."""
        return self.text("confirm") == "yes"

    @property
    def plan(self) -> str:
        """What Yes was shown to do; the locks that it named are the actor's."""
        return self.text("plan").partition(".")[0]

    def text(self, name: str) -> str:
        """A field of the form as it was typed, without blanks around it; empty where it isn't there."""
        value = self.form.get(name, "")
        return value.strip() if isinstance(value, str) else ""

    def typed(self, name: str) -> str:
        """A field with a secret, blanks included. Raises InvalidInput where it is too long."""
        value = self.form.get(name)
        text = value if isinstance(value, str) else ""
        if len(text) > MAX_SECRET:
            raise wrong_field(name, "It is too long.", f"Use at most {MAX_SECRET} characters.")
        return text

    def texts(self, name: str) -> list[str]:
        """A field that there may be several of."""
        return [value.strip() for value in self.form.getlist(name) if isinstance(value, str)]

    async def page(self, template: str, status: int = 200, **shown: Any) -> Response:
        """A whole page, with the server's state as of now around it."""
        around = await around_page(self.console, self.actor, self.secret, self.request)
        return html(self.console.pages.render(template, **around, **shown), status)

    def part(self, template: str, **shown: Any) -> Response:
        """A part of a page."""
        return html(self.console.pages.render(template, base=self.console.base, may=self.may, **shown))

    def go(self, path: str) -> Response:
        """Lead on to another page, below the base, from a form that JavaScript has sent."""
        return html("", headers={"HX-Redirect": self.console.base + path})


Handler = Callable[[Visit], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


def for_administrators(
    console: Console,
    handle: Handler,
    *,
    reads: Permission = Permission.READ,
    writes: Permission = Permission.EVERYTHING,
) -> Endpoint:
    """The endpoint of a page, for whose role allows it. What goes wrong becomes a problem for the page's JavaScript, or
    a page of its own."""

    async def endpoint(request: Request) -> Response:
        elsewhere = to_https(console.services, request)
        if elsewhere is not None:
            return elsewhere
        try:
            visit = await _visit(console, request)
            needed = reads if request.method in READING else writes
            await check_permitted(visit.services, visit.actor, needed, f"{request.method} {request.url.path}")
            try:
                return await handle(visit)
            except SessionLocked as error:
                raise _asking(error, visit.plan) from error
        except Unauthenticated:
            if _by_script(request):
                raise
            if request.headers.get("sec-fetch-site") == "cross-site" and request.method == "GET":
                # The cookie doesn't come along with another site's link: the page asks for itself once more.
                return html(AGAIN)
            return RedirectResponse(login_path(console, request), 303, HEADERS)
        except HostwardError as error:
            if _by_script(request):
                raise
            return await _error_page(console, request, error)
        finally:
            await request.close()  # a file that came with a form

    return endpoint


def panel_routes(
    console: Console,
    panel: str,
    *,
    reads: Permission = Permission.READ,
    writes: Permission = Permission.EVERYTHING,
) -> Callable[..., Route]:
    """Makes the routes of a panel, each for whose role allows it: `route(path, handler, method="POST")`, the path below
    the panel's."""

    def route(path: str, handler: Handler, method: str = "POST") -> Route:
        endpoint = for_administrators(console, handler, reads=reads, writes=writes)
        return Route(f"{console.base}{panel}{path}", endpoint, methods=[method])

    return route


def html(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> HTMLResponse:
    """A page or a part of one, with the headers that all have."""
    return HTMLResponse(text, status, {**HEADERS, **(headers or {})})


def to_https(services: Services, request: Request) -> Response | None:
    """The console is for HTTPS alone: lead there, to the configured name. None where the request came that way. What
    isn't just read isn't sent on: it would be done by a request that anybody could have altered. Raises Forbidden."""
    if request.url.scheme == "https":
        return None
    url = https_url(services, request.url.path, request.url.query)
    if url is None:
        raise needs_https()
    if request.method not in READING:
        raise Forbidden(
            "The Administrative Console takes nothing over HTTP; nothing was changed.",
            remedy=f"Open {url}, and do it there.",
            code=CODE,
        )
    return RedirectResponse(url, 307, HEADERS)


def forgery_token(secret: str) -> str:
    """Derived from the login's secret, which a forger doesn't have; under another mask each time, so that the size of a
    compressed page tells nothing of it (BREACH)."""
    mask = secrets.token_bytes(_TOKEN_BYTES)
    return (mask + _xor(mask, _bare_token(secret))).hex()


def is_forgery_token(shown: str, secret: str) -> bool:
    """Whether it is one of that login's, under whatever mask."""
    if not re.fullmatch(f"[0-9a-f]{{{4 * _TOKEN_BYTES}}}", shown):
        return False
    given = bytes.fromhex(shown)
    return hmac.compare_digest(_xor(given[:_TOKEN_BYTES], given[_TOKEN_BYTES:]), _bare_token(secret))


def _bare_token(secret: str) -> bytes:
    return hmac.new(secret.encode(), b"hostward-console-csrf", hashlib.sha256).digest()


def _xor(mask: bytes, text: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(mask, text, strict=True))


def check_origin(request: Request) -> None:
    """Return where a request that changes something comes from the server's own pages. Raises Forbidden."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        fine = site == "same-origin"
    else:
        own = urlsplit(str(request.base_url))
        fine = origin == f"{own.scheme}://{own.netloc}"
    if not fine:
        raise Forbidden(
            "This was sent by another site's page; nothing was changed.",
            remedy="Open the console itself, and do it there.",
            code="cross-site",
        )


async def authenticated(console: Console, request: Request, *, used: bool = True) -> tuple[Actor, str]:
    """Who the cookie stands for, and its secret; `used`: a person stands behind the request, unless it says otherwise
    itself. Raises Unauthenticated."""
    secret = request.cookies.get(console.cookie, "")
    if not 0 < len(secret) <= MAX_SECRET:
        raise Unauthenticated("This needs a login.", remedy="Log in.", code="login-needed")
    used = used and BACKGROUND_HEADER not in request.headers
    actor = await authenticate_confirmed(console.services, secret, address_of(request), used=used)
    said = said_by_agent(console.services, request)
    if said is not None and names_another(said.policy, said.claim, actor):
        raise Unauthenticated(
            "The web agent says that somebody else is there now.", remedy="Log in again.", code="token-invalid"
        )
    return actor, secret


def login_path(console: Console, request: Request) -> str:
    """The login page, which leads back to the page that was asked for."""
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"{console.base}/login?next={quote(wanted)}" if request.method == "GET" else f"{console.base}/login"


async def form_of(request: Request) -> FormData:
    """Raises InvalidInput for what isn't a form."""
    content_type = request.headers.get("content-type")
    if content_type is None and not await request.body():
        return FormData()  # a button alone
    if not content_type or not content_type.startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
        raise InvalidInput("This isn't a form.", remedy="Use the page's own buttons.", code="no-form")
    return await request.form(max_files=MAX_FILES, max_fields=MAX_FIELDS)


async def around_page(console: Console, actor: Actor, secret: str, request: Request) -> dict[str, Any]:
    """What every page shows around its content."""
    status = await asyncio.to_thread(console.services.replication.status)
    said = said_by_agent(console.services, request)
    return {
        "base": console.base,
        "path": request.url.path.removeprefix(console.base),
        "by_agent": said is not None and said.believed,
        "user": actor.user,
        "role_label": next(r.label for r in ROLES if r.role is actor.role),
        "may": may(actor.role),
        "sections": navigation(ALLOWED[actor.role]),
        "csrf": forgery_token(secret) if secret else "",
        "status": status,
        "live": picture(status),
    }


def may(role: Role) -> dict[str, bool]:
    """What a page offers: each permission, by its name in small letters, and whether the role has it."""
    return {p.name.lower(): p in ALLOWED[role] for p in Permission}


MAX_PAGE: Final = 1_000_000


def page_of(number: str) -> int:
    """Which page of a list is asked for; the first one for what is no number."""
    return min(max(int(number), 1), MAX_PAGE) if number.isascii() and number.isdigit() and len(number) < 9 else 1


def wrong_field(field: str, problem: str, remedy: str) -> InvalidInput:
    """One field of a form that can't be used."""
    return InvalidInput(problem, remedy=remedy, mistakes=[Mistake(field, problem, remedy)])


def in_field(error: InvalidInput, field: str) -> InvalidInput:
    """The same, with its mistakes at the form's own field."""
    mistakes = [replace(m, field=field) for m in error.mistakes]
    return InvalidInput(error.message, remedy=error.remedy, code=error.code, mistakes=mistakes)


async def _visit(console: Console, request: Request) -> Visit:
    writing = request.method not in READING
    if writing:
        check_origin(request)
    actor, secret = await authenticated(console, request)
    form = FormData()
    if writing:
        form = await form_of(request)
        shown = request.headers.get(FORGERY_HEADER) or form.get(FORGERY_FIELD, "")
        if not isinstance(shown, str) or not is_forgery_token(shown, secret):
            raise Forbidden(
                "The form doesn't belong to this login; nothing was changed.",
                remedy="Load the page again, and repeat what you did.",
                code="forged-form",
            )
    visit = Visit(console, request, actor, secret, form)
    told = visit.text("plan").partition(".")[2] if visit.confirmed else ""
    return replace(visit, actor=replace(actor, take_over=TakeOver(tag=told)))


def _asking(error: SessionLocked, plan: str) -> ConfirmationRequired:
    """Yes does it in spite of these locks."""
    return ConfirmationRequired(
        "Others are editing what this changes: are you sure?",
        remedy=error.remedy,
        consequences=[*error.holders, "Their own save will show them both versions, to choose from."],
        plan=f"{plan}.{error.tag}",
    )


def _by_script(request: Request) -> bool:
    return "hx-request" in request.headers


async def _error_page(console: Console, request: Request, error: HostwardError) -> Response:
    status = status_of(error)
    try:
        actor, secret = await authenticated(console, request)
    except HostwardError:
        return html(console.pages.render("my_error.html", base=console.base, error=error, status_code=status), status)
    if actor.role is Role.NONE:  # of the server they see nothing but their sessions
        shown = console.pages.render("my_error.html", base=console.base, error=error, status_code=status)
        return html(shown, status)
    around = await around_page(console, actor, secret, request)
    return html(console.pages.render("error.html", **around, error=error, status_code=status), status)
