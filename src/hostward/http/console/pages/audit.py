"""Audit Log: who did what, from where, on which server; filters, pages, export, and whether the logs are whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from hostward.commands import auditing
from hostward.domain.audit import ACTS, OUTCOMES, text_of
from hostward.domain.errors import HostwardError
from hostward.domain.panels import AUDIT
from hostward.domain.permissions import Permission
from hostward.http.api.audit import ExportFormat, FilterQuery, export_of, filter_of
from hostward.http.console.pages.settings import apply_those, settings_of
from hostward.http.console.visits import Console, Visit, panel_routes

PANEL: Final = AUDIT
PER_PAGE: Final = 50
FIELDS: Final = ("server", "user", "act", "outcome", "from", "to")
EXPORTS: Final = {ExportFormat.CSV: "CSV", ExportFormat.JSON_LINES: "JSON lines"}
MAX_OFFSET_MINUTES: Final = 14 * 60


def audit_routes(console: Console) -> list[Route]:
    """The list, its export, and Verify."""
    route = panel_routes(console, PANEL, reads=Permission.AUDIT)
    return [
        route("", show, "GET"),
        route("/export", export, "GET"),
        route("/verify", verify, "GET"),
        route("/retention", apply_retention),
    ]


async def show(visit: Visit) -> Response:
    asked = _asked(visit)
    before = visit.request.query_params.get("before", "")[:100]
    page, error = auditing.Page([], ""), None
    try:
        wanted = await filter_of(visit.services, _query(asked))
        page = await auditing.list_entries(visit.services, wanted, before=before, count=PER_PAGE)
    except HostwardError as problem:
        error = problem
    given = {k: v for k, v in asked.items() if v}
    filtered = any(given.get(k) for k in FIELDS)
    return await visit.page(
        "audit.html",
        items=page.items,
        next=urlencode({**given, "before": page.next}) if page.next else "",
        newest=f"?{urlencode(given)}" if before else "",
        panel=PANEL,
        exports=[(name, urlencode({**given, "format": f.value})) for f, name in EXPORTS.items()],
        asked=asked,
        filtered=filtered,
        error=error,
        acts=ACTS,
        outcomes=[(o, o.capitalize()) for o in OUTCOMES],
        text_of=text_of,
        retention=await settings_of(visit, PANEL),
        servers=await auditing.known_servers(visit.services),
        users=await auditing.known_users(visit.services),
    )


async def export(visit: Visit) -> Response:
    wanted = await filter_of(visit.services, _query(_asked(visit)))
    asked = visit.request.query_params.get("format", "")
    kind = ExportFormat(asked) if asked in list(ExportFormat) else ExportFormat.CSV
    return export_of(visit.services, wanted, kind)


async def verify(visit: Visit) -> Response:
    return visit.part("parts/audit_verified.html", found=await auditing.verify(visit.services))


async def apply_retention(visit: Visit) -> Response:
    return await apply_those(visit, PANEL)


def _asked(visit: Visit) -> dict[str, str]:
    """The filter as it was typed."""
    given = visit.request.query_params
    return {name: given.get(name, "").strip()[:300] for name in (*FIELDS, "offset")}


def _query(asked: dict[str, str]) -> FilterQuery:
    """The filter as the API has it: what was typed is in the reader's zone, so many minutes behind UTC."""
    text = asked["offset"].removeprefix("-")
    behind = (
        int(asked["offset"])
        if text.isascii() and text.isdigit() and len(text) < 9 and int(text) <= MAX_OFFSET_MINUTES
        else 0
    )
    zone = timezone(timedelta(minutes=-behind))
    moments = {name: _in_zone(asked[name], zone) for name in ("from", "to")}
    return FilterQuery.model_validate({name: asked[name] for name in FIELDS} | moments)


def _in_zone(typed: str, zone: timezone) -> str:
    try:
        found = datetime.fromisoformat(typed).replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return typed[:40]  # said at its field
    return found.isoformat().replace("+00:00", "Z")
