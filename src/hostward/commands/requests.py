"""Change requests: list, show, implement, reject, withdraw, edit and resubmit (guide, 5.13.2: a change on a Slave isn't
applied until it is implemented on the Master)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence

from hostward.commands.auditing import recorded
from hostward.commands.services import Actor, Services
from hostward.commands.writing import Done, Submitted, finish
from hostward.domain.errors import Conflict
from hostward.domain.requests import State
from hostward.replication.change_requests.requests import Detail, Edited, Shown


async def list_requests(services: Services, state: State | None) -> list[Shown]:
    """Newest first."""
    return await asyncio.to_thread(services.requests.all, state)


async def read_request(services: Services, request_id: str) -> Detail:
    """Raises NotFound."""
    return await asyncio.to_thread(services.requests.detail, request_id)


async def implement_request(services: Services, actor: Actor, request_id: str, *, force: bool) -> Done:
    """As one change. Raises NotFound, Conflict (also on a Slave), RequestConflicts unless `force` overrides them."""
    how = {"force": "yes"} if force else {}
    async with recorded(services, actor, "change-request-implemented", change_request=request_id, **how) as act:
        _check_master(services, request_id, "implemented")
        return await finish(services, act, await services.requests.implement(request_id, actor.user, force=force))


async def reject_request(services: Services, actor: Actor, request_id: str, reason: str) -> Done:
    """Raises NotFound, Conflict (also on a Slave)."""
    async with recorded(services, actor, "change-request-rejected", change_request=request_id) as act:
        _check_master(services, request_id, "rejected")
        return await finish(services, act, await services.requests.reject(request_id, actor.user, reason))


async def withdraw_request(services: Services, actor: Actor, request_id: str) -> Done | Submitted:
    """Where it was made, or on the Master. Raises NotFound, Conflict."""
    async with recorded(services, actor, "change-request-withdrawn", change_request=request_id) as act:
        found = services.requests.get(request_id)
        group = services.replication.submits_to()
        if group is None and found.request.state is not State.ON_ITS_WAY:
            services.replication.check_writable()
            return await finish(services, act, await services.requests.withdraw(request_id, actor.user))
        request = await services.requests.take_back(request_id, actor.user, group)
        act.submitted = request_id
        return Submitted(request)


async def edit_request(
    services: Services, actor: Actor, request_id: str, edited: Sequence[Edited] | None
) -> tuple[str, Done | Submitted]:
    """A new request in the place of this one, based on what is there now, with these elements (None: as they were); its
    id. Raises NotFound, Conflict, InvalidInput."""
    new_id = uuid.uuid4().hex
    async with recorded(services, actor, "change-request-edited", change_request=request_id, replaced_by=new_id) as act:
        services.requests.get(request_id)
        group = services.replication.submits_to()
        if group is None:
            services.replication.check_writable()
            committed = await services.requests.deposit_edited(request_id, new_id, actor.user, edited)
            return new_id, await finish(services, act, committed)
        request = await services.requests.submit_edited(request_id, new_id, actor.user, edited, group)
        act.submitted = new_id
        return new_id, Submitted(request)


def _check_master(services: Services, request_id: str, what: str) -> None:
    """Raises NotFound; Conflict on a Slave, with where to do it."""
    services.requests.get(request_id)
    try:
        services.replication.check_writable()
    except Conflict as error:
        raise Conflict(
            f"Change requests are {what} on the Master; this server is a Slave.", remedy=error.remedy, code=error.code
        ) from error
