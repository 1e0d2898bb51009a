"""Replication's Details: the group's servers, Remove, who is the Master; join codes; what the doctor finds."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Route

from hostward.commands import replication
from hostward.domain.join_code import JoinCode
from hostward.domain.panels import REPLICATION
from hostward.http.api.group import shown_invite
from hostward.http.console.visits import Console, Visit, panel_routes, wrong_field
from hostward.trust.passphrase import Passphrase

PANEL: Final = REPLICATION


def server_routes(console: Console) -> list[Route]:
    """Details and its acts, join codes, the doctor."""
    route = panel_routes(console, PANEL)
    return [
        route("/details", details, "GET"),
        route("/nodes/{host_id}/remove", remove),
        route("/switch-over", switch_over),
        route("/promote", promote),
        route("/follow", follow),
        route("/rebuild", rebuild),
        route("/findings", findings, "GET"),
        route("/join-codes", list_invites, "GET"),
        route("/join-codes", invite),
        route("/join-codes/{invite_id}/withdraw", withdraw_invite),
        route("/join", join),
    ]


def port_of(typed: str) -> int:
    """Raises InvalidInput."""
    if not (typed.isascii() and typed.isdigit() and len(typed) <= 5):
        raise wrong_field("port", "That is no port.", "Write a number from 1 to 65535, such as 443.")
    return int(typed)


async def details(visit: Visit) -> Response:
    return visit.part(
        "parts/details.html", nodes=await visit.services.replication.nodes(), status=visit.services.replication.status()
    )


async def remove(visit: Visit) -> Response:
    host_id = visit.request.path_params["host_id"]
    job = await replication.remove_node(visit.services, visit.actor, host_id, confirmed=visit.confirmed)
    return visit.go(f"/jobs/{job['id']}")


async def switch_over(visit: Visit) -> Response:
    job = await replication.switch_over(visit.services, visit.actor, visit.text("to"), confirmed=visit.confirmed)
    return visit.go(f"/jobs/{job['id']}")


async def promote(visit: Visit) -> Response:
    insist = visit.text("insist") == "yes"
    job = await replication.promote(visit.services, visit.actor, insist=insist, confirmed=visit.confirmed)
    return visit.go(f"/jobs/{job['id']}")


async def follow(visit: Visit) -> Response:
    job = await replication.follow(visit.services, visit.actor, visit.text("server"), confirmed=visit.confirmed)
    return visit.go(f"/jobs/{job['id']}")


async def rebuild(visit: Visit) -> Response:
    job = await replication.rebuild_database(visit.services, visit.actor, confirmed=visit.confirmed)
    return visit.go(f"/jobs/{job['id']}")


async def findings(visit: Visit) -> Response:
    found = await visit.services.replication.examine()
    return visit.part("parts/findings.html", findings=[(f, act_path(f.act)) for f in found])


def act_path(act: Any) -> str:
    """Where the console does what a finding's button would do; empty where it can't."""
    if act is None:
        return ""
    method, path = act.method, act.path
    if method == "DELETE" and path.startswith("replication/nodes/"):
        return f"{PANEL}/nodes/{path.rpartition('/')[2]}/remove"
    return {"replication/database/rebuild": f"{PANEL}/rebuild", "replication/follow": f"{PANEL}/follow"}.get(path, "")


async def list_invites(visit: Visit) -> Response:
    items = [shown_invite(i) for i in visit.services.welcoming.invites()]
    return visit.part("parts/join_codes.html", invites=items, made=None)


async def invite(visit: Visit) -> Response:
    minutes = visit.text("minutes")
    if not minutes.isdigit():
        raise wrong_field("minutes", "That is no number of minutes.", "Write a number from 1 to 30.")
    made, code = await replication.invite(visit.services, visit.actor, int(minutes))
    items = [shown_invite(i) for i in visit.services.welcoming.invites()]
    return visit.part("parts/join_codes.html", invites=items, made=code.text(), made_id=made.id)


async def withdraw_invite(visit: Visit) -> Response:
    await replication.revoke_invite(visit.services, visit.actor, visit.request.path_params["invite_id"])
    return await list_invites(visit)


async def join(visit: Visit) -> Response:
    code = JoinCode.parse(visit.text("code"))
    typed = str(visit.form.get("passphrase", ""))
    job = await replication.join(
        visit.services,
        visit.actor,
        code,
        adapter=visit.text("adapter") or None,
        passphrase=Passphrase(typed) if typed else None,
        confirmed=visit.confirmed,
    )
    return visit.go(f"/jobs/{job['id']}")
