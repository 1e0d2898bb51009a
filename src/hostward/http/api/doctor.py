"""The doctor (guide, 5.13.10), and the one act that heals every trouble of this server's database."""

from __future__ import annotations

from starlette.responses import Response

from hostward.domain.errors import ConfirmationRequired
from hostward.domain.findings import Severity
from hostward.http.api import shapes
from hostward.http.api.replication import ConfirmIn
from hostward.http.api.shapes import answers
from hostward.http.requests import Json, Who, With, administrators_router

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
    if not (given and given.confirm):
        raise ConfirmationRequired(
            "Making the database node anew: are you sure?",
            remedy="Look at the consequences, then send the request again with “confirm”: true.",
            consequences=[
                "The files of this server's database node are removed; on a Slave the node joins the ring again.",
                "On a Master the whole ring is made anew from its registry, and the Slaves join it one by one.",
                "Nothing is lost: everything in the database is a copy of the servers' registries.",
            ],
        )
    job_id = services.replication.rebuild_database(who.user)
    return Json({"job": services.replication.job(job_id)}, 202)
