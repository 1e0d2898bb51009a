"""Joining a group with one command: join codes on the Master, and their use on a new server (guide, 5.13.2)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import Field, SecretStr
from starlette.responses import Response

from hostward.commands import replication
from hostward.domain.join_code import MAX_CHARACTERS, JoinCode
from hostward.http.api import replication_shapes, shapes
from hostward.http.api.logins import moment
from hostward.http.api.shapes import answers
from hostward.http.requests import Json, Strict, Who, With, administrators_router
from hostward.replication.group.invites import MAX_MINUTES
from hostward.trust.passphrase import Passphrase

router = administrators_router("Group", "/group")


class InviteIn(Strict):
    minutes: int = Field(default=MAX_MINUTES, strict=True, ge=1, le=MAX_MINUTES)
    """How long the code is valid."""


class JoinIn(Strict):
    code: SecretStr = Field(max_length=MAX_CHARACTERS)
    """The join code; blanks, line breaks and hyphens don't matter."""
    adapter: str | None = Field(default=None, max_length=300)
    """The Database Network Adapter: its address or name."""
    passphrase: SecretStr | None = None
    """The group's, where it isn't the default one."""
    confirm: bool = Field(default=False, strict=True)
    """The "Settings update" confirmation."""


@router.post(
    "/invite",
    summary="Make a join code",
    status_code=201,
    responses=answers(shapes.InviteMade, "The code, shown this once", 201),
)
async def invite(who: Who, services: With, given: InviteIn | None = None) -> Response:
    """On the Master. It lets one new server become a Slave, once, for at most 30 minutes."""
    made, code = await replication.invite(services, who, (given or InviteIn()).minutes)
    return Json({"id": made.id, "code": code.text(), "role": made.role, "expires_at": _at(made.expires_s)}, 201)


@router.get("/invites", summary="List join codes", responses=answers(shapes.Invites, "Without the codes themselves"))
async def list_invites(who: Who, services: With) -> Response:
    return Json({"items": [shown_invite(i) for i in services.welcoming.invites()]})


@router.delete("/invites/{invite_id}", summary="Revoke a join code", status_code=204, response_class=Response)
async def revoke_invite(invite_id: str, who: Who, services: With) -> Response:
    await replication.revoke_invite(services, who, invite_id)
    return Response(status_code=204)


@router.post(
    "/join",
    summary="Join a group with a join code",
    status_code=202,
    responses=answers(replication_shapes.JobStarted, "The job to follow", 202),
)
async def join(given: JoinIn, who: Who, services: With) -> Response:
    """On a Standalone server: certificates both ways, Test Connection, and Apply as Slave. Without `confirm`, nothing
    changes and nothing is sent: 409 with what Yes would do. It can be sent again after a failure at any point."""
    code = JoinCode.parse(given.code.get_secret_value())
    passphrase = Passphrase(given.passphrase.get_secret_value()) if given.passphrase is not None else None
    job = await replication.join(
        services, who, code, adapter=given.adapter, passphrase=passphrase, confirmed=given.confirm
    )
    return Json({"job": job}, 202)


def shown_invite(invite: dict[str, Any]) -> dict[str, Any]:
    """A join code as it is listed, without its secret."""
    kept = {key: invite[key] for key in ("id", "role", "author", "state", "used_by")}
    return kept | {"created_at": _at(invite["created_s"]), "expires_at": _at(invite["expires_s"])}


def _at(time_s: float) -> str:
    return moment(datetime.fromtimestamp(time_s, UTC))
