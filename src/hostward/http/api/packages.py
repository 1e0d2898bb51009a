"""Packages: .zip files for Windows-based sessions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any

from fastapi import Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from hostward.commands import access, packages
from hostward.commands.writing import Submitted
from hostward.domain.assignments import Of
from hostward.domain.packages import package_of
from hostward.domain.permissions import Permission
from hostward.http.api import access_shapes
from hostward.http.api import package_shapes as shapes
from hostward.http.api.access import why_shown
from hostward.http.api.change_requests import submitted
from hostward.http.api.shapes import answers, or_submitted
from hostward.http.downloads import first_byte, package_answer
from hostward.http.requests import (
    IdempotencyKey,
    IfMatch,
    Json,
    Strict,
    Who,
    With,
    administrators_router,
    etag_header,
)
from hostward.registry.group import Element
from hostward.replication.package_copies import ServerPackages

router = administrators_router("Packages", "/packages")
own_router = administrators_router("My packages", "/me/packages", reads=Permission.OWN)
user_router = administrators_router("Users", "/users")

_FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/zip": {}}, "description": "The file, with its ETag"},
    206: {"content": {"application/zip": {}}, "description": "From the byte on that was asked for"},
}


class ListQuery(Strict):
    q: str = Field(default="", max_length=500)
    """Words that each must have, in name, version or description."""
    page: int = Field(default=1, ge=1, le=1_000_000)
    per_page: int = Field(default=50, ge=1, le=1000)


class UploadQuery(Strict):
    name: str = Field(max_length=1000)
    """Of a package that is there: its file is replaced."""
    version: str | None = Field(default=None, max_length=1000)
    description: str | None = Field(default=None, max_length=10_000)


class EditIn(Strict):
    name: str | None = None
    version: str | None = None
    description: str | None = None


class ConfirmQuery(Strict):
    confirm: bool = False


@router.get("", summary="List and search packages", responses=answers(shapes.PackagePage, "One page, by name"))
async def list_packages(query: Annotated[ListQuery, Query()], who: Who, services: With) -> Response:
    found = await packages.list_packages(services, query.q, page=query.page, per_page=query.per_page)
    return _page([package_shown(e) for e in found.items], found.total, query)


@router.post(
    "",
    summary="Upload a package, or another file for one",
    status_code=201,
    responses=or_submitted(shapes.PackageWritten, "It is there", 201),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def upload_package(
    request: Request,
    query: Annotated[UploadQuery, Query()],
    key: IdempotencyKey,
    if_match: IfMatch,
    who: Who,
    services: With,
) -> Response:
    """The body is the .zip file, at most 4 GiB. Of an update, version and description stay unless they are given.
    Whoever downloads meanwhile gets the old file, whole. The other servers fetch the file by themselves."""
    done = await packages.upload(
        services,
        who,
        query.model_dump(),
        body_of(request),
        expected_bytes=declared_size(request),
        if_match=if_match[0] if if_match and if_match != ("*",) else None,
        key=key,
    )
    return _written(done)


@router.get("/servers", summary="Which servers have which packages", responses=answers(shapes.ServersPackages, "Now"))
async def list_servers_packages(who: Who, services: With) -> Response:
    return Json({"items": [servers_packages_shown(s) for s in await packages.server_states(services)]})


@router.get("/{package_id}", summary="Read a package", responses=answers(shapes.Package, "With its ETag"))
async def read_package(package_id: str, who: Who, services: With) -> Response:
    found = packages.read_package(services, package_id)
    return Json(package_shown(found), headers=etag_header(found.etag))


@router.patch("/{package_id}", summary="Edit a package", responses=or_submitted(shapes.PackageWritten, "Done"))
async def edit_package(package_id: str, given: EditIn, if_match: IfMatch, who: Who, services: With) -> Response:
    """Only the fields that are given change. Another file: POST packages with its name."""
    fields = given.model_dump(exclude_none=True)
    return _written(await packages.edit(services, who, package_id, fields, if_match=if_match), 200)


@router.delete("/{package_id}", summary="Delete a package", responses=or_submitted(shapes.PackageDeleted, "Deleted"))
async def delete_package(
    package_id: str, query: Annotated[ConfirmQuery, Query()], if_match: IfMatch, who: Who, services: With
) -> Response:
    """From every server; it can't be undone. Without `confirm`, nothing changes: 409 with what it would do."""
    done = await packages.delete(services, who, package_id, if_match=if_match, confirmed=query.confirm)
    if isinstance(done, Submitted):
        return submitted(done)
    return Json({"id": package_id, "revision": done.revision, "replicated": done.replicated.to_json()})


@router.get("/{package_id}/file", summary="Download a package", response_class=Response, responses=_FILE)
async def download_package(package_id: str, request: Request, who: Who, services: With) -> Response:
    """With Range (one, from a byte on), and If-Range with the ETag, a cut download goes on."""
    return package_answer(await packages.download(services, package_id, first=partial(first_byte, request)))


@own_router.get("", summary="The packages that you may have", responses=answers(shapes.OwnPackages, "By name"))
async def list_own_packages(query: Annotated[ListQuery, Query()], who: Who, services: With) -> Response:
    found = await packages.own_packages(services, who, query.q, page=query.page, per_page=query.per_page)
    return _page([own_package_shown(e) for e in found.items], found.total, query)


@own_router.get("/{package_id}/file", summary="Download your package", response_class=Response, responses=_FILE)
async def download_own_package(package_id: str, request: Request, who: Who, services: With) -> Response:
    """A package that isn't assigned to you doesn't exist for you. It is recorded that you downloaded it."""
    return package_answer(await packages.own_download(services, who, package_id, first=partial(first_byte, request)))


@user_router.get(
    "/{user_id}/packages", summary="The packages that a user may have", responses=answers(shapes.OwnPackages, "By name")
)
async def list_packages_of(user_id: str, query: Annotated[ListQuery, Query()], who: Who, services: With) -> Response:
    found = await access.packages_of(services, user_id, query.q, page=query.page, per_page=query.per_page)
    return _page([own_package_shown(e) for e in found.items], found.total, query)


@user_router.get(
    "/{user_id}/packages/{package_id}",
    summary="Why a user may have a package",
    responses=answers(access_shapes.Why, "Or not"),
)
async def why_package(user_id: str, package_id: str, who: Who, services: With) -> Response:
    return Json(why_shown(access.explain(services, user_id, Of.PACKAGE, package_id)))


async def body_of(request: Request) -> AsyncIterator[bytes]:
    """Piece by piece, however large it is."""
    async for part in request.stream():
        yield part


def declared_size(request: Request) -> int:
    """How long the body says that it is; 0 where it doesn't."""
    declared = request.headers.get("content-length", "")
    return int(declared) if declared.isascii() and declared.isdigit() and len(declared) < 18 else 0


def own_package_shown(element: Element) -> dict[str, Any]:
    """A package as whoever may have it sees it."""
    body = element.json()
    shown = {name: body[name] for name in ("name", "version", "description", "size", "sha256", "installers")}
    return {"id": element.id, **shown, "revision": element.revision}


def package_shown(element: Element) -> dict[str, Any]:
    """A package as the API gives it to administrators."""
    named = {"file_name": package_of(element.id, element.json()).file_name, "etag": element.etag}
    return own_package_shown(element) | named


def servers_packages_shown(found: ServerPackages) -> dict[str, Any]:
    """What one server has, as the API gives it."""
    return {
        "server": found.server_id,
        "name": found.name,
        "packages": {
            id_: {"state": here.state.value, "bytes": here.bytes, "reason": here.reason}
            for id_, here in found.states.items()
        },
        "strays": dict(found.strays),
        "reason": found.reason,
    }


def _page(items: list[dict[str, Any]], total: int, query: ListQuery) -> Response:
    return Json({"items": items, "total": total, "page": query.page, "per_page": query.per_page})


def _written(done: packages.Written | Submitted, status: int = 0) -> Response:
    if isinstance(done, Submitted):
        return submitted(done)
    answer = {
        "package": package_shown(done.package),
        "created": done.created,
        "revision": done.revision,
        "replicated": done.replicated.to_json(),
    }
    return Json(answer, status or (201 if done.created else 200), etag_header(done.package.etag))
