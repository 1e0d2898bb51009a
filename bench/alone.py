"""A server by itself, as it is after installation: how soon it serves, and how much memory it takes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from bench.attempts import Attempts
from bench.inventory import as_csv
from bench.samples import Samples, Sizes
from bench.servers import Server

NUMBER: Final = 22
SETTLE_S = 3.0
IMPORT_WITHIN_S = 300.0


async def measure(directory: Path, sizes: Sizes, samples: Samples, attempts: Attempts) -> None:
    """P7: the first start (which makes keys and registries), the next one, idle, and with its sessions."""
    server = Server("alone", directory, NUMBER)
    try:
        async with attempts.at("Hostward, P7"):
            samples.add(p7_first_ready_ms=await server.start("ready") * 1e3)
            await server.stop()
            samples.add(p7_ready_ms=await server.start("ready") * 1e3)
            await asyncio.sleep(SETTLE_S)
            samples.add(p7_idle_mb=server.rss_mb)
            content = as_csv(sizes.memory_sessions)
            await server.send("POST", "sessions/import", content, "text/csv", within_s=IMPORT_WITHIN_S)
            await asyncio.sleep(SETTLE_S)
            samples.add(p7_imported_mb=server.rss_mb)
            await server.stop()
            samples.add(p7_full_ready_ms=await server.start("ready") * 1e3)
            await server.call("GET", "sessions?per_page=50&page=3")
            await asyncio.sleep(SETTLE_S)
            samples.add(p7_full_mb=server.rss_mb)
    finally:
        await server.stop()
