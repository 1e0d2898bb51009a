"""What an import would change: one change, decided without touching anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

import orjson

from hostward.domain.changes import Body, Put, canonical
from hostward.domain.inventory.reading import ParsedInventory
from hostward.domain.sessions import KIND
from hostward.domain.texts import name_key

MAX_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Row:
    """What an import would do to one session, or user: its new body, and the one before (None: it is new)."""

    after: Body
    before: Body | None

    @property
    def changed(self) -> tuple[str, ...]:
        """The fields that differ."""
        return tuple(f for f in self.after if self.before is not None and self.before.get(f) != self.after[f])


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """`puts` are for the sessions that are new (`imported` of them) or differ (`updated`); `unchanged` sessions need
    none, so importing the same file again makes no change. `first` shows the first MAX_SHOWN of them."""

    puts: tuple[Put, ...]
    imported: int
    updated: int
    unchanged: int
    first: tuple[Row, ...] = ()


def new_session_id() -> str:
    """An id that no other session has on any server."""
    return uuid4().hex


def plan_import(
    existing: Mapping[str, tuple[str, bytes]], parsed: ParsedInventory, new_id: Callable[[], str] = new_session_id
) -> ImportPlan:
    """Add what is new and replace what differs, matched by name; sessions that the file doesn't name stay.

    `existing` has (id, canonical body) of each session by its `name_key`. A name that differs in case only is
    updated, and keeps its id."""
    puts: list[Put] = []
    first: list[Row] = []
    imported = unchanged = 0
    for given in parsed.sessions:
        session = given
        id_, before = existing.get(name_key(session["name"]), ("", b""))
        if before and (unsaid := parsed.unsaid.get(name_key(session["name"]))):
            old = orjson.loads(before)
            session = session | {field: old[field] for field in unsaid}
        # A copy, because the encoder's bytes hold on to the 4 KiB they were made in: 400 MB for 100,000 sessions.
        body = b"%b" % canonical(session)
        if before == body:
            unchanged += 1
            continue
        if not id_:
            id_ = new_id()
            imported += 1
        puts.append(Put(KIND, id_, body))
        if len(first) < MAX_SHOWN:
            first.append(Row(session, orjson.loads(before) if before else None))
    return ImportPlan(tuple(puts), imported, len(puts) - imported, unchanged, tuple(first))
