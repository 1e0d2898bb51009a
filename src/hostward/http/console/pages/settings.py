"""General Settings: a form that fills itself from the settings' declaration, as any other page's settings do."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from hostward.commands import settings
from hostward.commands.writing import Submitted
from hostward.domain.errors import PreconditionFailed
from hostward.domain.panels import GENERAL
from hostward.http.console.pages.outcomes import submitted, went
from hostward.http.console.pages.versions import Compared, both_versions
from hostward.http.console.visits import Console, Visit, panel_routes

PANEL: Final = GENERAL


def setting_routes(console: Console) -> list[Route]:
    """The panel, and Apply."""
    route = panel_routes(console, PANEL)
    return [route("", show, "GET"), route("", apply)]


async def show(visit: Visit) -> Response:
    return await visit.page("settings.html", panel=PANEL, settings=await settings_of(visit, PANEL))


async def apply(visit: Visit) -> Response:
    return await apply_those(visit, PANEL)


async def apply_those(visit: Visit, panel: str) -> Response:
    """Apply those of a panel's settings that its form has."""
    names = [s.setting.name for s in await settings_of(visit, panel)]
    given = {name: visit.text(name).replace("\r\n", "\n") for name in names if name in visit.form}
    seen = (visit.text("etag"),) if visit.text("etag") else None
    try:
        done = await settings.set_settings(visit.services, visit.actor, given, if_match=seen)
    except PreconditionFailed:
        now = [s for s in await settings_of(visit, panel) if s.setting.name in given]
        rows = (Compared(s.setting.name, s.setting.label, s.value, given[s.setting.name], s.setting.say) for s in now)
        return both_versions(visit, "settings", rows, etag=settings.settings_etag(now))
    if isinstance(done, Submitted):
        return submitted(visit, done)
    return went(visit, panel, "Settings applied.", done.replicated)


async def settings_of(visit: Visit, panel: str) -> list[settings.SettingNow]:
    """Those that a panel has."""
    return [s for s in await settings.list_settings(visit.services) if s.setting.panel == panel]
