"""Change Requests: what was changed on a Slave and waits for the Master (guide, 5.13.2)."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Route

from hostward.commands import requests
from hostward.commands.replication import confirm
from hostward.commands.writing import Done, Submitted
from hostward.domain import sessions
from hostward.domain.errors import InvalidInput, Mistake
from hostward.domain.panels import REQUESTS
from hostward.domain.requests import MAX_REASON, OPEN, State, Touched, rules_of
from hostward.domain.settings import KIND as SETTING
from hostward.domain.settings import SETTINGS
from hostward.domain.settings import body_of as settings_body
from hostward.http.console.pages.entries import entered_session
from hostward.http.console.pages.outcomes import on_a_slave, told, went, who_has_it
from hostward.http.console.pages.settings import apply_those, settings_of
from hostward.http.console.visits import Console, Visit, panel_routes, wrong_field
from hostward.replication.change_requests.requests import Edited

MAX_SHOWN: Final = 200
MAX_CONSEQUENCES: Final = 20
MAX_EDITED: Final = 20
"""More elements than a page of forms holds: they can be sent again as they are."""
ALL: Final = "all"
DECIDED: Final = tuple(state for state in State if state not in OPEN)


def request_routes(console: Console) -> list[Route]:
    """The list, one request, its acts, the setting."""
    route = panel_routes(console, REQUESTS)
    return [
        route("", show_list, "GET"),
        route("/setting", change_setting),
        route("/{request_id}", show_one, "GET"),
        route("/{request_id}/implement", implement),
        route("/{request_id}/reject", reject),
        route("/{request_id}/withdraw", withdraw),
        route("/{request_id}/edit", show_edit, "GET"),
        route("/{request_id}/edit", edit),
        route("/{request_id}/resubmit", resubmit),
    ]


async def show_list(visit: Visit) -> Response:
    """Those that are open, unless `state` says which, or all."""
    every = await requests.list_requests(visit.services, None)
    wanted = visit.request.query_params.get("state", "")
    state = wanted if wanted in (*State, ALL) else ""
    shown = [one for one in every if state == ALL or (one.request.state == state if state else one.request.open)]
    here: dict[str, Any] = {
        "panel": REQUESTS,
        "state": state,
        "decided": DECIDED,
        "items": shown[:MAX_SHOWN],
        "total": len(shown),
        "open": sum(one.request.open for one in every),
    }
    if visit.request.headers.get("hx-target") == "request-list":
        return visit.part("parts/request_list.html", **here)
    return await visit.page("requests.html", settings=await settings_of(visit, REQUESTS), **here)


async def show_one(visit: Visit) -> Response:
    request_id = visit.request.path_params["request_id"]
    detail = await requests.read_request(visit.services, request_id)
    request = detail.shown.request
    successor = ""
    if request.state is State.REPLACED:
        every = await requests.list_requests(visit.services, None)
        successor = next((one.request.id for one in every if one.request.replaces == request_id), "")
    slave = await asyncio.to_thread(on_a_slave, visit)
    acts = visit.may["everything"]
    own = request.origin == visit.services.identity.server_id
    shown: dict[str, Any] = {
        "panel": REQUESTS,
        "detail": detail,
        "request": request,
        "successor": successor,
        "decides": acts and not slave and request.state is State.WAITING,
        "takes_back": acts and request.state in OPEN and (own or not slave),
        "slave": slave,
        "max_edited": MAX_EDITED,
        "max_reason": MAX_REASON,
    }
    if visit.request.headers.get("hx-target") == "request":
        return visit.part("parts/request.html", **shown)
    return await visit.page("request.html", **shown)


async def implement(visit: Visit) -> Response:
    request_id = visit.request.path_params["request_id"]
    force = visit.text("force") == "yes"
    if force and not visit.confirmed:
        detail = await requests.read_request(visit.services, request_id)
        lost = [f"{c.element}: {c.problem}" for c in detail.conflicts[:MAX_CONSEQUENCES]]
        confirm(False, "Implementing it in spite of what others have changed since", lost)
    done = await requests.implement_request(visit.services, visit.actor, request_id, force=force)
    return went(visit, f"{REQUESTS}/{request_id}", "Implemented.", done.replicated)


async def reject(visit: Visit) -> Response:
    request_id, reason = visit.request.path_params["request_id"], visit.text("reason")
    if not 0 < len(reason) <= MAX_REASON:
        raise wrong_field("reason", "No reason is given.", f"Write 1 to {MAX_REASON} characters for its author.")
    done = await requests.reject_request(visit.services, visit.actor, request_id, reason)
    return went(visit, f"{REQUESTS}/{request_id}", "Rejected.", done.replicated)


async def withdraw(visit: Visit) -> Response:
    request_id = visit.request.path_params["request_id"]
    confirm(visit.confirmed, "Withdrawing the request", ["Nothing of it is changed, and it can't be brought back."])
    done = await requests.withdraw_request(visit.services, visit.actor, request_id)
    return _decided(visit, request_id, done, "Withdrawn.")


async def show_edit(visit: Visit) -> Response:
    detail = await requests.read_request(visit.services, visit.request.path_params["request_id"])
    return await visit.page(
        "request_edit.html",
        panel=REQUESTS,
        request=detail.shown.request,
        elements=[e.touched for e in detail.changes[:MAX_EDITED]],
        declared=sessions.DECLARED,
        settings_declared=SETTINGS,
    )


async def edit(visit: Visit) -> Response:
    """A new request, based on what is there now, takes the place of this one."""
    request_id = visit.request.path_params["request_id"]
    detail = await requests.read_request(visit.services, request_id)
    edited = _edited(visit, [e.touched for e in detail.changes[:MAX_EDITED]])
    new_id, done = await requests.edit_request(visit.services, visit.actor, request_id, edited)
    return _decided(visit, new_id, done, "Submitted anew.")


async def resubmit(visit: Visit) -> Response:
    """The same again, based on what is there now."""
    request_id = visit.request.path_params["request_id"]
    new_id, done = await requests.edit_request(visit.services, visit.actor, request_id, None)
    return _decided(visit, new_id, done, "Submitted anew.")


async def change_setting(visit: Visit) -> Response:
    return await apply_those(visit, REQUESTS)


def _decided(visit: Visit, request_id: str, done: Done | Submitted, said: str) -> Response:
    who = "" if isinstance(done, Submitted) else who_has_it(done.replicated)
    return told(visit.go(f"{REQUESTS}/{request_id}"), f"{said} {who}".strip())


def _edited(visit: Visit, elements: list[Touched]) -> list[Edited]:
    """What the form wants each element to be. Raises InvalidInput with mistakes whose fields are those of the form."""
    edited: list[Edited] = []
    mistakes: list[Mistake] = []
    for number, touched in enumerate(elements):
        prefix = f"e{number}."
        if visit.text(f"{prefix}kept") != "yes":
            continue
        wanted = touched.wanted
        if wanted is not None and touched.kind == sessions.KIND:
            wanted = entered_session(visit.form, prefix)
        elif wanted is not None and f"{prefix}value" in visit.form:
            wanted = {**wanted, "value": visit.text(f"{prefix}value")}
        try:
            if wanted is not None and touched.kind == SETTING and touched.id in SETTINGS:
                wanted = settings_body(SETTINGS[touched.id].check(wanted["value"]))
            elif wanted is not None:
                rules_of(touched.kind).check(wanted)
        except InvalidInput as error:
            mistakes += [Mistake(prefix + m.field, m.problem, m.remedy) for m in error.mistakes]
        edited.append(Edited(touched.kind, touched.id, wanted))
    if mistakes:
        raise InvalidInput("The request has mistakes.", remedy="Mend the marked fields.", mistakes=mistakes)
    if not edited:
        raise InvalidInput("Nothing is left of the request.", remedy="Withdraw it instead.")
    return edited
