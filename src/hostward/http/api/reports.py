"""Reports, as pages and as files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Annotated, Any, Final

from fastapi import Query
from pydantic import Field
from starlette.responses import Response, StreamingResponse

from hostward.commands import reports
from hostward.commands.reports import Known, Launches, Page, Row
from hostward.domain.inventory.formulas import guard
from hostward.domain.permissions import Permission
from hostward.http.api import report_shapes as shapes
from hostward.http.api.audit import moment_of
from hostward.http.api.shapes import answers
from hostward.http.downloads import attachment
from hostward.http.requests import Json, Strict, Who, With, administrators_router

router = administrators_router("Reports", "/reports", reads=Permission.AUDIT)
access_router = administrators_router("Reports", "/reports/who-may")

PIECE_CHARACTERS: Final = 1 << 16
_MEDIA: Final = "text/csv; charset=utf-8"
_CSV: Final[Mapping[int | str, dict[str, Any]]] = {200: {"description": "A file", "content": {"text/csv": {}}}}

LAUNCH_COLUMNS: Final = ("span", "launches")
USE_COLUMNS: Final = ("name", "last", "by", "times", "users", "id")
LOGIN_COLUMNS: Final = ("name", "full_name", "role", "disabled", "last", "times")
MAY_COLUMNS: Final = ("user", "full_name", "disabled", "session", "type", "host")


class LaunchesQuery(Strict):
    from_: str = Field(default="", max_length=40, alias="from")
    """A moment or a day (UTC unless it says otherwise); 30 days before the end, unless given."""
    to: str = Field(default="", max_length=40)
    """Before this moment; a day counts whole. Now, unless given."""
    user: str = Field(default="", max_length=300)
    """Of that user alone."""


class DaysQuery(Strict):
    days: int = Field(default=0, ge=0, le=reports.MAX_DAYS)
    """Only what wasn't used for so many days, or ever; 0 for all."""


class WhoMayQuery(Strict):
    user: str = Field(default="", max_length=200)
    """By name or id, as the others."""
    group: str = Field(default="", max_length=200)
    """Of those who belong to it, also by way of other groups."""
    folder: str = Field(default="", max_length=1200)
    """Of those in that directory folder: DIRECTORY: ou=NAME,dc=example,dc=com."""
    session: str = Field(default="", max_length=200)

    def of(self) -> dict[str, str]:
        """Whom and what it names."""
        return {"user": self.user, "group": self.group, "folder": self.folder, "session": self.session}


class DaysPageQuery(DaysQuery):
    after: str = Field(default="", max_length=1000)
    """The `next` of the page before."""
    limit: int = Field(default=100, ge=1, le=500)


class WhoMayPageQuery(WhoMayQuery):
    after: str = Field(default="", max_length=1000)
    """The `next` of the page before."""
    limit: int = Field(default=100, ge=1, le=500)


@router.get("/launches", summary="What was opened", responses=answers(shapes.Launches, "Counted by day or month"))
async def report_launches(query: Annotated[LaunchesQuery, Query()], who: Who, services: With) -> Response:
    """As the audit logs say that this server has: a Master those of all servers, a Slave its own and its Master's."""
    found = await launches_of(services, query)
    return Json(shown_launches(found, await reports.known(services)))


@router.get("/launches/csv", summary="What was opened, as CSV", response_class=Response, responses={**_CSV})
async def export_launches(query: Annotated[LaunchesQuery, Query()], who: Who, services: With) -> Response:
    """Each day or month."""
    found = await launches_of(services, query)
    rows = [dict(zip(LAUNCH_COLUMNS, span, strict=True)) for span in found.counted.spans]
    return csv_of("launches.csv", LAUNCH_COLUMNS, rows)


@router.get("/last-use", summary="When each session was last used", responses=answers(shapes.LastUse, "One page"))
async def report_last_use(query: Annotated[DaysPageQuery, Query()], who: Who, services: With) -> Response:
    """By name."""
    rows = reports.all_session_uses(services, unused_days=query.days, after=query.after)
    return Json(shown_page(await reports.one_page(rows, query.limit), await reports.known(services)))


@router.get("/last-use/csv", summary="Last use, as CSV", response_class=StreamingResponse, responses={**_CSV})
async def export_last_use(query: Annotated[DaysQuery, Query()], who: Who, services: With) -> Response:
    """Of all sessions."""
    rows = reports.all_session_uses(services, unused_days=query.days)
    return csv_of("last-use.csv", USE_COLUMNS, map(asdict, rows))


@router.get("/logins", summary="When each user last logged in", responses=answers(shapes.Logins, "One page"))
async def report_logins(query: Annotated[DaysPageQuery, Query()], who: Who, services: With) -> Response:
    """By name."""
    rows = reports.all_logins(services, unused_days=query.days, after=query.after)
    return Json(shown_page(await reports.one_page(rows, query.limit), await reports.known(services)))


@router.get("/logins/csv", summary="Logins, as CSV", response_class=StreamingResponse, responses={**_CSV})
async def export_logins(query: Annotated[DaysQuery, Query()], who: Who, services: With) -> Response:
    """Of all users."""
    return csv_of("logins.csv", LOGIN_COLUMNS, map(asdict, reports.all_logins(services, unused_days=query.days)))


@access_router.get("", summary="Who may use what", responses=answers(shapes.WhoMay, "One page"))
async def report_who_may(query: Annotated[WhoMayPageQuery, Query()], who: Who, services: With) -> Response:
    """Each user with each session, by their names."""
    rows = reports.all_may_use(services, **query.of(), after=query.after)
    return Json(shown_page(await reports.one_page(rows, query.limit)))


@access_router.get("/csv", summary="Who may use what, as CSV", response_class=StreamingResponse, responses={**_CSV})
async def export_who_may(query: Annotated[WhoMayQuery, Query()], who: Who, services: With) -> Response:
    """All of it."""
    rows = reports.all_may_use(services, **query.of())
    return csv_of("who-may.csv", MAY_COLUMNS, map(asdict, rows))


async def launches_of(services: With, query: LaunchesQuery) -> Launches:
    """Raises InvalidInput."""
    since, until = moment_of("from", query.from_), moment_of("to", query.to, end=True)
    return await reports.launches(services, since=since, until=until, user=query.user)


def shown_launches(found: Launches, known: Known) -> dict[str, Any]:
    """As the API gives it."""
    counted = found.counted
    return {
        "since": found.since,
        "until": found.until,
        "total": counted.total,
        "spans": [{"span": span, "launches": n} for span, n in counted.spans],
        "sessions": [{"id": id_, "name": name, "launches": n} for id_, name, n in counted.sessions],
        "users": [{"user": user, "launches": n} for user, n in counted.users],
        "reach": [asdict(r) for r in known.reach],
    }


def shown_page(page: Page[Any], known: Known | None = None) -> dict[str, Any]:
    """As the API gives it."""
    items = [_without_cursor(row) for row in page.items]
    return {"items": items, "next": page.next} | ({"known_since": known.since} if known else {})


def csv_of(name: str, columns: tuple[str, ...], rows: Iterable[Mapping[str, Any]]) -> Response:
    """A file, written piece by piece, in which nothing is taken for a formula."""
    return StreamingResponse(_pieces(columns, rows), media_type=_MEDIA, headers=dict(attachment(name)))


def _pieces(columns: tuple[str, ...], rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([guard(_cell(row[c])) for c in columns])
        if text.tell() > PIECE_CHARACTERS:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def _cell(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _without_cursor(row: Row) -> dict[str, Any]:
    shown = asdict(row)
    del shown["cursor"]
    return shown
