"""A user's favourites: read with the sessions that they may use, changed by themselves alone.

Those of a user of the group are replicated. An account of a server isn't, so neither are its favourites.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from hostward.commands.auditing import Act
from hostward.commands.reading import existing_person, named, now_of
from hostward.commands.services import Actor, Services
from hostward.commands.writing import commit_act
from hostward.domain.assignments import Of
from hostward.domain.changes import Delete, Operation, Put, canonical
from hostward.domain.errors import NotFound
from hostward.domain.favourites import KIND, Marking, check_favourites, check_room
from hostward.domain.people import USER_KIND
from hostward.registry.group import Element, Reader

OF_SERVER: Final = "favourites "
"""Begins the names of what server.db keeps of accounts of the server."""


@dataclass(frozen=True, slots=True)
class Favourites:
    """Those that the user may use now, by name. `ignored`, of what was asked for: there is no such session for them."""

    items: Sequence[Element]
    ignored: Sequence[str] = ()


def favourite_ids(services: Services, reader: Reader, actor: Actor) -> Sequence[str]:
    """Also of sessions that aren't there any more, or aren't the actor's to use."""
    if not actor.account:
        return tuple(services.server.get(OF_SERVER + actor.user) or ())
    return _kept(reader, actor.account)


async def own_favourites(services: Services, actor: Actor) -> Favourites:
    def read() -> Favourites:
        with services.group.read() as reader:
            return Favourites(_usable(services, reader, actor, favourite_ids(services, reader, actor)))

    return await asyncio.to_thread(read)


async def change_favourites(
    services: Services, actor: Actor, *, add: Sequence[str] = (), remove: Sequence[str] = ()
) -> Favourites:
    """Sessions, by name or id, become favourites of the actor, or no longer are; of one that is named in both, the
    first holds. What isn't there, or not the actor's to use, is ignored. Raises InvalidInput where they would be too
    many, TooOften, Unavailable or PeerError where the Master is needed and away; then nothing was changed."""

    def look() -> tuple[Marking, Sequence[str]]:
        with services.group.read() as reader:
            ids = {given: _id(reader, given) for given in dict.fromkeys([*add, *remove])}
            usable = {e.id for e in _usable(services, reader, actor, [ids[given] for given in add])}
            marking = Marking(frozenset(usable), frozenset(ids[given] for given in remove) - usable)
            before = favourite_ids(services, reader, actor)
            check_room([e.id for e in _usable(services, reader, actor, marking.of(before))])
            return marking, [given for given in add if ids[given] not in usable]

    marking, ignored = await asyncio.to_thread(look)
    if marking.add or marking.remove:
        make = partial(_make, services, actor)
        await services.favourite_turns.change(actor.account or OF_SERVER + actor.user, marking, make)
    found = await own_favourites(services, actor)
    return Favourites(found.items, ignored)


async def change_users_favourites(services: Services, user_id: str, marking: Marking, server: str) -> int:
    """On the Master: as the Slave `server` says that a user there has asked for; the revision. Raises NotFound,
    InvalidInput, TooOften, and what a change raises."""
    user = services.users.get(user_id)
    if user is None or user.disabled:
        raise NotFound("There is no such user.", remedy="Ask an administrator.")
    actor = Actor(user.name, "", "", account=user_id)
    # In turns here too: a Slave that has been taken over can't fill the change log.
    await services.favourite_turns.change(user_id, marking, partial(_commit, services, actor), server)
    return services.group.position.revision


async def _make(services: Services, actor: Actor, marking: Marking) -> None:
    if not actor.account:
        await asyncio.to_thread(_keep_here, services, actor, marking)
    elif services.replication.submits_to() is None:
        await _commit(services, actor, marking)
    else:
        await services.own_favourites.ask(actor.account, marking)


def _keep_here(services: Services, actor: Actor, marking: Marking) -> None:
    with services.group.read() as reader:
        there = _there(services, reader, marking.of(favourite_ids(services, reader, actor)))
    check_room(there)
    services.server.put(OF_SERVER + actor.user, there or None)


async def _commit(services: Services, actor: Actor, marking: Marking) -> None:
    # Not recorded in the audit log: whom a star concerns is the user alone, and the change log has who and when.
    decide = partial(_decided, services, actor.account, marking)
    await commit_act(services, actor, Act("favourites-changed"), decide)


def _decided(services: Services, user_id: str, marking: Marking, reader: Reader) -> Sequence[Operation]:
    existing_person(reader, USER_KIND, user_id)
    there = _there(services, reader, marking.of(_kept(reader, user_id)))
    check_room(there)
    body = check_favourites({"sessions": there})
    return [Put(KIND, user_id, canonical(body)) if there else Delete(KIND, user_id)]


def _there(services: Services, reader: Reader, ids: Sequence[str]) -> Sequence[str]:
    """Without those of sessions that are gone: they would count for ever."""
    return sorted(reader.access.usable_among("", now_of(services), ids))


def _kept(reader: Reader, user_id: str) -> Sequence[str]:
    found = reader.get(KIND, user_id)
    return tuple(found.json()["sessions"]) if found else ()


def _usable(services: Services, reader: Reader, actor: Actor, ids: Sequence[str]) -> Sequence[Element]:
    found = reader.access.usable_among(actor.account, now_of(services), ids)
    return [e for e in (reader.get(Of.SESSION.value, id_) for id_ in found) if e]


def _id(reader: Reader, given: str) -> str:
    """Of a session by its name or id; what isn't one stays as it is."""
    found = named(reader, Of.SESSION, given)
    return found.id if found else given
