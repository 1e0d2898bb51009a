"""Configure Settings > Logging: what this server and its database have logged, and what is written."""

from __future__ import annotations

import zlib
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from hostward.commands import logs
from hostward.domain.errors import HostwardError
from hostward.domain.log_lines import LEVELS, LogEntry
from hostward.domain.panels import LOGGING
from hostward.domain.permissions import Permission
from hostward.http.api.logs import download_of
from hostward.http.console.pages.settings import apply_those, settings_of
from hostward.http.console.visits import HEADERS, Console, Visit, panel_routes
from hostward.logs.reading import OWN, Page

PANEL: Final = LOGGING
PER_PAGE: Final = 100
FIELDS: Final = {"log": 100, "level": 20, "text": 300, "before": 40, "live": 3}
"""What the page's address says, and how many characters of it."""


def logging_routes(console: Console) -> list[Route]:
    """The panel, Apply, Download."""
    route = panel_routes(console, PANEL, reads=Permission.AUDIT)
    return [route("", show, "GET"), route("", apply), route("/download", download, "GET")]


async def show(visit: Visit) -> Response:
    given = visit.request.query_params
    asked = {name: given.get(name, "").strip()[:most] for name, most in FIELDS.items()}
    asked["log"] = asked["log"] or OWN.key
    found, error = Page([], "", ""), None
    try:
        found = await logs.read_log(
            visit.services,
            asked["log"],
            level=asked["level"],
            text=asked["text"],
            before=asked["before"],
            count=PER_PAGE,
        )
    except HostwardError as problem:
        error = problem
    filters = {name: asked[name] for name in ("log", "level", "text") if asked[name]}
    live = bool(asked["live"]) and not asked["before"]
    return await visit.page(
        "logging.html",
        panel=PANEL,
        items=[(entry, _mark(entry)) for entry in found.items],
        next=urlencode({**filters, "before": found.next}) if found.next else "",
        newest=urlencode(filters) if asked["before"] else "",
        here=urlencode({**filters, "live": "yes"}) if live else urlencode(filters),
        toggled=urlencode(filters) if live else urlencode({**filters, "live": "yes"}),
        following=live,
        asked=asked,
        filtered=bool(asked["level"] or asked["text"]),
        error=error,
        levels=LEVELS,
        logs=logs.known_logs(visit.services),
        settings=await settings_of(visit, PANEL),
    )


def _mark(entry: LogEntry) -> str:
    """An id by which the page knows an entry again: what is opened stays so while newer ones come."""
    return f"e-{zlib.crc32(f'{entry.at} {entry.event} {entry.trace}'.encode(errors='replace')):x}"


async def download(visit: Visit) -> Response:
    answer = await download_of(visit.services, visit.request.query_params.get("log", OWN.key)[:100])
    answer.headers.update(HEADERS)
    return answer


async def apply(visit: Visit) -> Response:
    return await apply_those(visit, PANEL)
