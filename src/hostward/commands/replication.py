"""Replication: Apply and the acts that ask for the "Settings update" confirmation (guide, 5.13.5 to 5.13.7).

Each act that is given `confirmed=False` changes nothing, and raises ConfirmationRequired with what Yes would do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final

from hostward.commands.auditing import Act, recorded
from hostward.commands.services import Actor, Services
from hostward.domain.errors import ConfirmationRequired
from hostward.domain.join_code import JoinCode
from hostward.domain.replication import Check, Target
from hostward.replication.group.invites import Invite
from hostward.replication.wanted import Wanted
from hostward.trust.passphrase import Passphrase

_REMEDY: Final = "Look at the consequences, then send the request again with “confirm”: true."
_REMOVAL: Final = (
    "It no longer receives changes; it keeps its data, stops its database, and says that it was removed.",
    "It comes back only after it has been added to the Slave table again. Where it is joining for the first"
    " time, that is ended; it stays in the Slave table, and tries anew when it is restarted, or at the next Apply.",
    "Its database's data is taken over by the other servers.",
    "It still knows the configuration, the passphrase, and the hashes of the users' passwords. If it may be in the"
    " wrong hands, change the passphrase (hostward replication change-passphrase) and those passwords, above all those"
    " of users with a role, and delete its certificate from the Trusted Certificates where it was imported by hand.",
)
_REBUILDING: Final = (
    "The files of this server's database node are removed; on a Slave the node joins the ring again.",
    "On a Master the whole ring is made anew from its registry, and the Slaves join it one by one.",
    "Nothing is lost: everything in the database is a copy of the servers' registries.",
)


def confirm(confirmed: bool, question: str, consequences: Sequence[str], plan: str = "") -> None:
    """Raises ConfirmationRequired unless it is confirmed. `plan` names what would be done."""
    if not confirmed:
        raise ConfirmationRequired(f"{question}: are you sure?", remedy=_REMEDY, consequences=consequences, plan=plan)


async def apply(services: Services, actor: Actor, wanted: Wanted, *, confirmed: bool) -> dict[str, Any]:
    """Store the wanted role and settings; the job that brings them about. Raises InvalidInput, Conflict."""
    settings = _shown(wanted)
    async with recorded(services, actor, "replication-applied", **settings) as act:
        if not confirmed:
            confirm(False, "Settings update", await asyncio.to_thread(services.replication.consequences, wanted))
        return _job(services, act, await services.replication.apply(wanted, actor.user))


async def test_connection(
    services: Services, target: Target, *, protocol: str | None, passphrase: Passphrase | None
) -> AsyncGenerator[Check]:
    """Test Connection: each check as soon as it is made, in their order, at the end those that weren't come to. Closing
    it ends the test."""
    told: asyncio.Queue[Check | None] = asyncio.Queue()
    test = services.replication.test_connection(target, protocol=protocol, passphrase=passphrase, tell=told.put_nowait)
    testing = asyncio.ensure_future(test)
    testing.add_done_callback(lambda _: told.put_nowait(None))
    made = 0
    try:
        while (check := await told.get()) is not None:
            made += 1
            yield check
        for check in (await testing)[made:]:
            yield check
    finally:
        testing.cancel()


async def change_passphrase(
    services: Services, actor: Actor, new: Passphrase, *, confirmed: bool
) -> dict[str, Any] | None:
    """Of the running group; who hasn't confirmed it yet, or None. Raises Conflict, Unavailable."""
    async with recorded(services, actor, "passphrase-changed"):
        if not confirmed:
            consequences = await asyncio.to_thread(services.replication.passphrase_consequences)
            confirm(False, "Changing the passphrase of the group", consequences)
        return await services.replication.change_passphrase(new, actor.user)


async def remove_node(services: Services, actor: Actor, host_id: str, *, confirmed: bool) -> dict[str, Any]:
    """Details > Remove; the job. Raises NotFound, Conflict."""
    async with recorded(services, actor, "server-removed", host_id=host_id) as act:
        confirm(confirmed, f"Removing {services.replication.name_of(host_id)} from the group", _REMOVAL)
        return _job(services, act, await services.replication.remove_node(host_id, actor.user))


async def switch_over(services: Services, actor: Actor, to: str, *, confirmed: bool) -> dict[str, Any]:
    """Hand over to that Slave; the job. Raises NotFound, Conflict, Unavailable."""
    async with recorded(services, actor, "switched-over", to=to) as act:
        return _job(services, act, await services.replication.switch_over(to, actor.user, confirmed=confirmed))


async def promote(services: Services, actor: Actor, *, insist: bool, confirmed: bool) -> dict[str, Any]:
    """Make this Slave the Master, the Master being dead; the job. Raises Conflict."""
    how = {"insist": "yes"} if insist else {}
    async with recorded(services, actor, "promoted", **how) as act:
        return _job(services, act, await services.replication.promote(actor.user, insist=insist, confirmed=confirmed))


async def follow(services: Services, actor: Actor, server: str, *, confirmed: bool) -> dict[str, Any]:
    """Follow the server that says it is the Master now; the job. Raises NotFound, Conflict."""
    async with recorded(services, actor, "followed", followed=server) as act:
        return _job(services, act, await services.replication.follow(server, actor.user, confirmed=confirmed))


async def rebuild_database(services: Services, actor: Actor, *, confirmed: bool) -> dict[str, Any]:
    """Make this server's database node anew; the job. Raises Conflict."""
    async with recorded(services, actor, "database-rebuilt") as act:
        confirm(confirmed, "Making the database node anew", _REBUILDING)
        return _job(services, act, services.replication.rebuild_database(actor.user))


async def join(
    services: Services,
    actor: Actor,
    code: JoinCode,
    *,
    adapter: str | None,
    passphrase: Passphrase | None,
    confirmed: bool,
) -> dict[str, Any]:
    """Become a Slave by a join code; the job. Raises PeerError, InvalidInput, Conflict."""
    async with recorded(services, actor, "joined", master=_address(code.master)) as act:
        if not confirmed:
            confirm(False, "Joining a group", services.joining.consequences(code))
        job_id = await services.joining.join(code, actor.user, adapter=adapter, passphrase=passphrase)
        return _job(services, act, job_id)


async def invite(services: Services, actor: Actor, minutes: int) -> tuple[Invite, JoinCode]:
    """A new join code, shown this once. Raises InvalidInput, Conflict."""
    async with recorded(services, actor, "join-code-made", minutes=minutes) as act:
        made, code = services.welcoming.invite(actor.user, minutes)
        act.about["invite"] = made.id
    return made, code


async def revoke_invite(services: Services, actor: Actor, invite_id: str) -> None:
    """The code no longer works. Raises NotFound."""
    async with recorded(services, actor, "join-code-revoked", invite=invite_id):
        services.welcoming.revoke(actor.user, invite_id)


def _job(services: Services, act: Act, job_id: str) -> dict[str, Any]:
    act.about["job"] = job_id
    return services.replication.job(job_id)


def _shown(wanted: Wanted) -> dict[str, str]:
    """What is applied, without the passphrase."""
    shown = {"role": wanted.role.value, "adapter": wanted.adapter or "", "protocol": wanted.protocol or ""}
    if wanted.master is not None:
        shown["master"] = _address(wanted.master)
    if wanted.slaves is not None:
        shown["slaves"] = ", ".join(_address(s) for s in wanted.slaves)
    if wanted.passphrase is not None:
        shown["passphrase"] = "given"  # noqa: S105
    return shown


def _address(target: Target) -> str:
    return f"{target.host}:{target.port}/{target.context}"
