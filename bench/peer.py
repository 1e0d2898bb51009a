"""A round of raw Cassandra on the same work."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Final

from bench.apart import apart
from bench.attempts import Attempts
from bench.load import rows_for, rows_one_at_a_time, rows_there, sessions_as_rows, so_many_rows
from bench.nodes import Nodes
from bench.ours import LOAD_WITHIN_S, ONE_CHANGE_WITHIN_S
from bench.samples import Samples, Sizes, percentile
from hostward.database.install import Runtime

NUMBERS: Final = (12, 13, 14)
INVENTORY_WITHIN_S = 400.0
SETTLE_S = 3.0


async def measure(
    directory: Path, runtime: Runtime, sizes: Sizes, wanted: frozenset[str], samples: Samples, attempts: Attempts
) -> None:
    """Add a value for each measure of `wanted` that raw Cassandra has."""
    numbers = NUMBERS[:1] if wanted == {"P7"} else NUMBERS
    nodes = Nodes.in_directory(directory, runtime, numbers)
    try:
        async with attempts.at("raw Cassandra, forming the ring"):
            await nodes.form()
            samples.add(jvm_start_s=nodes.first_start_s, p7_ready_ms=nodes.first_start_s * 1e3)
            for seconds in nodes.joins_s:
                samples.add(join_s=seconds)
            if "P7" in wanted:
                await asyncio.sleep(SETTLE_S)
                samples.add(p7_idle_mb=nodes.all[0].rss_mb)
            if "P1" in wanted:
                async with attempts.at("raw Cassandra, P1"):
                    await _p1(nodes, sizes, samples)
            if "P3" in wanted:
                async with attempts.at("raw Cassandra, P3"):
                    await _p3(nodes, sizes, samples)
            if "P9" in wanted:
                async with attempts.at("raw Cassandra, P9"):
                    await _p9(nodes, sizes, samples)
            if "P4" in wanted:
                async with attempts.at("raw Cassandra, P4"):
                    await _p4(nodes, sizes, samples)
    finally:
        await nodes.stop()


async def _p1(nodes: Nodes, sizes: Sizes, samples: Samples) -> None:
    within_s = LOAD_WITHIN_S + 2 * sizes.p1_changes * ONE_CHANGE_WITHIN_S
    found = await apart(rows_one_at_a_time, nodes.settings, sizes.p1_changes, "single", within_s=within_s)
    samples.add(
        p1_ack_p50_ms=percentile(found.acknowledged_ms, 50),
        p1_ack_p99_ms=percentile(found.acknowledged_ms, 99),
        p1_seen_p50_ms=percentile(found.seen_ms, 50),
        p1_seen_p99_ms=percentile(found.seen_ms, 99),
    )


async def _p3(nodes: Nodes, sizes: Sizes, samples: Samples) -> None:
    within_s = LOAD_WITHIN_S + sizes.p3_seconds
    found = await apart(rows_for, nodes.settings[0], sizes.clients, sizes.p3_seconds, "many", within_s=within_s)
    samples.add(p3_per_s=found.acknowledged / found.seconds)


async def _p4(nodes: Nodes, sizes: Sizes, samples: Samples) -> None:
    count = sizes.p4_sessions
    found = await apart(
        sessions_as_rows, nodes.settings, sizes.clients, count, "inventory", within_s=INVENTORY_WITHIN_S
    )
    samples.add(p4_per_s=count / found.seconds)


async def _p9(nodes: Nodes, sizes: Sizes, samples: Samples) -> None:
    away, count = nodes.all[-1], sizes.p9_changes
    await away.process.stop()
    try:
        await apart(so_many_rows, nodes.settings[0], sizes.clients, count, "missed", within_s=3 * LOAD_WITHIN_S)
    finally:
        # The reader waits for the port, so that its own start isn't counted.
        watching = asyncio.create_task(apart(rows_there, [away.settings], count, "missed", within_s=LOAD_WITHIN_S))
        try:
            await away.start()
        except BaseException:
            watching.cancel()
            raise
    ready = time.monotonic()
    samples.add(p9_s=max(0.0, await watching - ready))
