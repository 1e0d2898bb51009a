"""What SQLite reports, in words that an operator can act on."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hostward.domain.errors import HostwardError, RegistryError, Unavailable

_PRIMARY_CODE: Final = 0xFF
_NO_SPACE_BYTES: Final = 1 << 20


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turns what SQLite raises inside the block into the error for the file at `path`; others pass."""
    try:
        yield
    except sqlite3.Error as error:
        raise storage_error(error, path) from error


def is_storage_error(error: BaseException) -> bool:
    """The file or the disk is at fault, rather than what was asked of it."""
    return isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError


def storage_error(error: sqlite3.Error, path: Path) -> HostwardError:
    """The error to raise for what SQLite reported of the file at `path`."""
    # Where the module itself raises, there is no code; the messages are part of SQLite's interface since version 2.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY_CODE
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _disk_is_full(path)):
        return RegistryError(
            f"The disk that holds {path} is full; nothing was changed.",
            remedy="Free some space there and try again.",
            code="disk-full",
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return unwritable(path, str(error))
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return damaged(path, str(error))
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Unavailable(
            f"Another program keeps {path} locked.", remedy="Close it and try again.", code="registry-busy"
        )
    return RegistryError(
        f"{path} can't be read or written: {error}.", remedy="Look at the disk's health and the server's log."
    )


def unwritable(path: Path, reason: str) -> RegistryError:
    return RegistryError(
        f"{path} can't be opened for writing: {reason}.",
        remedy="Give the user that runs this server write access to the file and its directory.",
        code="unwritable",
    )


def damaged(path: Path, reason: str) -> RegistryError:
    """Names the newest backup, which is what helps."""
    files = f"{path.name}, {path.name}-wal and {path.name}-shm"
    newest = newest_backup(path.parent / "backups")
    if newest is not None:
        remedy = f"Move {files} away and copy the newest backup, {newest}, to {path}."
    else:
        remedy = f"Move {files} away: there is no backup in {path.parent / 'backups'}, so this server starts empty, "
        remedy += "and a Slave loads everything from its group."
    return RegistryError(f"{path} is damaged: {reason}.", remedy=remedy, code="registry-damaged")


def newest_backup(directory: Path) -> Path | None:
    """The backup that was written last, or None."""
    try:
        return max(directory.glob("*.db"), key=lambda p: (p.stat().st_mtime, p.name), default=None)
    except OSError:
        return None


def _disk_is_full(path: Path) -> bool:
    try:
        found = os.statvfs(path.parent)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < _NO_SPACE_BYTES
