"""Configure Settings > Authentication & Authorization: the form of a user, and of a user group."""

from __future__ import annotations

import secrets
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Route

from hostward.commands import people, unlocking
from hostward.commands.directories import list_directories
from hostward.commands.writing import Once, Submitted
from hostward.domain.errors import InvalidInput, NotFound, PreconditionFailed
from hostward.domain.people import GROUP_KIND, ROLES, USER_KIND
from hostward.domain.permissions import Permission
from hostward.http.console.pages.entries import as_shown
from hostward.http.console.pages.lists import View
from hostward.http.console.pages.outcomes import NameTaken, submitted, went
from hostward.http.console.pages.people_files import USERS
from hostward.http.console.pages.people_lists import GROUPS, GROUPS_LISTED, TABS, USERS_LISTED, lines
from hostward.http.console.pages.versions import Compared, both_versions
from hostward.http.console.visits import Console, Visit, in_field, panel_routes, wrong_field
from hostward.http.requests import MAX_SECRET
from hostward.registry.group import Element

LABELS: Final = {
    "user": {
        "name": "User name", "full_name": "Full name", "groups": "Groups", "comment": "Comment", "role": "Role",
        "disabled": "Disabled", "directory": "Directory",
    },
    "user group": {"name": "Name", "groups": "Belongs to", "comment": "Comment"},
}  # fmt: skip
"""As the form has them, in its order."""


def people_routes(console: Console) -> list[Route]:
    """One user, then one group. The help desk gives new passwords and logs users out."""
    user, group = panel_routes(console, USERS), panel_routes(console, GROUPS)
    help_user = panel_routes(console, USERS, writes=Permission.HELP)
    return [
        user("/new", new_user, "GET"),
        user("/new", create_user),
        user("/{user_id}", show_user, "GET"),
        user("/{user_id}", save_user),
        user("/{user_id}/delete", delete_user),
        help_user("/{user_id}/password", set_password),
        help_user("/{user_id}/logins", end_logins),
        help_user("/{user_id}/waits", show_waits, "GET"),
        help_user("/{user_id}/waits", unlock),
        group("/new", new_group, "GET"),
        group("/new", create_group),
        group("/{group_id}", show_group, "GET"),
        group("/{group_id}", save_group),
        group("/{group_id}/delete", delete_group),
        group("/{group_id}/members", change_members),
    ]


async def new_user(visit: Visit) -> Response:
    return await _form(visit, USER_KIND, {"role": "", "disabled": False, "full_name": ""}, ())


async def new_group(visit: Visit) -> Response:
    return await _form(visit, GROUP_KIND, {}, ())


async def show_user(visit: Visit) -> Response:
    found = people.read_user(visit.services, _id(visit))
    return await _form(visit, USER_KIND, found.element.json(), found.groups, found.element, found)


async def show_group(visit: Visit) -> Response:
    found = people.read_group(visit.services, _id(visit))
    return await _form(visit, GROUP_KIND, found.element.json(), found.groups, found.element, found)


async def create_user(visit: Visit) -> Response:
    fields = _user_fields(visit)
    password = _password(visit) if visit.form.get("password") or visit.form.get("again") else None
    once = Once.of(visit.actor, visit.text("key") or None, "create-user", fields)
    with NameTaken():
        done = await people.create_user(visit.services, visit.actor, fields, password, once=once)
    return _went(visit, done, _back(visit, USER_KIND), "Created.")


async def create_group(visit: Visit) -> Response:
    fields = _group_fields(visit)
    once = Once.of(visit.actor, visit.text("key") or None, "create-user-group", fields)
    with NameTaken():
        done = await people.create_group(visit.services, visit.actor, fields, once=once)
    return _went(visit, done, _back(visit, GROUP_KIND), "Created.")


async def save_user(visit: Visit) -> Response:
    if visit.text("as_new"):
        return await create_user(visit)
    fields = _user_fields(visit)
    try:
        with NameTaken():
            done = await people.edit_user(
                visit.services, visit.actor, _id(visit), fields, if_match=(visit.text("etag"),)
            )
    except PreconditionFailed:
        return _stale(visit, "user", people.read_user(visit.services, _id(visit)), fields)
    except NotFound:
        return _stale(visit, "user", None, fields)
    return _went(visit, done, _back(visit, USER_KIND), "Saved.")


async def save_group(visit: Visit) -> Response:
    if visit.text("as_new"):
        return await create_group(visit)
    fields = _group_fields(visit)
    try:
        with NameTaken():
            done = await people.edit_group(
                visit.services, visit.actor, _id(visit), fields, if_match=(visit.text("etag"),)
            )
    except PreconditionFailed:
        return _stale(visit, "user group", people.read_group(visit.services, _id(visit)), fields)
    except NotFound:
        return _stale(visit, "user group", None, fields)
    return _went(visit, done, _back(visit, GROUP_KIND), "Saved.")


async def delete_user(visit: Visit) -> Response:
    """Its page has asked already."""
    done = await people.delete_user(visit.services, visit.actor, _id(visit), if_match=(visit.text("etag"),))
    return _went(visit, done, _back(visit, USER_KIND), "Deleted.")


async def delete_group(visit: Visit) -> Response:
    done = await people.delete_group(
        visit.services, visit.actor, _id(visit), confirmed=visit.confirmed, if_match=(visit.text("etag"),)
    )
    return _went(visit, done, _back(visit, GROUP_KIND), "Deleted.")


async def set_password(visit: Visit) -> Response:
    done = await people.set_password(visit.services, visit.actor, _id(visit), _password(visit))
    return _went(visit, done, f"{USERS}/{_id(visit)}", "The password is set; the user's logins have ended.")


async def end_logins(visit: Visit) -> Response:
    done = await people.end_logins(visit.services, visit.actor, _id(visit))
    return _went(visit, done, f"{USERS}/{_id(visit)}", "Logged out everywhere.")


async def show_waits(visit: Visit) -> Response:
    """Asked for once the page is there: other servers may be slow to answer."""
    return _waits(visit, await unlocking.waits(visit.services, _id(visit)), unlocked=False)


async def unlock(visit: Visit) -> Response:
    return _waits(visit, await unlocking.unlock(visit.services, visit.actor, _id(visit)), unlocked=True)


def _waits(visit: Visit, found: unlocking.Waits, *, unlocked: bool) -> Response:
    may_help = people.helps(visit.actor, _id(visit), people.read_user(visit.services, _id(visit)).element.json())
    return visit.part(
        "parts/user_waits.html", found=found, unlocked=unlocked, here=f"{USERS}/{_id(visit)}/waits", may_help=may_help
    )


async def change_members(visit: Visit) -> Response:
    names = lines(visit, "members")
    if not names:
        raise wrong_field("members", "No user is named.", "Write user names, one a line.")
    adds = visit.text("act") != "remove"
    try:
        done = await people.change_members(
            visit.services, visit.actor, _id(visit), add=names if adds else (), remove=() if adds else names
        )
    except InvalidInput as error:
        raise in_field(error, "members") from error
    return _went(visit, done, f"{GROUPS}/{_id(visit)}", "Members added." if adds else "Members removed.")


async def _form(
    visit: Visit, kind: str, values: dict[str, Any], groups: Any, element: Element | None = None, found: Any = None
) -> Response:
    return await visit.page(
        "person.html",
        **about(kind),
        values={"name": "", "comment": "", "directory": ""} | values | {"groups": list(groups)},
        directories=[e.json()["name"] for e in list_directories(visit.services)],
        element=element,
        about=found,
        may_help=kind == USER_KIND and element is not None and people.helps(visit.actor, element.id, values),
        back=_back(visit, kind, visit.request.query_params.get("list", "")),
        key=secrets.token_hex(8),
    )


def about(kind: str) -> dict[str, Any]:
    """What the pages of both kinds show of which it is."""
    users = kind == USER_KIND
    return {
        "users": users,
        "panel": USERS if users else GROUPS,
        "noun": "user" if users else "user group",
        "tabs": TABS,
        "roles": ROLES,
    }


def _stale(visit: Visit, noun: str, now: people.Person | people.UserGroup | None, mine: dict[str, Any]) -> Response:
    theirs = now.element.json() | {"groups": list(now.groups)} if now else {}
    rows = (
        Compared(name, label, theirs.get(name, ""), mine[name], _role_shown if name == "role" else as_shown)
        for name, label in LABELS[noun].items()
    )
    element = now.element if now else None
    return both_versions(
        visit, noun, rows, etag=element.etag if element else None, revision=element.revision if element else None
    )


def _role_shown(role: str) -> str:
    return next((r.label for r in ROLES if r.role.value == role), role)


def _back(visit: Visit, kind: str, query: str = "") -> str:
    """The list as it was left."""
    listing = USERS_LISTED if kind == USER_KIND else GROUPS_LISTED
    return View.kept(listing, query or visit.text("list")).here


def _went(visit: Visit, done: people.Outcome, path: str, said: str) -> Response:
    if isinstance(done, Submitted):
        return submitted(visit, done)
    return went(visit, path, said, done.replicated)


def _id(visit: Visit) -> str:
    given = visit.request.path_params
    return str(given.get("user_id") or given["group_id"])


def _user_fields(visit: Visit) -> dict[str, Any]:
    names = ("full_name", "role", "directory")
    return _group_fields(visit) | {n: visit.text(n) for n in names} | {"disabled": visit.text("disabled") == "yes"}


def _group_fields(visit: Visit) -> dict[str, Any]:
    comment = visit.text("comment").replace("\r\n", "\n")
    return {"name": visit.text("name"), "groups": lines(visit, "groups"), "comment": comment}


def _password(visit: Visit) -> str:
    """As it was typed, blanks included."""
    new, again = (str(visit.form.get(name, "")) for name in ("password", "again"))
    if len(new) > MAX_SECRET:
        raise wrong_field("password", "The password is too long.", f"Use at most {MAX_SECRET} characters.")
    if new != again:
        raise wrong_field("again", "The passwords aren't the same.", "Enter it twice.")
    return new
