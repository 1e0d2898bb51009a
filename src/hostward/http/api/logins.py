"""Login, tokens, passwords."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from hostward.access.tokens import DESK, LOGIN, MAX_DAYS, Token
from hostward.commands import accounts, desks, siteminder
from hostward.commands.accounts import Issued
from hostward.commands.services import Services
from hostward.domain.errors import Unauthenticated
from hostward.domain.permissions import Permission
from hostward.http.agents import check_no_other_site, said_by_agent
from hostward.http.api import shapes
from hostward.http.api.shapes import answers
from hostward.http.requests import Json, Secret, SecretRoute, Strict, Text, Who, With, address_of, administrators_router

open_router = APIRouter(tags=["Login"], route_class=SecretRoute)
router = administrators_router("Login", reads=Permission.OWN, writes=Permission.OWN)
token_router = administrators_router("Login", reads=Permission.READ, writes=Permission.READ)

TokenName = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]


class LoginIn(Strict):
    user: Text
    password: Secret
    desk: bool = Field(default=False, strict=True)
    """For `hostward client`: what a user without a role may do, and a ticket for the group's other servers."""


class TicketIn(Strict):
    ticket: Secret


class TokenIn(Strict):
    name: TokenName
    """What it is for."""
    days: int = Field(default=365, ge=1, le=MAX_DAYS, strict=True)


class PasswordIn(Strict):
    current: Secret
    new: Secret


@open_router.post("/login", summary="Log in", responses=answers(shapes.LoggedIn, "The login's token"))
async def log_in(given: LoginIn, request: Request, services: With) -> Response:
    """After several wrong passwords, further tries have to wait: 429 with Retry-After."""
    kind = DESK if given.desk else LOGIN
    return _logged_in(
        services, await accounts.log_in(services, given.user, given.password, address_of(request), kind=kind)
    )


@open_router.post("/login/exchange", summary="Log in with a ticket", responses=answers(shapes.LoggedIn, "Its token"))
async def exchange(given: TicketIn, request: Request, services: With) -> Response:
    """A login at a desk for a ticket that a server of the group has made. 401 with the code `ticket` where it isn't
    good here, or no longer: then the password is needed."""
    return _logged_in(services, await desks.exchange(services, given.ticket, address_of(request)))


@open_router.post(
    "/login/siteminder", summary="Log in by a web agent", responses=answers(shapes.LoggedIn, "The login's token")
)
async def log_in_by_agent(request: Request, services: With) -> Response:
    """The user whom a web agent names in its header, where SiteMinder authentication is on and that agent believed."""
    check_no_other_site(request)
    said = said_by_agent(services, request)
    if said is None:
        raise Unauthenticated(
            "SiteMinder authentication is off, or no web agent names a user.",
            remedy="Log in with a password: POST login.",
            code="login-needed",
        )
    return _logged_in(services, await siteminder.log_in(services, said.policy, said.claim))


@router.post("/logout", summary="Log out", status_code=204, response_class=Response)
async def log_out(who: Who, services: With) -> Response:
    """The token that the request is made with is no longer valid, at once."""
    await accounts.log_out(services, who)
    return Response(status_code=204)


@router.get("/me", summary="Who is logged in", responses=answers(shapes.Me, "The user and the token used"))
async def me(who: Who, services: With) -> Response:
    return Json({"user": who.user, "role": who.role.value, "token": _shown(accounts.token_of(services, who))})


@router.put("/me/password", summary="Change your own password", responses=answers(shapes.LoginsEnded, "It is changed"))
async def change_password(given: PasswordIn, who: Who, services: With) -> Response:
    """All other logins of the user end."""
    ended = await accounts.change_password(services, who, given.current, given.new)
    return Json({"logins_ended": ended})


@router.delete("/me/logins", summary="Log out everywhere", responses=answers(shapes.LoginsEnded, "They are ended"))
async def log_out_everywhere(
    who: Who,
    services: With,
    tokens: Annotated[bool, Query(description="Also the tokens for programs.")] = False,
) -> Response:
    """All logins of the user end, in browsers and command lines, this one too. Tokens for programs of an administrator
    of this server stay, unless `tokens`."""
    return Json({"logins_ended": await accounts.log_out_everywhere(services, who, programs=tokens)})


@router.post("/me/ticket", summary="Get a ticket", responses=answers(shapes.Ticket, "For POST login/exchange"))
async def make_ticket(who: Who, services: With) -> Response:
    """For another server of the group, where it makes a login at a desk of this one. It holds for 12 hours, at most
    until 7 days after the password was given, and ends with the user's logins everywhere."""
    return Json({"ticket": desks.ticket_for(services, who)})


@router.get("/me/servers", summary="List the group's servers", responses=answers(shapes.DeskServers, "This one first"))
async def list_servers(who: Who, services: With) -> Response:
    """Where else the same may be asked, and which certificate to believe there."""
    items = [asdict(server) for server in desks.desk_servers(services)]
    return Json({"group": services.group.group_id, "items": items})


@token_router.get("/tokens", summary="List tokens", responses=answers(shapes.Tokens, "All valid ones, newest first"))
async def list_tokens(who: Who, services: With) -> Response:
    return Json({"items": [_shown(t) for t in accounts.list_tokens(services, who)]})


@token_router.post(
    "/tokens",
    summary="Make a token for a program",
    status_code=201,
    responses=answers(shapes.TokenMade, "The token; it is shown this once", 201),
)
async def create_token(given: TokenIn, who: Who, services: With) -> Response:
    issued = await accounts.create_token(services, who, given.name, given.days)
    return Json({"token": issued.secret, **_shown(issued.token)}, 201)


@token_router.delete("/tokens/{token_id}", summary="Delete a token", status_code=204, response_class=Response)
async def delete_token(token_id: str, who: Who, services: With) -> Response:
    """It is no longer valid, at once."""
    await accounts.delete_token(services, who, token_id)
    return Response(status_code=204)


def moment(time: datetime) -> str:
    """ISO 8601, UTC, seconds."""
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _shown(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "kind": token.kind,
        "user": token.user,
        "name": token.name,
        "created_at": moment(token.created),
        "expires_at": moment(token.expires),
        "last_used_at": moment(token.last_used) if token.last_used else None,
    }


def _logged_in(services: Services, issued: Issued) -> Response:
    token = issued.token
    answer = {"token": issued.secret, "expires_at": moment(token.expires), "user": token.user}
    return Json(answer | ({"ticket": desks.ticket_of(services, token)} if token.kind == DESK else {}))
