"""Run Reports: what was opened, the last use of sessions, logins, and who may use what; each with its CSV file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from pydantic import ValidationError
from starlette.responses import Response
from starlette.routing import Route

from hostward.commands import reports
from hostward.domain.errors import HostwardError, InvalidInput
from hostward.domain.panels import LAST_USE, LAUNCHES, LOGINS, WHO_MAY
from hostward.domain.permissions import Permission
from hostward.http.api import reports as api
from hostward.http.console.visits import Console, Visit, panel_routes

PER_PAGE: Final = 50
DAYS: Final = (0, 30, 90, 180, 365)
NAMES: Final = ("user", "group", "folder", "session")
MAX_TEXT: Final = 200
MAX_FOLDER: Final = 1200
CHART_WIDTH, CHART_HEIGHT = 720, 160


@dataclass(frozen=True, slots=True)
class Bar:
    """Of a chart, in its own units."""

    x: float
    y: float
    width: float
    height: float
    label: str
    value: int


def report_routes(console: Console) -> list[Route]:
    """The four pages, and their files."""
    routes: list[Route] = []
    for panel, show, export, reads in (
        (LAUNCHES, show_launches, export_launches, Permission.AUDIT),
        (LAST_USE, show_last_use, export_last_use, Permission.AUDIT),
        (LOGINS, show_logins, export_logins, Permission.AUDIT),
        (WHO_MAY, show_who_may, export_who_may, Permission.READ),
    ):
        route = panel_routes(console, panel, reads=reads)
        routes += [route("", show, "GET"), route("/csv", export, "GET")]
    return routes


async def show_launches(visit: Visit) -> Response:
    asked = _asked(visit, ("from", "to", "user"))
    found, problem = None, None
    try:
        found = await api.launches_of(visit.services, _launches_query(asked))
    except HostwardError as error:
        problem = error
    return await visit.page(
        "report_launches.html",
        panel=LAUNCHES,
        asked=asked,
        problem=problem,
        found=found,
        bars=bars(found.counted.spans) if found else [],
        chart=(CHART_WIDTH, CHART_HEIGHT),
        known=await reports.known(visit.services),
        csv=_address(LAUNCHES, "/csv", asked),
    )


async def export_launches(visit: Visit) -> Response:
    query = _launches_query(_asked(visit, ("from", "to", "user")))
    return await api.export_launches(query, visit.actor, visit.services)


async def show_last_use(visit: Visit) -> Response:
    days, after = _days(visit), _after(visit)
    rows = reports.all_session_uses(visit.services, unused_days=days, after=after)
    return await _show_days(visit, "report_last_use.html", LAST_USE, await reports.one_page(rows, PER_PAGE), days)


async def export_last_use(visit: Visit) -> Response:
    return await api.export_last_use(api.DaysQuery(days=_days(visit)), visit.actor, visit.services)


async def show_logins(visit: Visit) -> Response:
    days, after = _days(visit), _after(visit)
    rows = reports.all_logins(visit.services, unused_days=days, after=after)
    return await _show_days(visit, "report_logins.html", LOGINS, await reports.one_page(rows, PER_PAGE), days)


async def export_logins(visit: Visit) -> Response:
    return await api.export_logins(api.DaysQuery(days=_days(visit)), visit.actor, visit.services)


async def show_who_may(visit: Visit) -> Response:
    asked, after = _asked(visit, NAMES), _after(visit)
    page: reports.Page[reports.MayUse] = reports.Page([], "")
    problem = None
    try:
        page = await reports.one_page(reports.all_may_use(visit.services, **asked, after=after), PER_PAGE)
    except InvalidInput as error:
        problem = error
    return await visit.page(
        "report_who_may.html",
        panel=WHO_MAY,
        asked=asked,
        used=any(asked.values()),
        problem=problem,
        rows=page.items,
        older=bool(after),
        first=_address(WHO_MAY, "", asked),
        next=_address(WHO_MAY, "", {**asked, "after": page.next}) if page.next else "",
        csv=_address(WHO_MAY, "/csv", asked),
    )


async def export_who_may(visit: Visit) -> Response:
    query = api.WhoMayQuery(**_asked(visit, NAMES))
    return await api.export_who_may(query, visit.actor, visit.services)


def bars(spans: Sequence[tuple[str, int]]) -> Sequence[Bar]:
    """A bar for each, as high as its share of the highest."""
    if not spans:
        return []
    most = max(1, *(n for _, n in spans))
    step = CHART_WIDTH / len(spans)
    heights = [round(n / most * CHART_HEIGHT, 1) for _, n in spans]
    return [
        Bar(round(i * step, 1), round(CHART_HEIGHT - high, 1), round(step * 0.8, 1), high, *span)
        for i, (span, high) in enumerate(zip(spans, heights, strict=True))
    ]


async def _show_days(visit: Visit, template: str, panel: str, page: reports.Page[Any], days: int) -> Response:
    given = {"days": str(days)} if days else {}
    return await visit.page(
        template,
        panel=panel,
        days=days,
        choices=DAYS if days in DAYS else sorted({*DAYS, days}),
        rows=page.items,
        older=bool(_after(visit)),
        first=_address(panel, "", given),
        next=_address(panel, "", {**given, "after": page.next}) if page.next else "",
        csv=_address(panel, "/csv", given),
        known=await reports.known(visit.services),
    )


def _launches_query(asked: Mapping[str, str]) -> api.LaunchesQuery:
    """Raises InvalidInput."""
    try:
        return api.LaunchesQuery.model_validate(dict(asked))
    except ValidationError as error:
        raise InvalidInput("That is no moment.", remedy="Write 2026-01-31.") from error


def _address(panel: str, path: str, given: Mapping[str, str]) -> str:
    query = urlencode({k: v for k, v in given.items() if v})
    return f"{panel}{path}{'?' if query else ''}{query}"


def _asked(visit: Visit, names: Sequence[str]) -> dict[str, str]:
    given = visit.request.query_params
    return {name: given.get(name, "")[: MAX_FOLDER if name == "folder" else MAX_TEXT].strip() for name in names}


def _days(visit: Visit) -> int:
    text = visit.request.query_params.get("days", "")
    return min(int(text), reports.MAX_DAYS) if text.isascii() and text.isdigit() and len(text) < 9 else 0


def _after(visit: Visit) -> str:
    return visit.request.query_params.get("after", "")[:1000]
