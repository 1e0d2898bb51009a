"""Terminal sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import Body, Query
from pydantic import Field, WithJsonSchema
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from hostward.commands import inventory, selections, sessions
from hostward.commands.choosing import MAX_IDS, Selection
from hostward.commands.history import session_history
from hostward.commands.selections import Matching
from hostward.commands.services import Services
from hostward.commands.writing import Once, Submitted
from hostward.domain.errors import InvalidInput, Mistake
from hostward.domain.inventory import Format, one_file
from hostward.domain.locks import TakeOver
from hostward.domain.permissions import Permission
from hostward.domain.sessions import FIELDS, SessionType
from hostward.http.api import history_shapes, shapes
from hostward.http.api.change_requests import submitted
from hostward.http.api.history import MAX_REVISION, HistoryQuery, session_past
from hostward.http.api.shapes import answers, or_submitted
from hostward.http.downloads import attachment
from hostward.http.requests import (
    IdempotencyKey,
    IfMatch,
    Json,
    PlannedIn,
    Strict,
    Who,
    With,
    Writer,
    administrators_router,
    etag_header,
    uploads,
)
from hostward.registry.group import Element

router = administrators_router("Sessions", "/sessions", writes=Permission.SESSIONS)

# The session's own rules look at the fields, because they know what would be right; the models only describe them.
SessionIn = Annotated[dict[str, Any], WithJsonSchema(shapes.flat(shapes.SessionFields)), Body()]
SessionEditIn = Annotated[dict[str, Any], WithJsonSchema(shapes.flat(shapes.SessionEdit)), Body()]

_MEDIA: Final = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.JSON: "application/json",
    Format.X3270: "application/zip",
    Format.PUTTY: "text/x-ms-regedit",
}
_NAMES: Final = {
    Format.CSV: "sessions.csv",
    Format.JSON: "sessions.json",
    Format.X3270: "sessions.zip",
    Format.PUTTY: "sessions.reg",
}
_FILE: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "application/json": {"schema": {"type": "array", "items": {"type": "object"}}},
            "application/zip": {"schema": {"type": "string", "contentMediaType": "application/zip"}},
            "text/x-ms-regedit": {"schema": {"type": "string"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"file": {"type": "string", "contentMediaType": "application/octet-stream"}},
                    "required": ["file"],
                }
            },
        },
    }
}


class ListQuery(Strict):
    q: str | None = Field(default=None, max_length=500)
    """Words that a session must have, in any of its fields."""
    page: int = Field(default=1, ge=1, le=1_000_000)
    per_page: int = Field(default=50, ge=1, le=1000)
    sort: str = Field(default="name", max_length=50)
    """name, type, host or revision; with - before it, the other way round."""
    type: SessionType | None = None
    """Only those of this type."""


class ImportQuery(Strict):
    skip_invalid: bool = False
    """Import the good rows and leave out the others."""
    dry_run: bool = False
    """Only check and count; change nothing."""
    take_over: bool = False
    """Also sessions that somebody else is editing (their lock)."""
    format: Format | None = None
    """Unless given, by the content."""


class ExportQuery(Strict):
    format: Format = Format.CSV


class CopyIn(Strict):
    name: str


class MatchingIn(Strict):
    q: str | None = Field(default=None, max_length=500)
    type: SessionType | None = None


class SelectedIn(PlannedIn):
    ids: list[str] | None = Field(default=None, min_length=1, max_length=MAX_IDS)
    """These sessions; or else:"""
    matching: MatchingIn | None = None
    """All that match, as the list shows them."""
    expected: int | None = Field(default=None, ge=0)
    """How many they are taken to be: where there are more or fewer, nothing is done."""

    def selection(self) -> tuple[Selection, Matching]:
        """Raises InvalidInput."""
        if (self.ids is None) == (self.matching is None):
            raise InvalidInput("Which sessions isn't said.", remedy="Give either ids or matching.")
        matching = Matching(self.matching.q, self.matching.type) if self.matching else Matching()
        return Selection(tuple(self.ids) if self.ids is not None else None, self.expected), matching


class EditSelectedIn(SelectedIn):
    fields: dict[str, Any]
    """What they all get; their other fields stay."""


@router.get("", summary="List and search sessions", responses=answers(shapes.SessionPage, "One page"))
async def list_sessions(query: Annotated[ListQuery, Query()], who: Who, services: With) -> Response:
    page = await sessions.search_sessions(
        services, query.q, type=query.type, page=query.page, per_page=query.per_page, sort=query.sort
    )
    items = [shown(element) for element in page.items]
    return Json({"items": items, "total": page.total, "page": query.page, "per_page": query.per_page})


@router.post(
    "", summary="Create a session", status_code=201, responses=or_submitted(shapes.SessionWritten, "It is created", 201)
)
async def create_session(fields: SessionIn, key: IdempotencyKey, who: Who, services: With) -> Response:
    once = Once.of(who, key, "create-session", fields)
    return _written(await sessions.create_session(services, who, fields, once=once), 201)


@router.post(
    "/import",
    summary="Import sessions from a file, as one change",
    responses=or_submitted(shapes.Imported, "What was imported"),
    openapi_extra=_FILE,
)
async def import_sessions(
    query: Annotated[ImportQuery, Query()], request: Request, key: IdempotencyKey, who: Who, services: With
) -> Response:
    """CSV (UTF-8, UTF-16 as Excel writes it; comma, semicolon or tab), JSON, a zip file of x3270's profiles, or PuTTY's
    sessions from the Windows registry (.reg), as the body or as `file` of a form, at most 64 MiB; a form may have
    several profiles. What a session has no place for is in `notes`; what an emulator's file doesn't say, such as
    groups, stays as it is.

    Sessions are matched by name. A file with mistakes is refused as a whole, with all of them, unless skip_invalid.
    When this answers, every Slave that can be reached has the sessions. On a Slave the file becomes one
    change request."""
    data = one_file(await uploads(request))
    done = await inventory.import_sessions(
        services,
        replace(who, take_over=TakeOver(any=query.take_over)),
        data,
        format=query.format,
        skip_invalid=query.skip_invalid,
        dry_run=query.dry_run,
        once=Once.of(who, key, f"import-sessions?skip_invalid={query.skip_invalid}", data),
    )
    if isinstance(done, Submitted):
        return submitted(done)
    return Json(
        {
            "imported": done.imported,
            "updated": done.updated,
            "unchanged": done.unchanged,
            "skipped": done.skipped,
            "revision": done.revision,
            "replicated": done.replicated.to_json() if done.replicated else None,
            "mistakes": _mistakes(done.mistakes),
            "notes": _mistakes(done.notes),
            "first": [{"name": r.after["name"], "new": r.before is None, "changed": r.changed} for r in done.first],
            "locked": list(done.locked),
        }
    )


@router.post(
    "/delete", summary="Delete many sessions", responses=or_submitted(shapes.SessionsChanged, "They are deleted")
)
async def delete_sessions(given: SelectedIn, who: Writer, services: With) -> Response:
    """As one change. Without `confirm`, nothing changes: 409 with how many and which."""
    done = await selections.delete_sessions(services, who, *given.selection(), confirmed=given.confirm, plan=given.plan)
    return _changed(done)


@router.post("/edit", summary="Edit many sessions", responses=or_submitted(shapes.SessionsChanged, "They are changed"))
async def edit_sessions(given: EditSelectedIn, who: Writer, services: With) -> Response:
    """As one change, of all or none. Without `confirm`, nothing changes: 409 with how many and which."""
    done = await selections.edit_sessions(
        services, who, *given.selection(), given.fields, confirmed=given.confirm, plan=given.plan
    )
    return _changed(done)


@router.get(
    "/export",
    summary="Export all sessions",
    response_class=Response,
    responses={200: {"content": {media: {} for media in _MEDIA.values()}, "description": "As import takes them"}},
)
async def export_sessions(query: Annotated[ExportQuery, Query()], who: Who, services: With) -> Response:
    """In the format of an emulator, those sessions that it opens."""
    return await exported(services, query.format)


@router.get("/{session_id}", summary="Read a session", responses=answers(shapes.Session, "The session, with ETag"))
async def read_session(session_id: str, request: Request, who: Who, services: With) -> Response:
    element = sessions.read_session(services, session_id)
    headers = etag_header(element.etag)
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Json(shown(element), headers=headers)


@router.put(
    "/{session_id}", summary="Replace a session", responses=or_submitted(shapes.SessionWritten, "It is replaced")
)
async def replace_session(
    session_id: str, fields: SessionIn, if_match: IfMatch, who: Writer, services: With
) -> Response:
    """Fields that aren't given are emptied."""
    return _written(await sessions.replace_session(services, who, session_id, fields, if_match=if_match))


@router.patch(
    "/{session_id}", summary="Edit or rename a session", responses=or_submitted(shapes.SessionWritten, "It is changed")
)
async def edit_session(
    session_id: str, fields: SessionEditIn, if_match: IfMatch, who: Writer, services: With
) -> Response:
    """Only the fields that are given change."""
    return _written(await sessions.edit_session(services, who, session_id, fields, if_match=if_match))


@router.delete(
    "/{session_id}", summary="Delete a session", responses=or_submitted(shapes.SessionDeleted, "It is deleted")
)
async def delete_session(session_id: str, if_match: IfMatch, who: Writer, services: With) -> Response:
    done = await sessions.delete_session(services, who, session_id, if_match=if_match)
    if isinstance(done, Submitted):
        return submitted(done)
    return Json({"id": session_id, "revision": done.revision, "replicated": done.replicated.to_json()})


@router.post(
    "/{session_id}/copy",
    summary="Copy a session under another name",
    status_code=201,
    responses=or_submitted(shapes.SessionWritten, "The copy", 201),
)
async def copy_session(session_id: str, given: CopyIn, key: IdempotencyKey, who: Who, services: With) -> Response:
    once = Once.of(who, key, f"copy-session/{session_id}", given.name)
    return _written(await sessions.copy_session(services, who, session_id, given.name, once=once), 201)


class RestoreIn(Strict):
    revision: int = Field(ge=0, le=MAX_REVISION)
    """As it was after this one; `GET sessions/{id}/history` lists those in which it changed."""


@router.get(
    "/{session_id}/history",
    summary="A session's history",
    responses=answers(history_shapes.SessionPast, "Its changes, the newest first; also of one that was deleted"),
)
async def read_session_history(
    session_id: str, query: Annotated[HistoryQuery, Query()], who: Who, services: With
) -> Response:
    found = await session_history(services, session_id, before=query.before, limit=query.limit)
    return Json(session_past(found))


@router.post(
    "/{session_id}/restore",
    summary="Restore a session to what it was after a revision",
    responses=or_submitted(shapes.SessionWritten, "It is restored"),
)
async def restore_session(
    session_id: str, given: RestoreIn, if_match: IfMatch, who: Writer, services: With
) -> Response:
    """As a new change. One that was deleted comes back with its id."""
    done = await sessions.restore_session(services, who, session_id, given.revision, if_match=if_match)
    return _written(done)


async def exported(services: Services, format: Format) -> Response:
    """All sessions as a file; in an emulator's format, those that it opens."""
    pieces = await inventory.export_sessions(services, format)
    headers = dict(attachment(_NAMES[format]))
    return StreamingResponse(pieces, media_type=_MEDIA[format], headers=headers)


def shown(element: Element) -> dict[str, Any]:
    """A session as the API gives it."""
    body = element.json()
    fields = {name: body[name] for name in FIELDS}
    return {"id": element.id, **fields, "etag": element.etag, "revision": element.revision}


def _mistakes(found: Sequence[Mistake]) -> list[dict[str, Any]]:
    return [{"row": m.row, "field": m.field, "problem": m.problem, "remedy": m.remedy} for m in found]


def _written(done: sessions.Outcome, status: int = 200) -> Response:
    if isinstance(done, Submitted):
        return submitted(done)
    answer = {"session": shown(done.session), "revision": done.revision, "replicated": done.replicated.to_json()}
    return Json(answer, status, etag_header(done.session.etag))


def _changed(done: selections.Changed | Submitted) -> Response:
    if isinstance(done, Submitted):
        return submitted(done)
    replicated = done.replicated.to_json()
    return Json({"sessions": done.sessions, "revision": done.revision, "replicated": replicated})
