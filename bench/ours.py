"""A round of this product: three servers become a group, are measured, and are gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.apart import apart
from bench.attempts import Attempts
from bench.inventory import as_csv
from bench.load import changes_for, changes_one_at_a_time, so_many_changes
from bench.samples import Samples, Sizes, percentile
from bench.servers import Server, exchange_certificates, until_equal

NUMBERS: Final = (2, 3, 4)
ONE_CHANGE_WITHIN_S = 0.25
LOAD_WITHIN_S = 120.0
EQUAL_WITHIN_S = 120.0
IMPORT_WITHIN_S = 300.0


async def measure(directory: Path, sizes: Sizes, wanted: frozenset[str], samples: Samples, attempts: Attempts) -> None:
    """Add a value for each measure of `wanted` (P1, P3, P4, P8, P9). What can't be measured is noted as a failure."""
    servers = [Server(f"server{n}", directory, n) for n in NUMBERS]
    try:
        async with attempts.at("Hostward, forming the group"):
            await _form(servers, samples)
            if "P1" in wanted:
                async with attempts.at("Hostward, P1"):
                    await _p1(servers, sizes, samples)
            if "P3" in wanted:
                async with attempts.at("Hostward, P3"):
                    await _p3(servers, sizes, samples)
            if "P9" in wanted:
                async with attempts.at("Hostward, P9"):
                    await _p9(servers, sizes, samples)
            if "P4" in wanted:
                async with attempts.at("Hostward, P4"):
                    await _p4(servers, sizes, samples)
            if "P8" in wanted:
                async with attempts.at("Hostward, P8"):
                    samples.add(p8_standalone_s=await servers[-1].become("standalone"))
    finally:
        await asyncio.gather(*(server.stop() for server in servers))


async def _form(servers: Sequence[Server], samples: Samples) -> None:
    master, *slaves = servers
    for server in servers:
        await server.start()
    await exchange_certificates(servers)
    samples.add(p8_master_s=await master.become("master", adapter=master.address, protocol="https"))
    await master.become("master", slaves=[slave.target for slave in slaves])
    for slave in slaves:  # one after the other, as nodes join in any case
        wanted: dict[str, Any] = {"adapter": slave.address, "protocol": "https", "master": master.target}
        samples.add(join_s=await slave.become("slave", **wanted))
    await until_equal(servers, within_s=EQUAL_WITHIN_S)
    for server in servers:
        await server.log_in()


async def _p1(servers: Sequence[Server], sizes: Sizes, samples: Samples) -> None:
    places = [server.place for server in servers]
    within_s = LOAD_WITHIN_S + sizes.p1_changes * ONE_CHANGE_WITHIN_S
    found = await apart(changes_one_at_a_time, places[0], places[1:], sizes.p1_changes, "Single", within_s=within_s)
    samples.add(
        p1_ack_p50_ms=percentile(found.acknowledged_ms, 50),
        p1_ack_p99_ms=percentile(found.acknowledged_ms, 99),
        p1_seen_p50_ms=percentile(found.seen_ms, 50),
        p1_seen_p99_ms=percentile(found.seen_ms, 99),
        p1_confirmed_percent=100.0 * found.confirmed / sizes.p1_changes,
    )


async def _p3(servers: Sequence[Server], sizes: Sizes, samples: Samples) -> None:
    within_s = LOAD_WITHIN_S + sizes.p3_seconds
    found = await apart(changes_for, servers[0].place, sizes.clients, sizes.p3_seconds, "Many", within_s=within_s)
    start = time.monotonic()
    await until_equal(servers, within_s=EQUAL_WITHIN_S)
    samples.add(
        p3_per_s=found.confirmed / found.seconds,
        p3_confirmed_percent=100.0 * found.confirmed / found.acknowledged,
        p3_equal_s=time.monotonic() - start,
    )


async def _p4(servers: Sequence[Server], sizes: Sizes, samples: Samples) -> None:
    content = as_csv(sizes.p4_sessions)
    start = time.monotonic()
    await servers[0].send("POST", "sessions/import", content, "text/csv", within_s=IMPORT_WITHIN_S)
    answered = time.monotonic()
    await until_equal(servers, within_s=EQUAL_WITHIN_S)
    samples.add(p4_per_s=sizes.p4_sessions / (time.monotonic() - start), p4_answer_s=answered - start)


async def _p9(servers: Sequence[Server], sizes: Sizes, samples: Samples) -> None:
    master, away = servers[0], servers[-1]
    await away.stop()
    try:
        await apart(
            so_many_changes, master.place, sizes.clients, sizes.p9_changes, "Missed", within_s=3 * LOAD_WITHIN_S
        )
    finally:
        await away.start("live")
    start = time.monotonic()
    await until_equal([master, away], within_s=EQUAL_WITHIN_S)
    samples.add(p9_s=time.monotonic() - start)
    await away.until_up("slave")
