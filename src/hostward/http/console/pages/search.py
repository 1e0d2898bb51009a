"""The search over everything: as somebody types, in a dialog that every page has; and as a page of its own."""

from __future__ import annotations

from itertools import groupby
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from hostward.commands import searching
from hostward.commands.searching import Kind
from hostward.domain.panels import SESSIONS
from hostward.http.console.visits import Console, Visit, panel_routes

PATH: Final = "/search"
AS_TYPED: Final = 5
"""Hits of each kind while somebody types."""
ON_ITS_PAGE: Final = 50
HEADINGS: Final = {
    Kind.PANEL: "Console",
    Kind.SETTING: "Settings",
    Kind.SESSION: "Sessions",
    Kind.PACKAGE: "Packages",
    Kind.USER: "Users",
    Kind.USER_GROUP: "User Groups",
    Kind.SERVER: "Servers",
    Kind.REQUEST: "Change Requests",
    Kind.CERTIFICATE: "Trusted Certificates",
}


def search_routes(console: Console) -> list[Route]:
    """One address for both."""
    return [panel_routes(console, PATH)("", show, "GET")]


async def show(visit: Visit) -> Response:
    q = visit.request.query_params.get("q", "")[: searching.MAX_QUERY].strip()
    typing = visit.request.headers.get("hx-target") == "search-found"
    found = await searching.search(visit.services, visit.actor, q, each=AS_TYPED if typing else ON_ITS_PAGE)
    hits = [hit for hit in found.hits if hit.path]
    shown: dict[str, Any] = {
        "q": q,
        "kinds": [(kind, HEADINGS[kind], list(hits)) for kind, hits in groupby(hits, lambda hit: hit.kind)],
        "count": len(hits),
        "more": [kind for kind in found.more if kind in HEADINGS],
        "everything": f"{PATH}?{urlencode({'q': q})}",
        "all_sessions": f"{SESSIONS}?{urlencode({'q': q})}",
    }
    if typing:
        return visit.part("parts/search.html", **shown)
    return await visit.page("search.html", **shown)
