"""Users as files: export, and import with what it would do first, as sessions have it."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from hostward.commands import people_files
from hostward.commands.inventory import Imported
from hostward.commands.people_files import UsersImported
from hostward.commands.writing import Submitted
from hostward.domain.errors import InvalidInput
from hostward.domain.panels import AUTHENTICATION
from hostward.domain.people import ROLES
from hostward.http.console.pages.inventories import preview, seen
from hostward.http.console.pages.outcomes import submitted, went
from hostward.http.console.visits import HEADERS, Console, Visit, panel_routes, wrong_field
from hostward.http.requests import files_of

USERS: Final = f"{AUTHENTICATION}/users"
FIELDS: Final = {
    "login": "The user name. Required.",
    "name": "The full name.",
    "groups": "A list of the names of user groups.",
    "role": "One of " + ", ".join(r.role.value for r in ROLES if r.role.value) + '; "" for none.',
    "disabled": "true or false.",
    "comment": "",
    "directory": "The name of the directory that checks the password.",
    "dn": "The distinguished name there.",
}


def people_file_routes(console: Console) -> list[Route]:
    """Before those of one user: their paths look like one's."""
    route = panel_routes(console, USERS)
    return [
        route("/import", show_import, "GET"),
        route("/import", import_file),
        route("/export", export_users, "GET"),
    ]


async def show_import(visit: Visit) -> Response:
    return await visit.page("import_users.html", panel=USERS, fields=FIELDS, noun="user", back_title="Users")


async def import_file(visit: Visit) -> Response:
    """First what it would do; with Yes it is done, where the file is still the same."""
    files = await files_of(visit.form)
    if len(files) != 1:
        raise wrong_field("file", "No file is chosen." if not files else "Several are chosen.", "Choose one JSON file.")
    (file_name, data) = files[0]
    digest, decided = seen(visit, data)
    try:
        done = await people_files.import_users(visit.services, visit.actor, data, dry_run=not decided)
    except InvalidInput as error:
        if not error.mistakes:
            raise wrong_field("file", error.message, error.remedy) from error
        rows = len({m.row for m in error.mistakes})
        wrong = Imported(0, 0, 0, rows, error.mistakes, visit.services.group.position.revision, None)
        return await preview(visit, wrong, noun="user", back=USERS, digest=digest, file_name=file_name)
    if isinstance(done, Submitted):
        return submitted(visit, done)
    if done.replicated:
        plan = done.plan
        said = f"Imported: {plan.created:,} created, {plan.changed:,} changed."
        return went(visit, USERS, said, done.replicated)
    return await preview(
        visit, _planned(done), noun="user", back=USERS, digest=digest, file_name=file_name, groups=done.plan.groups
    )


async def export_users(visit: Visit) -> Response:
    headers = {**HEADERS, "Content-Disposition": 'attachment; filename="users.json"'}
    return Response(await people_files.export_users(visit.services), media_type="application/json", headers=headers)


def _planned(done: UsersImported) -> Imported:
    plan = done.plan
    return Imported(plan.created, plan.changed, plan.unchanged, 0, (), done.revision, None, plan.first)
