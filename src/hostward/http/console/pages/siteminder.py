"""Configure Settings > Authentication & Authorization > SiteMinder: which web agents are believed."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from hostward.commands.siteminder import policy_now
from hostward.domain.panels import SITEMINDER
from hostward.http.console.pages.people_lists import TABS
from hostward.http.console.pages.settings import apply_those, settings_of
from hostward.http.console.visits import Console, Visit, panel_routes


def siteminder_routes(console: Console) -> list[Route]:
    """The tab, and Apply."""
    route = panel_routes(console, SITEMINDER)
    return [route("", show, "GET"), route("", apply)]


async def show(visit: Visit) -> Response:
    policy = policy_now(visit.services)
    return await visit.page(
        "siteminder.html",
        panel=SITEMINDER,
        tabs=TABS,
        settings=await settings_of(visit, SITEMINDER),
        on=policy is not None,
        agents=policy.agents if policy else (),
    )


async def apply(visit: Visit) -> Response:
    return await apply_those(visit, SITEMINDER)
