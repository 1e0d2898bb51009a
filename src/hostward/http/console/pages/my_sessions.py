"""The page of people who use sessions and packages: what is assigned to them, and the files that open it."""

from __future__ import annotations

from functools import partial
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from hostward.commands.access import own_page
from hostward.commands.favourites import change_favourites
from hostward.commands.launching import launch_file_for, openings_for
from hostward.commands.packages import own_download
from hostward.domain.errors import NotFound
from hostward.domain.favourites import MAX_FAVOURITES
from hostward.domain.launching import Program
from hostward.domain.people import Role
from hostward.domain.permissions import Permission
from hostward.http.console.visits import HEADERS, Console, Visit, forgery_token, html, page_of, panel_routes
from hostward.http.downloads import first_byte, launch_answer, package_answer

PAGE: Final = "/sessions"
PER_PAGE: Final = 50
MAX_PACKAGES: Final = 100
LIST: Final = "my-sessions"


def my_session_routes(console: Console) -> list[Route]:
    """The list, its stars, a file that opens a session, and a package's."""
    route = panel_routes(console, PAGE, reads=Permission.OWN, writes=Permission.OWN)
    return [
        route("", show, "GET"),
        route("/favourites", mark),
        route("/{session_id}/launch/{program}", launch, "GET"),
        route("/packages/{package_id}/file", download, "GET"),
    ]


async def show(visit: Visit) -> Response:
    given = visit.request.query_params
    q = given.get("q", "")[:500].strip()
    page = page_of(given.get("page", ""))
    found, page, packages = await own_page(
        visit.services, visit.actor, q, page=page, per_page=PER_PAGE, max_packages=MAX_PACKAGES
    )
    shown = {
        "q": q,
        "page": page,
        "last": max(1, -(-found.total // PER_PAGE)),
        "total": found.total,
        "first": (page - 1) * PER_PAGE + 1,
        "packages": [(e.id, e.json()) for e in packages.items] if page == 1 else [],
        "more_packages": packages.total - len(packages.items),
        "rows": [(e.id, e.json(), openings_for(e, visit.actor), e.id in found.favourites) for e in found.items],
    }
    if visit.request.headers.get("hx-target") == LIST:
        return visit.part("parts/my_sessions.html", **shown)
    around = {
        "base": visit.console.base,
        "user": visit.actor.user,
        "csrf": forgery_token(visit.secret),
        "console": visit.actor.role is not Role.NONE,
    }
    return html(visit.console.pages.render("my_sessions.html", **around, **shown))


async def mark(visit: Visit) -> Response:
    """What was clicked since the page saved last."""
    add, remove = (visit.texts(name)[:MAX_FAVOURITES] for name in ("add", "remove"))
    await change_favourites(visit.services, visit.actor, add=add, remove=remove)
    return html("")


async def launch(visit: Visit) -> Response:
    given = visit.request.path_params
    if given["program"] not in list(Program):
        raise NotFound("There is no such program.", remedy="Choose one of the session's own menu.")
    file = await launch_file_for(visit.services, visit.actor, given["session_id"], Program(given["program"]))
    answer = launch_answer(file)
    answer.headers.update(HEADERS)
    return answer


async def download(visit: Visit) -> Response:
    first = partial(first_byte, visit.request)
    id_ = visit.request.path_params["package_id"]
    answer = package_answer(await own_download(visit.services, visit.actor, id_, first=first))
    answer.headers.update(HEADERS)
    return answer
