"""The history: what was changed, one change with its differences, undo, and restore to a revision."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Path, Query
from pydantic import Field
from starlette.responses import Response

from hostward.commands import history, restoring
from hostward.commands.writing import Done, Submitted
from hostward.domain.history import elements_of, records_of
from hostward.http.api import history_shapes
from hostward.http.api.change_requests import submitted
from hostward.http.api.shapes import answers, or_submitted
from hostward.http.requests import Json, PlannedIn, Strict, Who, With, Writer, administrators_router

MAX_REVISION: Final = (1 << 63) - 1

Revision = Annotated[int, Path(ge=1, le=MAX_REVISION)]

router = administrators_router("History")


class HistoryQuery(Strict):
    before: int | None = Field(default=None, ge=1, le=MAX_REVISION)
    """Only changes before this revision; the page's `next_before` leads to the next."""
    limit: int = Field(default=50, ge=1, le=200)


class ChangesQuery(HistoryQuery):
    author: str | None = Field(default=None, min_length=1, max_length=200)
    kind: str | None = Field(default=None, min_length=1, max_length=100)
    """session or setting, or one of replication's own records, such as member."""
    element: str | None = Field(default=None, min_length=1, max_length=1000)
    """The id of a session, or the name of a setting."""


class RestoreAllIn(PlannedIn):
    revision: int = Field(ge=0, le=MAX_REVISION)


@router.get("/changes", summary="List changes", responses=answers(history_shapes.ChangesListed, "Newest first"))
async def list_changes(query: Annotated[ChangesQuery, Query()], who: Who, services: With) -> Response:
    """The newest 50,000 changes are kept; `history` says how far back they reach."""
    return Json(changes_page(await history.list_changes(services, **query.model_dump())))


@router.get(
    "/changes/{revision}",
    summary="Read a change",
    responses=answers(history_shapes.ChangeShown, "With what it did to each session and setting"),
)
async def read_change(revision: Revision, who: Who, services: With) -> Response:
    return Json(change_shown(await history.read_change(services, revision)))


@router.post(
    "/changes/{revision}/undo",
    summary="Undo a change",
    responses=or_submitted(
        history_shapes.TurnedBack, "Its effects on sessions and settings are reversed, as one new change"
    ),
)
async def undo_change(revision: Revision, who: Writer, services: With, given: PlannedIn | None = None) -> Response:
    """Without `confirm`, nothing changes: 409 with the consequences, later changes of the same elements among them."""
    asked = given or PlannedIn()
    done = await restoring.undo_change(services, who, revision, confirmed=asked.confirm, plan=asked.plan)
    return _turned_back(done)


@router.post(
    "/restore",
    summary="Restore all sessions and settings to a revision",
    responses=or_submitted(history_shapes.TurnedBack, "They are as they were after it, by one new change"),
)
async def restore_all(given: RestoreAllIn, who: Writer, services: With) -> Response:
    """Without `confirm`, nothing changes: 409 with the consequences. Members, trust, passphrases and change requests
    are never turned back. How far back it goes is GET changes' `restorable_from`; backups may reach further."""
    done = await restoring.restore_all(services, who, given.revision, confirmed=given.confirm, plan=given.plan)
    return _turned_back(done)


def changes_page(found: history.Changes) -> dict[str, Any]:
    """A page of the history as the API gives it."""
    return {
        "items": [_listed(one) for one in found.items],
        "next_before": found.next_before,
        "history": _kept(found.kept),
    }


def change_shown(found: history.ChangeDetail) -> dict[str, Any]:
    """A change as the API gives it."""
    changes = [
        {
            "kind": e.touched.kind,
            "id": e.touched.id,
            "label": e.touched.label,
            "act": e.touched.act,
            "fields": _fields(e),
            "later": e.later,
        }
        for e in found.elements
    ]
    more = {"origin": found.origin, "requests": list(found.requests), "changes": changes}
    return {**_listed(found.listed), **more, "history": _kept(found.kept)}


def session_past(found: history.SessionHistory) -> dict[str, Any]:
    """A session's history as the API gives it."""
    items = [
        {
            "revision": one.change.revision,
            "time": one.change.time,
            "author": one.change.author,
            "act": one.did.touched.act,
            "fields": _fields(one.did),
        }
        for one in found.items
    ]
    return {
        "id": found.id,
        "name": found.name,
        "exists": found.exists,
        "complete": found.complete,
        "items": items,
        "next_before": found.next_before,
        "history": _kept(found.kept),
    }


def _listed(one: history.Listed) -> dict[str, Any]:
    change = one.change
    return {
        "revision": change.revision,
        "time": change.time,
        "author": change.author,
        "summary": one.summary,
        "elements": elements_of(change.counts),
        "records": records_of(change.counts),
    }


def _fields(did: history.ElementChange) -> list[dict[str, Any]]:
    return [{"field": d.field, "before": d.base, "after": d.wanted} for d in did.differences]


def _kept(kept: history.Kept) -> dict[str, Any]:
    return {"newest": kept.newest, "oldest": kept.oldest, "restorable_from": kept.restorable_from}


def _turned_back(done: Done | Submitted) -> Response:
    if isinstance(done, Submitted):
        return submitted(done)
    committed = done.committed
    replicated = done.replicated.to_json()
    return Json({"changed": committed.changed, "revision": committed.revision, "replicated": replicated})
