"""The logs in this server's data directory: read, follow, download."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

from hostward.commands.services import Services
from hostward.domain.errors import InvalidInput, Mistake
from hostward.domain.log_lines import LEVELS, Wanted
from hostward.domain.suggestions import did_you_mean, listed, shown
from hostward.logs import reading
from hostward.logs.reading import Log, Page, log_of, logs_there

MAX_PAGE: Final = 500


async def read_log(
    services: Services, log: str, *, level: str, text: str, before: str = "", after: str = "", count: int
) -> Page:
    """The newest entries; those before a place, or the first that came after one. Raises NotFound, InvalidInput,
    Unavailable."""
    found, wanted = log_of(log), wanted_of(level, text)
    if before and after:
        problem, remedy = "Both before and after are given.", "Give the one or the other."
        raise InvalidInput(problem, remedy=remedy, mistakes=[Mistake("after", problem, remedy)])
    if after:
        return await asyncio.to_thread(
            lambda: reading.later(services.data_dir, found, wanted, after=after, count=count)
        )
    return await asyncio.to_thread(lambda: reading.newest(services.data_dir, found, wanted, before=before, count=count))


def wanted_of(level: str, text: str) -> Wanted:
    """Raises InvalidInput."""
    if level and level not in LEVELS:
        problem, remedy = f"{shown(level)} is no level.", f"{did_you_mean(level, LEVELS)}Use {listed(LEVELS)}."
        raise InvalidInput(problem, remedy=remedy, mistakes=[Mistake("level", problem, remedy)])
    return Wanted.of(level, text)


def known_logs(services: Services) -> list[Log]:
    """Those that there are."""
    return logs_there(services.data_dir)


async def download_log(services: Services, log: str) -> tuple[str, Iterator[bytes]]:
    """Its name, and all of it, the oldest entries first; use the pieces in a thread. Raises NotFound, Unavailable."""
    found = log_of(log)
    return found.file, await asyncio.to_thread(reading.whole, services.data_dir, found)
