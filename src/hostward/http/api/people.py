"""Users and user groups."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from hostward.commands import people, people_files, people_lists, people_selections, unlocking
from hostward.commands.choosing import MAX_IDS, Selection
from hostward.commands.writing import Once, Submitted
from hostward.domain.errors import InvalidInput
from hostward.domain.fields import MAX_NAME
from hostward.domain.people import MAX_GROUPS, USER_KIND, Role, State, UserSearch
from hostward.domain.permissions import Permission
from hostward.http.api import people_shapes as shapes
from hostward.http.api.change_requests import submitted
from hostward.http.api.shapes import answers, or_submitted
from hostward.http.requests import (
    IdempotencyKey,
    IfMatch,
    Json,
    PlannedIn,
    Secret,
    Strict,
    Who,
    With,
    administrators_router,
    etag_header,
    uploaded,
)

router = administrators_router("Users", "/users")
help_router = administrators_router("Users", "/users", writes=Permission.HELP)
group_router = administrators_router("User groups", "/user-groups")


class MatchingIn(Strict):
    q: str = Field(default="", max_length=500)
    """Words that each must have, in name, full name or comment."""
    group: str | None = Field(default=None, max_length=100)
    """Only those that belong to the group with this id directly."""
    role: Role | None = None
    """Only those with this role; empty: without one."""
    state: State | None = None
    """`no password`: those of no directory that none was set for."""
    directory: str | None = Field(default=None, max_length=MAX_NAME)
    """Only those whose password this directory checks; empty: those with a password of the group's own."""

    def search(self) -> UserSearch:
        """What it means."""
        return UserSearch(self.q, self.role, self.state, self.directory, self.group)


class UsersQuery(MatchingIn):
    page: int = Field(default=1, ge=1, le=1_000_000)
    per_page: int = Field(default=50, ge=1, le=1000)
    sort: str = Field(default="name", max_length=50)
    """name, full_name or role; with - before it, the other way round."""


class GroupsQuery(Strict):
    q: str = Field(default="", max_length=500)
    """Words that each must have, in name or comment."""
    group: str | None = Field(default=None, max_length=100)
    """Only those that belong to the group with this id directly."""
    sort: str = Field(default="name", max_length=50)
    """name or users (how many); with - before it, the other way round."""
    page: int = Field(default=1, ge=1, le=1_000_000)
    per_page: int = Field(default=50, ge=1, le=1000)


class UserIn(Strict):
    name: str
    full_name: str = ""
    groups: list[str] = Field(default_factory=list)
    """The names of user groups."""
    role: Role = Role.NONE
    disabled: bool = Field(default=False, strict=True)
    comment: str = ""
    directory: str = ""
    """The name of the directory that checks the password instead."""


class NewUserIn(UserIn):
    password: Secret | None = None
    """None for who logs in by a directory."""


class UserEditIn(Strict):
    name: str | None = None
    full_name: str | None = None
    groups: list[str] | None = None
    role: Role | None = None
    disabled: bool | None = Field(default=None, strict=True)
    comment: str | None = None
    directory: str | None = None


class GroupIn(Strict):
    name: str
    groups: list[str] = Field(default_factory=list)
    """The names of the groups that it belongs to: its members are theirs too."""
    comment: str = ""


class GroupEditIn(Strict):
    name: str | None = None
    groups: list[str] | None = None
    comment: str | None = None


class NewPasswordIn(Strict):
    password: Secret


class MembersIn(Strict):
    add: list[str] = Field(default_factory=list, max_length=10_000)
    """Users, by their names or ids."""
    remove: list[str] = Field(default_factory=list, max_length=10_000)


class SelectedIn(PlannedIn):
    ids: list[str] | None = Field(default=None, min_length=1, max_length=MAX_IDS)
    """These users; or else:"""
    matching: MatchingIn | None = None
    """All that match, as the list shows them."""
    expected: int | None = Field(default=None, ge=0)
    """How many they are taken to be: where there are more or fewer, nothing is done."""

    def selection(self) -> tuple[Selection, UserSearch]:
        """Raises InvalidInput."""
        if (self.ids is None) == (self.matching is None):
            raise InvalidInput("Which users isn't said.", remedy="Give either ids or matching.")
        matching = self.matching.search() if self.matching else UserSearch()
        return Selection(tuple(self.ids) if self.ids is not None else None, self.expected), matching


class EditSelectedIn(SelectedIn):
    disabled: bool | None = Field(default=None, strict=True)
    join: list[str] = Field(default_factory=list, max_length=MAX_GROUPS)
    """The names of groups that they are put into."""
    leave: list[str] = Field(default_factory=list, max_length=MAX_GROUPS)
    """And taken out of."""


class ConfirmQuery(Strict):
    confirm: bool = False


class ImportQuery(Strict):
    dry_run: bool = False
    """Only check and count; change nothing."""


@router.get("", summary="List and search users", responses=answers(shapes.UserPage, "One page"))
async def list_users(query: Annotated[UsersQuery, Query()], who: Who, services: With) -> Response:
    found = await people_lists.list_users(
        services, query.search(), sort=query.sort, page=query.page, per_page=query.per_page
    )
    return _page(found, query)


@router.post(
    "", summary="Create a user", status_code=201, responses=or_submitted(shapes.UserWritten, "It is created", 201)
)
async def create_user(given: NewUserIn, key: IdempotencyKey, who: Who, services: With) -> Response:
    """Without a password nobody can log in as this user until one is set."""
    fields = given.model_dump(exclude={"password"}, mode="json")
    once = Once.of(who, key, "create-user", fields)
    return _written(await people.create_user(services, who, fields, given.password, once=once), "user", 201)


@router.post(
    "/import",
    summary="Import users from a file, as one change",
    responses=or_submitted(shapes.UsersImported, "What was imported"),
)
async def import_users(
    query: Annotated[ImportQuery, Query()], request: Request, key: IdempotencyKey, who: Who, services: With
) -> Response:
    """A JSON list of objects with `login`, and `name` (the full name), `groups`, `role`, `disabled`, `comment`,
    `directory`, `dn`, as the body or as `file` of a form. Users are matched by name; of one that is there, only what
    the file names changes. Groups that aren't there are made."""
    data = await uploaded(request)
    once = Once.of(who, key, "import-users", data)
    return imported(await people_files.import_users(services, who, data, dry_run=query.dry_run, once=once))


def imported(done: people_files.UsersImported | Submitted) -> Response:
    """An import's outcome."""
    if isinstance(done, Submitted):
        return submitted(done)
    plan = done.plan
    return Json(
        {
            "created": plan.created,
            "changed": plan.changed,
            "unchanged": plan.unchanged,
            "groups_created": plan.groups,
            "disabled": len(plan.gone),
            "first": [row.after["name"] for row in plan.first],
            "revision": done.revision,
            "replicated": done.replicated.to_json() if done.replicated else None,
        }
    )


@router.post("/edit", summary="Edit many users", responses=or_submitted(shapes.UsersChanged, "They are changed"))
async def edit_users(given: EditSelectedIn, who: Who, services: With) -> Response:
    """As one change, of all or none. Without `confirm`, nothing changes: 409 with how many and which."""
    edits = people_selections.Edits(given.disabled, given.join, given.leave)
    done = await people_selections.edit_users(
        services, who, *given.selection(), edits, confirmed=given.confirm, plan=given.plan
    )
    return _changed(done)


@router.post("/delete", summary="Delete many users", responses=or_submitted(shapes.UsersChanged, "They are deleted"))
async def delete_users(given: SelectedIn, who: Who, services: With) -> Response:
    """As one change. Without `confirm`, nothing changes: 409 with how many and which."""
    done = await people_selections.delete_users(
        services, who, *given.selection(), confirmed=given.confirm, plan=given.plan
    )
    return _changed(done)


@router.get(
    "/export",
    summary="Export all users",
    response_class=Response,
    responses={200: {"content": {"application/json": {}}, "description": "As import takes them"}},
)
async def export_users(who: Who, services: With) -> Response:
    name = {"Content-Disposition": 'attachment; filename="users.json"'}
    return Response(await people_files.export_users(services), media_type="application/json", headers=name)


@router.get("/{user_id}", summary="Read a user", responses=answers(shapes.UserDetail, "The user, with ETag"))
async def read_user(user_id: str, who: Who, services: With) -> Response:
    found = people.read_user(services, user_id)
    shown = element_shown(found.element, found.groups)
    about = {"by_way_of": list(found.by_way_of), "password": found.password, "password_changed_at": found.changed_at}
    return Json({**shown, **about}, headers=etag_header(found.element.etag))


@router.patch("/{user_id}", summary="Edit or rename a user", responses=or_submitted(shapes.UserWritten, "Changed"))
async def edit_user(user_id: str, given: UserEditIn, if_match: IfMatch, who: Who, services: With) -> Response:
    """Only the fields that are given change. A disabled user's logins end on every server."""
    fields = given.model_dump(exclude_none=True, mode="json")
    return _written(await people.edit_user(services, who, user_id, fields, if_match=if_match), "user")


@router.delete("/{user_id}", summary="Delete a user", responses=or_submitted(shapes.Deleted, "It is deleted"))
async def delete_user(user_id: str, if_match: IfMatch, who: Who, services: With) -> Response:
    return _deleted(await people.delete_user(services, who, user_id, if_match=if_match))


@help_router.put(
    "/{user_id}/password", summary="Set a user's password", responses=or_submitted(shapes.UserWritten, "It is set")
)
async def set_password(user_id: str, given: NewPasswordIn, who: Who, services: With) -> Response:
    """The user's logins end on every server."""
    return _written(await people.set_password(services, who, user_id, given.password), "user")


@help_router.delete(
    "/{user_id}/logins", summary="Log a user out everywhere", responses=or_submitted(shapes.UserWritten, "Logged out")
)
async def end_logins(user_id: str, who: Who, services: With) -> Response:
    """On every server; tokens for programs end too."""
    return _written(await people.end_logins(services, who, user_id), "user")


@help_router.get(
    "/{user_id}/waits", summary="Where a user has to wait", responses=answers(shapes.Waits, "On all servers")
)
async def waits(user_id: str, who: Who, services: With) -> Response:
    """After too many wrong passwords each further one has to wait longer."""
    return Json(_waits_shown(await unlocking.waits(services, user_id)))


@help_router.delete("/{user_id}/waits", summary="Unlock a user", responses=answers(shapes.Waits, "What was forgotten"))
async def unlock(user_id: str, who: Who, services: With) -> Response:
    """The user's wrong passwords are forgotten on each server that answers, at once; also on a Slave."""
    return Json(_waits_shown(await unlocking.unlock(services, who, user_id)))


def _waits_shown(found: unlocking.Waits) -> dict[str, Any]:
    items = [
        {"server": i.server, "address": i.address, "wrong": i.wrong, "until": i.until.isoformat() if i.until else None}
        for i in found.items
    ]
    return {"items": items, "servers": list(found.servers), "silent": list(found.silent)}


@group_router.get("", summary="List and search user groups", responses=answers(shapes.GroupPage, "One page"))
async def list_groups(query: Annotated[GroupsQuery, Query()], who: Who, services: With) -> Response:
    found = await people_lists.list_groups(
        services, query.q, query.group, sort=query.sort, page=query.page, per_page=query.per_page
    )
    return _page(found, query)


@group_router.post(
    "", summary="Create a user group", status_code=201, responses=or_submitted(shapes.GroupWritten, "Created", 201)
)
async def create_group(given: GroupIn, key: IdempotencyKey, who: Who, services: With) -> Response:
    fields = given.model_dump(mode="json")
    once = Once.of(who, key, "create-user-group", fields)
    return _written(await people.create_group(services, who, fields, once=once), "group", 201)


@group_router.get("/{group_id}", summary="Read a user group", responses=answers(shapes.GroupDetail, "With ETag"))
async def read_group(group_id: str, who: Who, services: With) -> Response:
    found = people.read_group(services, group_id)
    shown = element_shown(found.element, found.groups)
    about = {"users": found.users, "subgroups": list(found.subgroups), "sessions": found.sessions}
    return Json({**shown, **about}, headers=etag_header(found.element.etag))


@group_router.patch(
    "/{group_id}", summary="Edit or rename a group", responses=or_submitted(shapes.GroupWritten, "Done")
)
async def edit_group(group_id: str, given: GroupEditIn, if_match: IfMatch, who: Who, services: With) -> Response:
    """Only the fields that are given change. Sessions that name the group get its new name."""
    fields = given.model_dump(exclude_none=True, mode="json")
    return _written(await people.edit_group(services, who, group_id, fields, if_match=if_match), "group")


@group_router.delete("/{group_id}", summary="Delete a user group", responses=or_submitted(shapes.Deleted, "Deleted"))
async def delete_group(
    group_id: str, query: Annotated[ConfirmQuery, Query()], if_match: IfMatch, who: Who, services: With
) -> Response:
    """Without `confirm`, nothing changes: 409 with who and what it concerns."""
    done = await people.delete_group(services, who, group_id, confirmed=query.confirm, if_match=if_match)
    return _deleted(done)


@group_router.post(
    "/{group_id}/members", summary="Add and remove members", responses=or_submitted(shapes.GroupWritten, "Changed")
)
async def change_members(group_id: str, given: MembersIn, who: Who, services: With) -> Response:
    """All of them or none."""
    done = await people.change_members(services, who, group_id, add=given.add, remove=given.remove)
    return _written(done, "group")


def element_shown(element: Any, groups: Any) -> dict[str, Any]:
    """A user or group as the API gives it."""
    later = {"directory": "", "dn": ""} if element.kind == USER_KIND else {}
    body = later | element.json() | {"groups": list(groups)}
    return {"id": element.id, **body, "etag": element.etag, "revision": element.revision}


def _page(found: people_lists.Found, query: UsersQuery | GroupsQuery) -> Response:
    items = []
    for element in found.items:
        names = [found.names[i] for i in element.json()["groups"] if i in found.names]
        sizes = {"users": found.sizes.get(element.id, 0)} if found.sizes is not None else {}
        items.append(element_shown(element, names) | sizes)
    return Json({"items": items, "total": found.total, "page": query.page, "per_page": query.per_page})


def _written(done: people.Outcome, noun: str, status: int = 200) -> Response:
    if isinstance(done, Submitted):
        return submitted(done)
    answer = {
        noun: element_shown(done.element, done.groups),
        "revision": done.revision,
        "replicated": done.replicated.to_json(),
    }
    return Json(answer, status, etag_header(done.element.etag))


def _changed(done: people_selections.Changed | Submitted) -> Response:
    if isinstance(done, Submitted):
        return submitted(done)
    return Json({"users": done.users, "revision": done.revision, "replicated": done.replicated.to_json()})


def _deleted(done: people.Outcome) -> Response:
    if isinstance(done, Submitted):
        return submitted(done)
    return Json({"id": done.element.id, "revision": done.revision, "replicated": done.replicated.to_json()})
