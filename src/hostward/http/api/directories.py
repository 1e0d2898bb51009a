"""LDAP directories."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from hostward.commands import directories
from hostward.commands.writing import Submitted
from hostward.domain.directories import Security, settings_of
from hostward.http.api import directory_shapes as shapes
from hostward.http.api.change_requests import submitted
from hostward.http.api.people import imported
from hostward.http.api.people_shapes import UsersImported
from hostward.http.api.shapes import answers, or_submitted
from hostward.http.requests import IfMatch, Json, Secret, Strict, Text, Who, With, administrators_router, etag_header
from hostward.registry.group import Element

router = administrators_router("Directories", "/directories")


class DirectoryIn(Strict):
    servers: list[str]
    """Host names, with a port where it isn't 636 (LDAPS) or 389; asked in this order."""
    security: Security = Security.LDAPS
    """`none` sends passwords readable over the network."""
    certificates: str = ""
    """Of its servers, or of who has issued theirs (PEM); empty for the authorities that the system knows."""
    credential: str = ""
    """The entry of each server's Credential Store that it is searched with; empty for anonymously."""
    user_base: str
    user_filter: str = "(uid={user})"
    name_attribute: str = "uid"
    full_name_attribute: str = "cn"
    group_base: str = ""
    """Empty where groups aren't asked for."""
    group_filter: str = "(member={dn})"
    group_name_attribute: str = "cn"
    timeout_s: int = Field(default=5, strict=True)
    first_login: bool = Field(default=True, strict=True)
    """Who is new in the directory becomes a user of the group at the first login, without a role."""


class TestIn(Strict):
    user: Text
    password: Secret | None = None
    """Everything but the password is tried without it."""


class SyncQuery(Strict):
    dry_run: bool = False
    """Only look and count; change nothing."""


class SyncIn(Strict):
    confirm: bool = Field(default=False, strict=True)
    """Needed where very many would be disabled, or lose their groups."""
    plan: str = Field(default="", max_length=64)
    """The confirmation's."""


@router.get("", summary="List directories", responses=answers(shapes.Directories, "By name"))
async def list_directories(who: Who, services: With) -> Response:
    return Json({"items": [directory_shown(e) for e in directories.list_directories(services)]})


@router.get("/{name}", summary="Read a directory", responses=answers(shapes.Directory, "With its ETag"))
async def read_directory(name: str, who: Who, services: With) -> Response:
    found = directories.read_directory(services, name)
    return Json(directory_shown(found), headers=etag_header(found.etag))


@router.put("/{name}", summary="Set up a directory", responses=or_submitted(shapes.DirectoryWritten, "Done"))
async def put_directory(name: str, given: DirectoryIn, if_match: IfMatch, who: Who, services: With) -> Response:
    """New, or all settings of the one of that name. Users log in by it who name it as their directory."""
    fields = given.model_dump(mode="json")
    done = await directories.put_directory(services, who, name, fields, if_match=if_match)
    if isinstance(done, Submitted):
        return submitted(done)
    answer = {
        "directory": directory_shown(done.directory),
        "revision": done.revision,
        "replicated": done.replicated.to_json(),
    }
    return Json(answer, headers=etag_header(done.directory.etag))


@router.delete("/{name}", summary="Delete a directory", responses=or_submitted(shapes.DirectoryDeleted, "Deleted"))
async def delete_directory(name: str, if_match: IfMatch, who: Who, services: With) -> Response:
    """409 while users log in by it."""
    done = await directories.delete_directory(services, who, name, if_match=if_match)
    if isinstance(done, Submitted):
        return submitted(done)
    return Json({"name": name, "revision": done.revision, "replicated": done.replicated.to_json()})


@router.post("/{name}/test", summary="Test a login by a directory", responses=answers(shapes.Tested, "Each step"))
async def try_login(name: str, given: TestIn, who: Who, services: With) -> Response:
    """What this server comes to: the Credential Store, the connection and its certificate, the search, the groups, the
    password."""
    return Json(tested_shown(await directories.try_login(services, who, name, given.user, given.password)))


@router.post("/{name}/sync", summary="Take a directory's users over", responses=or_submitted(UsersImported, "Done"))
async def sync(
    name: str, query: Annotated[SyncQuery, Query()], who: Who, services: With, given: SyncIn | None = None
) -> Response:
    """As an import of a file of them: new users are made, those that differ are changed, with the groups that they
    belong to directly. Who isn't in the directory any more is disabled. 409 before many are (more than five, and more
    than a fifth), 503 where the directory shows nobody."""
    given = given or SyncIn()
    done = await directories.sync(services, who, name, dry_run=query.dry_run, confirmed=given.confirm, plan=given.plan)
    return imported(done)


def directory_shown(element: Element) -> dict[str, Any]:
    """A directory as the API gives it."""
    return {**settings_of(element.json()), "etag": element.etag, "revision": element.revision}


def tested_shown(found: directories.Tested) -> dict[str, Any]:
    """What a test login did."""
    steps = [{"name": name, "ok": ok, "said": said} for name, ok, said in found.steps]
    user = {"dn": found.user, "full_name": found.full_name, "groups": list(found.groups)} if found.user else None
    return {"ok": found.ok, "steps": steps, "user": user}
