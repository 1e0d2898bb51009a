"""The audit log: who did what, from where, when, and what came of it; of all servers that have sent theirs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final

import orjson
from fastapi import Query
from pydantic import Field
from starlette.responses import Response, StreamingResponse

from hostward.commands import auditing
from hostward.commands.auditing import MAX_PAGE
from hostward.commands.services import Services
from hostward.domain.audit import ACTS, COLUMNS, OUTCOMES, Filter, Kept, cells, flat, text_of
from hostward.domain.errors import InvalidInput, Mistake, NotFound
from hostward.domain.permissions import Permission
from hostward.domain.suggestions import did_you_mean, shown
from hostward.http.api import audit_shapes
from hostward.http.api.shapes import answers
from hostward.http.downloads import attachment
from hostward.http.requests import Json, Strict, Who, With, administrators_router
from hostward.registry.audit_reading import Verified

router = administrators_router("Audit Log", "/audit", reads=Permission.AUDIT, writes=Permission.AUDIT)

PIECE_CHARACTERS: Final = 1 << 16


class ExportFormat(StrEnum):
    """What an export is written as."""

    CSV = "csv"
    JSON_LINES = "jsonl"


MEDIA: Final = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.JSON_LINES: "application/jsonl; charset=utf-8",
}


class FilterQuery(Strict):
    server: str = Field(default="", max_length=300)
    """A server's id or name."""
    user: str = Field(default="", max_length=300)
    act: str = Field(default="", max_length=100)
    """What was done, such as logged-in."""
    outcome: str = Field(default="", max_length=20)
    """done, submitted or refused."""
    from_: str = Field(default="", max_length=40, alias="from")
    """A moment or a day (ISO 8601; UTC unless it says otherwise)."""
    to: str = Field(default="", max_length=40)
    """Entries before this moment; a day counts whole."""


class ListQuery(FilterQuery):
    before: str = Field(default="", max_length=100)
    """The `next` of the page before."""
    limit: int = Field(default=100, ge=1, le=MAX_PAGE)


class ExportQuery(FilterQuery):
    format: ExportFormat = ExportFormat.CSV


@router.get("", summary="The audit log", responses=answers(audit_shapes.Page, "The newest entries first"))
async def list_audit(query: Annotated[ListQuery, Query()], who: Who, services: With) -> Response:
    """Of this server; on a Master of all servers of the group, also of those that were removed since."""
    wanted = await filter_of(services, query)
    found = await auditing.list_entries(services, wanted, before=query.before, count=query.limit)
    return Json({"items": [shown_entry(k) for k in found.items], "next": found.next})


@router.get(
    "/export",
    summary="Export the audit log",
    response_class=StreamingResponse,
    responses={200: {"description": "A file", "content": {m.split(";")[0]: {} for m in MEDIA.values()}}},
)
async def export_audit(query: Annotated[ExportQuery, Query()], who: Who, services: With) -> Response:
    """As CSV, in which nothing is taken for a formula, or as JSON lines."""
    return export_of(services, await filter_of(services, query), query.format)


@router.get("/verify", summary="Verify the audit log", responses=answers(audit_shapes.Verified, "What was found"))
async def verify_audit(who: Who, services: With) -> Response:
    """Looks at every entry of every log here: whether any was altered, taken out or put in."""
    return Json(shown_verified(await auditing.verify(services)))


async def filter_of(services: Services, query: FilterQuery) -> Filter:
    """Raises InvalidInput, or NotFound for a server that there is nothing of."""
    server = query.server
    if server:
        known = await auditing.known_servers(services)
        matching = [i for i, name in known.items() if server in (i, name)]
        if not matching:
            hint = did_you_mean(server, [*known.values()])
            raise NotFound(f"There are no entries of a server {shown(server)}.", remedy=f"{hint}Leave it out for all.")
        server = matching[-1]
    for field, value, choices in (("act", query.act, list(ACTS)), ("outcome", query.outcome, list(OUTCOMES))):
        if value and value not in choices:
            problem, remedy = f"{shown(value)} is none.", f"{did_you_mean(value, choices)}Leave it out for all."
            raise InvalidInput(problem, remedy=remedy, mistakes=[Mistake(field, problem, remedy)])
    since, until = moment_of("from", query.from_), moment_of("to", query.to, end=True)
    return Filter(server, query.user, query.act, query.outcome, since, until)


def moment_of(field: str, text: str, *, end: bool = False) -> str:
    """A moment as entries have them; `end` of a day, where it is one. Raises InvalidInput."""
    if not text:
        return ""
    try:
        found = datetime.fromisoformat(text)
        found = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        problem, remedy = f"{shown(text)} is no moment.", "Write 2026-01-31, or 2026-01-31T14:00:00Z."
        raise InvalidInput(problem, remedy=remedy, mistakes=[Mistake(field, problem, remedy)]) from error
    if end and len(text) == len("2026-01-31"):
        found = found.replace(hour=23, minute=59, second=59, microsecond=999999)
    return found.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def export_of(services: Services, wanted: Filter, format: ExportFormat) -> Response:
    """A file, written piece by piece."""
    found = auditing.export_entries(services, wanted)
    pieces = _csv(found) if format is ExportFormat.CSV else _json_lines(found)
    headers = dict(attachment(f"audit.{format.value}"))
    return StreamingResponse(pieces, media_type=MEDIA[format], headers=headers)


def shown_entry(kept: Kept) -> dict[str, Any]:
    """An entry as the API gives it."""
    return {**flat(kept), "what": text_of(kept.entry.event.act)}


def shown_verified(found: Verified) -> dict[str, Any]:
    """What verifying has found."""
    troubles: list[Mapping[str, Any]] = [
        {"server": t.server, "server_name": t.server_name, "code": t.code, "number": t.number, "text": t.text}
        for t in found.troubles
    ]
    return {"ok": not troubles, "entries": found.entries, "logs": found.logs, "troubles": troubles}


def _csv(found: Iterable[Kept]) -> Iterator[bytes]:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for kept in found:
        writer.writerow(cells(kept))
        if text.tell() > PIECE_CHARACTERS:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def _json_lines(found: Iterable[Kept]) -> Iterator[bytes]:
    lines: list[bytes] = []
    for kept in found:
        lines.append(orjson.dumps(flat(kept), option=orjson.OPT_APPEND_NEWLINE))
        if len(lines) >= MAX_PAGE:
            yield b"".join(lines)
            lines = []
    yield b"".join(lines)
