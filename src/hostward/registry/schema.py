"""The tables of the registry files and of the audit log, and how a file is opened."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hostward.domain.errors import RegistryError

SCHEMA_VERSION = 1
MAX_WRITTEN_ANEW_BYTES = 64 << 20
"""Under a second, when a server starts."""

GROUP_TABLES = """
CREATE TABLE element (
  kind TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL, hash BLOB NOT NULL, revision INTEGER NOT NULL,
  PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE TABLE change (
  revision INTEGER PRIMARY KEY, header BLOB NOT NULL, ops BLOB NOT NULL, signature BLOB NOT NULL, hash BLOB NOT NULL
);
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE answered (key TEXT PRIMARY KEY, revision INTEGER NOT NULL, changed INTEGER NOT NULL, at REAL NOT NULL)
  WITHOUT ROWID;
"""

LATER_GROUP_TABLES = """
DROP TABLE IF EXISTS session_row;
DROP TABLE IF EXISTS session_group;
DROP TABLE IF EXISTS user_row;
DROP TABLE IF EXISTS assignment_row;
CREATE TABLE IF NOT EXISTS session_entry (id TEXT PRIMARY KEY, name TEXT NOT NULL, name_key TEXT NOT NULL UNIQUE,
  type TEXT NOT NULL, host TEXT NOT NULL, revision INTEGER NOT NULL, groups_key TEXT NOT NULL, text TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS session_groups ON session_entry (groups_key, name_key)
  WHERE groups_key <> '';
CREATE TABLE IF NOT EXISTS session_in (id TEXT NOT NULL, group_key TEXT NOT NULL, groups_key TEXT NOT NULL,
  PRIMARY KEY (id, group_key)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS session_in_group ON session_in (group_key);
CREATE TABLE IF NOT EXISTS session_way (group_key TEXT NOT NULL, groups_key TEXT NOT NULL, elements INTEGER NOT NULL,
  PRIMARY KEY (group_key, groups_key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS user_entry (id TEXT PRIMARY KEY, name TEXT NOT NULL, name_key TEXT NOT NULL UNIQUE,
  full_name_key TEXT NOT NULL, role TEXT NOT NULL, disabled INTEGER NOT NULL, directory_key TEXT NOT NULL,
  text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS user_place (id TEXT PRIMARY KEY, directory_key TEXT NOT NULL, dn_key TEXT NOT NULL)
  WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS has_password (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS group_row (id TEXT PRIMARY KEY, name TEXT NOT NULL, name_key TEXT NOT NULL UNIQUE,
  text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS member_of (id TEXT NOT NULL, group_id TEXT NOT NULL,
  PRIMARY KEY (id, group_id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS member_of_group ON member_of (group_id, id);
CREATE TABLE IF NOT EXISTS nested_in (id TEXT NOT NULL, group_id TEXT NOT NULL,
  PRIMARY KEY (id, group_id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS nested_in_group ON nested_in (group_id, id);
CREATE TABLE IF NOT EXISTS assignment_entry (id TEXT PRIMARY KEY, to_kind TEXT NOT NULL, to_id TEXT NOT NULL,
  of_kind TEXT NOT NULL, of_id TEXT NOT NULL, effect TEXT NOT NULL, until TEXT NOT NULL, revision INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS assignment_entry_to ON assignment_entry (to_kind, to_id, of_kind, of_id, effect, until);
CREATE INDEX IF NOT EXISTS assignment_entry_of ON assignment_entry (of_kind, of_id);
CREATE INDEX IF NOT EXISTS assignment_entry_revision ON assignment_entry (revision, id);
CREATE TABLE IF NOT EXISTS package_row (id TEXT PRIMARY KEY, name TEXT NOT NULL, name_key TEXT NOT NULL UNIQUE,
  text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS epoch (number INTEGER NOT NULL, server TEXT NOT NULL, record BLOB NOT NULL,
  PRIMARY KEY (number, server)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS past (revision INTEGER PRIMARY KEY, author TEXT NOT NULL, time TEXT NOT NULL,
  counts TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS reverse (revision INTEGER NOT NULL, part INTEGER NOT NULL, operations BLOB NOT NULL,
  PRIMARY KEY (revision, part)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS touched (kind TEXT NOT NULL, id TEXT NOT NULL, revision INTEGER NOT NULL,
  part INTEGER NOT NULL,
  PRIMARY KEY (kind, id, revision)) WITHOUT ROWID;
"""
"""Made whenever the file is opened: one that an earlier build wrote lacks them. A key without rowid names its columns
in their own order: SQLite 3.40's quick_check takes any other for damage."""

SERVER_TABLES = """
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""

AUDIT_TABLES = """
CREATE TABLE chain (
  id INTEGER PRIMARY KEY, server TEXT NOT NULL, server_name TEXT NOT NULL, chain TEXT NOT NULL, after INTEGER NOT NULL,
  after_hash BLOB NOT NULL, trouble TEXT NOT NULL, seal BLOB NOT NULL
);
CREATE INDEX chain_server ON chain (server, id);
CREATE TABLE entry (
  place INTEGER PRIMARY KEY, chain INTEGER NOT NULL REFERENCES chain, number INTEGER NOT NULL, at TEXT NOT NULL,
  user TEXT NOT NULL, act TEXT NOT NULL, outcome TEXT NOT NULL, body BLOB NOT NULL, hash BLOB NOT NULL,
  UNIQUE (chain, number)
);
CREATE INDEX entry_at ON entry (at, place);
"""


def open_writer(path: Path, tables: str, later_tables: str = "", *, shrinks: bool = False) -> sqlite3.Connection:
    """The connection that writes: made with its tables when the file is missing, checked when it is there. One that
    `shrinks` can give free pages back, by incremental_vacuum. Raises RegistryError: "registry-damaged",
    "registry-newer", "unwritable", "disk-full"."""
    with explained(path):
        if not path.exists():
            _make(path, tables, shrinks)
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA cache_size=-16384")
        db.execute("PRAGMA journal_size_limit=67108864")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            db.close()
            raise damaged(path, "it is empty, or isn't a registry")
        if version != SCHEMA_VERSION:
            db.close()
            raise RegistryError(
                f"{path.name} was written by another version (schema {version}; this one reads {SCHEMA_VERSION}).",
                remedy="Start the version that wrote it, or restore a backup made by this one.",
                code="registry-newer",
            )
        check_integrity(db, path)
        db.executescript(later_tables)
        if shrinks:
            _let_shrink(db)
    return db


def _let_shrink(db: sqlite3.Connection) -> None:
    """A file that an earlier build made is written anew once, where that is soon done and there is space for it."""
    pages, free, bytes_each, mode = (
        int(db.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size", "auto_vacuum")
    )
    if mode == 0 and (pages - free) * bytes_each <= MAX_WRITTEN_ANEW_BYTES:
        with suppress(sqlite3.OperationalError):  # no space for it: it is left as it was
            db.executescript("PRAGMA auto_vacuum=INCREMENTAL; VACUUM; PRAGMA wal_checkpoint(TRUNCATE);")


def _make(path: Path, tables: str, shrinks: bool) -> None:
    """The file appears under its name complete or not at all: one that was cut to nothing is never taken for new."""
    if path.with_name(path.name + "-wal").exists():
        # SQLite would write that log's pages into the new file.
        raise damaged(path, f"it is missing, though {path.name}-wal is there")
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    db = sqlite3.connect(new, isolation_level=None)
    try:
        if shrinks:
            db.execute("PRAGMA auto_vacuum=INCREMENTAL")
        db.executescript(f"BEGIN;{tables}PRAGMA user_version={SCHEMA_VERSION};COMMIT;")
    finally:
        db.close()
    new.rename(path)


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that can't write."""
    with explained(path):
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA query_only=ON")
        db.execute("PRAGMA cache_size=-8192")
    return db


def check_integrity(db: sqlite3.Connection, path: Path) -> None:
    """Raises RegistryError "registry-damaged" where SQLite's own check fails."""
    found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise damaged(path, found)


def damaged(path: Path, why: str) -> RegistryError:
    """Names the newest backup, where there is one."""
    backups = sorted((path.parent / "backups").glob("*.db"), key=lambda p: p.stat().st_mtime)
    remedy = (
        f"Move it away and start again: a Slave loads everything from its Master. Or restore the newest backup, "
        f"backups/{backups[-1].name}: copy it over {path.name}."
        if backups
        else "Move it away and start again: a Slave loads everything from its Master. There is no backup here."
    )
    return RegistryError(f"The registry file {path} is damaged: {why}.", remedy=remedy, code="registry-damaged")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns SQLite's and the system's errors into RegistryErrors."""
    try:
        yield
    except (sqlite3.DatabaseError, OSError) as error:
        raise explain(path, error) from error


def explain(path: Path, error: Exception) -> RegistryError:
    """What a failure of SQLite or the file system means."""
    text = str(error)
    if "full" in text or "No space left" in text or "disk I/O error" in text:
        return RegistryError(
            f"{path} can't be written: the disk is full ({text}). Nothing was changed.",
            remedy="Free some space; nothing needs to be restarted.",
            code="disk-full",
        )
    if "malformed" in text or "not a database" in text or "corrupt" in text:
        return damaged(path, text)
    if isinstance(error, sqlite3.OperationalError) and "locked" in text:
        return RegistryError(
            f"{path} is locked by another program.", remedy="Close what has it open, and try again.", code="locked"
        )
    return RegistryError(
        f"{path} can't be used: {text}.", remedy="Give this server's user access to it.", code="unwritable"
    )
