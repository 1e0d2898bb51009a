"""Assign Access; and what the user who asks may use."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import Field, model_validator
from starlette.responses import Response

from hostward.commands import access, favourites
from hostward.commands.launching import launch_file_for
from hostward.commands.services import Services
from hostward.commands.writing import Once, Submitted
from hostward.domain.assignments import Effect, Of, To
from hostward.domain.favourites import MAX_FAVOURITES, Order
from hostward.domain.launching import Program
from hostward.domain.launching.files import EMULATORS
from hostward.domain.permissions import Permission
from hostward.http.api import access_shapes as shapes
from hostward.http.api.change_requests import submitted
from hostward.http.api.shapes import answers, or_submitted
from hostward.http.downloads import launch_answer
from hostward.http.requests import IdempotencyKey, Json, Strict, Text, Who, With, administrators_router
from hostward.registry.group import Element

router = administrators_router("Assign Access", "/assignments", writes=Permission.SESSIONS)
user_router = administrators_router("Users", "/users")
own_router = administrators_router("My sessions", "/me/sessions", reads=Permission.OWN)
favourites_router = administrators_router("My sessions", "/me/favourites", reads=Permission.OWN, writes=Permission.OWN)


class SubjectIn(Strict):
    """Whom it is for: a user or a user group, by name or id; a directory folder; or everyone."""

    kind: To
    name: str = Field(default="", max_length=1200)
    """Empty for everyone. Of a folder `DIRECTORY: ou=NAME,dc=example,dc=com`; the directory's name may be left out
    where there is only one."""

    @model_validator(mode="after")
    def named(self) -> SubjectIn:
        if (self.kind is To.EVERYONE) == bool(self.name):
            raise ValueError("everyone has no name, and every user, group or folder has one")
        return self


class AssignIn(Strict):
    to: list[SubjectIn] = Field(min_length=1, max_length=1000)
    sessions: list[Text] = Field(default_factory=list, max_length=10_000)
    """By name or id."""
    packages: list[Text] = Field(default_factory=list, max_length=10_000)
    """By name or id."""
    effect: Effect = Effect.ALLOW
    until: str = Field(default="", max_length=40)
    """A date (its end, UTC) or a moment with its zone; empty for always."""


class RemoveIn(Strict):
    ids: list[Text] = Field(min_length=1, max_length=10_000)


class ListQuery(Strict):
    user: str | None = Field(default=None, max_length=100)
    """Only those to the user with this id."""
    group: str | None = Field(default=None, max_length=100)
    """Only those to the group with this id."""
    folder: str | None = Field(default=None, max_length=1200)
    """Only those to this directory folder, named as for an assignment."""
    everyone: bool = False
    """Only those to everyone."""
    session: str | None = Field(default=None, max_length=100)
    """Only those of the session with this id."""
    package: str | None = Field(default=None, max_length=100)
    """Only those of the package with this id."""
    q: str = Field(default="", max_length=500)
    """Words, each a part of the session's or package's name, or of the name of who has it."""
    sort: str = Field(default="-revision", max_length=50)
    """What they are sorted by: revision, what, to, effect or until; with - before it, the other way round."""
    page: int = Field(default=1, ge=1, le=1_000_000)
    per_page: int = Field(default=50, ge=1, le=1000)

    def to(self, services: Services) -> tuple[To, str] | None:
        """Raises InvalidInput where there is no such folder."""
        if self.folder is not None:
            return access.chosen(services, folder=self.folder)[0]
        if self.user is not None:
            return To.USER, self.user
        if self.group is not None:
            return To.GROUP, self.group
        return (To.EVERYONE, "") if self.everyone else None

    def of(self) -> tuple[Of, str] | None:
        if self.session is not None:
            return Of.SESSION, self.session
        return (Of.PACKAGE, self.package) if self.package is not None else None


class UsableQuery(Strict):
    q: str = Field(default="", max_length=500)
    page: int = Field(default=1, ge=1, le=1_000_000)
    per_page: int = Field(default=50, ge=1, le=1000)


class OwnQuery(UsableQuery):
    favourites: Order = Order.NAME
    """Whether your favourites come first, or are all that is wanted."""


class FavouritesIn(Strict):
    add: list[Text] = Field(default_factory=list, max_length=MAX_FAVOURITES)
    """Sessions, by name or id, that become favourites."""
    remove: list[Text] = Field(default_factory=list, max_length=MAX_FAVOURITES)
    """Sessions, by name or id, that no longer are."""


class LaunchQuery(Strict):
    program: Program | None = None
    """The usual one for the session's type, unless given."""


@router.get("", summary="List assignments", responses=answers(shapes.AssignmentPage, "One page"))
async def list_assignments(query: Annotated[ListQuery, Query()], who: Who, services: With) -> Response:
    """Sessions' own Groups are assignments too; they are in the sessions."""
    found = await access.list_assignments(
        services,
        query.q,
        to=query.to(services),
        of=query.of(),
        sort=query.sort,
        page=query.page,
        per_page=query.per_page,
    )
    items = [assignment_shown(one) for one in found.items]
    return Json({"items": items, "total": found.total, "page": query.page, "per_page": query.per_page})


@router.post(
    "", summary="Assign or deny sessions and packages", responses=or_submitted(shapes.Assigned, "They are assigned")
)
async def assign(given: AssignIn, key: IdempotencyKey, who: Who, services: With) -> Response:
    """Each session and package to each subject, as one change of all or none."""
    once = Once.of(who, key, "assign", given.model_dump(mode="json"))
    to = [(subject.kind, subject.name) for subject in given.to]
    return _assigned(
        await access.assign(
            services,
            who,
            to=to,
            sessions=given.sessions,
            packages=given.packages,
            effect=given.effect,
            until=given.until,
            once=once,
        )
    )


@router.get("/folders", summary="Directory folders with users", responses=answers(shapes.Folders, "By name"))
async def list_folders(who: Who, services: With) -> Response:
    """Those that hold users of the group, as far as users' places are known."""
    return Json({"items": [{"name": name, "users": users} for name, users in await access.list_folders(services)]})


@router.post("/remove", summary="Remove assignments", responses=or_submitted(shapes.Assigned, "They are removed"))
async def remove(given: RemoveIn, who: Who, services: With) -> Response:
    """As one change of all or none."""
    return _assigned(await access.remove(services, who, given.ids))


@user_router.get("/{user_id}/sessions", summary="What a user may use", responses=answers(shapes.UsablePage, "By name"))
async def list_sessions_of(user_id: str, query: Annotated[UsableQuery, Query()], who: Who, services: With) -> Response:
    found = await access.sessions_of(services, user_id, query.q, page=query.page, per_page=query.per_page)
    return _usable(found, query)


@user_router.get(
    "/{user_id}/sessions/{session_id}", summary="Why a user may use a session", responses=answers(shapes.Why, "Or not")
)
async def why(user_id: str, session_id: str, who: Who, services: With) -> Response:
    return Json(why_shown(access.explain(services, user_id, Of.SESSION, session_id)))


@own_router.get("", summary="What you may use", responses=answers(shapes.OwnPage, "By name"))
async def list_own_sessions(query: Annotated[OwnQuery, Query()], who: Who, services: With) -> Response:
    given = {"page": query.page, "per_page": query.per_page}
    found = await access.own_sessions(services, who, query.q, order=query.favourites, **given)
    items = [{**usable_shown(e), "favourite": e.id in found.favourites} for e in found.items]
    return Json({"items": items, "total": found.total, **given})


@favourites_router.get("", summary="Your favourites", responses=answers(shapes.Favourites, "By name"))
async def list_favourites(who: Who, services: With) -> Response:
    return _favourites(await favourites.own_favourites(services, who))


@favourites_router.patch("", summary="Change your favourites", responses=answers(shapes.Favourites, "As they are now"))
async def change_favourites(given: FavouritesIn, who: Who, services: With) -> Response:
    """They are the same on every server. On a Slave the Master makes the change; while it is away none is made. Who
    changes them without end is answered 429: try again later."""
    return _favourites(await favourites.change_favourites(services, who, add=given.add, remove=given.remove))


@own_router.get(
    "/{session_id}/launch",
    summary="The file that opens a session",
    response_class=Response,
    responses={
        200: {"content": {e.media_type: {} for e in EMULATORS}, "description": "For the program that is named"},
    },
)
async def launch(session_id: str, query: Annotated[LaunchQuery, Query()], who: Who, services: With) -> Response:
    """A session that isn't assigned to you doesn't exist for you. It is recorded that you opened it."""
    return launch_answer(await launch_file_for(services, who, session_id, query.program))


def assignment_shown(one: access.Named) -> dict[str, Any]:
    """An assignment as the API gives it."""
    a = one.assignment
    return {
        "id": a.id,
        "to": {"kind": a.to_kind.value, "id": a.to_id, "name": one.to_name},
        "of": {"kind": a.of_kind.value, "id": a.of_id, "name": one.of_name},
        "effect": a.effect.value,
        "until": a.until,
        "over": one.over,
        "revision": one.revision,
    }


def why_shown(found: access.Explained) -> dict[str, Any]:
    """An explanation as the API gives it."""
    return {
        "user": found.user.json()["name"],
        "of": {"kind": found.kind.value, "id": found.thing.id, "name": found.thing.json()["name"]},
        "allowed": found.allowed,
        "disabled": found.disabled,
        "because": [
            {
                "effect": ground.effect.value,
                "to": {"kind": ground.to_kind.value, "id": ground.to_id, "name": name},
                "by": "assignment" if ground.assignment else "the session's groups",
                "assignment": ground.assignment,
                "until": ground.until,
            }
            for ground, name in found.grounds
        ],
    }


def usable_shown(element: Element) -> dict[str, Any]:
    """A session as whoever may use it sees it."""
    body = element.json()
    return {"id": element.id, **{name: body[name] for name in ("name", "type", "host", "port", "tls")}}


def _favourites(found: favourites.Favourites) -> Response:
    items = [usable_shown(element) for element in found.items]
    return Json({"items": items, "most": MAX_FAVOURITES, "ignored": found.ignored})


def _usable(found: access.Usable, query: UsableQuery) -> Response:
    items = [usable_shown(element) for element in found.items]
    return Json({"items": items, "total": found.total, "page": query.page, "per_page": query.per_page})


def _assigned(done: access.Assigned | Submitted) -> Response:
    if isinstance(done, Submitted):
        return submitted(done)
    replicated = done.replicated.to_json()
    return Json({"assignments": done.assignments, "revision": done.revision, "replicated": replicated})
