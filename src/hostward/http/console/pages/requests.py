"""Change Requests (guide, 5.13.2): what was changed on a Slave, until it is implemented on the Master."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Route

from hostward.commands import requests
from hostward.commands.replication import confirm
from hostward.domain.requests import MAX_REASON, State
from hostward.http.api.change_requests import detailed, shown
from hostward.http.console.visits import Console, Visit, for_administrators, wrong_field

PANEL: Final = "/change-requests"
MAX_SHOWN: Final = 200


def request_routes(console: Console) -> list[Route]:
    """The list, a request with its differences, Implement, Reject, Withdraw."""

    def route(path: str, handler: Any, method: str = "POST") -> Route:
        return Route(f"{console.base}{PANEL}{path}", for_administrators(console, handler), methods=[method])

    return [
        route("", list_all, "GET"),
        route("/{request_id}", show, "GET"),
        route("/{request_id}/implement", implement),
        route("/{request_id}/reject", reject),
        route("/{request_id}/withdraw", withdraw),
    ]


async def list_all(visit: Visit) -> Response:
    wanted = visit.request.query_params.get("state", "")
    state = State(wanted) if wanted in list(State) else None
    found = await requests.list_requests(visit.services, state)
    items = [shown(one) for one in found[:MAX_SHOWN]]
    return await visit.page("requests.html", items=items, total=len(found), state=state, states=list(State))


async def show(visit: Visit) -> Response:
    found = await requests.read_request(visit.services, visit.request.path_params["request_id"])
    return await visit.page("request.html", found=detailed(found), max_reason=MAX_REASON)


async def implement(visit: Visit) -> Response:
    request_id, force = visit.request.path_params["request_id"], visit.text("force") == "yes"
    if force:
        consequences = ["What others have changed in the same places since is overwritten, on every server."]
        confirm(visit.confirmed, "Implementing over what others have changed", consequences)
    await requests.implement_request(visit.services, visit.actor, request_id, force=force)
    return visit.go(f"{PANEL}/{request_id}")


async def reject(visit: Visit) -> Response:
    reason = visit.text("reason")
    if not 0 < len(reason) <= MAX_REASON:
        raise wrong_field("reason", "No reason is given.", "Tell whoever made the request why it is rejected.")
    request_id = visit.request.path_params["request_id"]
    await requests.reject_request(visit.services, visit.actor, request_id, reason)
    return visit.go(f"{PANEL}/{request_id}")


async def withdraw(visit: Visit) -> Response:
    request_id = visit.request.path_params["request_id"]
    confirm(visit.confirmed, "Withdrawing the request", ["It isn't implemented; the change is lost."])
    await requests.withdraw_request(visit.services, visit.actor, request_id)
    return visit.go(f"{PANEL}/{request_id}")
