"""Change History: what was changed, each difference, Undo, and Restore to here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Route

from hostward.commands import history, restoring, sessions
from hostward.commands.replication import confirm
from hostward.commands.writing import Done, Submitted
from hostward.domain.errors import NotFound
from hostward.domain.history import SHOWN
from hostward.domain.panels import HISTORY, REQUESTS
from hostward.http.api.history import MAX_REVISION, change_shown, changes_page, session_past
from hostward.http.console.visits import Console, Visit, panel_routes

PANEL: Final = HISTORY
PER_PAGE: Final = 50
_FILTERS: Final = ("author", "kind", "element")


def history_routes(console: Console) -> list[Route]:
    """The list, one change with its differences, one session's history; Undo and Restore."""
    route = panel_routes(console, PANEL)
    return [
        route("", list_all, "GET"),
        route("/{revision}", show, "GET"),
        route("/{revision}/undo", undo),
        route("/{revision}/restore", restore),
        route("/sessions/{session_id}", show_session, "GET"),
        route("/sessions/{session_id}/part", session_part, "GET"),
        route("/sessions/{session_id}/restore", restore_session),
    ]


async def list_all(visit: Visit) -> Response:
    asked = visit.request.query_params
    filters = {name: asked.get(name, "").strip()[:200] for name in _FILTERS}
    used = {name: value for name, value in filters.items() if value}
    before = _revision(asked["before"]) if asked.get("before") else None
    found = await history.list_changes(visit.services, before=before, limit=PER_PAGE, **used)
    page = changes_page(found)
    return await visit.page("history.html", found=page, filters=filters, used=used, before=before, kinds=SHOWN)


async def show(visit: Visit) -> Response:
    found = await history.read_change(visit.services, _revision(visit.request.path_params["revision"]))
    return await visit.page("history_change.html", found=change_shown(found))


async def undo(visit: Visit) -> Response:
    revision = _revision(visit.request.path_params["revision"])
    done = await restoring.undo_change(
        visit.services, visit.actor, revision, confirmed=visit.confirmed, plan=visit.plan
    )
    return _go_on(visit, done)


async def restore(visit: Visit) -> Response:
    revision = _revision(visit.request.path_params["revision"])
    done = await restoring.restore_all(
        visit.services, visit.actor, revision, confirmed=visit.confirmed, plan=visit.plan
    )
    return _go_on(visit, done)


async def show_session(visit: Visit) -> Response:
    return await visit.page("history_session.html", **await _session(visit))


async def session_part(visit: Visit) -> Response:
    """For the session's own page."""
    return visit.part("parts/session_history.html", **await _session(visit))


async def restore_session(visit: Visit) -> Response:
    """Only while the session is as it was when the page was made."""
    session_id, revision = visit.request.path_params["session_id"], _revision(visit.text("revision"))
    past = await history.session_history(visit.services, session_id, limit=1)
    confirm(
        visit.confirmed,
        f"Restoring “{past.name}” to what it was after revision {revision:,}",
        ["It is one new change on every server of the group, and can itself be undone."],
    )
    etag = visit.text("etag")
    done = await sessions.restore_session(
        visit.services, visit.actor, session_id, revision, if_match=[etag] if etag else None
    )
    if isinstance(done, Submitted):
        return _go_on(visit, done)
    return visit.go(f"{PANEL}/sessions/{session_id}")


async def _session(visit: Visit) -> Mapping[str, Any]:
    session_id, before = visit.request.path_params["session_id"], visit.request.query_params.get("before")
    found = await history.session_history(
        visit.services, session_id, before=_revision(before) if before else None, limit=PER_PAGE
    )
    etag = sessions.read_session(visit.services, session_id).etag if found.exists else ""
    return {"past": session_past(found), "etag": etag, "first_page": not before}


def _revision(text: str) -> int:
    """Raises NotFound for what is no revision."""
    if text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= MAX_REVISION:
        return int(text)
    raise NotFound("There is no such revision.", remedy="Look at Change History.")


def _go_on(visit: Visit, done: Done | Submitted) -> Response:
    if isinstance(done, Submitted):
        return visit.go(f"{REQUESTS}/{done.request.id}")
    return visit.go(f"{PANEL}/{done.committed.revision}")
