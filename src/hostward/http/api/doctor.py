"""The doctor (guide, 5.13.10), and the one act that heals every trouble of this server's database."""

from __future__ import annotations

from starlette.responses import Response

from hostward.commands import replication
from hostward.domain.findings import Severity
from hostward.http.api import replication_shapes as shapes
from hostward.http.api.shapes import answers
from hostward.http.requests import ConfirmIn, Json, Who, With, administrators_router

router = administrators_router("Doctor")


@router.get(
    "/doctor",
    summary="Every check of this server and its group",
    responses=answers(shapes.Examined, "What was found, the worst first"),
)
async def examine(who: Who, services: With) -> Response:
    found = await services.replication.examine()
    ok = all(f.severity is Severity.NOTE for f in found)
    return Json({"ok": ok, "findings": [f.to_json() for f in found]})


@router.post(
    "/replication/database/rebuild",
    summary="Make this server's database node anew",
    status_code=202,
    responses=answers(shapes.JobStarted, "The job to follow", 202),
)
async def rebuild_database(who: Who, services: With, given: ConfirmIn | None = None) -> Response:
    """Without `confirm`, nothing changes: 409 with what Yes would do."""
    confirmed = given is not None and given.confirm
    return Json({"job": await replication.rebuild_database(services, who, confirmed=confirmed)}, 202)
