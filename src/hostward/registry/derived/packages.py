"""Packages as they are searched."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from hostward.domain.changes import Body
from hostward.domain.packages import KIND
from hostward.domain.texts import name_key
from hostward.registry.derived.table import MAX_WORDS, Derived, Rows, anywhere, check_page


def rows_of(id_: str, body: Body, revision: int) -> Rows:
    name = body["name"]
    text = name_key(f"{name}\n{body.get('version', '')}\n{body.get('description', '')}")
    return [(id_, name, name_key(name), text)]


TABLES: Final = (Derived(KIND, "package_row", rows_of, unique_noun="package"),)


def find_page(db: sqlite3.Connection, q: str, *, page: int, per_page: int) -> tuple[Sequence[str], int]:
    """The ids of one page, by name, of what has all the words, and how many have. Raises InvalidInput."""
    check_page(page, per_page)
    words = name_key(q).split()[:MAX_WORDS]
    where = " AND ".join(["text GLOB ?"] * len(words)) or "1"
    values: list[str | int] = [*map(anywhere, words)]
    total = db.execute(f"SELECT count(*) FROM package_row WHERE {where}", values).fetchone()[0]  # noqa: S608
    rows = db.execute(
        f"SELECT id FROM package_row WHERE {where} ORDER BY name_key LIMIT ? OFFSET ?",  # noqa: S608
        [*values, per_page, (page - 1) * per_page],
    )
    return [row[0] for row in rows], total
