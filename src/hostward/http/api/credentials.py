"""This server's Credential Store."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from starlette.responses import Response

from hostward.commands import credentials
from hostward.http.api.shapes import answers
from hostward.http.requests import Json, Shown, Strict, Who, With, administrators_router

router = administrators_router("Credential Store", "/credentials")


class CredentialIn(Strict):
    user: str
    """Such as a directory's bind DN."""
    secret: Annotated[str, Field(max_length=4096)]


class Credential(Shown):
    name: str
    user: str
    changed_at: str
    used_by: list[str]
    """The directories that are searched with it."""


class Credentials(Shown):
    items: list[Credential]


@router.get("", summary="List the Credential Store", responses=answers(Credentials, "By name"))
async def list_credentials(who: Who, services: With) -> Response:
    """This server's alone; secrets are never shown."""
    return Json({"items": [credential_shown(e) for e in credentials.list_credentials(services)]})


@router.put("/{name}", summary="Set an entry", status_code=204, response_class=Response)
async def put_credential(name: str, given: CredentialIn, who: Who, services: With) -> Response:
    """New, or another user and secret of the entry of that name. On this server alone."""
    await credentials.put_credential(services, who, {"name": name, **given.model_dump()})
    return Response(status_code=204)


@router.delete("/{name}", summary="Delete an entry", status_code=204, response_class=Response)
async def delete_credential(name: str, who: Who, services: With) -> Response:
    """409 while a directory is searched with it."""
    await credentials.delete_credential(services, who, name)
    return Response(status_code=204)


def credential_shown(entry: credentials.Entry) -> dict[str, Any]:
    """Without its secret."""
    c = entry.credential
    return {"name": c.name, "user": c.user, "changed_at": c.changed_at, "used_by": list(entry.used_by)}
