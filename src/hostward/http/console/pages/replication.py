"""Configure Settings > Replication (guide, 5.13.5 to 5.13.7): role, settings, the lists of servers, Apply."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

from pydantic import SecretStr
from starlette.responses import Response
from starlette.routing import Route

from hostward.commands import replication
from hostward.domain.errors import InvalidInput, Mistake, PreconditionFailed
from hostward.domain.replication import DEFAULT_CONTEXT, Check, Role, Target
from hostward.http.console.pages.servers import PANEL, port_of
from hostward.http.console.visits import HEADERS, Console, Visit, panel_routes, wrong_field
from hostward.http.following import following
from hostward.http.replication_inputs import TargetIn, WantedIn, passphrase_of, target_of, wanted_of

SHOWN_JOBS: Final = 8
LISTS: Final = {"master": "Master Server", "slaves": "Slave Server"}


def replication_routes(console: Console) -> list[Route]:
    """The panel itself, its lists, Test Connection, and jobs."""
    route = panel_routes(console, "")
    return [
        route(PANEL, show, "GET"),
        route(PANEL, apply),
        route(f"{PANEL}/state", state, "GET"),
        route(f"{PANEL}/rows/{{list}}", add_row),
        route(f"{PANEL}/test", check_connection),
        route(f"{PANEL}/passphrase", change_passphrase),
        route("/jobs/{job_id}", show_job, "GET"),
    ]


async def show(visit: Visit) -> Response:
    return await visit.page(
        "replication.html",
        roles=list(Role),
        lists=LISTS,
        default_context=DEFAULT_CONTEXT,
        last_job=_last_job(visit),
        jobs=visit.services.replication.jobs()[: -SHOWN_JOBS - 1 : -1],
    )


async def state(visit: Visit) -> Response:
    """The part of the panel that changes by itself."""
    status = await asyncio.to_thread(visit.services.replication.status)
    return visit.part("parts/replication_state.html", status=status, last_job=_last_job(visit))


async def apply(visit: Visit) -> Response:
    """Apply: the "Settings update" confirmation first."""
    status = await asyncio.to_thread(visit.services.replication.status)
    job = await replication.apply(
        visit.services, visit.actor, wanted_of(_wanted(visit, status)), confirmed=visit.confirmed
    )
    return visit.go(f"/jobs/{job['id']}")


async def add_row(visit: Visit) -> Response:
    """Save, in the dialog of + Add: a row for the list, which counts when it is applied."""
    name = visit.request.path_params["list"]
    if name not in LISTS:
        raise InvalidInput("There is no such list.", remedy="Use the page's own buttons.")
    target = target_of(_target(visit, ""), "")
    row = {"host": target.host, "port": target.port, "context": target.context}
    return visit.part("parts/server_row.html", list=name, row=row, added=True)


async def check_connection(visit: Visit) -> Response:
    """Test Connection of one server, as it would be used: each check leaves as soon as it is made."""
    target = target_of(_target(visit, ""), "")
    passphrase = passphrase_of(_passphrase(visit))
    checks = replication.test_connection(visit.services, target, protocol=_protocol(visit), passphrase=passphrase)
    return following(_shown(visit, target, checks), "text/html", HEADERS)


async def _shown(visit: Visit, target: Target, checks: AsyncGenerator[Check]) -> AsyncGenerator[str]:
    """Piece by piece: the beginning, each check, the outcome."""
    render, failed = visit.console.pages.render, None
    yield render("parts/checks.html", part="beginning", target=target)
    async with aclosing(checks):
        async for check in checks:
            failed = failed or (check if check.ok is False else None)
            yield render("parts/checks.html", part="check", check=check)
    yield render("parts/checks.html", part="outcome", failed=failed)


async def change_passphrase(visit: Visit) -> Response:
    """Of the running group, on the Master."""
    passphrase = passphrase_of(_passphrase(visit, needed=True))
    assert passphrase is not None
    change = await replication.change_passphrase(visit.services, visit.actor, passphrase, confirmed=visit.confirmed)
    waiting = ", ".join(change["waiting_for"]) if change else ""
    said = f"Not confirmed yet by {waiting}. The old one works until they have." if waiting else ""
    return visit.part("parts/done.html", title="The passphrase is changed.", said=said)


async def show_job(visit: Visit) -> Response:
    """A job's steps: the page, and its part that is asked for again while the job runs."""
    job = visit.services.replication.job(visit.request.path_params["job_id"])
    if visit.request.query_params.get("part"):
        return visit.part("parts/job.html", job=job)
    return await visit.page("job.html", job=job)


def _last_job(visit: Visit) -> dict[str, Any] | None:
    jobs = visit.services.replication.jobs()
    return jobs[-1] if jobs else None


def _wanted(visit: Visit, status: dict[str, Any]) -> WantedIn:
    """What the panel's form says. Raises InvalidInput."""
    role = visit.text("role")
    if role not in list(Role):
        raise wrong_field("role", "No server role is chosen.", "Choose Standalone, Master or Slave.")
    if role == Role.STANDALONE:
        return WantedIn(role=Role.STANDALONE)
    wanted = WantedIn(
        role=Role(role),
        adapter=visit.text("adapter") or None,
        protocol=_protocol(visit),
        passphrase=_passphrase(visit),
    )
    if role == Role.SLAVE:
        masters = _rows(visit, "master")
        if len(masters) > 1:
            raise wrong_field("master", "There are two Master servers.", "Delete the one that isn't wanted.")
        return wanted.model_copy(update={"master": masters[0] if masters else None})
    return wanted.model_copy(update={"slaves": _slaves(visit, status)})


def _slaves(visit: Visit, status: dict[str, Any]) -> list[TargetIn] | None:
    """The Slave table as it was edited; None where it wasn't, so that nobody else's row is deleted."""
    were, now = set(visit.texts("slaves.were")), _rows(visit, "slaves")
    if were == {_key(s.host, s.port, s.context) for s in now}:
        return None
    if were != {_key(s["host"], s["port"], s["context"]) for s in status["slaves"]}:
        raise PreconditionFailed(
            "The Slave table was changed by somebody else since this page was opened; nothing was changed.",
            remedy="Load the page again, and make your change in what is there now.",
        )
    return now


def _key(host: str, port: int, context: str) -> str:
    return f"{host}:{port}/{context}"


def _rows(visit: Visit, name: str) -> list[TargetIn]:
    fields = [visit.texts(f"{name}.{part}") for part in ("host", "port", "context")]
    return [TargetIn(host=h, port=port_of(p), context=c) for h, p, c in zip(*fields, strict=True)]


def _target(visit: Visit, prefix: str) -> TargetIn:
    return TargetIn(
        host=visit.text(f"{prefix}host"),
        port=port_of(visit.text(f"{prefix}port")),
        context=visit.text(f"{prefix}context") or DEFAULT_CONTEXT,
    )


def _protocol(visit: Visit) -> Any:
    return "https" if visit.text("https") else "http"


def _passphrase(visit: Visit, *, needed: bool = False) -> Any:
    """Typed twice; None where nothing was typed. Raises InvalidInput."""
    typed, again = str(visit.form.get("passphrase", "")), str(visit.form.get("passphrase-again", ""))
    if typed != again:
        problem = "The two passphrases differ."
        raise InvalidInput(problem, mistakes=[Mistake("passphrase-again", problem, "Type the same in both fields.")])
    if needed and not typed:
        raise wrong_field("passphrase", "No passphrase is given.", "Type the new one, in both fields.")
    return SecretStr(typed) if typed else None
