"""Concurrency Locks: who edits which session."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from starlette.responses import Response

from hostward.commands import locks
from hostward.domain.permissions import Permission
from hostward.http.api.logins import moment
from hostward.http.api.shapes import answers
from hostward.http.requests import Json, Shown, Strict, Who, With, administrators_router

router = administrators_router("Sessions", "/sessions", writes=Permission.SESSIONS)


class LockShown(Shown):
    """Who edits a session: `holder` is the administrator, `server` where they are logged in."""

    session: str
    holder: str
    server: str
    server_name: str
    since: str
    times_out: str
    yours: bool
    """Whether it is the caller's own login that holds it."""


class LockState(Shown):
    lock: LockShown | None


class LockHeld(Shown):
    lock: LockShown


class Locks(Shown):
    items: list[LockShown]


class LockIn(Strict):
    page: str = Field(default="", max_length=64)
    """Tells several editors of one login apart: the lock ends with the last of them."""
    take_over: bool = Field(default=False, strict=True)
    """Also where somebody else holds it."""


@router.get("/locks", summary="List Concurrency Locks", responses=answers(Locks, "Of all servers, the oldest first"))
async def list_locks(who: Who, services: With) -> Response:
    return Json({"items": [lock_shown(one) for one in await locks.list_locks(services, who)]})


@router.get("/{session_id}/lock", summary="Who edits a session", responses=answers(LockState, "Its Concurrency Lock"))
async def read_lock(session_id: str, who: Who, services: With) -> Response:
    found = await locks.session_lock(services, who, session_id)
    return Json({"lock": lock_shown(found) if found else None})


@router.post(
    "/{session_id}/lock",
    summary="Lock a session, or renew its lock",
    responses=answers(LockHeld, "The caller's login holds it"),
)
async def hold_lock(session_id: str, who: Who, services: With, given: LockIn | None = None) -> Response:
    """Until it is released, the login ends, or the Concurrency Lock Timeout is over without a renewal. Others' writes
    of the session are refused meanwhile, unless they take over. On a Slave, the Master is asked."""
    asked = given or LockIn()
    held = await locks.hold_lock(services, who, session_id, page=asked.page, take_over=asked.take_over)
    return Json({"lock": lock_shown(held)})


@router.delete("/{session_id}/lock", summary="Release a session's lock", status_code=204, response_class=Response)
async def release_lock(session_id: str, who: Who, services: With) -> Response:
    """The caller's own, in all its pages. Somebody else's stays."""
    await locks.release_lock(services, who, session_id)
    return Response(status_code=204)


def lock_shown(lock: locks.SessionLock) -> dict[str, Any]:
    """A lock as the API gives it."""
    return {
        "session": lock.session,
        "holder": lock.user,
        "server": lock.server,
        "server_name": lock.server_name,
        "since": moment(lock.since),
        "times_out": moment(lock.times_out),
        "yours": lock.yours,
    }
