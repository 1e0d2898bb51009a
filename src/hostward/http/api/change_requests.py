"""Change requests: what was changed on a Slave, until it is implemented on the Master (guide, 5.13.2)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from hostward.commands import requests
from hostward.commands.services import Services
from hostward.commands.writing import Done, Submitted
from hostward.domain.requests import MAX_REASON, State, rules_of
from hostward.http.api import shapes
from hostward.http.api.shapes import answers, or_submitted
from hostward.http.requests import Json, Strict, Who, With, administrators_router
from hostward.replication.change_requests.requests import Detail, Edited, Shown

router = administrators_router("Change requests", "/change-requests")

MAX_EDITED = 10_000


class RequestsQuery(Strict):
    state: State | None = None
    limit: int = Field(default=200, ge=1, le=1000)


class ImplementIn(Strict):
    force: bool = Field(default=False, strict=True)
    """Also over what others have changed since the request was made."""


class RejectIn(Strict):
    reason: str = Field(min_length=1, max_length=MAX_REASON)
    """For whoever made the request."""


class ElementIn(Strict):
    kind: str = Field(min_length=1, max_length=100)
    id: str = Field(min_length=1, max_length=1000)
    wanted: dict[str, Any] | None
    """The element as it shall be, with all its fields; null deletes it."""


class EditIn(Strict):
    elements: list[ElementIn] | None = Field(default=None, min_length=1, max_length=MAX_EDITED)
    """Those of the request's elements that shall be changed; all of them as they were, unless given."""


@router.get("", summary="List change requests", responses=answers(shapes.ChangeRequests, "Newest first"))
async def list_change_requests(query: Annotated[RequestsQuery, Query()], who: Who, services: With) -> Response:
    found = await requests.list_requests(services, query.state)
    return Json({"items": [shown(one) for one in found[: query.limit]], "total": len(found)})


@router.get(
    "/{request_id}",
    summary="Read a change request",
    responses=answers(shapes.ChangeRequestDetail, "With what it would change, and what stands against it now"),
)
async def read_change_request(request_id: str, who: Who, services: With) -> Response:
    return Json(detailed(await requests.read_request(services, request_id)))


@router.put(
    "/{request_id}",
    summary="Edit and resubmit a change request",
    responses=or_submitted(shapes.RequestDecided, "The new request, which replaces the old one"),
)
async def edit_change_request(request_id: str, given: EditIn, who: Who, services: With) -> Response:
    """The new request is based on what is there now. On the Master, or where the old one was made."""
    edited = [Edited(e.kind, e.id, e.wanted) for e in given.elements] if given.elements is not None else None
    new_id, done = await requests.edit_request(services, who, request_id, edited)
    return _decided(services, new_id, done)


@router.post(
    "/{request_id}/implement",
    summary="Implement a change request",
    responses=answers(shapes.RequestDecided, "It is implemented, as one change"),
)
async def implement_change_request(
    request_id: str, who: Who, services: With, given: ImplementIn | None = None
) -> Response:
    """On the Master. Refused with the list of conflicts where others have changed the same since, unless `force`."""
    force = given is not None and given.force
    return _decided(services, request_id, await requests.implement_request(services, who, request_id, force=force))


@router.post(
    "/{request_id}/reject",
    summary="Reject a change request",
    responses=answers(shapes.RequestDecided, "It is rejected"),
)
async def reject_change_request(request_id: str, given: RejectIn, who: Who, services: With) -> Response:
    """On the Master."""
    return _decided(services, request_id, await requests.reject_request(services, who, request_id, given.reason))


@router.post(
    "/{request_id}/withdraw",
    summary="Withdraw a change request",
    responses=or_submitted(shapes.RequestDecided, "It is withdrawn"),
)
async def withdraw_change_request(request_id: str, who: Who, services: With) -> Response:
    """Where it was made, also while the Master is away; or on the Master."""
    return _decided(services, request_id, await requests.withdraw_request(services, who, request_id))


def submitted(done: Submitted) -> Response:
    """A write on a Slave."""
    return Json({"request": shown(Shown(done.request))}, 202)


def shown(one: Shown) -> dict[str, Any]:
    """A request as the API gives it."""
    value = one.request.to_json()
    value["submitted_at"], value["received_at"] = value.pop("submitted"), value.pop("received")
    return {**value, "carrying": one.carrying, "not_carried_because": one.reason}


def _decided(services: Services, request_id: str, done: Done | Submitted) -> Response:
    if isinstance(done, Submitted):
        return submitted(done)
    found = services.requests.get(request_id)
    revision = done.committed.revision
    return Json({"request": shown(found), "revision": revision, "replicated": done.replicated.to_json()})


def detailed(detail: Detail) -> dict[str, Any]:
    """A request with what it would change, as the API gives it."""
    changes = [
        {
            "kind": e.touched.kind,
            "id": e.touched.id,
            "label": e.label,
            "wanted": {} if e.touched.wanted is not None and rules_of(e.touched.kind).hidden else e.touched.wanted,
            "fields": [{"field": d.field, "base": d.base, "now": d.now, "wanted": d.wanted} for d in e.differences],
        }
        for e in detail.changes
    ]
    conflicts = [{"element": c.element, "code": c.code, "problem": c.problem} for c in detail.conflicts]
    return {**shown(detail.shown), "changes": changes, "conflicts": conflicts}
