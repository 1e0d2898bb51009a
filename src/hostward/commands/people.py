"""Users and user groups: create, read, edit, delete; who belongs to what; passwords of users.

What is given and answered names groups by their names, as people know them; what is stored names their ids.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hostward.commands.reading import existing_person
from hostward.commands.replication import confirm
from hostward.commands.services import Actor, Services
from hostward.commands.user_passwords import by_directory, ended_logins, hashed_password, password_put
from hostward.commands.writing import Once, Submitted, check_etag, write
from hostward.domain.assignments import KIND as ASSIGNMENT_KIND
from hostward.domain.assignments import To
from hostward.domain.changes import Body, Delete, Operation, Put, canonical, element_hash
from hostward.domain.directories import KIND as DIRECTORY_KIND
from hostward.domain.errors import Conflict, Forbidden, InvalidInput, Mistake
from hostward.domain.inventory import new_session_id as new_id
from hostward.domain.people import (
    GROUP_KIND,
    PASSWORD_KIND,
    USER_KIND,
    Role,
    check_group,
    check_user,
    left_directory,
)
from hostward.domain.replicated import Replicated
from hostward.domain.sessions import KIND as SESSION_KIND
from hostward.domain.suggestions import did_you_mean, shown
from hostward.domain.texts import name_key
from hostward.registry.group import Element, Reader

Etags = Collection[str] | None
MAX_MISTAKES: Final = 100
MAX_MEANT: Final = 3


@dataclass(frozen=True, slots=True)
class Person:
    """A user as it is shown. `groups` are the names of those that say so in the user, `by_way_of` of all others;
    `password` says whether there is one, `changed_at` since when (empty where there is none)."""

    element: Element
    groups: Sequence[str]
    by_way_of: Sequence[str]
    password: bool
    changed_at: str


@dataclass(frozen=True, slots=True)
class UserGroup:
    """A group as it is shown: the names of those it belongs to, and how many belong to it directly."""

    element: Element
    groups: Sequence[str]
    users: int
    subgroups: Sequence[str]
    sessions: int


@dataclass(frozen=True, slots=True)
class Written:
    """A write's outcome: the element as it is after it, as it was where it was deleted, and the names of its groups."""

    element: Element
    groups: Sequence[str]
    revision: int
    replicated: Replicated


Outcome = Written | Submitted


def read_user(services: Services, user_id: str) -> Person:
    """Raises NotFound."""
    with services.group.read() as reader:
        found = existing_person(reader, USER_KIND, user_id)
        names = reader.people.group_names()
        direct = found.json()["groups"]
        above = [g for g in reader.people.groups_of(user_id) if g not in direct]
        kept = reader.get(PASSWORD_KIND, user_id)
        body = kept.json() if kept else {}
        return Person(
            found, _named(names, direct), _named(names, above), bool(body.get("hash")), body.get("changed_at", "")
        )


def read_group(services: Services, group_id: str) -> UserGroup:
    """Raises NotFound."""
    with services.group.read() as reader:
        found = existing_person(reader, GROUP_KIND, group_id)
        names, people = reader.people.group_names(), reader.people
        body = found.json()
        return UserGroup(
            found,
            _named(names, body["groups"]),
            len(people.users_in(group_id)),
            _named(names, people.groups_in(group_id)),
            len(people.sessions_for(body["name"])),
        )


async def create_user(
    services: Services,
    actor: Actor,
    fields: Mapping[str, Any],
    password: str | None = None,
    *,
    once: Once | None = None,
) -> Outcome:
    """With a password, unless the user logs in by a directory. Raises InvalidInput, Conflict."""
    user_id = once.id() if once else new_id()
    hashed = await hashed_password(services, password, str(fields.get("name", "")), "password")

    def decide(reader: Reader) -> Sequence[Operation]:
        body = check_user(_with_ids(reader, fields))
        _check_user_name(services, reader, body["name"], user_id)
        check_directory_there(reader, body)
        return [
            Put(USER_KIND, user_id, canonical(body)),
            *([password_put(services, user_id, hashed)] if hashed else []),
        ]

    told = {f"new_{key}": fields[key] for key in ("name", "role") if fields.get(key)}
    return await _write(services, actor, "user-created", decide, USER_KIND, user_id, once, told)


async def edit_user(
    services: Services, actor: Actor, user_id: str, fields: Mapping[str, Any], *, if_match: Etags = None
) -> Outcome:
    """Only the fields given change. Raises NotFound, PreconditionFailed, InvalidInput, Conflict."""

    def decide(reader: Reader) -> Sequence[Operation]:
        before = existing_person(reader, USER_KIND, user_id)
        check_etag(before, if_match)
        body = check_user({**before.json(), **_with_ids(reader, fields)})
        if left_directory(check_user(before.json()), body):
            body["dn"] = ""
        _check_user_name(services, reader, body["name"], user_id)
        check_directory_there(reader, body)
        return [Put(USER_KIND, user_id, canonical(body))]

    told = {key: fields[key] or "none" for key in ("name", "role", "directory") if key in fields}
    told |= {"disabled": fields["disabled"]} if "disabled" in fields else {}
    told = {f"new_{key}": value for key, value in told.items()}
    return await _write(services, actor, "user-edited", decide, USER_KIND, user_id, told=told)


async def delete_user(services: Services, actor: Actor, user_id: str, *, if_match: Etags = None) -> Outcome:
    """With the password and what was assigned to the user. Raises NotFound, PreconditionFailed."""

    def decide(reader: Reader) -> Sequence[Operation]:
        check_etag(existing_person(reader, USER_KIND, user_id), if_match)
        return deleted_user(reader, user_id)

    return await _write(services, actor, "user-deleted", decide, USER_KIND, user_id)


async def set_password(services: Services, actor: Actor, user_id: str, new: str) -> Outcome:
    """A new password for a user, whose logins all end. Raises NotFound, InvalidInput, and Forbidden where the actor
    would get a role by it that is more than their own."""
    user = read_user(services, user_id).element.json()
    check_helps(actor, user_id, user)
    if user.get("directory"):
        raise by_directory(user["directory"])
    name = user["name"]
    hashed = await hashed_password(services, new, name, "password")
    assert hashed is not None

    def decide(reader: Reader) -> Sequence[Operation]:
        # Again: a role may have been given while the password was being hashed.
        check_helps(actor, user_id, existing_person(reader, USER_KIND, user_id).json())
        return [password_put(services, user_id, hashed)]

    return await _write(services, actor, "user-password-set", decide, USER_KIND, user_id)


async def end_logins(services: Services, actor: Actor, user_id: str) -> Outcome:
    """The user is logged out everywhere, on all servers. Raises NotFound, Forbidden."""

    def decide(reader: Reader) -> Sequence[Operation]:
        check_helps(actor, user_id, existing_person(reader, USER_KIND, user_id).json())
        return ended_logins(user_id, reader)

    return await _write(services, actor, "user-logged-out", decide, USER_KIND, user_id)


async def create_group(
    services: Services, actor: Actor, fields: Mapping[str, Any], *, once: Once | None = None
) -> Outcome:
    """Raises InvalidInput, Conflict."""
    group_id = once.id() if once else new_id()

    def decide(reader: Reader) -> Sequence[Operation]:
        body = check_group(_with_ids(reader, fields))
        _check_group_name(reader, body["name"], group_id)
        return [Put(GROUP_KIND, group_id, canonical(body))]

    return await _write(services, actor, "user-group-created", decide, GROUP_KIND, group_id, once)


async def edit_group(
    services: Services, actor: Actor, group_id: str, fields: Mapping[str, Any], *, if_match: Etags = None
) -> Outcome:
    """Only the fields given change. Sessions name groups by their names: those of a group that is renamed get the new
    one in the same change. Raises NotFound, PreconditionFailed, InvalidInput, Conflict."""

    def decide(reader: Reader) -> Sequence[Operation]:
        before = existing_person(reader, GROUP_KIND, group_id)
        check_etag(before, if_match)
        old = before.json()
        body = check_group({**old, **_with_ids(reader, fields)})
        _check_group_name(reader, body["name"], group_id)
        _check_no_circle(reader, group_id, body)
        renamed = _sessions_with(reader, old["name"], body["name"]) if body["name"] != old["name"] else []
        return [Put(GROUP_KIND, group_id, canonical(body)), *renamed]

    return await _write(services, actor, "user-group-edited", decide, GROUP_KIND, group_id)


async def delete_group(
    services: Services, actor: Actor, group_id: str, *, confirmed: bool, if_match: Etags = None
) -> Outcome:
    """Nobody belongs to it any more, and no session names it. Raises NotFound, PreconditionFailed,
    ConfirmationRequired."""
    found = read_group(services, group_id)
    said = [
        f"{found.users:,} users and {len(found.subgroups):,} groups no longer belong to it.",
        f"{found.sessions:,} sessions no longer name it: who had them only by this group loses them.",
    ]
    confirm(confirmed, f"Deleting the user group {shown(found.element.json()['name'])}", said)

    def decide(reader: Reader) -> Sequence[Operation]:
        group = existing_person(reader, GROUP_KIND, group_id)
        check_etag(group, if_match)
        people = reader.people
        left = [
            _without(reader, kind, id_, group_id)
            for kind, ids in ((USER_KIND, people.users_in(group_id)), (GROUP_KIND, people.groups_in(group_id)))
            for id_ in ids
        ]
        sessions = _sessions_with(reader, group.json()["name"], None)
        return [Delete(GROUP_KIND, group_id), *left, *sessions, *_assignments(reader, To.GROUP, group_id)]

    return await _write(services, actor, "user-group-deleted", decide, GROUP_KIND, group_id)


async def change_members(
    services: Services, actor: Actor, group_id: str, *, add: Sequence[str], remove: Sequence[str]
) -> Outcome:
    """Users, by their ids or names, join or leave the group, all or none. Raises NotFound, InvalidInput with a Mistake
    for each that isn't there."""

    def decide(reader: Reader) -> Sequence[Operation]:
        existing_person(reader, GROUP_KIND, group_id)
        joining, leaving = _users(reader, add, "add"), _users(reader, remove, "remove")
        operations: list[Operation] = []
        for element in {e.id: e for e in (*joining, *leaving)}.values():
            body = element.json()
            groups = {*body["groups"]} | ({group_id} if element in joining else set())
            groups -= {group_id} if element in leaving else set()
            operations.append(Put(USER_KIND, element.id, canonical(check_user({**body, "groups": sorted(groups)}))))
        return operations

    return await _write(services, actor, "user-group-members-changed", decide, GROUP_KIND, group_id)


async def _write(
    services: Services,
    actor: Actor,
    act: str,
    decide: Any,
    kind: str,
    id_: str,
    once: Once | None = None,
    told: Mapping[str, object] | None = None,
) -> Outcome:
    """`told` is what the audit log says besides whom it is about."""
    seen: list[Element] = []

    def deciding(reader: Reader) -> Sequence[Operation]:
        operations: Sequence[Operation] = decide(reader)
        before = reader.get(kind, id_)
        after = [op for op in operations if isinstance(op, Put) and (op.kind, op.id) == (kind, id_)]
        revision = reader.position().revision + 1
        if after:
            seen.append(Element(kind, id_, after[-1].body, element_hash(kind, id_, after[-1].body), revision))
        elif before is not None:
            seen.append(before)
        return operations

    about: dict[str, Any] = {"group" if kind == GROUP_KIND else "user": id_, "name": _name_now(services, kind, id_)}
    about |= told or {}
    done = await write(services, actor, act, deciding, once=once, **about)
    if isinstance(done, Submitted):
        return done
    if not seen:  # an earlier request with the same key has made it
        with services.group.read() as reader:
            seen.append(existing_person(reader, kind, id_))
    with services.group.read() as reader:
        groups = _named(reader.people.group_names(), seen[-1].json()["groups"])
    return Written(seen[-1], groups, done.committed.revision, done.replicated)


def _name_now(services: Services, kind: str, id_: str) -> str:
    with services.group.read() as reader:
        found = reader.get(kind, id_)
        return str(found.json()["name"]) if found else ""


def check_directory_there(reader: Reader, user: Body) -> None:
    """Raises InvalidInput where the user's directory isn't one of the group's."""
    name = user["directory"]
    if name and reader.get(DIRECTORY_KIND, name_key(name)) is None:
        problem, remedy = f"There is no directory {shown(name)}.", "Make it first, or leave it out."
        raise InvalidInput(
            problem, remedy=remedy, code="directory-unknown", mistakes=[Mistake("directory", problem, remedy)]
        )


def _with_ids(reader: Reader, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields with groups by their ids instead of names. Raises InvalidInput."""
    given = dict(fields)
    names = given.get("groups")
    if not isinstance(names, list | tuple) or not all(isinstance(n, str) for n in names):
        return given
    return given | {"groups": group_ids(reader, names, "groups")}


def group_ids(reader: Reader, names: Sequence[str], field: str) -> list[str]:
    """The ids of these groups. Raises InvalidInput with a Mistake for each that isn't there."""
    found = {name: reader.people.group_named(name) for name in names}
    unknown = [name for name, id_ in found.items() if id_ is None]
    if unknown:
        known = reader.people.group_names().values()
        # Looking for what was meant takes long where there are many groups.
        meant = {name: did_you_mean(name, known) for name in unknown[:MAX_MEANT]}
        mistakes = [
            Mistake(field, f"There is no user group {shown(name)}.", f"{meant.get(name, '')}Or make that group first.")
            for name in unknown[:MAX_MISTAKES]
        ]
        problem = mistakes[0].problem if len(unknown) == 1 else f"{len(unknown):,} of the user groups aren't there."
        raise InvalidInput(problem, remedy=mistakes[0].remedy, code="group-unknown", mistakes=mistakes)
    return [id_ for id_ in found.values() if id_]


def deleted_user(reader: Reader, user_id: str) -> list[Operation]:
    """What goes with a user: the password, and what was assigned to them."""
    return [Delete(USER_KIND, user_id), Delete(PASSWORD_KIND, user_id), *_assignments(reader, To.USER, user_id)]


def _check_user_name(services: Services, reader: Reader, name: str, user_id: str) -> None:
    there = reader.people.user_named(name)
    if there is not None and there != user_id:
        raise Conflict(
            f"There is a user named {shown(name)} already.",
            remedy="Choose another name; upper and lower case make no difference.",
            code="name-taken",
        )
    if services.administrators.exists(name.casefold()):
        raise Conflict(
            f"{shown(name)} is an administrator's account of this server alone.",
            remedy="Choose another name: that account would log in instead.",
            code="name-taken",
        )


def _check_group_name(reader: Reader, name: str, group_id: str) -> None:
    there = reader.people.group_named(name)
    if there is not None and there != group_id:
        raise Conflict(
            f"There is a user group named {shown(name)} already.",
            remedy="Choose another name; upper and lower case make no difference.",
            code="name-taken",
        )


def _check_no_circle(reader: Reader, group_id: str, body: Body) -> None:
    names = reader.people.group_names()
    for parent in body["groups"]:
        if parent == group_id or group_id in reader.people.groups_above(parent):
            problem = f"{shown(names.get(parent, parent))} belongs to this group, so this can't belong to it."
            raise InvalidInput(
                problem,
                remedy="Leave it out.",
                code="groups-in-a-circle",
                mistakes=[Mistake("groups", problem, "Leave it out.")],
            )


def helps(actor: Actor, user_id: str, user: Body) -> bool:
    """The help desk helps users without a role, and everybody themselves."""
    return actor.role is Role.ADMINISTRATOR or not user["role"] or actor.account == user_id


def check_helps(actor: Actor, user_id: str, user: Body) -> None:
    """Raises Forbidden where the actor doesn't help that user."""
    if not helps(actor, user_id, user):
        raise Forbidden(
            f"{shown(user['name'])} has a role in the console.",
            remedy="Only an administrator may do this.",
            code="role",
        )


def _sessions_with(reader: Reader, old: str, new: str | None) -> list[Operation]:
    """The sessions that name this group, with its new name, or without it."""
    found: list[Operation] = []
    for id_ in reader.people.sessions_for(old):
        session = reader.get(SESSION_KIND, id_)
        if session is None:
            continue
        body = session.json()
        kept = [new if name_key(g) == name_key(old) else g for g in body["groups"]]
        body["groups"] = list(dict.fromkeys(g for g in kept if g is not None))
        found.append(Put(SESSION_KIND, id_, canonical(body)))
    return found


def _assignments(reader: Reader, kind: To, id_: str) -> list[Operation]:
    """Those to a user or group that goes."""
    return [Delete(ASSIGNMENT_KIND, assignment) for assignment in reader.access.of_subject(kind.value, id_)]


def _without(reader: Reader, kind: str, id_: str, group_id: str) -> Operation:
    body = existing_person(reader, kind, id_).json()
    body["groups"] = [g for g in body["groups"] if g != group_id]
    return Put(kind, id_, canonical(body))


def _users(reader: Reader, given: Sequence[str], field: str) -> list[Element]:
    found = {name: reader.get(USER_KIND, name) or _user_named(reader, name) for name in given}
    mistakes = [
        Mistake(field, f"There is no user {shown(name)}.", "Check the name, or make that user first.")
        for name, element in found.items()
        if element is None
    ]
    if mistakes:
        raise InvalidInput(
            f"{len(mistakes)} of the users aren't there; nothing was changed."
            if len(mistakes) > 1
            else mistakes[0].problem,
            remedy=mistakes[0].remedy,
            code="user-unknown",
            mistakes=mistakes[:MAX_MISTAKES],
        )
    return [element for element in found.values() if element]


def _user_named(reader: Reader, name: str) -> Element | None:
    id_ = reader.people.user_named(name)
    return reader.get(USER_KIND, id_) if id_ else None


def _named(names: Mapping[str, str], ids: Sequence[str]) -> list[str]:
    return sorted((names[i] for i in ids if i in names), key=name_key)
