"""Replication: role and settings, Details, Test Connection, jobs (guide, 5.13.3 to 5.13.7)."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import Query
from pydantic import Field, SecretStr
from starlette.responses import Response

from hostward.domain.errors import ConfirmationRequired, InvalidInput, Mistake
from hostward.domain.replication import DEFAULT_CONTEXT, Role, Target
from hostward.http.api import shapes
from hostward.http.api.shapes import answers
from hostward.http.requests import Json, Strict, Who, With, administrators_router
from hostward.replication.wanted import Wanted
from hostward.trust.passphrase import Passphrase

router = administrators_router("Replication")

MAX_SLAVES = 15
_CONFIRM = "Look at the consequences, then send the request again with “confirm”: true."


class TargetIn(Strict):
    host: str = Field(max_length=300)
    """The fully qualified host name or address."""
    port: int = Field(default=443, strict=True)
    context: str = Field(default=DEFAULT_CONTEXT, max_length=300)
    """The servlet context."""


class WantedIn(Strict):
    """Settings that aren't given stay as they are."""

    role: Role
    adapter: str | None = Field(default=None, max_length=300)
    """The Database Network Adapter: its address or name."""
    protocol: Literal["https", "http"] | None = None
    """Global protocol."""
    passphrase: SecretStr | None = None
    master: TargetIn | None = None
    slaves: list[TargetIn] | None = Field(default=None, max_length=MAX_SLAVES)
    """The whole list."""
    confirm: bool = Field(default=False, strict=True)
    """The "Settings update" confirmation."""


class TestIn(TargetIn):
    protocol: Literal["https", "http"] | None = None
    passphrase: SecretStr | None = None


class PassphraseIn(Strict):
    passphrase: SecretStr
    confirm: bool = Field(default=False, strict=True)


class ConfirmIn(Strict):
    confirm: bool = Field(default=False, strict=True)


class ConfirmQuery(Strict):
    confirm: bool = False


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
    wanted = Wanted(
        role=given.role,
        adapter=given.adapter,
        protocol=given.protocol,
        passphrase=_passphrase(given.passphrase),
        master=_target(given.master, "master") if given.master else None,
        slaves=_slaves(given.slaves) if given.slaves is not None else None,
    )
    if not given.confirm:
        consequences = await asyncio.to_thread(services.replication.consequences, wanted)
        raise ConfirmationRequired("Settings update: are you sure?", remedy=_CONFIRM, consequences=consequences)
    job_id = await services.replication.apply(wanted, who.user)
    return Json({"job": services.replication.job(job_id)}, 202)


@router.post(
    "/replication/test-connection",
    summary="Test Connection",
    responses=answers(shapes.Tested, "Each check, in their order"),
)
async def check_connection(given: TestIn, who: Who, services: With) -> Response:
    """Tries a server as it would be used, with each check by itself; nothing is changed here or there."""
    target, passphrase = _target(given, ""), _passphrase(given.passphrase)
    checks = await services.replication.test_connection(target, protocol=given.protocol, passphrase=passphrase)
    return Json({"ok": all(c.ok is not False for c in checks), "checks": [asdict(c) for c in checks]})


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
    if not given.confirm:
        consequences = await asyncio.to_thread(services.replication.passphrase_consequences)
        raise ConfirmationRequired(
            "Changing the passphrase of the group: are you sure?", remedy=_CONFIRM, consequences=consequences
        )
    return Json({"passphrase_change": await services.replication.change_passphrase(passphrase, who.user)}, 202)


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
    if not query.confirm and not (given and given.confirm):
        raise ConfirmationRequired(
            "Removing a server from the group: are you sure?",
            remedy=_CONFIRM,
            consequences=[
                "It no longer receives changes; it keeps its data, stops its database, and says that it was removed.",
                "It comes back only after it has been added to the Slave table again. Where it is joining for the first"
                " time, that is ended; it stays in the Slave table, and tries anew when it is restarted.",
                "Its database's data is taken over by the other servers.",
                "It still knows the configuration and the passphrase. If it may be in the wrong hands, change"
                " the passphrase (hostward replication change-passphrase), delete its certificate from the Trusted"
                " Certificates where it was imported by hand, and change what the configuration names as secret.",
            ],
        )
    job_id = await services.replication.remove_node(host_id, who.user)
    return Json({"job": services.replication.job(job_id)}, 202)


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
    job_id = await services.replication.switch_over(given.to, who.user, confirmed=given.confirm)
    return Json({"job": services.replication.job(job_id)}, 202)


@router.post(
    "/replication/promote",
    summary="Forced promotion: this Slave becomes the Master",
    status_code=202,
    responses=answers(shapes.JobStarted, "The job to follow", 202),
)
async def promote(given: PromoteIn, who: Who, services: With) -> Response:
    """On a Slave, where the Master is dead. Refused while this server, or one that it reaches, reaches the Master."""
    job_id = await services.replication.promote(who.user, insist=given.insist, confirmed=given.confirm)
    return Json({"job": services.replication.job(job_id)}, 202)


@router.post(
    "/replication/follow",
    summary="Follow a server that was promoted by force",
    status_code=202,
    responses=answers(shapes.JobStarted, "The job to follow", 202),
)
async def follow(given: FollowIn, who: Who, services: With) -> Response:
    """The claim is in the status, as `claim`."""
    job_id = await services.replication.follow(given.server, who.user, confirmed=given.confirm)
    return Json({"job": services.replication.job(job_id)}, 202)


@router.get("/jobs", summary="List jobs", responses=answers(shapes.Jobs, "The newest 50, oldest first"))
async def list_jobs(who: Who, services: With) -> Response:
    return Json({"items": services.replication.jobs()})


@router.get("/jobs/{job_id}", summary="Read a job", responses=answers(shapes.Job, "The job, with its steps"))
async def read_job(job_id: str, who: Who, services: With) -> Response:
    return Json(services.replication.job(job_id))


def _target(given: TargetIn, place: str) -> Target:
    """Raises InvalidInput, its mistakes named as the caller knows them."""
    try:
        return Target(given.host, given.port, given.context)
    except InvalidInput as error:
        prefix = f"{place}." if place else ""
        mistakes = [Mistake(f"{prefix}{m.field}", m.problem, m.remedy) for m in error.mistakes]
        raise InvalidInput(error.message, remedy=error.remedy, code=error.code, mistakes=mistakes) from error


def _slaves(given: list[TargetIn]) -> tuple[Target, ...]:
    return tuple(_target(one, f"slaves.{number}") for number, one in enumerate(given))


def _passphrase(given: SecretStr | None) -> Passphrase | None:
    """Raises InvalidInput."""
    return Passphrase(given.get_secret_value()) if given is not None else None
