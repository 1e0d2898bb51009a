"""General Settings: a form that fills itself from the settings' declaration, as any other page's settings do."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from hostward.commands import settings
from hostward.commands.writing import Submitted
from hostward.http.console.pages.outcomes import submitted, went
from hostward.http.console.visits import Console, Visit, panel_routes

PANEL: Final = "/settings/general"


def setting_routes(console: Console) -> list[Route]:
    """The panel, and Apply."""
    route = panel_routes(console, PANEL)
    return [route("", show, "GET"), route("", apply)]


async def show(visit: Visit) -> Response:
    return await visit.page("settings.html", panel=PANEL, settings=await _general(visit))


async def apply(visit: Visit) -> Response:
    return await apply_those(visit, PANEL, [s.setting.name for s in await _general(visit)])


async def apply_those(visit: Visit, panel: str, names: Collection[str]) -> Response:
    """Apply those of the named settings that the form of a panel has."""
    given = {name: visit.text(name) for name in names if name in visit.form}
    done = await settings.set_settings(visit.services, visit.actor, given)
    if isinstance(done, Submitted):
        return submitted(visit, done)
    return went(visit, panel, "Settings applied.", done.replicated)


async def _general(visit: Visit) -> list[settings.SettingNow]:
    return [s for s in await settings.list_settings(visit.services) if s.setting.general]
