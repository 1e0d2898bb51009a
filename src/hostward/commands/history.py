"""What was changed, by whom and when: kept changes, one change with its differences, one session's history."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from hostward.commands.services import Services
from hostward.domain.changes import Body, element_hash
from hostward.domain.errors import NotFound
from hostward.domain.history import SHOWN, elements_of, summary_of_counts
from hostward.domain.requests import KIND as REQUEST
from hostward.domain.requests import Difference, Touched, differences, summary_of
from hostward.domain.sessions import KIND as SESSION
from hostward.domain.suggestions import shown
from hostward.registry.group import Reader
from hostward.registry.past import Past, PastChange

MAX_SHOWN: Final = 100
"""Elements of one change."""

BACKUPS: Final = "Backups reach further back, where some were made: GET backups, or hostward backup list."


@dataclass(frozen=True, slots=True)
class Kept:
    """How far back the history reaches: the newest revision, and the oldest whose change is kept (None: no change is).
    What was before the oldest isn't known."""

    newest: int
    oldest: int | None

    @property
    def restorable_from(self) -> int:
        """The oldest revision whose content is known."""
        return self.newest if self.oldest is None else self.oldest - 1


@dataclass(frozen=True, slots=True)
class Listed:
    """A change in a list."""

    change: PastChange
    summary: str


@dataclass(frozen=True, slots=True)
class Changes:
    """One page of the history, the newest first; `next_before` leads to the next page, None where there is none."""

    items: Sequence[Listed]
    next_before: int | None
    kept: Kept


@dataclass(frozen=True, slots=True)
class ElementChange:
    """What a change did to one element. `later`: the next change that touched it again, None where that is as it is
    now."""

    touched: Touched
    differences: Sequence[Difference]
    later: int | None


@dataclass(frozen=True, slots=True)
class ChangeDetail:
    """A change with what it did to its first MAX_SHOWN elements. `requests` are the change requests that it wrote."""

    listed: Listed
    elements: Sequence[ElementChange]
    origin: str
    requests: Sequence[str]
    kept: Kept


@dataclass(frozen=True, slots=True)
class SessionChange:
    """One change of a session's history."""

    change: PastChange
    did: ElementChange


@dataclass(frozen=True, slots=True)
class SessionHistory:
    """A session's past, the newest change first. `name` is its last one; `exists` whether it is there now; `complete`
    whether the page ends with the session's creation."""

    id: str
    name: str
    exists: bool
    complete: bool
    items: Sequence[SessionChange]
    next_before: int | None
    kept: Kept


async def list_changes(
    services: Services,
    *,
    before: int | None = None,
    limit: int = 50,
    author: str | None = None,
    kind: str | None = None,
    element: str | None = None,
) -> Changes:
    """The kept changes before a revision: of an author, that touched a kind of element, or the element with an id."""

    def read() -> Changes:
        with services.group.read() as reader:
            past = reader.past
            found = past.changes(before=before, max_count=limit + 1, author=author, kind=kind, element=element)
            items = [Listed(change, _summary(past, change)) for change in found[:limit]]
            return Changes(items, items[-1].change.revision if len(found) > limit else None, kept(reader))

    return await asyncio.to_thread(read)


async def read_change(services: Services, revision: int) -> ChangeDetail:
    """Raises NotFound, code "revision-not-kept" where it was forgotten."""

    def read() -> ChangeDetail:
        with services.group.read() as reader:
            past = reader.past
            found = past_change(reader, revision)
            names = [(op.kind, op.id) for _, op in zip(range(MAX_SHOWN), past.reverse(revision), strict=False)]
            elements = [_element_change(past, *name, revision) for name in names]
            change = reader.change(revision)
            requests = [op.id for op in change.operations() if op.kind == REQUEST] if change and _asked(found) else []
            listed = Listed(found, _summary(past, found))
            return ChangeDetail(listed, elements, change.origin if change else "", requests[:MAX_SHOWN], kept(reader))

    return await asyncio.to_thread(read)


async def session_history(
    services: Services, session_id: str, *, before: int | None = None, limit: int = 50
) -> SessionHistory:
    """Of one that is there, or was while changes are kept. Raises NotFound."""

    def read() -> SessionHistory:
        with services.group.read() as reader:
            past = reader.past
            now = reader.get(SESSION, session_id)
            found = past.revisions_of(SESSION, session_id, before=before, max_count=limit + 1)
            newest = past.revisions_of(SESSION, session_id, before=None, max_count=1)
            if now is None and not newest:
                raise NotFound(
                    f"No session with the id {shown(session_id)} is there, or was since {_since(kept(reader))}.",
                    remedy=BACKUPS,
                )
            items = []
            for revision in found[:limit]:
                change = past.change(revision)
                assert change is not None, "an element's revisions are kept with their changes"
                items.append(SessionChange(change, _element_change(past, SESSION, session_id, revision)))
            last = now.body if now else past.body_before(SESSION, session_id, newest[0])
            complete = len(found) <= limit and bool(items) and items[-1].did.touched.base is None
            more = items[-1].change.revision if len(found) > limit else None
            name = str((_json(last) or {}).get("name", ""))
            return SessionHistory(session_id, name, now is not None, complete, items, more, kept(reader))

    return await asyncio.to_thread(read)


def kept(reader: Reader) -> Kept:
    return Kept(reader.position().revision, reader.past.oldest())


def past_change(reader: Reader, revision: int) -> PastChange:
    """Raises NotFound."""
    found = reader.past.change(revision)
    if found is not None:
        return found
    has = kept(reader)
    if revision > has.newest or revision < 1:
        raise _no_such_revision(revision, has)
    raise NotFound(
        f"The change of revision {revision:,} isn't kept any more; the history reaches back to {_since(has)}.",
        remedy=BACKUPS,
        code="revision-not-kept",
    )


def check_restorable(reader: Reader, revision: int) -> None:
    """Return where what everything was after that revision is known. Raises NotFound."""
    has = kept(reader)
    if revision > has.newest or revision < 0:
        raise _no_such_revision(revision, has)
    if revision < has.restorable_from:
        raise NotFound(
            f"What was there after revision {revision:,} isn't known any more: it can be restored from revision"
            f" {has.restorable_from:,} on.",
            remedy=BACKUPS,
            code="revision-not-kept",
        )


def _no_such_revision(revision: int, has: Kept) -> NotFound:
    return NotFound(
        f"There is no revision {revision:,}; the newest is {has.newest:,}.", remedy="GET changes lists those there are."
    )


def _since(has: Kept) -> str:
    return f"revision {has.newest if has.oldest is None else has.oldest:,}"


def _asked(change: PastChange) -> bool:
    return REQUEST in change.counts


def _summary(past: Past, change: PastChange) -> str:
    """Of one element by its name; of many by their number, without unpacking them."""
    if elements_of(change.counts) != 1:
        return summary_of_counts(change.counts)
    (op,) = past.reverse(change.revision)
    return summary_of([_touched(past, op.kind, op.id, change.revision)])


def _element_change(past: Past, kind: str, id_: str, revision: int) -> ElementChange:
    touched = _touched(past, kind, id_, revision)
    found = differences(touched, None) if kind in SHOWN else []
    return ElementChange(touched, found, past.next_touched(kind, id_, revision))


def _touched(past: Past, kind: str, id_: str, revision: int) -> Touched:
    before, after = past.body_before(kind, id_, revision), past.body_after(kind, id_, revision)
    base_hash = element_hash(kind, id_, before).hex() if before is not None else ""
    return Touched(kind, id_, base_hash, _json(before), _json(after))


def _json(body: bytes | None) -> Body | None:
    found: Body | None = None if body is None else orjson.loads(body)
    return found
