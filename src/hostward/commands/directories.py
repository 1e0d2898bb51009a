"""LDAP directories: their settings, Test login, and taking their users over."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from hostward.commands.auditing import recorded
from hostward.commands.people_files import UsersImported, import_users
from hostward.commands.services import Actor, Services
from hostward.commands.writing import Submitted, check_etag, write
from hostward.domain.assignments import KIND as ASSIGNMENT_KIND
from hostward.domain.changes import Delete, Operation, Put, canonical, element_hash
from hostward.domain.directories import KIND, Directory, check_directory, directory_of
from hostward.domain.errors import Conflict, HostwardError, InvalidInput, Mistake, NotFound, TrustError
from hostward.domain.people import USER_KIND, check_user
from hostward.domain.replicated import Replicated
from hostward.domain.suggestions import did_you_mean, shown
from hostward.domain.texts import name_key
from hostward.registry.group import Element, Reader
from hostward.trust.identity import parse_certificate


@dataclass(frozen=True, slots=True)
class Written:
    """A write's outcome: the directory as it is after it, or was where it was deleted."""

    directory: Element
    created: bool
    revision: int
    replicated: Replicated


@dataclass(frozen=True, slots=True)
class Tested:
    """What a test login did, step by step: name, whether it went well, what came of it. `user` is who was found, empty
    for nobody."""

    ok: bool
    steps: Sequence[tuple[str, bool, str]]
    user: str
    full_name: str
    groups: Sequence[str]


def list_directories(services: Services) -> list[Element]:
    """By name."""
    with services.group.read() as reader:
        return reader.list(KIND)


def read_directory(services: Services, name: str) -> Element:
    """Raises NotFound."""
    with services.group.read() as reader:
        return _existing(reader, name)


async def put_directory(
    services: Services, actor: Actor, name: str, fields: Mapping[str, Any], *, if_match: Sequence[str] | None = None
) -> Written | Submitted:
    """Make it, or replace all of its settings. Raises InvalidInput, PreconditionFailed."""
    body = check_directory({**fields, "name": name})
    _check_certificates(body["certificates"])
    id_, created = name_key(body["name"]), False

    def decide(reader: Reader) -> Sequence[Operation]:
        nonlocal created
        there = reader.get(KIND, id_)
        created = there is None
        if there is not None:
            check_etag(there, if_match)
        return [Put(KIND, id_, canonical(body))]

    done = await write(services, actor, "directory-changed", decide, name=body["name"])
    if isinstance(done, Submitted):
        return done
    raw = canonical(body)
    element = Element(KIND, id_, raw, element_hash(KIND, id_, raw), done.committed.revision)
    return Written(element, created, done.committed.revision, done.replicated)


async def delete_directory(
    services: Services, actor: Actor, name: str, *, if_match: Sequence[str] | None = None
) -> Written | Submitted:
    """With what is assigned to its folders. Raises NotFound, PreconditionFailed, and Conflict while users log in by
    it."""
    gone: list[Element] = []

    def decide(reader: Reader) -> Sequence[Operation]:
        found = _existing(reader, name)
        check_etag(found, if_match)
        gone.append(found)
        users = sum(name_key(e.json().get("directory", "")) == found.id for e in reader.list(USER_KIND))
        if users:
            raise Conflict(
                f"{users:,} users log in by {shown(found.json()['name'])}.",
                remedy="Delete them, or give them passwords of their own, first.",
                code="directory-used",
            )
        assigned = [Delete(ASSIGNMENT_KIND, id_) for id_ in reader.access.of_directory(found.id)]
        return [Delete(KIND, found.id), *assigned]

    done = await write(services, actor, "directory-deleted", decide, name=name)
    if isinstance(done, Submitted):
        return done
    return Written(gone[-1], False, done.committed.revision, done.replicated)


async def try_login(services: Services, actor: Actor, name: str, user: str, password: str | None) -> Tested:
    """What this server comes to when that user logs in by the directory, also where it isn't used yet; without a
    password all but that. Raises NotFound for the directory alone."""
    from hostward.access.directories import MAX_LEVELS, Looking

    directory = services.directories.named(name)
    looking = Looking()
    found, ok = None, True
    async with recorded(services, actor, "directory-tested", name=name, tried=user):
        try:
            if password is None:
                found = await services.directories.ask(
                    lambda d: d.find(directory, user, levels=MAX_LEVELS, looking=looking)
                )
            else:
                found = await services.directories.ask(
                    lambda d: d.check(directory, user, password, levels=MAX_LEVELS, looking=looking)
                )
        except HostwardError as error:
            ok = False
            if not looking.steps or looking.steps[-1].ok:
                looking.failed("directory", error)
    steps = [(s.name, s.ok, s.said) for s in looking.steps]
    if found is None:
        return Tested(ok, steps, "", "", ())
    return Tested(ok, steps, found.dn, found.full_name, found.groups)


async def sync(
    services: Services, actor: Actor, name: str, *, dry_run: bool, confirmed: bool = False, plan: str = ""
) -> UsersImported | Submitted:
    """Take over all of a directory's users, as an import of a file of them: new ones are made, those that differ are
    changed, with the groups that they belong to directly; who isn't there any more is disabled. Where that are very
    many, it is asked first (`plan` is the confirmation's). Raises NotFound, InvalidInput, Conflict,
    ConfirmationRequired, and Unavailable, also where the directory shows nobody: that is taken for a mistake."""
    directory = services.directories.named(name)
    file = await _users_file(services, directory)
    return await import_users(
        services, actor, file, dry_run=dry_run, all_of=directory.id, confirmed=confirmed, plan=plan
    )


async def _users_file(services: Services, directory: Directory) -> bytes:
    """All of a directory's users whose names can be users', in the form that an import takes. Raises Unavailable.
    Whoever is named as an account of this server isn't among them: by that name it is the account that logs in."""
    entries = await services.directories.ask(lambda d: d.users(directory))

    def rows() -> bytes:
        found = []
        for entry in entries:
            row = user_row(directory, entry)
            if row is None:  # a service's or computer's account
                continue
            if not services.administrators.exists(entry.name.casefold()):
                found.append(row)
        return orjson.dumps(found, option=orjson.OPT_INDENT_2)

    return await asyncio.to_thread(rows)


def user_row(directory: Directory, entry: Any) -> dict[str, Any] | None:
    """One user whom a directory has (an access.directories.Entry), as an import takes them; None where the name can't
    be a user's. Groups stay as they are where the directory isn't asked for them."""
    row = {"login": entry.name, "name": entry.full_name, "directory": directory.name, "dn": entry.dn}
    row |= {"groups": list(entry.groups)} if directory.group_base else {}
    try:
        check_user({"name": entry.name})
        check_user({"name": entry.name, "full_name": entry.full_name, "dn": entry.dn})
    except InvalidInput as error:
        wrong = {m.field for m in error.mistakes}
        if "name" in wrong:
            return None
        row |= {key: "" for key, field in (("name", "full_name"), ("dn", "dn")) if field in wrong}
    return row


def _check_certificates(pem: str) -> None:
    """Raises InvalidInput where one of them can't be read."""
    for part in pem.split("-----END CERTIFICATE-----")[:-1]:
        try:
            parse_certificate(f"{part.strip()}\n-----END CERTIFICATE-----\n")
        except TrustError as error:
            remedy = "Copy it again, from -----BEGIN CERTIFICATE----- to END."
            raise InvalidInput(
                f"A certificate can't be read: {error.message}",
                remedy=remedy,
                code="directory-invalid",
                mistakes=[Mistake("certificates", error.message, remedy)],
            ) from error


def _existing(reader: Reader, name: str) -> Element:
    found = reader.get(KIND, name_key(name))
    if found is None:
        meant = did_you_mean(name, [directory_of(e.id, e.json()).name for e in reader.list(KIND)])
        raise NotFound(f"There is no directory {shown(name)}.", remedy=f"{meant}GET directories lists them.")
    return found
