"""Who used what last, kept beside the audit log's entries in audit.db.

A derived table: made from the entries of all logs that are here, kept in step in the transaction that adds one, and
made anew where it is missing. It outlives the entries, of which the oldest are removed. Users stand in it under the
name that they had. What it says is as good as the entries that it was made from; whether those are whole is looked at
elsewhere.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hostward.domain.audit import DONE, Entry, Event
from hostward.registry.schema import explained, open_reader

LAUNCHED, LOGGED_IN = "session-launched", "logged-in"
MAX_ROWS: Final = 1_000_000
"""Of 10,000 users a hundred sessions each; beyond, those that were used longest ago go."""

TABLES: Final = """
CREATE TABLE IF NOT EXISTS last_use (
  act TEXT NOT NULL, thing TEXT NOT NULL, user TEXT NOT NULL, last TEXT NOT NULL, times INTEGER NOT NULL,
  PRIMARY KEY (act, thing, user)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS last_use_since (at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS entry_act ON entry (act, at);
"""
_NOTE: Final = (
    "INSERT INTO last_use VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
    " last = max(last, excluded.last), times = times + excluded.times"
)
_CUT: Final = (
    "DELETE FROM last_use WHERE (act, thing, user) IN (SELECT act, thing, user FROM last_use ORDER BY last DESC"
    " LIMIT -1 OFFSET ?)"
)


MAX_TIMES: Final = 1_000_000
"""That one entry counts for: another server's may say any number."""
# No text in an entry has that in it, for a quotation mark in one is written otherwise.
_TIMES: Final = (
    "CASE WHEN instr(text, '\"times\":1,') > 0 THEN 1"
    f" ELSE min({MAX_TIMES}, max(1, CAST(coalesce(json_extract({{}}, '$.times'), 1) AS INTEGER))) END"
)


@dataclass(frozen=True, slots=True)
class Use:
    """When it was last used, by whom, how often, and by how many."""

    last: str
    by: str
    times: int
    users: int


@dataclass(frozen=True, slots=True)
class Reach:
    """From when until when there are entries of a server here."""

    server: str
    since: str
    until: str


@dataclass(frozen=True, slots=True)
class Counted:
    """Launches of a time: in all, each day or month (`2026-01-31`, `2026-01`), and what was opened most and by whom."""

    total: int
    spans: Sequence[tuple[str, int]]
    sessions: Sequence[tuple[str, str, int]]
    """Id, the name that it had last, how often."""
    users: Sequence[tuple[str, int]]


# Writing: by the log's one writer


def note(db: sqlite3.Connection, at: str, event: Event) -> None:
    """What was done is noted, where it is a use."""
    db.execute("INSERT INTO last_use_since SELECT ? WHERE NOT EXISTS (SELECT 1 FROM last_use_since)", (at,))
    if event.outcome != DONE or event.act not in (LAUNCHED, LOGGED_IN):
        return
    thing = event.about.get("session", "") if event.act == LAUNCHED else ""
    db.execute(_NOTE, (event.act, thing, event.user, at, min(event.times, MAX_TIMES)))


def make_where_missing(db: sqlite3.Connection) -> None:
    """From all entries there are. Within a transaction."""
    if db.execute("SELECT 1 FROM last_use_since").fetchone() is not None:
        return
    db.execute("DELETE FROM last_use")
    db.execute("INSERT INTO last_use_since SELECT min(at) FROM entry HAVING count(*) > 0")
    query = "SELECT at, body FROM entry WHERE act IN (?, ?) AND outcome = ?"
    for at, body in db.execute(query, (LAUNCHED, LOGGED_IN, DONE)):
        with contextlib.suppress(ValueError, TypeError):  # what was altered is told where the log is verified
            note(db, at, Entry.from_bytes(body).event)


def cut(db: sqlite3.Connection, most: int = MAX_ROWS) -> None:
    """Not more than so many rows."""
    if db.execute("SELECT count(*) FROM last_use").fetchone()[0] > most:
        db.execute(_CUT, (most,))


# Reading: each call opens the file for itself


def uses_of(path: Path, sessions: Sequence[str]) -> dict[str, Use]:
    """Of those of these sessions (ids) that were ever used."""
    marks = ", ".join("?" * len(sessions))
    # The user is the one of the row with the newest moment: SQLite says so of max().
    columns = "thing, max(last), user, sum(times), count(*)"
    query = f"SELECT {columns} FROM last_use WHERE act = ? AND thing IN ({marks}) GROUP BY thing"  # noqa: S608
    with explained(path), contextlib.closing(open_reader(path)) as db:
        return {row[0]: Use(*row[1:]) for row in db.execute(query, [LAUNCHED, *sessions])}


def logins_of(path: Path, users: Sequence[str]) -> dict[str, Use]:
    """Of those of these users (names) that ever logged in."""
    marks = ", ".join("?" * len(users))
    query = f"SELECT user, last, times FROM last_use WHERE act = ? AND thing = '' AND user IN ({marks})"  # noqa: S608
    with explained(path), contextlib.closing(open_reader(path)) as db:
        rows = db.execute(query, [LOGGED_IN, *users])
        return {user: Use(last, user, times, 1) for user, last, times in rows}


def known_since(path: Path) -> str:
    """Since when uses are known."""
    with explained(path), contextlib.closing(open_reader(path)) as db:
        return str(db.execute("SELECT min(at) FROM last_use_since").fetchone()[0] or "")


def reach(path: Path) -> Sequence[Reach]:
    """How far the logs go that are here."""
    one = "(SELECT at FROM entry WHERE entry.chain = chain.id ORDER BY number {} LIMIT 1)"
    query = f"SELECT server_name, {one.format('')}, {one.format('DESC')} FROM chain ORDER BY id"  # noqa: S608
    with explained(path), contextlib.closing(open_reader(path)) as db:
        return [Reach(*row) for row in db.execute(query) if row[1]]


def count_launches(path: Path, since: str, until: str, *, user: str, by_month: bool, most: int) -> Counted:
    """Of a time (moments as entries have them), by all or by one user. `most` of what was opened most are named."""
    where = "act = ? AND outcome = ? AND at >= ? AND at < ?" + (" AND user = ?" if user else "")
    values = [LAUNCHED, DONE, since, until, *([user] if user else [])]
    span = 7 if by_month else 10
    texts = f"(SELECT CAST(body AS TEXT) AS text, at, user FROM entry WHERE {where})"  # noqa: S608
    sound = "CASE WHEN json_valid(text) THEN text ELSE '{}' END"
    facts, times = f"json_extract({sound}, '$.about.", f"sum({_TIMES.format(sound)})"
    with explained(path), contextlib.closing(open_reader(path)) as db:
        query = f"SELECT substr(at, 1, {span}), {times} FROM {texts} GROUP BY 1 ORDER BY 1"  # noqa: S608
        spans = db.execute(query, values).fetchall()
        query = f"SELECT user, {times} FROM {texts} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {most}"  # noqa: S608
        users = db.execute(query, values).fetchall()
        columns = f"coalesce({facts}session'), ''), {facts}name'), {times}, max(at)"
        query = f"SELECT {columns} FROM {texts} GROUP BY 1 ORDER BY 3 DESC, 1 LIMIT {most}"  # noqa: S608
        sessions = [(id_, name or id_, count) for id_, name, count, _ in db.execute(query, values)]
    return Counted(sum(n for _, n in spans), spans, sessions, users)
