"""Manage Sessions, many at once: delete, edit, import, export."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from hostward.commands import inventory, selections
from hostward.commands.choosing import Selection
from hostward.commands.selections import Matching
from hostward.commands.writing import Submitted
from hostward.domain.errors import InvalidInput, NotFound
from hostward.domain.inventory import Format, one_file
from hostward.domain.permissions import Permission
from hostward.domain.sessions import DECLARED
from hostward.http.api.sessions import exported
from hostward.http.console.pages.entries import entered_fields
from hostward.http.console.pages.lists import selected
from hostward.http.console.pages.locks import PANEL
from hostward.http.console.pages.outcomes import on_a_slave, submitted, went
from hostward.http.console.pages.sessions import SESSIONS
from hostward.http.console.visits import HEADERS, Console, Visit, panel_routes, wrong_field
from hostward.http.requests import files_of

MAX_MISTAKES: Final = 200


def inventory_routes(console: Console) -> list[Route]:
    """Before those of one session: their paths look like one's."""
    route = panel_routes(console, PANEL, writes=Permission.SESSIONS)
    return [
        route("/delete", delete_chosen),
        route("/edit", edit_chosen),
        route("/import", show_import, "GET"),
        route("/import", import_file),
        route("/export/{format}", export, "GET"),
    ]


async def delete_chosen(visit: Visit) -> Response:
    done = await selections.delete_sessions(
        visit.services, visit.actor, *_selection(visit), confirmed=visit.confirmed, plan=visit.plan
    )
    return _changed(visit, done, "deleted")


async def edit_chosen(visit: Visit) -> Response:
    fields = entered_fields(visit.form)
    if not fields:
        raise InvalidInput("No field is ticked.", remedy="Tick each that shall be set in all of them.")
    done = await selections.edit_sessions(
        visit.services, visit.actor, *_selection(visit), fields, confirmed=visit.confirmed, plan=visit.plan
    )
    return _changed(visit, done, "changed")


async def show_import(visit: Visit) -> Response:
    return await visit.page("import.html", panel=PANEL, declared=DECLARED, noun="session", back_title="Manage Sessions")


async def import_file(visit: Visit) -> Response:
    """First what it would do; with Yes it is done, where the file is still the same."""
    files = await files_of(visit.form)
    if not files:
        raise wrong_field("file", "No file is chosen.", "Choose a CSV or JSON file, or an emulator's.")
    data = one_file(files)
    digest, decided = seen(visit, data)
    skip_invalid = not decided or visit.text("skip_invalid") == "yes"
    done = await inventory.import_sessions(
        visit.services, visit.actor, data, skip_invalid=skip_invalid, dry_run=not decided
    )
    if isinstance(done, Submitted):
        return submitted(visit, done)
    if decided and done.replicated:
        said = f"Imported: {done.imported:,} created, {done.updated:,} changed."
        return went(visit, PANEL, said, done.replicated)
    name = files[0][0] if len(files) == 1 else f"{len(files):,} files"
    return await preview(visit, done, noun="session", back=PANEL, digest=digest, file_name=name)


def seen(visit: Visit, data: bytes) -> tuple[str, bool]:
    """The file's digest, and whether Yes was said to just this file."""
    digest = hashlib.sha256(data).hexdigest()
    return digest, visit.text("decision") == "yes" and visit.text("digest") == digest


async def preview(
    visit: Visit,
    done: inventory.Imported,
    *,
    noun: str,
    back: str,
    digest: str,
    file_name: str,
    groups: Sequence[str] = (),
) -> Response:
    """What a file would do: how much, the first of it, and what is wrong with it. `groups` are made too."""
    return visit.part(
        "parts/import_preview.html",
        done=done,
        noun=noun,
        kind=noun,
        back=back,
        digest=digest,
        file_name=file_name,
        groups=groups,
        mistakes=done.mistakes[:MAX_MISTAKES],
        notes=done.notes[:MAX_MISTAKES],
        slave=await asyncio.to_thread(on_a_slave, visit),
    )


async def export(visit: Visit) -> Response:
    format_ = visit.request.path_params["format"]
    if format_ not in list(Format):
        raise NotFound("There is no such format.", remedy="Export CSV, JSON, x3270 or PuTTY.")
    answer = await exported(visit.services, Format(format_))
    answer.headers.update(HEADERS)
    return answer


def _selection(visit: Visit) -> tuple[Selection, Matching]:
    selection, view = selected(visit, SESSIONS)
    return selection, Matching(view.filters["q"] or None, view.filters["type"] or None)


def _changed(visit: Visit, done: selections.Changed | Submitted, what: str) -> Response:
    if isinstance(done, Submitted):
        return submitted(visit, done)
    _, view = selected(visit, SESSIONS)
    count = "1 session" if done.sessions == 1 else f"{done.sessions:,} sessions"
    return went(visit, view.here, f"{count} {what}.", done.replicated)
