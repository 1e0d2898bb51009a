"""The directories of Authentication & Authorization, with Test login."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Route

from hostward.commands import credentials, directories
from hostward.commands.people_files import FIRST
from hostward.commands.writing import Submitted
from hostward.domain.directories import Security, settings_of
from hostward.domain.errors import NotFound
from hostward.domain.panels import DIRECTORIES
from hostward.http.console.pages.outcomes import submitted, went
from hostward.http.console.pages.people_lists import TABS
from hostward.http.console.visits import Console, Visit, panel_routes, wrong_field

NEW: Final[dict[str, Any]] = {
    "name": "", "servers": [], "security": "ldaps", "certificates": "", "credential": "", "user_base": "",
    "user_filter": "(uid={user})", "name_attribute": "uid", "full_name_attribute": "cn", "group_base": "",
    "group_filter": "(member={dn})", "group_name_attribute": "cn", "timeout_s": 5, "first_login": True,
}  # fmt: skip
SECURITY: Final = (
    (Security.LDAPS, "LDAPS", "Encrypted from the beginning, usually at port 636."),
    (Security.START_TLS, "StartTLS", "Encrypted before anything is said, usually at port 389."),
    (Security.NONE, "Not encrypted", "Passwords can be read on the way: for a test alone."),
)
MAX_QUERY: Final = 200


def directory_routes(console: Console) -> list[Route]:
    """The list of directories, a form, Test login, taking users over."""
    route = panel_routes(console, DIRECTORIES)
    return [
        route("", show, "GET"),
        route("/new", show_new, "GET"),
        route("/new", create),
        route("/edit", show_one, "GET"),
        route("/edit", save),
        route("/delete", delete),
        route("/test", test),
        route("/sync", sync),
    ]


async def show(visit: Visit) -> Response:
    rows = [e.json() for e in directories.list_directories(visit.services)]
    return await visit.page("directories.html", panel=DIRECTORIES, rows=rows, tabs=TABS)


async def show_new(visit: Visit) -> Response:
    return await _form(visit, NEW, "")


async def show_one(visit: Visit) -> Response:
    found = directories.read_directory(visit.services, visit.request.query_params.get("name", "")[:MAX_QUERY])
    return await _form(visit, settings_of(found.json()), found.etag)


async def create(visit: Visit) -> Response:
    name = visit.text("name")
    try:
        directories.read_directory(visit.services, name)
    except NotFound:
        return await _put(visit, name, None)
    raise wrong_field("name", "There is a directory of that name already.", "Choose another name.")


async def save(visit: Visit) -> Response:
    return await _put(visit, visit.text("name"), (visit.text("etag"),))


async def delete(visit: Visit) -> Response:
    name, etag = visit.text("name"), visit.text("etag")
    return _went(
        visit, await directories.delete_directory(visit.services, visit.actor, name, if_match=(etag,)), "Deleted."
    )


async def test(visit: Visit) -> Response:
    """Each step of a login, and how it went."""
    user = visit.text("test_user")
    if not user:
        raise wrong_field("test_user", "No user is named.", "Enter who would log in.")
    password = visit.typed("test_password") or None
    found = await directories.try_login(visit.services, visit.actor, visit.text("name"), user, password)
    return visit.part("parts/directory_test.html", found=found)


async def sync(visit: Visit) -> Response:
    wanted = visit.text("take") == "yes"
    done = await directories.sync(
        visit.services, visit.actor, visit.text("name"), dry_run=not wanted, confirmed=visit.confirmed, plan=visit.plan
    )
    if isinstance(done, Submitted):
        return submitted(visit, done)
    gone = [e.json()["name"] for e in done.plan.gone[:FIRST]]
    return visit.part("parts/directory_sync.html", done=done, gone=gone)


async def _form(visit: Visit, values: dict[str, Any], etag: str) -> Response:
    names = [c.credential.name for c in credentials.list_credentials(visit.services)]
    return await visit.page(
        "directory.html", panel=DIRECTORIES, values=values, etag=etag, credentials=names, security=SECURITY
    )


async def _put(visit: Visit, name: str, if_match: tuple[str, ...] | None) -> Response:
    texts = (
        "security", "credential", "user_base", "user_filter", "name_attribute", "full_name_attribute", "group_base",
        "group_filter", "group_name_attribute",
    )  # fmt: skip
    fields: dict[str, Any] = {field: visit.text(field) for field in texts}
    fields["servers"] = [line.strip() for line in visit.text("servers").splitlines() if line.strip()]
    fields["certificates"] = visit.text("certificates").replace("\r\n", "\n")
    fields["first_login"] = visit.text("first_login") == "yes"
    seconds = visit.text("timeout_s")
    fields["timeout_s"] = int(seconds) if seconds.isascii() and seconds.isdigit() and len(seconds) < 6 else -1
    done = await directories.put_directory(visit.services, visit.actor, name, fields, if_match=if_match)
    return _went(visit, done, "Saved.")


def _went(visit: Visit, done: directories.Written | Submitted, said: str) -> Response:
    return submitted(visit, done) if isinstance(done, Submitted) else went(visit, DIRECTORIES, said, done.replicated)
