"""A session's Concurrency Lock, as its form uses it: hold, renew, take over, let go."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Route

from hostward.commands import locks
from hostward.commands.services import Services
from hostward.commands.settings import lock_timeout_minutes
from hostward.domain.errors import PeerError, SessionLocked, Unavailable
from hostward.domain.panels import SESSIONS
from hostward.domain.permissions import Permission
from hostward.http.console.visits import Console, Visit, panel_routes

PANEL: Final = SESSIONS
HELD, FREE, LOCKED, AWAY = "held", "free", "locked", "away"
MAX_PAGE_NAME: Final = 64


def lock_routes(console: Console) -> list[Route]:
    """Of one session."""
    route = panel_routes(console, PANEL + "/{session_id}/lock", writes=Permission.SESSIONS)
    return [
        route("", show, "GET"),
        route("", hold),
        route("/take-over", take_over),
        route("/release", release),
    ]


def locks_shown(services: Services, login: str) -> Mapping[str, Any]:
    """For the open pages of a login: which sessions it holds, and which that are waited for are still taken."""
    return {"mine": services.locks.mine(login), "taken": services.locks.taken(login)}


async def show(visit: Visit) -> Response:
    """What has become of the lock."""
    return _part(visit, await lock_state(visit, visit.request.path_params["session_id"]))


async def hold(visit: Visit) -> Response:
    """Lock the session for this page, or renew its lock."""
    session_id = visit.request.path_params["session_id"]
    with contextlib.suppress(SessionLocked, Unavailable, PeerError):  # the state says so
        await locks.hold_lock(visit.services, visit.actor, session_id, page=_page(visit))
    return _part(visit, await lock_state(visit, session_id))


async def take_over(visit: Visit) -> Response:
    """The dialog has named the holder."""
    session_id = visit.request.path_params["session_id"]
    await locks.hold_lock(visit.services, visit.actor, session_id, page=_page(visit), take_over=True)
    return _part(visit, await lock_state(visit, session_id))


async def release(visit: Visit) -> Response:
    """The page is left."""
    await let_go(visit, visit.request.path_params["session_id"])
    return Response(status_code=204)


async def let_go(visit: Visit, session_id: str) -> None:
    """The form's page edits the session no longer. Where the Master is away, the lock ends by itself."""
    try:
        await locks.release_lock(visit.services, visit.actor, session_id, page=_page(visit))
    except (Unavailable, PeerError):
        return


async def lock_state(visit: Visit, session_id: str) -> Mapping[str, Any]:
    """Whether the caller holds the lock, nobody does, somebody else does, or it can't be known."""
    minutes = lock_timeout_minutes(visit.services)
    lock, state = None, FREE
    try:
        lock = await locks.session_lock(visit.services, visit.actor, session_id)
    except (Unavailable, PeerError):
        state = AWAY
    if lock is not None:
        state = HELD if lock.yours else LOCKED
    if state == LOCKED:
        visit.services.locks.wait_for(session_id)
    return {"lock": lock, "lock_state": state, "lock_minutes": minutes, "session_id": session_id}


def _page(visit: Visit) -> str:
    return visit.text("page")[:MAX_PAGE_NAME]


def _part(visit: Visit, state: Mapping[str, Any]) -> Response:
    reading = visit.request.query_params.get("reading") == "yes"
    answer = visit.part("parts/session_lock.html", **state, opened=reading, reading=reading)
    answer.headers["X-Lock"] = state["lock_state"]
    return answer
