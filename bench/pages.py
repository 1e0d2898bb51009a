"""Pages and reads of one server with a whole inventory, its users and groups (P6, P12), over TLS on loopback: what a
browser or a program waits, of which nearly all is the server's time."""

from __future__ import annotations

import asyncio
import json
import random
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from bench.attempts import Attempts
from bench.inventory import as_csv, session
from bench.samples import Samples, Sizes, percentile
from bench.servers import CONTEXT, HTTPS_PORT, PASSWORD, USER, Server

NUMBER: Final = 23
IMPORT_WITHIN_S: Final = 300.0
ASKED: Final = 200
CLIENTS: Final = 8
SECONDS: Final = 3.0
USERS_PASSWORD: Final = "a password of the bench"

PAGES: Final = {
    "p12_list": "manage/sessions",
    "p12_search": "manage/sessions?q=0042",
    "p12_last": "manage/sessions?page=999999",
    "p12_form": "manage/sessions/{session}",
    "p12_replication": "settings/replication",
    "p12_history": "history",
}
"""Of the Administrative Console."""
USERS_PAGES: Final = {
    "page": "sessions",
    "last": "sessions?page=999999",
    "search": "sessions?q=dublin+0042",
}
GROUPS_REPEAT_AFTER: Final = 1_000
"""Sessions of the inventory."""


async def measure(directory: Path, sizes: Sizes, samples: Samples, attempts: Attempts) -> None:
    server = Server("pages", directory, NUMBER)
    try:
        async with attempts.at("Hostward, P6 and P12"):
            await server.start("ready")
            await server.send(
                "POST", "sessions/import", as_csv(sizes.memory_sessions), "text/csv", within_s=IMPORT_WITHIN_S
            )
            await server.send("POST", "users/import", _users(sizes), "application/json", within_s=IMPORT_WITHIN_S)
            await _measure_console(server, samples)
            await _measure_users_page(server, samples)
            await _measure_many(server, sizes, samples)
            await _measure_reads(server, samples)
    finally:
        await server.stop()


def _users(sizes: Sizes) -> bytes:
    """A tenth as many users as sessions, in a hundredth as many groups: those that the sessions name, and others."""
    groups = _groups(sizes)
    rows = [
        {"login": f"u{n}", "name": f"User {n}", "groups": random.Random(n).sample(groups, 3)}
        for n in range(sizes.memory_sessions // 10)
    ]
    return json.dumps(rows).encode()


def _groups(sizes: Sizes) -> list[str]:
    return [f"Group {n:04}" for n in range(max(sizes.memory_sessions // 100, 10))]


async def _measure_console(server: Server, samples: Samples) -> None:
    one = (await server.call("GET", "sessions?per_page=1&page=7"))["items"][0]["id"]
    async with _logged_in(server, USER, PASSWORD) as browser:
        for name, path in PAGES.items():
            await _time(browser, path.format(session=one), name, samples)


async def _measure_users_page(server: Server, samples: Samples) -> None:
    """The page of one user, who has what three groups have, and a few hundred sessions by assignment."""
    user = (await server.call("GET", "users?q=u42&per_page=1"))["items"][0]
    await server.call("PUT", f"users/{user['id']}/password", {"password": USERS_PASSWORD})
    found = (await server.call("GET", "sessions?per_page=300&page=3"))["items"]
    to = [{"kind": "user-group", "name": user["groups"][0]}]
    await server.call("POST", "assignments", {"to": to, "sessions": [s["id"] for s in found]})
    async with _logged_in(server, user["name"], USERS_PASSWORD) as browser:
        await _time_users(server, browser, "sessions", "p6_users_page", samples)
        await _time_users(
            server, browser, f"sessions/{found[0]['id']}/launch/{_program(found[0])}", "p6_launch", samples
        )


async def _measure_many(server: Server, sizes: Sizes, samples: Samples) -> None:
    """The pages of who has what one group has, and of who has all there is by all groups, of which one belongs to a
    hundred that belong to the others."""
    names = sorted({name for n in range(GROUPS_REPEAT_AFTER) for name in session(n)["groups"]})
    for name in names:
        await server.call("POST", "user-groups", {"name": name})
    below = [*names, *_groups(sizes)]
    parts = [below[n :: sizes.nested_groups] for n in range(sizes.nested_groups)]
    for n, part in enumerate(parts):
        await server.call("POST", "user-groups", {"name": f"Part {n}", "groups": part})
    await server.call("POST", "user-groups", {"name": "All", "groups": [f"Part {n}" for n in range(len(parts))]})
    for user, group in (("p6_team", names[0]), ("p6_all", "All")):
        await server.call("POST", "users", {"name": user, "groups": [group], "password": USERS_PASSWORD})
        async with _logged_in(server, user, USERS_PASSWORD) as browser:
            for name, path in USERS_PAGES.items():
                await _time_users(server, browser, path, f"{user}_{name}", samples)


async def _measure_reads(server: Server, samples: Samples) -> None:
    """Requests a second by several clients, beside what the same server gives for a constant answer."""
    constant = await _rate(server, "health/live")
    samples.add(p6_constant_per_s=constant)
    for name, path in (("p6_list", "sessions?per_page=50&page=20"), ("p6_search", "sessions?per_page=50&q=0042")):
        rate = await _rate(server, path)
        samples.add(**{f"{name}_per_s": rate, f"{name}_percent": 100 * rate / constant})


async def _rate(server: Server, path: str) -> float:
    until = time.monotonic() + SECONDS
    headers = {"Authorization": f"Bearer {server.place.token}"}
    base = f"https://{server.address}:{HTTPS_PORT}/{CONTEXT}/api/v1/"

    async def one() -> int:
        count = 0
        async with httpx.AsyncClient(base_url=base, headers=headers, verify=_tls(), trust_env=False) as client:
            while time.monotonic() < until:
                (await client.get(path)).raise_for_status()
                count += 1
        return count

    return sum(await asyncio.gather(*(one() for _ in range(CLIENTS)))) / SECONDS


async def _time_users(server: Server, browser: httpx.AsyncClient, path: str, name: str, samples: Samples) -> None:
    """Also what the server's own processor time is, to which the client's, and other work here, add nothing."""
    before_s = server.processor_s
    await _time(browser, path, name, samples)
    samples.add(**{f"{name}_processor_ms": (server.processor_s - before_s) * 1e3 / ASKED})


async def _time(browser: httpx.AsyncClient, path: str, name: str, samples: Samples) -> None:
    took: list[float] = []
    for _ in range(ASKED):
        start = time.monotonic()
        answer = await browser.get(path)
        took.append((time.monotonic() - start) * 1e3)
        assert answer.status_code == 200, (path, answer.status_code)
    samples.add(**{f"{name}_p50_ms": percentile(took, 50), f"{name}_p99_ms": percentile(took, 99)})


@asynccontextmanager
async def _logged_in(server: Server, user: str, password: str) -> AsyncIterator[httpx.AsyncClient]:
    """As a browser is."""
    origin = f"https://{server.address}:{HTTPS_PORT}"
    async with httpx.AsyncClient(base_url=f"{origin}/{CONTEXT}/", verify=_tls(), trust_env=False) as browser:
        answer = await browser.post("login", data={"user": user, "password": password}, headers={"Origin": origin})
        assert answer.status_code == 303, answer.status_code
        yield browser


def _program(session: dict[str, Any]) -> str:
    return {"IBM 3270": "x3270", "IBM 5250": "tn5250", "SSH": "openssh"}.get(session["type"], "putty")


def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
