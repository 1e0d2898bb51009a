"""Manage Sessions: the list, and a form for each type."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Route

from hostward.commands import sessions
from hostward.commands.launching import launch_file_of, launch_offers
from hostward.commands.writing import Once, Submitted
from hostward.domain.errors import NotFound, PreconditionFailed
from hostward.domain.launching import Program
from hostward.domain.permissions import Permission
from hostward.domain.sessions import BULK, DECLARED, TYPES, default_port
from hostward.http.console.pages.entries import entered_session
from hostward.http.console.pages.lists import PER_PAGE, Listing, View, answer_list, find_page
from hostward.http.console.pages.locks import FREE, PANEL, let_go, lock_state
from hostward.http.console.pages.outcomes import NameTaken, submitted, went
from hostward.http.console.pages.versions import Compared, both_versions
from hostward.http.console.visits import HEADERS, Console, Visit, panel_routes
from hostward.http.downloads import launch_answer
from hostward.registry.group import Element

SESSIONS: Final = Listing(
    PANEL,
    {"type": TYPES},
    (("name", "Name"), ("type", "Type"), ("host", "Host"), ("", "Groups"), ("revision", "Revision")),
)


def session_routes(console: Console) -> list[Route]:
    """The list, one session, a new one."""
    route = panel_routes(console, PANEL, writes=Permission.SESSIONS)
    return [
        route("", show_list, "GET"),
        route("/new", show_new, "GET"),
        route("/new", create),
        route("/{session_id}", show_one, "GET"),
        route("/{session_id}", save),
        route("/{session_id}/delete", delete),
        route("/{session_id}/launch/{program}", launch, "GET"),
    ]


async def show_list(visit: Visit) -> Response:
    view, found = await find_page(View.of(SESSIONS, visit.request.query_params), partial(_page, visit))
    return await answer_list(
        visit,
        view,
        found.total,
        "sessions.html",
        "parts/session_list.html",
        {"type_choices": [(t, t) for t in TYPES], "bulk": BULK},
        rows=[(e, e.json()) for e in found.items],
    )


async def show_new(visit: Visit) -> Response:
    """+ Add, of a type; or a copy of another session."""
    given = visit.request.query_params
    values: dict[str, Any] = {"type": given.get("type", TYPES[0]), "tls": True}
    copied = given.get("copy")
    if copied:
        values = sessions.read_session(visit.services, copied).json()
        values["name"] = f"{values['name'][:120]} copy"
    return await _form(visit, values, None)


async def show_one(visit: Visit) -> Response:
    element = sessions.read_session(visit.services, visit.request.path_params["session_id"])
    return await _form(visit, element.json(), element)


async def create(visit: Visit) -> Response:
    fields = entered_session(visit.form)
    once = Once.of(visit.actor, visit.text("key") or None, "create-session", fields)
    with NameTaken():
        done = await sessions.create_session(visit.services, visit.actor, fields, once=once)
    if isinstance(done, Submitted):
        return submitted(visit, done)
    return went(visit, _back(visit), "Created.", done.replicated)


async def save(visit: Visit) -> Response:
    session_id, fields = visit.request.path_params["session_id"], entered_session(visit.form)
    if visit.text("as_new"):
        return await create(visit)
    try:
        with NameTaken():
            done = await sessions.replace_session(
                visit.services, visit.actor, session_id, fields, if_match=(visit.text("etag"),)
            )
    except PreconditionFailed:
        return _stale(visit, sessions.read_session(visit.services, session_id), fields)
    except NotFound:
        return _stale(visit, None, fields)
    await let_go(visit, session_id)
    if isinstance(done, Submitted):
        return submitted(visit, done)
    return went(visit, _back(visit), "Saved.", done.replicated)


async def delete(visit: Visit) -> Response:
    """Its page has asked already."""
    session_id = visit.request.path_params["session_id"]
    done = await sessions.delete_session(visit.services, visit.actor, session_id, if_match=(visit.text("etag"),))
    if isinstance(done, Submitted):
        return submitted(visit, done)
    return went(visit, _back(visit), "Deleted.", done.replicated)


async def launch(visit: Visit) -> Response:
    """The file with which a program opens the session."""
    given = visit.request.path_params
    if given["program"] not in list(Program):
        raise NotFound("There is no such program.", remedy="Choose one of the session's own menu.")
    answer = launch_answer(launch_file_of(visit.services, given["session_id"], Program(given["program"])))
    answer.headers.update(HEADERS)
    return answer


async def _page(visit: Visit, view: View) -> sessions.Page:
    q, type_ = view.filters["q"] or None, view.filters["type"] or None
    return await sessions.search_sessions(
        visit.services, q, type=type_, page=view.page, per_page=PER_PAGE, sort=view.sort
    )


async def _form(visit: Visit, values: dict[str, Any], element: Element | None) -> Response:
    lock = await lock_state(visit, element.id) if element else {"lock_state": FREE, "lock": None}
    return await visit.page(
        "session.html",
        panel=PANEL,
        declared=DECLARED,
        values={"name": ""} | values,
        element=element,
        **lock,
        opened=True,
        reading=False,
        launching=launch_offers(visit.services, element.id) if element else (),
        key=secrets.token_hex(8),
        usual_ports={t: (default_port(t, True), default_port(t, False)) for t in TYPES},
        back=View.kept(SESSIONS, visit.request.query_params.get("list", "")),
    )


def _stale(visit: Visit, now: Element | None, mine: dict[str, Any]) -> Response:
    theirs = now.json() if now else {}
    rows = (Compared(f.name, f.label, theirs.get(f.name, ""), mine.get(f.name, "")) for f in DECLARED)
    return both_versions(visit, "session", rows, etag=now.etag if now else None, revision=now.revision if now else None)


def _back(visit: Visit) -> str:
    """The list as it was left."""
    return View.kept(SESSIONS, visit.text("list")).here
