"""Many users at once: a file of them imported as one change, and all of them exported."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import orjson

from hostward.commands.choosing import by_name, named, tag
from hostward.commands.people import check_directory_there
from hostward.commands.people_selections import USERS
from hostward.commands.replication import confirm
from hostward.commands.services import Actor, Services
from hostward.commands.writing import Beforehand, Once, Submitted, write
from hostward.domain.changes import Body, Operation, Put, canonical
from hostward.domain.directories import is_mass
from hostward.domain.errors import Conflict, InvalidInput, Mistake
from hostward.domain.inventory import Row
from hostward.domain.inventory import new_session_id as new_id
from hostward.domain.people import GROUP_KIND, USER_KIND, check_group, check_user, left_directory
from hostward.domain.people_file import KEYS, MAX_MISTAKES, Listed, file_invalid, parse_users
from hostward.domain.replicated import Replicated
from hostward.domain.suggestions import shown
from hostward.domain.texts import name_key
from hostward.registry.group import Element, Reader

FIRST: Final = 100


@dataclass(slots=True)
class Plan:
    """What an import would do. `first` are the first users that it would create or change, with their groups' names."""

    operations: list[Operation] = field(default_factory=list)
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    groups: list[str] = field(default_factory=list)
    """The names of those that it makes."""
    first: list[Row] = field(default_factory=list)
    gone: list[Element] = field(default_factory=list)
    """Whom the directory doesn't have any more: they are disabled."""
    confirmation: Sequence[str] = ()
    """What is asked about first, where it would take something from very many; `asked_about` are they."""
    asked_about: list[Element] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class UsersImported:
    """An import's outcome. `replicated` is None for a dry run, whose `revision` is the one it was compared with."""

    plan: Plan
    revision: int
    replicated: Replicated | None


async def import_users(
    services: Services,
    actor: Actor,
    data: bytes,
    *,
    dry_run: bool = False,
    once: Once | None = None,
    all_of: str = "",
    confirmed: bool = False,
    plan: str = "",
) -> UsersImported | Submitted:
    """All of a file's users as one change. They are matched by name; of one that is there, only the fields that the
    file names change; groups that aren't there are made. None gets a password by it. `all_of` is the id of a directory
    whose users these are, all of them: who isn't among them any more is disabled. Raises InvalidInput with every
    mistake, Conflict for the name of an administrator of this server, ConfirmationRequired where very many are gone
    (`plan` is its tag): then nothing was changed."""
    listed = await asyncio.to_thread(parse_users, data)
    own = next((u for u in listed if services.administrators.exists(u.fields["name"].casefold())), None)
    if own is not None:
        raise Conflict(
            f"Row {own.row}: {shown(own.fields['name'])} is an administrator's account of this server alone.",
            remedy="Leave that row out, or name the user otherwise.",
            code="name-taken",
        )

    def decide(reader: Reader) -> Plan:
        found = plan_users(reader, listed, once)
        if all_of:
            _disable_gone(reader, found, listed, all_of)
        if found.confirmation and not dry_run:
            _check_confirmed(found, confirmed, plan)
        return found

    planned = await Beforehand.look(services, decide)
    if dry_run:
        return UsersImported(planned.found, planned.position.revision, None)
    done = await write(
        services,
        actor,
        "users-imported",
        lambda reader: planned.at(reader).operations,
        once=once,
        all_servers=True,
        rows=len(listed),
    )
    if isinstance(done, Submitted):
        return done
    return UsersImported(planned.found, done.committed.revision, done.replicated)


async def export_users(services: Services) -> bytes:
    """All users, as import takes them."""

    def read() -> bytes:
        with services.group.read() as reader:
            names = reader.people.group_names()
            bodies = sorted((e.json() for e in reader.list(USER_KIND)), key=lambda body: name_key(body["name"]))
        rows = []
        for body in bodies:
            body["groups"] = sorted(names[i] for i in body["groups"] if i in names)
            row = {key: body.get(name, "") for key, name in KEYS.items()}
            left_out = () if row["directory"] else ("directory", "dn")
            rows.append({k: v for k, v in row.items() if k not in left_out})
        return orjson.dumps(rows, option=orjson.OPT_INDENT_2)

    return await asyncio.to_thread(read)


def plan_users(reader: Reader, listed: Sequence[Listed], once: Once | None = None) -> Plan:
    """What importing them comes to. Only users and groups that they name are looked at: it is decided in the registry's
    writer who logs in for the first time, and all changes wait for that. Raises InvalidInput, with the row of each
    mistake."""
    plan = Plan()
    groups = _Groups(reader)
    made, mistakes = 0, list[Mistake]()
    for user in listed:
        fields = dict(user.fields)
        if "groups" in fields:
            for name in (n for n in fields["groups"] if groups.named(n) is None):
                made += 1
                group = once.id(made) if once else new_id()
                groups.add(group, name)
                plan.groups.append(name)
                plan.operations.append(Put(GROUP_KIND, group, canonical(check_group({"name": name}))))
            fields["groups"] = [groups.named(name) for name in fields["groups"]]
        id_ = reader.people.user_named(fields["name"])
        there = reader.get(USER_KIND, id_) if id_ else None
        try:
            before = check_user(there.json()) if there else None
            after = check_user({**(before or {}), **fields})
            check_directory_there(reader, after)
        except InvalidInput as error:
            mistakes += [replace(m, row=user.row) for m in error.mistakes]
            if len(mistakes) >= MAX_MISTAKES:
                break
            continue
        if before is not None and left_directory(before, after):
            after["dn"] = ""
        if after == before:
            plan.unchanged += 1
            continue
        made += 1
        plan.created, plan.changed = plan.created + (before is None), plan.changed + (before is not None)
        if len(plan.first) < FIRST:
            plan.first.append(_row(before, after, groups))
        plan.operations.append(Put(USER_KIND, id_ or (once.id(made) if once else new_id()), canonical(after)))
    if mistakes:
        raise file_invalid(mistakes)
    return plan


def _disable_gone(reader: Reader, plan: Plan, listed: Sequence[Listed], directory: str) -> None:
    """Add what becomes of the directory's users who aren't listed, and what is to be confirmed of it."""
    users = [(e, check_user(e.json())) for e in reader.list(USER_KIND)]
    users = [(e, body) for e, body in users if name_key(body["directory"]) == directory and not body["disabled"]]
    there = {name_key(user.fields["name"]): user.fields for user in listed}
    gone = [(e, body) for e, body in users if name_key(body["name"]) not in there]
    plan.gone = [e for e, _ in gone]
    plan.operations += [Put(USER_KIND, e.id, canonical({**body, "disabled": True})) for e, body in gone]
    grouped = [(e, there.get(name_key(body["name"]), {})) for e, body in users if body["groups"]]
    ungrouped = [e for e, fields in grouped if fields.get("groups") == []]
    said = []
    if is_mass(len(gone), len(users)):
        said += [
            f"{len(gone):,} of its {USERS.counted(len(users))} aren't in the directory any more: they are disabled, and"
            " logged out everywhere.",
            named(by_name(plan.gone)),
        ]
    if is_mass(len(ungrouped), len(grouped)):
        said += [
            f"{len(ungrouped):,} of {USERS.counted(len(grouped))} with groups are in none there any more: they lose"
            " what they have by groups.",
            named(by_name(ungrouped)),
        ]
    plan.asked_about = [*plan.gone, *ungrouped]
    plan.confirmation = [*said, "Where that isn't so, correct the search bases and filters first."] if said else ()


def _check_confirmed(found: Plan, confirmed: bool, plan: str) -> None:
    """Raises ConfirmationRequired; Conflict where it isn't what was confirmed."""
    of = tag(found.asked_about)
    confirm(confirmed, "Taking the directory's users over", found.confirmation, of)
    if plan and plan != of:
        raise Conflict(
            "Others are gone from the directory than when the confirmation was asked for; nothing was changed.",
            remedy="Look at what it would do again.",
            code="selection-changed",
        )


class _Groups:
    """Those of a view, each looked up when it is first named, and those that are added."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._ids: dict[str, str | None] = {}
        self._names: dict[str, str] = {}

    def named(self, name: str) -> str | None:
        """The id, whatever the case."""
        key = name_key(name)
        if key not in self._ids:
            self._ids[key] = self._reader.people.group_named(name)
        return self._ids[key]

    def add(self, id_: str, name: str) -> None:
        self._ids[name_key(name)], self._names[id_] = id_, name

    def names(self, ids: Sequence[str]) -> list[str]:
        """Of those that there are."""
        for id_ in ids:
            found = None if id_ in self._names else self._reader.get(GROUP_KIND, id_)
            if found is not None:
                self._names[id_] = found.json()["name"]
        return sorted(self._names[i] for i in ids if i in self._names)


def _row(before: Body | None, after: Body, groups: _Groups) -> Row:
    """With the groups as people know them."""
    return Row(_named(after, groups), None if before is None else _named(before, groups))


def _named(body: Body, groups: _Groups) -> Body:
    return body | {"groups": groups.names(body["groups"])}
