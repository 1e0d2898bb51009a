"""Assign Access: who may use which sessions; why somebody may; and what one may use oneself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hostward.commands.people import existing as existing_person
from hostward.commands.reading import existing_session, no_such_session
from hostward.commands.services import Actor, Services
from hostward.commands.sessions import search_sessions
from hostward.commands.writing import Once, Submitted, write
from hostward.domain.assignments import KIND, Assignment, Effect, Of, To, assignment_of, moment
from hostward.domain.changes import Delete, Operation
from hostward.domain.errors import InvalidInput, Mistake, NotFound
from hostward.domain.people import GROUP_KIND, USER_KIND
from hostward.domain.replicated import Replicated
from hostward.domain.sessions import KIND as SESSION_KIND
from hostward.domain.suggestions import shown
from hostward.registry.derived.access import Ground
from hostward.registry.group import Element, Reader

EVERYONE: Final = "All Users"
MAX_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Named:
    """An assignment with the names of its two sides; a name is empty where what it names isn't there any more."""

    assignment: Assignment
    to_name: str
    of_name: str
    over: bool
    etag: str


@dataclass(frozen=True, slots=True)
class Page:
    """One page of assignments, and how many there are on all pages."""

    items: Sequence[Named]
    total: int


@dataclass(frozen=True, slots=True)
class Assigned:
    """How many assignments were made, changed or removed; the others were so already."""

    assignments: int
    revision: int
    replicated: Replicated


@dataclass(frozen=True, slots=True)
class Explained:
    """Whether a user may use a session, and all that says so or speaks against it, with the names of whom it was given
    to, denials first. `disabled`: the user can't log in, whatever else is said."""

    user: Element
    session: Element
    allowed: bool
    disabled: bool
    grounds: Sequence[tuple[Ground, str]]


@dataclass(frozen=True, slots=True)
class Usable:
    """One page of the sessions that a user may use, and how many there are on all pages."""

    items: Sequence[Element]
    total: int


async def list_assignments(
    services: Services, *, to: tuple[To, str] | None, session: str | None, page: int, per_page: int
) -> Page:
    """Those to that subject (its kind and id) and of that session (its id). Raises InvalidInput."""
    now = now_of(services)

    def read() -> Page:
        with services.group.read() as reader:
            of = (Of.SESSION.value, session) if session is not None else None
            subject = (to[0].value, to[1]) if to is not None else None
            ids, total = reader.access.assignments(to=subject, of=of, page=page, per_page=per_page)
            elements = [e for e in (reader.get(KIND, i) for i in ids) if e]
            return Page([_named(reader, e, now) for e in elements], total)

    return await asyncio.to_thread(read)


def chosen(
    services: Services, *, user: str = "", group: str = "", session: str = ""
) -> tuple[tuple[To, str] | None, str | None]:
    """Whom and what names mean: the kind and id of the user or group, and the session's id; None where no name is
    given. Raises InvalidInput with a Mistake for each that isn't there."""
    named = (To.USER, user) if user else (To.GROUP, group) if group else None
    with services.group.read() as reader:
        id_ = _subject_id(reader, *named) if named else ""
        found = (reader.get(SESSION_KIND, session) or reader.find_session_by_name(session)) if session else None
    mistakes = []
    if named and id_ is None:
        noun = "user" if named[0] is To.USER else "user group"
        mistakes.append(Mistake(noun.split()[-1], f"There is no {noun} {shown(named[1])}.", "Check the name."))
    if session and found is None:
        mistakes.append(Mistake("session", f"There is no session {shown(session)}.", "Check the name."))
    if mistakes:
        raise InvalidInput(mistakes[0].problem, remedy=mistakes[0].remedy, code="assignment-unknown", mistakes=mistakes)
    return (named[0], id_) if named and id_ is not None else None, found.id if found else None


async def assign(
    services: Services,
    actor: Actor,
    *,
    to: Sequence[tuple[To, str]],
    sessions: Sequence[str],
    effect: Effect = Effect.ALLOW,
    until: str = "",
    once: Once | None = None,
) -> Assigned | Submitted:
    """Give or deny each of these sessions to each of these subjects, as one change; users, groups and sessions by their
    names or ids. What there is between the two becomes this. Raises InvalidInput with a Mistake for each that isn't
    there: then nothing was changed."""
    ends = moment(until)
    if len(to) * len(sessions) > MAX_AT_ONCE:
        raise InvalidInput(
            f"That is {len(to) * len(sessions):,} assignments, where at most {MAX_AT_ONCE:,} can be made at once.",
            remedy="Assign to a group, or in parts.",
            code="too-many-assignments",
        )

    def decide(reader: Reader) -> Sequence[Operation]:
        subjects, things = _found(reader, to, sessions)
        return [
            Assignment(kind, id_, Of.SESSION, session, effect, ends).put()
            for kind, id_ in subjects
            for session in things
        ]

    return await _write(services, actor, "access-assigned", decide, once=once, effect=effect.value)


async def remove(services: Services, actor: Actor, ids: Sequence[str]) -> Assigned | Submitted:
    """These assignments, as one change. Raises NotFound where one isn't there."""

    def decide(reader: Reader) -> Sequence[Operation]:
        for id_ in ids:
            if reader.get(KIND, id_) is None:
                raise NotFound(
                    f"There is no assignment with the id {shown(id_)}.", remedy="GET assignments lists those there are."
                )
        return [Delete(KIND, id_) for id_ in ids]

    return await _write(services, actor, "access-removed", decide)


def explain(services: Services, user_id: str, session_id: str) -> Explained:
    """Why a user may use a session, or may not. Raises NotFound."""
    with services.group.read() as reader:
        user, session = existing_person(reader, USER_KIND, user_id), existing_session(reader, session_id)
        grounds = reader.access.grounds(user_id, session_id, now_of(services))
        allowed = bool(grounds) and all(g.effect is Effect.ALLOW for g in grounds)
        named = [(g, _subject_name(reader, g.to_kind, g.to_id)) for g in grounds]
        return Explained(user, session, allowed, bool(user.json()["disabled"]), named)


async def sessions_of(services: Services, user_id: str, q: str, *, page: int, per_page: int) -> Usable:
    """What a user may use. Raises NotFound, InvalidInput."""
    now = now_of(services)

    def read() -> Usable:
        with services.group.read() as reader:
            existing_person(reader, USER_KIND, user_id)
            ids, total = reader.access.sessions_of(user_id, now, q, page=page, per_page=per_page)
            return Usable([e for e in (reader.get(SESSION_KIND, i) for i in ids) if e], total)

    return await asyncio.to_thread(read)


async def own_sessions(services: Services, actor: Actor, q: str, *, page: int, per_page: int) -> Usable:
    """What the actor may use: administrators of this server all. Raises InvalidInput."""
    if actor.account:
        return await sessions_of(services, actor.account, q, page=page, per_page=per_page)
    found = await search_sessions(services, q, page=page, per_page=per_page, sort="name")
    return Usable(found.items, found.total)


def usable_session(services: Services, actor: Actor, session_id: str) -> Element:
    """The session, where the actor may use it. Raises NotFound else, whether or not there is such a session: one that
    isn't assigned doesn't exist for them. Administrators of this server may use all."""
    with services.group.read() as reader:
        found = existing_session(reader, session_id)
        if actor.account and not reader.access.may_use(actor.account, session_id, now_of(services)):
            raise no_such_session(session_id)
        return found


def now_of(services: Services) -> str:
    """This moment, as assignments have it."""
    return services.clock().isoformat(timespec="seconds").replace("+00:00", "Z")


async def _write(
    services: Services, actor: Actor, act: str, decide: Any, *, once: Once | None = None, **about: Any
) -> Assigned | Submitted:
    count = 0

    def deciding(reader: Reader) -> Sequence[Operation]:
        nonlocal count
        operations: Sequence[Operation] = decide(reader)
        count = len(operations)
        return operations

    done = await write(services, actor, act, deciding, once=once, **about)
    if isinstance(done, Submitted):
        return done
    return Assigned(count, done.committed.revision, done.replicated)


def _found(
    reader: Reader, to: Sequence[tuple[To, str]], sessions: Sequence[str]
) -> tuple[Sequence[tuple[To, str]], Sequence[str]]:
    """Their ids. Raises InvalidInput with a Mistake for each that isn't there."""
    subjects, things, mistakes = [], [], []
    for kind, given in to:
        id_ = _subject_id(reader, kind, given)
        if id_ is None:
            noun = "user" if kind is To.USER else "user group"
            mistakes.append(Mistake("to", f"There is no {noun} {shown(given)}.", "Check the name."))
        else:
            subjects.append((kind, id_))
    for given in sessions:
        found = reader.get(SESSION_KIND, given) or reader.find_session_by_name(given)
        if found is None:
            mistakes.append(Mistake("sessions", f"There is no session {shown(given)}.", "Check the name."))
        else:
            things.append(found.id)
    if not mistakes and not (subjects and things):
        mistakes.append(Mistake("to" if not subjects else "sessions", "Nothing is named.", "Name at least one."))
    if mistakes:
        raise InvalidInput(
            mistakes[0].problem if len(mistakes) == 1 else f"{len(mistakes)} of them aren't there.",
            remedy="Check the names; nothing was changed.",
            code="assignment-unknown",
            mistakes=mistakes[:100],
        )
    return subjects, things


def _subject_id(reader: Reader, kind: To, given: str) -> str | None:
    if kind is To.EVERYONE:
        return ""
    if reader.get(kind.value, given) is not None:
        return given
    return reader.people.user_named(given) if kind is To.USER else reader.people.group_named(given)


def _named(reader: Reader, element: Element, now: str) -> Named:
    found = assignment_of(element.json())
    session = reader.get(SESSION_KIND, found.of_id)
    of_name = session.json()["name"] if session else ""
    return Named(found, _subject_name(reader, found.to_kind, found.to_id), of_name, found.over(now), element.etag)


def _subject_name(reader: Reader, kind: To, id_: str) -> str:
    if kind is To.EVERYONE:
        return EVERYONE
    found = reader.get(GROUP_KIND if kind is To.GROUP else USER_KIND, id_)
    body: Mapping[str, Any] = found.json() if found else {}
    return str(body.get("name", ""))
