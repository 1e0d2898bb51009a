"""Whole copies of the replicated file, in <data_dir>/backups: named by why and when they were made, the newest kept."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from hostward.registry.group import GroupRegistry

DIRECTORY: Final = "backups"
SUFFIX: Final = ".db"
MAX_KEPT: Final = 50
"""Of each kind that this server makes. A file that was put there by hand is never deleted."""

MADE_BY_HAND: Final = "backup"
BEFORE_RESTORING: Final = "before-restoring"
BEFORE_JOINING: Final = "before-joining"
BEFORE_FOLLOWING: Final = "before-following"


async def keep_backup(group: GroupRegistry, data_dir: Path, kind: str, at: datetime) -> Path:
    """A complete, checked copy of the registry as it is now; the oldest of its kind give way. Raises RegistryError."""
    directory = data_dir / DIRECTORY
    path = directory / f"{kind}-{at.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}{SUFFIX}"
    await group.backup(path)
    await asyncio.to_thread(_delete_oldest, directory, kind)
    return path


def _delete_oldest(directory: Path, kind: str) -> None:
    # Names of one kind sort by their time.
    for path in sorted(directory.glob(f"{kind}-*{SUFFIX}"))[:-MAX_KEPT]:
        path.unlink(missing_ok=True)
