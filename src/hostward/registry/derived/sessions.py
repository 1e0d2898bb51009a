"""Sessions as they are searched: a derived table, kept in step in the transaction that changes the elements.

A search looks for each of its words as a part of name, host, type, groups or comment, without regard to case.
"""

from __future__ import annotations

import hashlib
import sqlite3
from base64 import b64encode
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import orjson

from hostward.domain.changes import Body
from hostward.domain.sessions import KIND
from hostward.domain.texts import name_key
from hostward.registry.derived import table
from hostward.registry.derived.table import Condition, Derived, Rows, Sort, with_words

__all__ = ["KIND", "name_key"]

SORTS: Final = {
    "name": Sort("name_key"),
    "type": Sort("type"),
    "host": Sort("host", may_be_empty=True),
    "revision": Sort("revision"),
}


def rows_of(id_: str, body: Body, revision: int) -> Rows:
    """The derived row of a session with this body."""
    name, host = body["name"], body.get("host", "")
    text = "\n".join((name, host, body["type"], body.get("lu", ""), *body.get("groups", ()), body.get("comment", "")))
    _, key = _keys(tuple(body.get("groups", ())))
    return [(id_, name, name_key(name), body["type"], host, revision, key, name_key(text))]


def groups_of(id_: str, body: Body, revision: int) -> Rows:
    """The groups whose people have this session, by their names' keys; and the key of all of them."""
    names, key = _keys(tuple(body.get("groups", ())))
    return [(id_, name, key) for name in names]


@lru_cache(1_000)
def _keys(groups: Sequence[str]) -> tuple[Sequence[str], str]:
    """The keys of these groups' names, sorted, and one for all of them, the same for all sessions with these groups.
    It is a hash, of which nobody finds two the same: it says who may use what."""
    names = sorted(map(name_key, groups))
    return names, b64encode(hashlib.blake2b(orjson.dumps(names), digest_size=15).digest()).decode() if names else ""


TABLES: Final = (
    Derived(KIND, "session_entry", rows_of, unique_noun="session"),
    Derived(KIND, "session_in", groups_of, counted_in="session_way"),
)


def find_page(
    db: sqlite3.Connection, q: str | None, type_: str | None, *, page: int, per_page: int, sort: str
) -> tuple[Sequence[str], int]:
    """The ids of one page of what matches, and how many match. `sort` is one of SORTS, with - before it the other way
    round. Raises InvalidInput."""
    those = _matching(q, type_)
    return table.find_page(db, "session_entry", SORTS, those, sort=sort, page=page, per_page=per_page)


def find_ids(db: sqlite3.Connection, q: str | None, type_: str | None) -> list[str]:
    """All that match, by name."""
    return table.find_all(db, "session_entry", _matching(q, type_))


def _matching(q: str | None, type_: str | None) -> Condition:
    """Sessions of a type that isn't there don't exist."""
    conditions, values = with_words(q or "")
    return ([*conditions, "type = ?"], [*values, type_]) if type_ else (conditions, values)
