"""Manage Packages: the list with which server has what, upload and update, a form, download, delete."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Final

from starlette.datastructures import UploadFile
from starlette.responses import Response
from starlette.routing import Route

from hostward.commands import packages
from hostward.commands.writing import Submitted
from hostward.domain.panels import PACKAGES
from hostward.http.console.pages.lists import PER_PAGE, Listing, View, answer_list, find_page
from hostward.http.console.pages.outcomes import NameTaken, submitted, went
from hostward.http.console.pages.settings import apply_those, settings_of
from hostward.http.console.visits import HEADERS, Console, Visit, panel_routes, wrong_field
from hostward.http.downloads import first_byte, package_answer
from hostward.registry.group import Element
from hostward.replication.package_copies import Here, ServerPackages

LISTED: Final = Listing(PACKAGES, {}, (("", "Name"), ("", "Version"), ("", "Size"), ("", "On servers")))
READ_BYTES: Final = 1 << 20


def package_routes(console: Console) -> list[Route]:
    """The list, upload, one package."""
    route = panel_routes(console, PACKAGES)
    return [
        route("", show, "GET"),
        route("/settings", apply),
        route("/upload", show_upload, "GET"),
        route("/upload", upload),
        route("/{package_id}", show_one, "GET"),
        route("/{package_id}", save),
        route("/{package_id}/delete", delete),
        route("/{package_id}/file", download, "GET"),
    ]


async def show(visit: Visit) -> Response:
    view, found = await find_page(View.of(LISTED, visit.request.query_params), partial(_page, visit))
    servers = await packages.server_states(visit.services)
    return await answer_list(
        visit,
        view,
        found.total,
        "packages.html",
        "parts/package_list.html",
        {"settings": await settings_of(visit, PACKAGES)},
        rows=[(e, e.json(), Spread(e, servers)) for e in found.items],
        servers=servers,
    )


async def show_upload(visit: Visit) -> Response:
    """For a new package, or for another file of the one that `package` names."""
    id_ = visit.request.query_params.get("package", "")[:100]
    there = packages.read_package(visit.services, id_) if id_ else None
    return await visit.page("package_upload.html", panel=PACKAGES, package=there, key=secrets.token_hex(8))


async def upload(visit: Visit) -> Response:
    file = visit.form.get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        raise wrong_field("file", "No file is chosen.", "Choose a .zip file.")
    fields = {
        "name": visit.text("name") or file.filename.removesuffix(".zip"),
        "version": visit.text("version"),
        "description": visit.text("description").replace("\r\n", "\n"),
    }
    done = await packages.upload(
        visit.services,
        visit.actor,
        fields,
        _parts(file),
        expected_bytes=file.size or 0,
        if_match=visit.text("etag") if "etag" in visit.form else None,
        key=visit.text("key") or None,
    )
    alone = isinstance(done, Submitted) or done.replicated.of == 1
    return _went(visit, done, PACKAGES, "Uploaded." if alone else "Uploaded. The other servers fetch the file.")


async def show_one(visit: Visit) -> Response:
    found = packages.read_package(visit.services, visit.request.path_params["package_id"])
    servers = await packages.server_states(visit.services)
    return await visit.page("package.html", panel=PACKAGES, element=found, package=found.json(), servers=servers)


async def save(visit: Visit) -> Response:
    id_ = visit.request.path_params["package_id"]
    fields = {name: visit.text(name).replace("\r\n", "\n") for name in packages.EDITABLE}
    with NameTaken():
        done = await packages.edit(visit.services, visit.actor, id_, fields, if_match=(visit.text("etag"),))
    return _went(visit, done, PACKAGES, "Saved.")


async def delete(visit: Visit) -> Response:
    id_ = visit.request.path_params["package_id"]
    done = await packages.delete(
        visit.services, visit.actor, id_, if_match=(visit.text("etag"),), confirmed=visit.confirmed
    )
    return _went(visit, done, PACKAGES, "Deleted.")


async def download(visit: Visit) -> Response:
    id_ = visit.request.path_params["package_id"]
    answer = package_answer(await packages.download(visit.services, id_, first=partial(first_byte, visit.request)))
    answer.headers.update(HEADERS)
    return answer


async def apply(visit: Visit) -> Response:
    return await apply_those(visit, PACKAGES)


class Spread:
    """Where a package's file is: on how many of the servers, and how it stands with the others."""

    def __init__(self, element: Element, servers: Sequence[ServerPackages]) -> None:
        size = max(1, int(element.json()["size"]))
        self.of = len(servers)
        self.have = 0
        self.others: list[str] = []
        self.copying = False
        for server in servers:
            here = server.states.get(element.id)
            if here is not None and here.state is Here.PRESENT:
                self.have += 1
            elif here is None:
                self.others.append(f"{server.name}: not known. {server.reason}".strip())
            elif here.state is Here.COPYING:
                self.copying = True
                self.others.append(f"{server.name}: copying, {100 * here.bytes // size} %. {here.reason}".strip())
            else:
                self.copying = True
                self.others.append(f"{server.name}: waiting. {here.reason}".strip())


async def _page(visit: Visit, view: View) -> packages.Page:
    return await packages.list_packages(visit.services, view.filters["q"], page=view.page, per_page=PER_PAGE)


async def _parts(file: UploadFile) -> AsyncIterator[bytes]:
    while part := await file.read(READ_BYTES):
        yield part


def _went(visit: Visit, done: packages.Written | Submitted, path: str, said: str) -> Response:
    return submitted(visit, done) if isinstance(done, Submitted) else went(visit, path, said, done.replicated)
