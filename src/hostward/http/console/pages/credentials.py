"""Configure Settings > Credential Store."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from hostward.commands import credentials
from hostward.domain.panels import CREDENTIALS
from hostward.http.console.pages.outcomes import told
from hostward.http.console.visits import Console, Visit, panel_routes, wrong_field


def credential_routes(console: Console) -> list[Route]:
    """The entries, and what protects them."""
    route = panel_routes(console, CREDENTIALS)
    return [
        route("", show, "GET"),
        route("", put),
        route("/delete", delete),
        route("/open", open_store),
        route("/passphrase", set_passphrase),
        route("/passphrase/delete", remove_passphrase),
        route("/reset", reset_store),
    ]


async def show(visit: Visit) -> Response:
    entries = credentials.list_credentials(visit.services)
    store = visit.services.credentials
    return await visit.page("credentials.html", panel=CREDENTIALS, entries=entries, store=store)


async def put(visit: Visit) -> Response:
    given = {"name": visit.text("name"), "user": visit.text("user"), "secret": visit.typed("secret")}
    await credentials.put_credential(visit.services, visit.actor, given)
    return told(visit.go(CREDENTIALS), "Set, on this server.")


async def delete(visit: Visit) -> Response:
    await credentials.delete_credential(visit.services, visit.actor, visit.text("name"))
    return told(visit.go(CREDENTIALS), "Deleted, on this server.")


async def open_store(visit: Visit) -> Response:
    await credentials.open_store(visit.services, visit.actor, visit.typed("passphrase"))
    return told(visit.go(CREDENTIALS), "Open, until this server stops.")


async def set_passphrase(visit: Visit) -> Response:
    passphrase = visit.typed("passphrase")
    if passphrase != visit.typed("again"):
        raise wrong_field("again", "The passphrases aren't the same.", "Enter the new one twice.")
    await credentials.set_passphrase(visit.services, visit.actor, passphrase)
    return told(visit.go(CREDENTIALS), "Passphrase set, on this server.")


async def remove_passphrase(visit: Visit) -> Response:
    await credentials.set_passphrase(visit.services, visit.actor, None)
    return told(visit.go(CREDENTIALS), "Passphrase removed, on this server.")


async def reset_store(visit: Visit) -> Response:
    await credentials.reset_store(visit.services, visit.actor, confirmed=visit.confirmed)
    return told(visit.go(CREDENTIALS), "Emptied, on this server.")
