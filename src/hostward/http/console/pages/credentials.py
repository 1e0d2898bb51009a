"""Configure Settings > Credential Store."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from hostward.commands import credentials
from hostward.domain.panels import CREDENTIALS
from hostward.http.console.pages.outcomes import told
from hostward.http.console.visits import Console, Visit, panel_routes


def credential_routes(console: Console) -> list[Route]:
    """The entries, and what protects them."""
    route = panel_routes(console, CREDENTIALS)
    return [route("", show, "GET"), route("", put), route("/delete", delete)]


async def show(visit: Visit) -> Response:
    entries = credentials.list_credentials(visit.services)
    return await visit.page("credentials.html", panel=CREDENTIALS, entries=entries)


async def put(visit: Visit) -> Response:
    given = {"name": visit.text("name"), "user": visit.text("user"), "secret": visit.typed("secret")}
    await credentials.put_credential(visit.services, visit.actor, given)
    return told(visit.go(CREDENTIALS), "Set, on this server.")


async def delete(visit: Visit) -> Response:
    await credentials.delete_credential(visit.services, visit.actor, visit.text("name"))
    return told(visit.go(CREDENTIALS), "Deleted, on this server.")
