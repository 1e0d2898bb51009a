"""Assign Access: who may use which sessions and packages, and why."""

from __future__ import annotations

import secrets
from dataclasses import replace
from functools import partial
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from hostward.commands import access
from hostward.commands.choosing import MAX_IDS
from hostward.commands.writing import Once, Submitted
from hostward.domain.assignments import Effect, To
from hostward.domain.errors import InvalidInput
from hostward.domain.panels import ACCESS
from hostward.domain.permissions import Permission
from hostward.http.console.pages.lists import PER_PAGE, Listing, View, answer_list, find_page
from hostward.http.console.pages.outcomes import submitted, went
from hostward.http.console.visits import Console, Visit, panel_routes, wrong_field

MAX_FOLDERS: Final = 500
"""To choose from; others can be written."""
MAX_NAME: Final = 1200
NAMES: Final = (("users", To.USER), ("groups", To.GROUP), ("folders", To.FOLDER))
ASSIGNMENTS: Final = Listing(
    ACCESS,
    {"user": None, "group": None, "folder": None, "session": None, "package": None},
    (("what", "What"), ("to", "To"), ("effect", "Effect"), ("until", "Until"), ("revision", "Revision")),
    usual="-revision",
)


def access_routes(console: Console) -> list[Route]:
    """The list, a new assignment, removing some, and why somebody may use a session."""
    route = panel_routes(console, ACCESS, writes=Permission.SESSIONS)
    return [
        route("", show, "GET"),
        route("/new", show_new, "GET"),
        route("/new", assign),
        route("/remove", remove),
        route("/why", why, "GET"),
    ]


async def show(visit: Visit) -> Response:
    """A filter that names what isn't there finds nothing, and says so."""
    view = View.of(ASSIGNMENTS, visit.request.query_params)
    try:
        view, found = await find_page(view, partial(_page, visit))
    except InvalidInput as error:
        return await _answer(visit, view, access.Page([], 0), error)
    return await _answer(visit, view, found)


async def show_new(visit: Visit) -> Response:
    filters = View.of(ASSIGNMENTS, visit.request.query_params).filters
    folders = [name for name, _ in await access.list_folders(visit.services)][:MAX_FOLDERS]
    return await visit.page("access_new.html", panel=ACCESS, filters=filters, folders=folders, key=secrets.token_hex(8))


async def assign(visit: Visit) -> Response:
    """Each session and package to each of those who are named. Raises InvalidInput with mistakes whose fields are the
    form's."""
    to = [(kind, name) for field, kind in NAMES for name in _lines(visit, field)]
    to += [(To.EVERYONE, "")] if visit.text("everyone") else []
    things = {name: _lines(visit, name) for name in ("sessions", "packages")}
    if not to:
        raise wrong_field("users", "Nobody is named.", "Name users, groups or folders, or tick All Users.")
    if not any(things.values()):
        raise wrong_field("sessions", "Nothing is named.", "Write the names of sessions or packages, one a line.")
    effect = Effect.DENY if visit.text("effect") == Effect.DENY else Effect.ALLOW
    content = [to, things, effect, visit.text("until")]
    once = Once.of(visit.actor, visit.text("key") or None, "assign", content)
    try:
        done = await access.assign(
            visit.services, visit.actor, to=to, **things, effect=effect, until=visit.text("until"), once=once
        )
    except InvalidInput as error:
        raise _in_form(error) from error
    return _went(visit, done, "Assigned." if effect is Effect.ALLOW else "Denied.")


async def remove(visit: Visit) -> Response:
    ids = visit.text("ids").split()[:MAX_IDS]
    if not ids:
        raise InvalidInput("Nothing is chosen.", remedy="Tick the assignments to remove.")
    back = View.kept(ASSIGNMENTS, visit.text("list")).here
    return _went(visit, await access.remove(visit.services, visit.actor, ids), "Removed.", back)


async def why(visit: Visit) -> Response:
    """Whether a user may use a session or package, and all that says so or speaks against it."""
    given = {k: visit.request.query_params.get(k, "")[:MAX_NAME].strip() for k in ("user", "session", "package")}
    found, problem = None, None
    if given["user"] and (given["session"] or given["package"]):
        try:
            to, of = access.chosen(visit.services, **given)
            assert to is not None
            assert of is not None
            found = access.explain(visit.services, to[1], *of)
        except InvalidInput as error:
            problem = error
    return await visit.page(
        "access_why.html", panel=ACCESS, given=given, found=found, problem=problem, nouns=access.NOUNS
    )


async def _page(visit: Visit, view: View) -> access.Page:
    to, of = access.chosen(visit.services, **{name: view.filters[name] for name in ASSIGNMENTS.filters})
    return await access.list_assignments(
        visit.services, view.filters["q"], to=to, of=of, sort=view.sort, page=view.page, per_page=PER_PAGE
    )


async def _answer(visit: Visit, view: View, found: access.Page, problem: InvalidInput | None = None) -> Response:
    return await answer_list(
        visit,
        view,
        found.total,
        "access.html",
        "parts/access_list.html",
        {},
        rows=found.items,
        problem=problem,
        nouns=access.NOUNS,
    )


def _lines(visit: Visit, name: str) -> list[str]:
    return [line.strip() for line in visit.text(name).splitlines() if line.strip()]


def _in_form(error: InvalidInput) -> InvalidInput:
    """Who isn't there is a mistake of the field in which they were named."""
    fields = {f"no {access.NOUNS[kind]} “": field for field, kind in NAMES}

    def field_of(problem: str) -> str:
        return next((field for said, field in fields.items() if said in problem), "users")

    mistakes = [replace(m, field=field_of(m.problem)) if m.field == "to" else m for m in error.mistakes]
    return InvalidInput(error.message, remedy=error.remedy, code=error.code, mistakes=mistakes)


def _went(visit: Visit, done: access.Assigned | Submitted, said: str, path: str = ACCESS) -> Response:
    return submitted(visit, done) if isinstance(done, Submitted) else went(visit, path, said, done.replicated)
