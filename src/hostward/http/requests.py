"""What the routes have in common: the services, who asks, JSON both ways, conditions."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Header, Query
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from hostward.commands.accounts import authenticate_confirmed, check_permitted
from hostward.commands.services import Actor, Services
from hostward.domain.errors import InvalidInput, Unauthenticated
from hostward.domain.locks import TakeOver
from hostward.domain.permissions import Permission
from hostward.http.encrypted import check_encrypted
from hostward.http.guard import MAX_IMPORT_BYTES

MAX_SECRET: Final = 1024
MAX_FILES: Final = 1_000
"""That one form may have."""
READING: Final = ("GET", "HEAD")


class Strict(BaseModel):
    """What the API takes: fields that it doesn't know are refused, and so is text where a number belongs."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)


class ConfirmIn(Strict):
    confirm: bool = Field(default=False, strict=True)


class PlannedIn(ConfirmIn):
    plan: str = Field(default="", max_length=64)
    """Of the answer that asked for the confirmation: where it would be something else by now, nothing is done."""


class Shown(BaseModel):
    """What the API gives: for its description alone. Answers are written directly."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Json(Response):
    """An answer in JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


class JsonRequest(Request):
    """Reads JSON as strictly as it writes it: no NaN, no half of a surrogate pair."""

    async def json(self) -> Any:
        return orjson.loads(await self.body())


class OpenRoute(APIRoute):
    """A route that needs no login."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            return await handle(JsonRequest(request.scope, request.receive))

        return handler


class SecretRoute(OpenRoute):
    """A route that needs no login, and takes a secret."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            check_encrypted(request.app.state.services, request)
            return await handle(request)

        return handler


class LoginRoute(APIRoute):
    """A route that needs a login, and a role that allows it: both are looked at before anything else of the request is,
    its body above all."""

    reads = Permission.READ
    writes = Permission.EVERYTHING

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            services: Services = request.app.state.services
            check_encrypted(services, request)
            actor = await authenticate_confirmed(services, _secret_of(request), address_of(request))
            needed = self.reads if request.method in READING else self.writes
            await check_permitted(services, actor, needed, f"{request.method} {request.url.path}")
            request.state.actor = actor
            return await handle(JsonRequest(request.scope, request.receive))

        return handler


_bearer = HTTPBearer(auto_error=False, description="From POST login, or POST tokens.")


def administrators_router(
    tag: str, prefix: str = "", *, reads: Permission = Permission.READ, writes: Permission = Permission.EVERYTHING
) -> APIRouter:
    """Routes that all need a login, with a role that allows `reads` (GET) or `writes`."""
    # The route is what refuses; the dependency is what tells the API's description of it.
    route = type("LoginRoute", (LoginRoute,), {"reads": reads, "writes": writes})
    return APIRouter(prefix=prefix, tags=[tag], route_class=route, dependencies=[Depends(_bearer)])


def address_of(request: Request) -> str:
    """Where the request comes from. A proxy's headers aren't believed."""
    return request.client.host if request.client else ""


def _secret_of(request: Request) -> str:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not 0 < len(secret) <= MAX_SECRET:
        raise Unauthenticated(
            "This needs a login.",
            remedy="POST login, then send the header Authorization: Bearer TOKEN.",
            code="login-needed",
        )
    return secret.strip()


async def uploaded(request: Request) -> bytes:
    """A file that is sent: the body, or the form's part `file`. Raises InvalidInput."""
    ((_, content),) = await uploads(request, 1)
    return content


async def uploads(request: Request, most: int = MAX_FILES) -> list[tuple[str, bytes]]:
    """Files that are sent, with their names: the body, which has none, or the form's parts `file`. Raises
    InvalidInput."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return [("", await request.body())]
    async with request.form(max_files=most, max_fields=4, max_part_size=MAX_IMPORT_BYTES) as form:
        found = await files_of(form)
    if not found:
        raise InvalidInput("The form has no file.", remedy="Send the file as the form's part “file”.")
    return found


async def files_of(form: FormData) -> list[tuple[str, bytes]]:
    """The form's parts `file`, with their names; an input that nothing was chosen in is none."""
    parts = [part for part in form.getlist("file") if not isinstance(part, str) and part.filename]
    return [(part.filename or "", await part.read()) for part in parts]


async def _services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


async def _actor(request: Request) -> Actor:
    found: Actor = request.state.actor
    return found


async def _writer(
    request: Request,
    take_over: Annotated[bool, Query(description="Also sessions that somebody else is editing (their lock).")] = False,
) -> Actor:
    found: Actor = request.state.actor
    return replace(found, take_over=TakeOver(any=take_over))


_ETAG = re.compile(r'\s*(W/)?"([\x21\x23-\x7e]*)"\s*').fullmatch


async def _if_match(
    if_match: Annotated[
        str | None, Header(max_length=1000, description="The ETag that was read: write only if it is still so.")
    ] = None,
) -> tuple[str, ...] | None:
    """RFC 9110, 13.1.1; a bare ETag, without quotation marks, is taken too."""
    if if_match is None:
        return None
    tags = []
    for part in if_match.split(","):
        found = _ETAG(part)
        if found and found[1]:
            continue  # a weak one never matches here
        tags.append(found[2] if found else part.strip())
    return tuple(tags)


async def _idempotency_key(
    idempotency_key: Annotated[
        str | None,
        Header(max_length=255, description="Chosen by the caller: the same request with the same key acts once."),
    ] = None,
) -> str | None:
    if idempotency_key is not None and not (idempotency_key and idempotency_key.isprintable()):
        raise InvalidInput("The Idempotency-Key can't be used.", remedy="Send 1 to 255 printable characters.")
    return idempotency_key


With = Annotated[Services, Depends(_services)]
Who = Annotated[Actor, Depends(_actor)]
Writer = Annotated[Actor, Depends(_writer)]
IfMatch = Annotated[tuple[str, ...] | None, Depends(_if_match)]
IdempotencyKey = Annotated[str | None, Depends(_idempotency_key)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Secret = Annotated[str, StringConstraints(max_length=MAX_SECRET)]


def etag_header(etag: str) -> dict[str, str]:
    """A strong ETag."""
    return {"ETag": f'"{etag}"'}
