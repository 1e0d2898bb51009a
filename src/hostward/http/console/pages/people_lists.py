"""Configure Settings > Authentication & Authorization: the lists of users and user groups; acts on many."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Route

from hostward.commands import people_lists, people_selections
from hostward.commands.directories import list_directories
from hostward.commands.people_lists import Found
from hostward.commands.people_selections import Edits
from hostward.commands.services import Services
from hostward.commands.writing import Submitted
from hostward.domain.errors import InvalidInput
from hostward.domain.panels import AUTHENTICATION, DIRECTORIES, SITEMINDER
from hostward.domain.people import ROLES, Role, State, UserSearch
from hostward.http.console.pages.lists import PER_PAGE, Listing, View, answer_list, find_page, selected
from hostward.http.console.pages.outcomes import submitted, went
from hostward.http.console.pages.people_files import USERS
from hostward.http.console.visits import Console, Visit, panel_routes

GROUPS: Final = f"{AUTHENTICATION}/groups"
TABS: Final = {USERS: "Users", GROUPS: "User Groups", DIRECTORIES: "Directories", SITEMINDER: "SiteMinder"}
NO_ROLE: Final = "none"
LOCAL, OF_DIRECTORY = "local", "of "
"""Kinds of users: those with a password of the group's own, and those of a directory, whose name follows."""
ROLE_CHOICES: Final = (("", "All roles"), *((r.role.value or NO_ROLE, r.label) for r in ROLES))
STATE_CHOICES: Final = (("", "All states"), *((s.value, s.value.capitalize()) for s in State))
USERS_LISTED: Final = Listing(
    USERS,
    {"role": dict(ROLE_CHOICES), "state": dict(STATE_CHOICES), "kind": None, "group": None},
    (("name", "Name"), ("full_name", "Full name"), ("role", "Role"), ("", "Groups")),
)
GROUPS_LISTED: Final = Listing(GROUPS, {"group": None}, (("name", "Name"), ("users", "Users"), ("", "Belongs to")))
ACTS: Final = {"disable": Edits(disabled=True), "enable": Edits(disabled=False)}


def people_list_routes(console: Console) -> list[Route]:
    """Before those of one user: their paths look like one's."""
    return [
        panel_routes(console, AUTHENTICATION)("", show_users, "GET"),
        panel_routes(console, USERS)("", show_users, "GET"),
        panel_routes(console, USERS)("/chosen", change_chosen),
        panel_routes(console, GROUPS)("", show_groups, "GET"),
    ]


async def show_users(visit: Visit) -> Response:
    """A filter that names what isn't there finds nobody, and says so."""
    view = View.of(USERS_LISTED, visit.request.query_params)
    try:
        view, found = await find_page(view, partial(_users, visit.services))
    except InvalidInput as error:
        return await _answer(visit, view, Found([], 0, {}, None), error)
    return await _answer(visit, view, found)


async def show_groups(visit: Visit) -> Response:
    """As show_users."""
    view = View.of(GROUPS_LISTED, visit.request.query_params)
    try:
        view, found = await find_page(view, partial(_groups, visit.services))
    except InvalidInput as error:
        return await _answer(visit, view, Found([], 0, {}, {}), error)
    return await _answer(visit, view, found)


async def change_chosen(visit: Visit) -> Response:
    """What is done with those that are chosen: `act` says what."""
    selection, view = selected(visit, USERS_LISTED)
    matching, act = _search(visit.services, view), visit.text("act")
    yes: dict[str, Any] = {"confirmed": visit.confirmed, "plan": visit.plan}
    if act == "delete":
        done = await people_selections.delete_users(visit.services, visit.actor, selection, matching, **yes)
    else:
        edits = ACTS.get(act) or Edits(join=lines(visit, "join"), leave=lines(visit, "leave"))
        done = await people_selections.edit_users(visit.services, visit.actor, selection, matching, edits, **yes)
    if isinstance(done, Submitted):
        return submitted(visit, done)
    said = {"delete": "deleted", "disable": "disabled", "enable": "enabled"}.get(act, "changed")
    return went(visit, view.here, f"{people_selections.USERS.counted(done.users)} {said}.", done.replicated)


def lines(visit: Visit, name: str) -> list[str]:
    """Names, one a line."""
    return [line.strip() for line in re.split("[\n;]", visit.text(name)) if line.strip()]


async def _users(services: Services, view: View) -> Found:
    search = _search(services, view)
    return await people_lists.list_users(services, search, sort=view.sort, page=view.page, per_page=PER_PAGE)


async def _groups(services: Services, view: View) -> Found:
    q, group = view.filters["q"], view.filters["group"]
    of = people_lists.group_meant(services, group).id if group else None
    return await people_lists.list_groups(services, q, of, sort=view.sort, page=view.page, per_page=PER_PAGE)


def _search(services: Services, view: View) -> UserSearch:
    """Raises InvalidInput where there is no such group."""
    filters = view.filters
    role, state, kind = filters["role"], filters["state"], filters["kind"]
    return UserSearch(
        filters["q"],
        Role(role if role != NO_ROLE else "") if role else None,
        State(state) if state else None,
        kind.removeprefix(OF_DIRECTORY) if kind.startswith(OF_DIRECTORY) else "" if kind == LOCAL else None,
        people_lists.group_meant(services, filters["group"]).id if filters["group"] else None,
    )


async def _answer(visit: Visit, view: View, found: Found, problem: InvalidInput | None = None) -> Response:
    users = view.listing is USERS_LISTED
    rows = [(e, e.json(), [found.names[i] for i in e.json()["groups"] if i in found.names]) for e in found.items]
    around = {
        "tabs": TABS,
        "role_choices": ROLE_CHOICES,
        "state_choices": STATE_CHOICES,
        "kind_choices": _kinds(visit.services) if users else (),
    }
    return await answer_list(
        visit,
        view,
        found.total,
        "people.html",
        "parts/people_list.html",
        around,
        users=users,
        noun="user" if users else "user group",
        rows=rows,
        sizes=found.sizes or {},
        problem=problem,
    )


def _kinds(services: Services) -> Sequence[tuple[str, str]]:
    """Nothing to choose from where there is no directory."""
    names = sorted(str(e.json()["name"]) for e in list_directories(services))
    own = (("", "All kinds"), (LOCAL, "Password of the group's own"))
    return (*own, *((OF_DIRECTORY + name, f"Directory {name}") for name in names)) if names else ()
