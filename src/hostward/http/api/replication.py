"""Replication: role and settings, Details, Test Connection, jobs (guide, 5.13.3 to 5.13.7)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict
from typing import Annotated, Any

import orjson
from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from hostward.commands import replication as commands
from hostward.domain.replication import Check
from hostward.http.api import replication_shapes as shapes
from hostward.http.api.shapes import answers
from hostward.http.following import following
from hostward.http.replication_inputs import PassphraseIn, TestIn, WantedIn, passphrase_of, target_of, wanted_of
from hostward.http.requests import ConfirmIn, Json, Strict, Who, With, administrators_router
from hostward.trust.passphrase import Passphrase

router = administrators_router("Replication")


class ConfirmQuery(Strict):
    confirm: bool = False


class TestQuery(Strict):
    follow: bool = False
    """Say each check as soon as it is made, instead of all at the end."""


@router.get(
    "/replication",
    summary="Role, Database Status and settings of this server",
    responses=answers(shapes.Status, "As of now"),
)
async def status(who: Who, services: With) -> Response:
    return Json(await asyncio.to_thread(services.replication.status))


@router.put(
    "/replication",
    summary="Apply: change role and settings",
    status_code=202,
    responses=answers(shapes.JobStarted, "The job to follow", 202),
)
async def apply(given: WantedIn, who: Who, services: With) -> Response:
    """Without `confirm`, nothing changes: 409 with what Yes would do."""
    return Json({"job": await commands.apply(services, who, wanted_of(given), confirmed=given.confirm)}, 202)


@router.post(
    "/replication/test-connection",
    summary="Test Connection",
    responses=answers(shapes.Tested, "Each check, in their order"),
)
async def check_connection(given: TestIn, query: Annotated[TestQuery, Query()], who: Who, services: With) -> Response:
    """Tries a server as it would be used, with each check by itself; nothing is changed here or there. With `follow`
    the answer is application/x-ndjson: a line for each check as soon as it is made, and the whole answer as the last.
    Who closes the connection ends the test."""
    target, passphrase = target_of(given, ""), passphrase_of(given.passphrase)
    checks = commands.test_connection(services, target, protocol=given.protocol, passphrase=passphrase)
    if query.follow:
        return following(_lines(checks), "application/x-ndjson")
    return Json(_tested([check async for check in checks]))


async def _lines(checks: AsyncGenerator[Check]) -> AsyncGenerator[bytes]:
    made = []
    async with aclosing(checks):
        async for check in checks:
            made.append(check)
            yield orjson.dumps(asdict(check)) + b"\n"
    yield orjson.dumps(_tested(made)) + b"\n"


def _tested(checks: list[Check]) -> dict[str, Any]:
    return {"ok": all(c.ok is not False for c in checks), "checks": [asdict(c) for c in checks]}


@router.post(
    "/replication/passphrase",
    summary="Change the passphrase of the running group",
    status_code=202,
    responses=answers(shapes.PassphraseChanged, "Who hasn't confirmed it yet", 202),
)
async def change_passphrase(given: PassphraseIn, who: Who, services: With) -> Response:
    """On the Master. The servers are handed the new one by themselves, also those that are away now, when they answer
    again; until all have confirmed it the old one works too."""
    passphrase = Passphrase(given.passphrase.get_secret_value())
    change = await commands.change_passphrase(services, who, passphrase, confirmed=given.confirm)
    return Json({"passphrase_change": change}, 202)


@router.get(
    "/replication/nodes", summary="Details: every server of the group", responses=answers(list[shapes.Node], "One each")
)
async def list_nodes(who: Who, services: With) -> Response:
    return Json(await services.replication.nodes())


@router.delete(
    "/replication/nodes/{host_id}",
    summary="Details: remove a server from the group",
    status_code=202,
    responses=answers(shapes.JobStarted, "The job to follow", 202),
)
async def remove_node(
    host_id: str, query: Annotated[ConfirmQuery, Query()], who: Who, services: With, given: ConfirmIn | None = None
) -> Response:
    """`confirm` is taken from the query too, because some clients send no body with DELETE."""
    confirmed = query.confirm or (given is not None and given.confirm)
    return Json({"job": await commands.remove_node(services, who, host_id, confirmed=confirmed)}, 202)


class SwitchOverIn(ConfirmIn):
    to: str = Field(min_length=1, max_length=300)
    """The Slave that becomes the Master: its server id, Host Id or name."""


class PromoteIn(ConfirmIn):
    insist: bool = Field(default=False, strict=True)
    """Also where the Master can still be reached."""


class FollowIn(ConfirmIn):
    server: str = Field(min_length=1, max_length=300)
    """The server that says it is the Master now: its server id, Host Id or name."""


@router.post(
    "/replication/switch-over",
    summary="Planned switch-over: another server becomes the Master",
    status_code=202,
    responses=answers(shapes.JobStarted, "The job to follow", 202),
)
async def switch_over(given: SwitchOverIn, who: Who, services: With) -> Response:
    """On the Master. Once this is answered the hand-over is signed, and can't be undone but by another one."""
    return Json({"job": await commands.switch_over(services, who, given.to, confirmed=given.confirm)}, 202)


@router.post(
    "/replication/promote",
    summary="Forced promotion: this Slave becomes the Master",
    status_code=202,
    responses=answers(shapes.JobStarted, "The job to follow", 202),
)
async def promote(given: PromoteIn, who: Who, services: With) -> Response:
    """On a Slave, where the Master is dead. Refused while this server, or one that it reaches, reaches the Master."""
    job = await commands.promote(services, who, insist=given.insist, confirmed=given.confirm)
    return Json({"job": job}, 202)


@router.post(
    "/replication/follow",
    summary="Follow a server that was promoted by force",
    status_code=202,
    responses=answers(shapes.JobStarted, "The job to follow", 202),
)
async def follow(given: FollowIn, who: Who, services: With) -> Response:
    """The claim is in the status, as `claim`."""
    return Json({"job": await commands.follow(services, who, given.server, confirmed=given.confirm)}, 202)


@router.get("/jobs", summary="List jobs", responses=answers(shapes.Jobs, "The newest 50, oldest first"))
async def list_jobs(who: Who, services: With) -> Response:
    return Json({"items": services.replication.jobs()})


@router.get("/jobs/{job_id}", summary="Read a job", responses=answers(shapes.Job, "The job, with its steps"))
async def read_job(job_id: str, who: Who, services: With) -> Response:
    return Json(services.replication.job(job_id))
