"""This server's Credential Store."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from starlette.responses import Response

from hostward.commands import credentials
from hostward.http.api.shapes import answers
from hostward.http.requests import ConfirmIn, Json, Secret, Shown, Strict, Who, With, administrators_router

router = administrators_router("Credential Store", "/credentials")
store_router = administrators_router("Credential Store", "/credential-store")


class CredentialIn(Strict):
    user: str
    """Such as a directory's bind DN."""
    secret: Annotated[str, Field(max_length=4096)]


class PassphraseIn(Strict):
    passphrase: Secret


class Credential(Shown):
    name: str
    user: str
    changed_at: str
    used_by: list[str]
    """The directories that are searched with it."""


class Credentials(Shown):
    items: list[Credential]
    has_passphrase: bool
    closed: bool
    """Its passphrase hasn't been given since the start: no secret can be used or set."""


@router.get("", summary="List the Credential Store", responses=answers(Credentials, "By name"))
async def list_credentials(who: Who, services: With) -> Response:
    """This server's alone; secrets are never shown."""
    store, entries = services.credentials, credentials.list_credentials(services)
    shown = [credential_shown(e) for e in entries]
    return Json({"items": shown, "has_passphrase": store.has_passphrase, "closed": store.closed})


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


@store_router.post("/open", summary="Open the Credential Store", status_code=204, response_class=Response)
async def open_store(given: PassphraseIn, who: Who, services: With) -> Response:
    """Needed once after each start of a server whose Credential Store has a passphrase."""
    await credentials.open_store(services, who, given.passphrase)
    return Response(status_code=204)


@store_router.put("/passphrase", summary="Set the store's passphrase", status_code=204, response_class=Response)
async def set_passphrase(given: PassphraseIn, who: Who, services: With) -> Response:
    """Of this server's Credential Store, the first or another: from then on it is needed after each start."""
    await credentials.set_passphrase(services, who, given.passphrase)
    return Response(status_code=204)


@store_router.delete("/passphrase", summary="Remove the store's passphrase", status_code=204, response_class=Response)
async def remove_passphrase(who: Who, services: With) -> Response:
    """This server's own key alone opens its Credential Store again."""
    await credentials.set_passphrase(services, who, None)
    return Response(status_code=204)


@store_router.post("/reset", summary="Empty the Credential Store", status_code=204, response_class=Response)
async def reset_store(given: ConfirmIn, who: Who, services: With) -> Response:
    """Deletes all entries on this server and the passphrase, for one that is lost. Without `confirm`, nothing changes:
    409 with what it would do."""
    await credentials.reset_store(services, who, confirmed=given.confirm)
    return Response(status_code=204)


def credential_shown(entry: credentials.Entry) -> dict[str, Any]:
    """Without its secret."""
    c = entry.credential
    return {"name": c.name, "user": c.user, "changed_at": c.changed_at, "used_by": list(entry.used_by)}
