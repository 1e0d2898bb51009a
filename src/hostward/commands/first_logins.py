"""Who is new in a directory becomes a user of the group by logging in there for the first time, without a role.

The password is asked of the directory first, so that nobody else makes users. On a Slave the Master makes the user, and
asks the directory again: it takes no Slave's word for who somebody is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import orjson
import structlog

from hostward.access.users import User
from hostward.commands.auditing import UNKNOWN, Act, recorded
from hostward.commands.directories import user_row
from hostward.commands.people_files import plan_users
from hostward.commands.services import Actor, Services
from hostward.commands.writing import commit_act
from hostward.domain.changes import Operation, Put, canonical
from hostward.domain.directories import KIND, Directory, directory_of
from hostward.domain.errors import HostwardError, InvalidInput, NotFound, PeerError, Unauthenticated, Unavailable
from hostward.domain.folders import same_place
from hostward.domain.people import MAX_GROUPS, USER_KIND, check_group, check_user
from hostward.domain.people_file import parse_users
from hostward.domain.suggestions import shown
from hostward.domain.texts import name_key
from hostward.registry.group import Reader

if TYPE_CHECKING:  # slow to load, and most servers have no directory
    from hostward.access.directories import Directories, Entry

FOLLOW_WITHIN_S: Final = 5.0
NOT_FOUND_OUT: Final = "not-found-out"

log = structlog.get_logger()


def open_to(services: Services, name: str) -> Sequence[Directory]:
    """The directories that may know who has that name, which is no user's yet. None for what can't be one's."""
    try:
        check_user({"name": name})
    except InvalidInput:
        return ()
    return services.directories.of_new_users()


async def become_user(
    services: Services, directories: Sequence[Directory], name: str, password: str, address: str
) -> User:
    """Make a user of whom the first of these directories knows by that name and password. Raises Unauthenticated, also
    where no directory answers; TooManyAttempts; Unavailable where no Master does."""

    async def known() -> tuple[Directory, Entry]:
        try:
            return await _known(services, directories, name, password)
        except Unavailable as error:  # counts as a guess: else names could be tried out without end meanwhile
            raise not_found_out(error) from error

    directory, entry = await services.administrators.check_by(name, address, known)
    if services.replication.submits_to() is None:
        async with recorded(services, Actor(entry.name, "", address), "user-taken-over") as act:
            await _take_over(services, act, directory, entry)
    else:
        await _ask_master(services, directory, entry, password)
    user = services.users.named(name)
    if user is None:
        raise Unavailable(
            "You are a user now, but this server doesn't know it yet.", remedy="Try again in a few seconds."
        )
    if name_key(user.directory) != directory.id:
        raise _taken(entry.name)
    return user


async def follow_move(services: Services, user: User, entry: Entry, password: str, address: str) -> None:
    """Somebody who has just logged in by a directory is elsewhere in it now: what is assigned to its folders follows.
    Where the Master doesn't answer, the next login or taking users over does it. Whom the directory names otherwise
    than the user is called (a mail address may have found them) would be another user, and isn't followed."""
    if name_key(entry.name) != name_key(user.name) or same_place(user.dn, entry.dn):
        return
    directory = services.directories.named(user.directory)
    try:
        async with asyncio.timeout(FOLLOW_WITHIN_S):
            if services.replication.submits_to() is None:
                async with recorded(services, Actor(user.name, "", address), "user-moved") as act:
                    await _take_over(services, act, directory, entry)
            else:
                await services.directory_users.ask(directory.name, user.name, password)
    except (HostwardError, TimeoutError) as error:
        log.warning("user-move-not-followed", user=user.name, directory=directory.name, reason=str(error))


async def take_over_for(services: Services, directory: str, name: str, password: str, server: str) -> int:
    """On the Master: become_user, or follow_move, for somebody who logs in on the Slave `server`; the revision. Raises
    NotFound, and as become_user."""
    there = services.users.named(name_key(name))
    act_name = "user-taken-over" if there is None else "user-moved"
    async with recorded(services, Actor(UNKNOWN, "", ""), act_name, on=server) as act:
        wanted = services.directories.named(directory)
        known = partial(_known, services, [wanted] if wanted.first_login or there else [], name, password)
        _, entry = await services.administrators.check_by(name_key(name), f"server {server}", known)
        return await _take_over(services, act, wanted, entry)


async def _known(
    services: Services, directories: Sequence[Directory], name: str, password: str
) -> tuple[Directory, Entry]:
    """Who that is, with the groups that name them. Raises Unauthenticated; Unavailable where a directory that may know
    it doesn't answer."""
    silent: Unavailable | None = None
    wrong: Unauthenticated | None = None
    for directory in directories:
        try:
            entry = await services.directories.ask_of_new(partial(_asked, directory, name, password))
        except Unauthenticated as error:
            wrong = error
        except Unavailable as error:
            silent = silent or error
        else:
            if name_key(entry.name) != name_key(name):
                raise Unauthenticated(
                    f"The directory {directory.name} knows you as {shown(entry.name)}.",
                    remedy="Log in with that name.",
                    code="user-name",
                )
            return directory, entry
    if silent is not None:
        raise silent
    raise wrong or Unauthenticated(
        "The user name or the password is wrong.",
        remedy="Check both; upper and lower case matter in the password.",
        code="wrong-password",
    )


def not_found_out(error: Unavailable) -> Unauthenticated:
    """Whether the password is right isn't known: why, for the audit log. Whoever logs in is told what is told of wrong
    passwords."""
    return Unauthenticated(error.message, remedy=error.remedy, code=NOT_FOUND_OUT)


def _asked(directory: Directory, name: str, password: str, directories: Directories) -> Entry:
    from hostward.access.directories import DIRECT

    found = directories.check(directory, name, password)
    try:
        # By a connection of its own: whoever has logged in may not be allowed to look at groups.
        return directories.find(directory, name, levels=DIRECT)
    except NotFound as error:
        raise Unavailable(f"{found.dn} has gone from {directory.name} just now.", remedy="Try again.") from error


async def _take_over(services: Services, act: Act, directory: Directory, entry: Entry) -> int:
    """Make the user, once however often it comes, or note where the user is now; the revision. Raises Unauthenticated
    where the name is somebody else's, and what a change raises."""
    act.author = entry.name
    act.about |= {"name": entry.name, "directory": directory.name}
    if services.administrators.exists(entry.name.casefold()):
        raise _taken(entry.name)

    def decide(reader: Reader) -> Sequence[Operation]:
        there = reader.people.user_named(entry.name)
        user = reader.get(USER_KIND, there) if there else None
        row = user_row(directory, entry)
        if user is not None:
            body = check_user(user.json())
            if name_key(body["directory"]) != directory.id:
                raise _taken(entry.name)
            moved = row is not None and not same_place(body["dn"], row["dn"])
            return [Put(USER_KIND, user.id, canonical({**body, "dn": row["dn"]}))] if row and moved else []
        now = reader.get(KIND, directory.id)
        if now is None or row is None or not directory_of(now.id, now.json()).first_login:
            raise Unauthenticated(
                "Nobody is let in for the first time by that directory any more.",
                remedy="Ask an administrator.",
                code="first-login-off",
            )
        if "groups" in row:
            row["groups"] = _usable_groups(reader, row["groups"])
        return plan_users(reader, parse_users(orjson.dumps([row]))).operations

    done = await commit_act(services, Actor(entry.name, "", ""), act, decide)
    return done.committed.revision


def _usable_groups(reader: Reader, names: Sequence[str]) -> list[str]:
    """Those that can be groups here, at most as many as a user may have: those first that there are."""
    usable: dict[str, str] = {}
    for name in names:
        try:
            check_group({"name": name})
        except InvalidInput:
            continue
        usable.setdefault(name_key(name), name)
    there = {key for key, name in usable.items() if reader.people.group_named(name)}
    return [usable[key] for key in sorted(usable, key=lambda key: (key not in there, key))[:MAX_GROUPS]]


async def _ask_master(services: Services, directory: Directory, entry: Any, password: str) -> None:
    """Raises Unauthenticated, Unavailable."""
    try:
        await services.directory_users.ask(directory.name, entry.name, password)
    except PeerError as error:
        if error.code in ("wrong-password", "name-taken", "first-login-off"):
            raise Unauthenticated(error.message, remedy=error.remedy, code=error.code) from error
        raise Unavailable(
            f"You log in for the first time, and the Master can't make you a user: {error.message}",
            remedy=error.remedy or "Ask an administrator.",
            code=error.code,
        ) from error


def _taken(name: str) -> Unauthenticated:
    return Unauthenticated(
        f"The name {shown(name)} is another user's here, whose password isn't the directory's.",
        remedy="Ask an administrator.",
        code="name-taken",
    )
