"""Assign Access: who may use which sessions and packages; why somebody may; and what one may use oneself."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hostward.commands.favourites import favourite_ids
from hostward.commands.reading import existing, existing_person, named, no_such, now_of
from hostward.commands.services import Actor, Services
from hostward.commands.writing import Once, Submitted, write
from hostward.domain.assignments import KIND, Assignment, Effect, Of, To, assignment_of, moment
from hostward.domain.changes import Delete, Operation
from hostward.domain.directories import KIND as DIRECTORY_KIND
from hostward.domain.errors import InvalidInput, Mistake, NotFound
from hostward.domain.favourites import Order
from hostward.domain.folders import folder_id, folder_parts
from hostward.domain.packages import KIND as PACKAGE_KIND
from hostward.domain.people import GROUP_KIND, USER_KIND
from hostward.domain.replicated import Replicated
from hostward.domain.sessions import KIND as SESSION_KIND
from hostward.domain.suggestions import shown
from hostward.domain.texts import name_key
from hostward.registry.derived.access import Ground, Marked
from hostward.registry.group import Element, Reader

EVERYONE: Final = "All Users"
NOUNS: Final = {To.USER: "user", To.GROUP: "user group", To.FOLDER: "directory folder"}
MAX_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Named:
    """An assignment with the names of its two sides; a name is empty where what it names isn't there any more."""

    assignment: Assignment
    to_name: str
    of_name: str
    over: bool
    etag: str
    revision: int


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
    """Whether a user may use a session or package, and all that says so or speaks against it, with the names of whom it
    was given to, denials first. `disabled`: the user can't log in, whatever else is said."""

    user: Element
    kind: Of
    thing: Element
    allowed: bool
    disabled: bool
    grounds: Sequence[tuple[Ground, str]]


@dataclass(frozen=True, slots=True)
class Usable:
    """One page of the sessions or packages that a user may use, and how many there are on all pages. `favourites` are
    the ids of the user's, where it was the user who asked."""

    items: Sequence[Element]
    total: int
    favourites: Collection[str] = ()


async def list_assignments(
    services: Services,
    q: str,
    *,
    to: tuple[To, str] | None,
    of: tuple[Of, str] | None,
    sort: str,
    page: int,
    per_page: int,
) -> Page:
    """Those to that subject and of that session or package, by their kinds and ids, with all words of `q` in their
    names; `sort` as derived.access.SORTS has it. Raises InvalidInput."""
    now = now_of(services)

    def read() -> Page:
        with services.group.read() as reader:
            subject = (to[0].value, to[1]) if to is not None else None
            thing = (of[0].value, of[1]) if of is not None else None
            ids, total = reader.access.assignments(q, to=subject, of=thing, sort=sort, page=page, per_page=per_page)
            elements = [e for e in (reader.get(KIND, i) for i in ids) if e]
            return Page([_named(reader, e, now) for e in elements], total)

    return await asyncio.to_thread(read)


def chosen(
    services: Services, *, user: str = "", group: str = "", folder: str = "", session: str = "", package: str = ""
) -> tuple[tuple[To, str] | None, tuple[Of, str] | None]:
    """Whom and what names mean, by kind and id: the user, group or folder, and the session or package; None where no
    name is given. Raises InvalidInput with a Mistake for each that isn't there."""
    who = next(((kind, name) for kind, name in ((To.USER, user), (To.GROUP, group), (To.FOLDER, folder)) if name), None)
    what = (Of.SESSION, session) if session else (Of.PACKAGE, package) if package else None
    with services.group.read() as reader:
        id_ = _subject_id(reader, *who) if who else ""
        found = named(reader, *what) if what else None
    mistakes = []
    if who and id_ is None:
        mistakes.append(no_subject(NOUNS[who[0]].split()[-1], *who))
    if what and found is None:
        noun = what[0].value
        mistakes.append(Mistake(noun, f"There is no {noun} {shown(what[1])}.", "Check the name."))
    if mistakes:
        raise InvalidInput(mistakes[0].problem, remedy=mistakes[0].remedy, code="assignment-unknown", mistakes=mistakes)
    subject = (who[0], id_) if who and id_ is not None else None
    return subject, (what[0], found.id) if what and found else None


async def list_folders(services: Services) -> Sequence[tuple[str, int]]:
    """The folders of directories that hold users of the group, as they are named here, and how many are at or below
    each; as far as users' places are known."""

    def read() -> Sequence[tuple[str, int]]:
        with services.group.read() as reader:
            folders = ((_subject_name(reader, To.FOLDER, id_), users) for id_, users in reader.people.folders().items())
            return sorted((name, users) for name, users in folders if name)

    return await asyncio.to_thread(read)


async def assign(
    services: Services,
    actor: Actor,
    *,
    to: Sequence[tuple[To, str]],
    sessions: Sequence[str] = (),
    packages: Sequence[str] = (),
    effect: Effect = Effect.ALLOW,
    until: str = "",
    once: Once | None = None,
) -> Assigned | Submitted:
    """Give or deny each of these sessions and packages to each of these subjects, as one change; all by their names or
    ids. What there is between the two becomes this. Raises InvalidInput with a Mistake for each that isn't there: then
    nothing was changed."""
    ends, count = moment(until), len(to) * (len(sessions) + len(packages))
    if count > MAX_AT_ONCE:
        raise InvalidInput(
            f"That is {count:,} assignments, where at most {MAX_AT_ONCE:,} can be made at once.",
            remedy="Assign to a group, or in parts.",
            code="too-many-assignments",
        )

    def decide(reader: Reader) -> Sequence[Operation]:
        wanted = [*((Of.SESSION, name) for name in sessions), *((Of.PACKAGE, name) for name in packages)]
        subjects, things = _found(reader, to, wanted)
        return [Assignment(*subject, *thing, effect, ends).put() for subject in subjects for thing in things]

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


def explain(services: Services, user_id: str, kind: Of, id_: str) -> Explained:
    """Why a user may use a session or package, or may not. Raises NotFound."""
    with services.group.read() as reader:
        user, thing = existing_person(reader, USER_KIND, user_id), existing(reader, kind, id_)
        grounds = reader.access.grounds(user_id, kind, id_, now_of(services))
        allowed = bool(grounds) and all(g.effect is Effect.ALLOW for g in grounds)
        with_names = [(g, _subject_name(reader, g.to_kind, g.to_id)) for g in grounds]
        return Explained(user, kind, thing, allowed, bool(user.json()["disabled"]), with_names)


async def sessions_of(services: Services, user_id: str, q: str, *, page: int, per_page: int) -> Usable:
    """What a user may use. Raises NotFound, InvalidInput."""
    now = now_of(services)

    def read() -> Usable:
        with services.group.read() as reader:
            existing_person(reader, USER_KIND, user_id)
            found = reader.access.sessions_of(user_id, now, q, page=page, per_page=per_page)
            return _usable(reader, SESSION_KIND, found)

    return await asyncio.to_thread(read)


async def own_sessions(
    services: Services, actor: Actor, q: str, *, page: int, per_page: int, order: Order = Order.NAME
) -> Usable:
    """What the actor may use: administrators of this server all. Raises InvalidInput."""
    now = now_of(services)

    def read() -> Usable:
        with services.group.read() as reader:
            marked = Marked(frozenset(favourite_ids(services, reader, actor)), order)
            search = reader.access.sessions_of
            found = search(actor.account, now, q, page=page, per_page=per_page, marked=marked)
            return _usable(reader, SESSION_KIND, found, marked.ids)

    return await asyncio.to_thread(read)


async def own_page(
    services: Services, actor: Actor, q: str, *, page: int, per_page: int, max_packages: int
) -> tuple[Usable, int, Usable]:
    """One view of what the actor may use: sessions of that page, favourites first, or of the last one where there are
    fewer; which page it is; and the first packages. Raises InvalidInput."""
    now = now_of(services)

    def read() -> tuple[Usable, int, Usable]:
        with services.group.read() as reader:
            access, user, at = reader.access, actor.account, page
            marked = Marked(frozenset(favourite_ids(services, reader, actor)), Order.FIRST)
            found = access.sessions_of(user, now, q, page=at, per_page=per_page, marked=marked)
            last = max(1, -(-found[1] // per_page))
            if at > last:
                at = last
                found = access.sessions_of(user, now, q, page=at, per_page=per_page, marked=marked)
            packages = access.packages_of(user, now, q, page=1, per_page=max_packages)
            return (
                _usable(reader, SESSION_KIND, found, marked.ids),
                at,
                _usable(reader, PACKAGE_KIND, packages),
            )

    return await asyncio.to_thread(read)


async def packages_of(services: Services, user_id: str, q: str, *, page: int, per_page: int) -> Usable:
    """The packages that a user may have. Raises NotFound, InvalidInput."""
    now = now_of(services)

    def read() -> Usable:
        with services.group.read() as reader:
            existing_person(reader, USER_KIND, user_id)
            found = reader.access.packages_of(user_id, now, q, page=page, per_page=per_page)
            return _usable(reader, PACKAGE_KIND, found)

    return await asyncio.to_thread(read)


def _usable(reader: Reader, kind: str, found: tuple[Sequence[str], int], favourites: Collection[str] = ()) -> Usable:
    ids, total = found
    return Usable([e for e in (reader.get(kind, i) for i in ids) if e], total, favourites)


def usable(services: Services, actor: Actor, kind: Of, id_: str) -> Element:
    """The session or package, where the actor may use it. Raises NotFound else, whether or not there is one: what isn't
    assigned doesn't exist for them. Administrators of this server may use all."""
    with services.group.read() as reader:
        found = existing(reader, kind, id_)
        if actor.account and not reader.access.may_use(actor.account, kind, id_, now_of(services)):
            raise no_such(kind, id_)
        return found


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
    reader: Reader, to: Sequence[tuple[To, str]], wanted: Sequence[tuple[Of, str]]
) -> tuple[Sequence[tuple[To, str]], Sequence[tuple[Of, str]]]:
    """Their ids. Raises InvalidInput with a Mistake for each that isn't there."""
    subjects, things, mistakes = [], [], []
    for kind, given in to:
        id_ = _subject_id(reader, kind, given)
        if id_ is None:
            mistakes.append(no_subject("to", kind, given))
        else:
            subjects.append((kind, id_))
    for of, given in wanted:
        found = named(reader, of, given)
        if found is None:
            mistakes.append(Mistake(f"{of.value}s", f"There is no {of.value} {shown(given)}.", "Check the name."))
        else:
            things.append((of, found.id))
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


def no_subject(field: str, kind: To, given: str) -> Mistake:
    """Nobody is meant by that."""
    remedy = "Write DIRECTORY: ou=NAME,dc=example,dc=com." if kind is To.FOLDER else "Check the name."
    return Mistake(field, f"There is no {NOUNS[kind]} {shown(given)}.", remedy)


def _subject_id(reader: Reader, kind: To, given: str) -> str | None:
    if kind is To.EVERYONE:
        return ""
    if kind is To.FOLDER:
        return _folder_id(reader, given)
    if reader.get(kind.value, given) is not None:
        return given
    return reader.people.user_named(given) if kind is To.USER else reader.people.group_named(given)


def _named(reader: Reader, element: Element, now: str) -> Named:
    found = assignment_of(element.json())
    thing = reader.get(found.of_kind.value, found.of_id)
    of_name = thing.json()["name"] if thing else ""
    to_name = _subject_name(reader, found.to_kind, found.to_id)
    return Named(found, to_name, of_name, found.over(now), element.etag, element.revision)


def _folder_id(reader: Reader, given: str) -> str | None:
    """Of what is written as DIRECTORY: DN; the directory may be left out where there is only one."""
    known = [e.id for e in reader.list(DIRECTORY_KIND)]
    named_so = [id_ for id_ in known if name_key(given).startswith(f"{id_}:")]
    directory = max(named_so, key=len, default=known[0] if len(known) == 1 else "")
    dn = given[len(directory) + 1 :] if directory in named_so else given
    try:
        return folder_id(directory, dn) if directory else None
    except ValueError:
        return None


def _subject_name(reader: Reader, kind: To, id_: str) -> str:
    if kind is To.EVERYONE:
        return EVERYONE
    if kind is To.FOLDER:
        directory, dn = folder_parts(id_)
        at = reader.get(DIRECTORY_KIND, directory)
        return f"{at.json()['name']}: {dn}" if at else ""
    found = reader.get(GROUP_KIND if kind is To.GROUP else USER_KIND, id_)
    body: Mapping[str, Any] = found.json() if found else {}
    return str(body.get("name", ""))
