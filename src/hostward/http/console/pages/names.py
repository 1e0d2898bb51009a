"""Names for a field that takes some: what there is of users, user groups, sessions or packages, as somebody types."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from hostward.commands import searching
from hostward.commands.searching import Kind
from hostward.domain.errors import NotFound
from hostward.http.console.visits import Console, Visit, panel_routes

KINDS: Final = {
    "users": Kind.USER,
    "user-groups": Kind.USER_GROUP,
    "sessions": Kind.SESSION,
    "packages": Kind.PACKAGE,
}
"""As a field's `data-names` says which it takes."""
AT_ONCE: Final = 8


def name_routes(console: Console) -> list[Route]:
    """One address for each kind."""
    return [panel_routes(console, "/names")("/{kind}", suggest, "GET")]


async def suggest(visit: Visit) -> Response:
    kind = KINDS.get(visit.request.path_params["kind"])
    if kind is None:
        raise NotFound("There are no names of that kind.", remedy="Load the page again.")
    q = visit.request.query_params.get("q", "").strip()
    found = await searching.suggest(visit.services, kind, q, count=AT_ONCE)
    return visit.part("parts/names.html", hits=found.hits, more=bool(found.more), noun=kind.value)
