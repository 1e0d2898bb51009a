"""The logs of this server and of its database, for whoever may read the audit log."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import Query
from pydantic import Field
from starlette.responses import Response, StreamingResponse

from hostward.commands import logs
from hostward.commands.logs import MAX_PAGE
from hostward.commands.services import Services
from hostward.domain.permissions import Permission
from hostward.http.api.shapes import answers
from hostward.http.downloads import attachment
from hostward.http.requests import Json, Shown, Strict, Who, With, administrators_router
from hostward.logs.reading import OWN

router = administrators_router("Logs", "/logs", reads=Permission.AUDIT)

TEXT: Final = "text/plain; charset=utf-8"


class LogQuery(Strict):
    log: str = Field(default=OWN.key, max_length=100)
    """hostward or database."""


class EntriesQuery(LogQuery):
    level: str = Field(default="", max_length=20)
    """At least so grave: error, warning, info or debug."""
    text: str = Field(default="", max_length=300)
    """Each word is in the entry."""
    before: str = Field(default="", max_length=40)
    """The `next` of the page before: older entries."""
    after: str = Field(default="", max_length=40)
    """The `since` of an earlier answer: what has come since then, the first entries of it."""
    limit: int = Field(default=100, ge=1, le=MAX_PAGE)


class EntryShown(Shown):
    at: str
    """Empty for what isn't known to begin an entry."""
    level: Literal["error", "warning", "info", "debug"]
    event: str
    about: dict[str, str]
    trace: str
    """What comes below it, such as a traceback."""


class Entries(Shown):
    items: list[EntryShown]
    next: str
    """For `before`, to see older ones; empty where there are none. It may lead on although there are fewer entries than
    asked for: then much was read in which nothing matched."""
    since: str
    """For `after`, to see what comes later."""


@router.get("", summary="A log of this server", responses=answers(Entries, "The newest entries first"))
async def read_log(query: Annotated[EntriesQuery, Query()], who: Who, services: With) -> Response:
    """In what is shown, control characters are written out."""
    found = await logs.read_log(
        services,
        query.log,
        level=query.level,
        text=query.text,
        before=query.before,
        after=query.after,
        count=query.limit,
    )
    items = [entry.to_json() for entry in found.items]
    return Json({"items": items, "next": found.next, "since": found.since})


@router.get(
    "/download",
    summary="Download a log of this server",
    response_class=StreamingResponse,
    responses={200: {"description": "The log with its older files, as one", "content": {"text/plain": {}}}},
)
async def download_log(query: Annotated[LogQuery, Query()], who: Who, services: With) -> Response:
    """As it is in the files, the oldest entries first."""
    return await download_of(services, query.log)


async def download_of(services: Services, log: str) -> Response:
    """Raises NotFound, Unavailable."""
    name, pieces = await logs.download_log(services, log)
    return StreamingResponse(pieces, media_type=TEXT, headers=dict(attachment(name)))
