"""Backups of the replicated configuration, as files in <data_dir>/backups: make, list, restore.

Restoring is a new change that every server follows, never a lower revision. Who belongs to the group isn't part of it:
an old backup must not bring a removed server back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from hostward.commands.auditing import recorded
from hostward.commands.services import Actor, Services
from hostward.commands.writing import commit_act
from hostward.domain.changes import Operation
from hostward.domain.errors import ConfirmationRequired, NotFound
from hostward.domain.replicated import Replicated
from hostward.domain.sessions import KIND
from hostward.domain.suggestions import did_you_mean, shown
from hostward.registry.backups import (
    BEFORE_FOLLOWING,
    BEFORE_JOINING,
    BEFORE_RESTORING,
    DIRECTORY,
    MADE_BY_HAND,
    MAX_KEPT,
    SUFFIX,
    keep_backup,
)
from hostward.registry.content import SnapshotContent, content_of_backup, elements_in, operations_to_become
from hostward.registry.group import Reader

RESTORED_KINDS: Final = (KIND,)
_REASONS: Final = {
    MADE_BY_HAND: "made by an administrator",
    BEFORE_RESTORING: "kept before a backup was restored",
    BEFORE_JOINING: "this server's own configuration, kept before it became a Slave",
    BEFORE_FOLLOWING: "kept before another server's content took its place",
}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup file. `created` is aware UTC."""

    name: str
    created: datetime
    size_bytes: int
    reason: str


@dataclass(frozen=True, slots=True)
class Restored:
    """A restore's outcome; what was there before is kept as the backup `kept`."""

    name: str
    kept: str
    revision: int
    replicated: Replicated


def list_backups(services: Services) -> list[Backup]:
    """Newest first. Reads the directory: call it in a thread."""
    found = []
    for path in _directory(services).glob(f"*{SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):  # one that is deleted just now
            if path.is_file() and not path.is_symlink():
                found.append(_described(path))
    return sorted(found, key=lambda b: (b.created, b.name), reverse=True)


async def create_backup(services: Services, actor: Actor) -> Backup:
    """A complete, checked copy of the replicated configuration as it is now. Raises RegistryError."""
    async with recorded(services, actor, "backup-made") as act:
        path = await _make(services, MADE_BY_HAND)
        act.about["name"] = path.name
    return await asyncio.to_thread(_described, path)


async def restore_backup(services: Services, actor: Actor, name: str, *, confirm: bool) -> Restored:
    """Bring the configuration back to the backup's, as one change, after keeping what is there now. What was altered
    outside Hostward is brought back too, of every kind, where the backup holds what was committed.

    Raises NotFound, RegistryError where the backup is damaged, ConfirmationRequired with the consequences, Conflict on
    a Slave."""
    async with recorded(services, actor, "backup-restored", backup=name) as act:
        services.replication.check_writable()
        path = await asyncio.to_thread(_find, services, name)
        content = await asyncio.to_thread(content_of_backup, path)
        if not confirm:
            raise ConfirmationRequired(
                f"Restoring {name} replaces all sessions.",
                remedy="Send the request again with “confirm”: true.",
                consequences=await asyncio.to_thread(_consequences, services, content),
            )
        kept = await _make(services, BEFORE_RESTORING)
        # What was altered outside Hostward still counts as what was committed: no change would touch it.
        mended = await services.group.mend(content)
        if mended:
            log.warning("content-mended", author=actor.user, name=name, elements=mended)

        def decide(reader: Reader) -> Sequence[Operation]:
            return operations_to_become(reader, content, RESTORED_KINDS)

        done = await commit_act(services, actor, act, decide, all_servers=True)
    return Restored(name, kept.name, done.committed.revision, done.replicated)


def _consequences(services: Services, content: SnapshotContent) -> list[str]:
    there = sum(row[0] in RESTORED_KINDS for row in elements_in(content))
    with services.group.read() as reader:
        now = sum(reader.count(kind) for kind in RESTORED_KINDS)
    return [
        f"The {now:,} sessions that there are become the {there:,} of the backup, on every server of the group.",
        "What is there now is kept as a backup first.",
    ]


async def _make(services: Services, kind: str) -> Path:
    return await keep_backup(services.group, services.data_dir, kind, services.clock())


def _find(services: Services, name: str) -> Path:
    """Compared with the names that there are, so that no path leads elsewhere."""
    names = [b.name for b in list_backups(services)]
    if name in names:
        return _directory(services) / name
    hint = did_you_mean(name, names[:MAX_KEPT])
    raise NotFound(f"There is no backup {shown(name)}.", remedy=f"{hint}GET backups lists those that there are.")


def _described(path: Path) -> Backup:
    status = path.stat()
    kind = max((k for k in _REASONS if path.name.startswith(f"{k}-")), key=len, default="")
    created = datetime.fromtimestamp(status.st_mtime, UTC)
    return Backup(path.name, created, status.st_size, _REASONS.get(kind, "put there by hand"))


def _directory(services: Services) -> Path:
    return services.data_dir / DIRECTORY
