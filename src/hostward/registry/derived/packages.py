"""Packages as they are searched."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from hostward.domain.changes import Body
from hostward.domain.packages import KIND
from hostward.domain.texts import name_key
from hostward.registry.derived import table
from hostward.registry.derived.table import Derived, Rows, Sort, with_words

SORTS: Final = {"name": Sort("name_key")}


def rows_of(id_: str, body: Body, revision: int) -> Rows:
    name = body["name"]
    text = name_key(f"{name}\n{body.get('version', '')}\n{body.get('description', '')}")
    return [(id_, name, name_key(name), text)]


TABLES: Final = (Derived(KIND, "package_row", rows_of, unique_noun="package"),)


def find_page(db: sqlite3.Connection, q: str, *, page: int, per_page: int) -> tuple[Sequence[str], int]:
    """The ids of one page, by name, of what has all the words, and how many have. Raises InvalidInput."""
    return table.find_page(db, "package_row", SORTS, with_words(q), sort="name", page=page, per_page=per_page)
