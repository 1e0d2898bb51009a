"""This server: what it is, its health, its backups."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from hostward import __version__
from hostward.commands import backups
from hostward.http.api import shapes
from hostward.http.api.logins import moment
from hostward.http.api.shapes import answers
from hostward.http.problems import problem
from hostward.http.requests import Json, OpenRoute, Strict, Who, With, administrators_router

router = administrators_router("Server")
health_router = APIRouter(prefix="/health", tags=["Health"], route_class=OpenRoute)


class LagQuery(Strict):
    lag: int = Field(default=0, ge=0, le=1_000_000_000)
    """How many changes it may lack."""


class RestoreIn(Strict):
    confirm: bool = Field(default=False, strict=True)


@router.get("/server", summary="What this server is", responses=answers(shapes.Server, "Name, version, certificate, …"))
async def read_server(who: Who, services: With) -> Response:
    s, identity = services.configuration.server, services.identity
    return Json(
        {
            "server": identity.server_id,
            "server_name": s.name or s.host_name,
            "version": __version__,
            "certificate_pem": identity.certificate_pem,
            "fingerprint": identity.fingerprint,
            "data_dir": str(services.data_dir),
            "host_name": s.host_name,
            "http_port": s.http_port,
            "https_port": s.https_port,
            "context": s.context,
        }
    )


@router.get("/backups", summary="List backups", responses=answers(shapes.Backups, "Newest first"))
async def list_backups(who: Who, services: With) -> Response:
    found = await asyncio.to_thread(backups.list_backups, services)
    return Json({"items": [_shown(b) for b in found]})


@router.post(
    "/backups", summary="Make a backup", status_code=201, responses=answers(shapes.BackupShown, "It is made", 201)
)
async def create_backup(who: Who, services: With) -> Response:
    return Json(_shown(await backups.create_backup(services, who)), 201)


@router.post(
    "/backups/{name}/restore", summary="Restore a backup", responses=answers(shapes.Restored, "It is restored")
)
async def restore_backup(name: str, who: Who, services: With, given: RestoreIn | None = None) -> Response:
    """As a new change, on every server of the group; what is there now is kept as a backup first. Without `confirm`,
    nothing changes: 409 with the consequences."""
    done = await backups.restore_backup(services, who, name, confirm=given is not None and given.confirm)
    return Json(
        {"name": done.name, "kept": done.kept, "revision": done.revision, "replicated": done.replicated.to_json()}
    )


# HEAD too, because some load balancers ask that way.
@health_router.head("/live", include_in_schema=False)
@health_router.get("/live", summary="The process answers", responses=answers(shapes.Health, "It does"))
async def live() -> Response:
    return _health(None)


@health_router.head("/ready", include_in_schema=False)
@health_router.get("/ready", summary="It serves", responses=answers(shapes.Health, "It does"))
async def ready(services: With) -> Response:
    return _health(services.replication.health_ready())


@health_router.head("/in-sync", include_in_schema=False)
@health_router.get(
    "/in-sync",
    summary="It has the Master's changes, but for at most `lag`",
    responses=answers(shapes.Health, "It has"),
)
async def in_sync(query: Annotated[LagQuery, Query()], services: With) -> Response:
    return _health(await services.replication.health_in_sync(query.lag))


@health_router.head("/master", include_in_schema=False)
@health_router.get("/master", summary="It is a Master that accepts changes", responses=answers(shapes.Health, "It is"))
async def master(services: With) -> Response:
    return _health(services.replication.health_master())


def _health(reason: str | None) -> Response:
    if reason is None:
        return Json({"ok": True})
    remedy = "GET replication, with a login, says more."
    return problem(503, reason, code="not-healthy", remedy=remedy, ok=False, reason=reason)


def _shown(backup: backups.Backup) -> dict[str, Any]:
    return {
        "name": backup.name,
        "created_at": moment(backup.created),
        "size_bytes": backup.size_bytes,
        "reason": backup.reason,
    }
