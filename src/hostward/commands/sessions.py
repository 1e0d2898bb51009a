"""Terminal sessions: create, read, replace, edit, rename, copy, delete, search."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hostward.commands.reading import existing_session
from hostward.commands.restoring import session_as_it_was
from hostward.commands.services import Actor, Services
from hostward.commands.writing import Once, Submitted, check_etag, write
from hostward.domain.changes import Body, Delete, Operation, Put, canonical, element_hash
from hostward.domain.errors import Conflict
from hostward.domain.inventory import new_session_id
from hostward.domain.replicated import Replicated
from hostward.domain.sessions import KIND, validate_fields
from hostward.domain.suggestions import shown
from hostward.registry.group import Element, Reader

Etags = Collection[str] | None


@dataclass(frozen=True, slots=True)
class Written:
    """A write's outcome: the session as it is after it (as it was, where it was deleted)."""

    session: Element
    revision: int
    replicated: Replicated


Outcome = Written | Submitted


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, and how many there are on all pages."""

    items: Sequence[Element]
    total: int


def read_session(services: Services, session_id: str) -> Element:
    """Quick enough for the event loop. Raises NotFound."""
    with services.group.read() as reader:
        return existing_session(reader, session_id)


async def search_sessions(
    services: Services, q: str | None, *, type: str | None = None, page: int, per_page: int, sort: str
) -> Page:
    """The sessions (of that type) that have all the words of `q` in any field. Raises InvalidInput."""

    def search() -> Page:
        with services.group.read() as reader:
            return Page(*reader.search_sessions(q, type=type, page=page, per_page=per_page, sort=sort))

    return await asyncio.to_thread(search)


async def create_session(
    services: Services, actor: Actor, fields: Mapping[str, Any], *, once: Once | None = None
) -> Outcome:
    """Raises InvalidInput with the mistakes, or Conflict where the name is taken."""
    body = validate_fields(fields)
    session_id = once.id() if once else new_session_id()

    def decide(reader: Reader) -> Sequence[Operation]:
        _check_name_free(reader, body, session_id)
        return [Put(KIND, session_id, canonical(body))]

    return await _write(services, actor, "session-created", decide, session_id, once)


async def replace_session(
    services: Services, actor: Actor, session_id: str, fields: Mapping[str, Any], *, if_match: Etags = None
) -> Outcome:
    """Fields that aren't given become empty. Raises NotFound, PreconditionFailed, InvalidInput, Conflict."""
    body = validate_fields(fields)

    def decide(reader: Reader) -> Sequence[Operation]:
        check_etag(existing_session(reader, session_id), if_match)
        _check_name_free(reader, body, session_id)
        return [Put(KIND, session_id, canonical(body))]

    return await _write(services, actor, "session-replaced", decide, session_id)


async def edit_session(
    services: Services, actor: Actor, session_id: str, fields: Mapping[str, Any], *, if_match: Etags = None
) -> Outcome:
    """Only the fields given change (renaming is editing the name); None empties one. Raises NotFound,
    PreconditionFailed, InvalidInput, Conflict."""

    def decide(reader: Reader) -> Sequence[Operation]:
        before = existing_session(reader, session_id)
        check_etag(before, if_match)
        body = validate_fields({**before.json(), **fields})
        _check_name_free(reader, body, session_id)
        return [Put(KIND, session_id, canonical(body))]

    return await _write(services, actor, "session-edited", decide, session_id)


async def copy_session(
    services: Services, actor: Actor, session_id: str, name: Any, *, once: Once | None = None
) -> Outcome:
    """The same under another name. Raises NotFound, InvalidInput, Conflict."""
    copy_id = once.id() if once else new_session_id()

    def decide(reader: Reader) -> Sequence[Operation]:
        body = validate_fields({**existing_session(reader, session_id).json(), "name": name})
        _check_name_free(reader, body, copy_id)
        return [Put(KIND, copy_id, canonical(body))]

    return await _write(services, actor, "session-copied", decide, copy_id, once)


async def delete_session(services: Services, actor: Actor, session_id: str, *, if_match: Etags = None) -> Outcome:
    """Raises NotFound, PreconditionFailed."""
    gone: list[Element] = []

    def decide(reader: Reader) -> Sequence[Operation]:
        found = existing_session(reader, session_id)
        check_etag(found, if_match)
        gone.append(found)
        return [Delete(KIND, session_id)]

    done = await write(services, actor, "session-deleted", decide, session=session_id)
    if isinstance(done, Submitted):
        return done
    return Written(gone[0], done.committed.revision, done.replicated)


async def restore_session(
    services: Services, actor: Actor, session_id: str, revision: int, *, if_match: Etags = None
) -> Outcome:
    """As it was after that revision, with the same id also where it was deleted. Raises NotFound where that isn't
    known, PreconditionFailed, Conflict where it wasn't there or its name was taken."""

    def decide(reader: Reader) -> Sequence[Operation]:
        now = reader.get(KIND, session_id)
        if now is not None:
            check_etag(now, if_match)
        return [session_as_it_was(reader, session_id, revision)]

    return await _write(services, actor, "session-restored", decide, session_id)


async def _write(
    services: Services,
    actor: Actor,
    act: str,
    decide: Any,
    session_id: str,
    once: Once | None = None,
) -> Outcome:
    decided: list[Put] = []

    def deciding(reader: Reader) -> Sequence[Operation]:
        operations: Sequence[Operation] = decide(reader)
        decided.extend(op for op in operations if isinstance(op, Put))
        return operations

    done = await write(services, actor, act, deciding, once=once, session=session_id)
    if isinstance(done, Submitted):
        return done
    revision = done.committed.revision
    if not decided:
        return Written(_as_first_made(services, revision, session_id), revision, done.replicated)
    body = decided[-1].body
    # Made from what was decided, not read again: another change may have followed by now.
    session = Element(KIND, session_id, body, element_hash(KIND, session_id, body), revision)
    return Written(session, revision, done.replicated)


def _as_first_made(services: Services, revision: int, session_id: str) -> Element:
    """The session as a repeated request's first one made it, from the change itself where it is still kept."""
    change = services.group.change(revision)
    for op in change.operations() if change else ():
        if isinstance(op, Put) and op.id == session_id:
            return Element(KIND, session_id, op.body, element_hash(KIND, session_id, op.body), revision)
    return read_session(services, session_id)


def _check_name_free(reader: Reader, body: Body, session_id: str) -> None:
    there = reader.find_session_by_name(body["name"])
    if there is not None and there.id != session_id:
        raise Conflict(
            f"There is a session named {shown(there.json()['name'])} already.",
            remedy="Choose another name; upper and lower case make no difference.",
            code="name-taken",
        )
