"""Logging in by a web agent, which names the user in a header (domain.siteminder)."""

from __future__ import annotations

from typing import Final

from hostward.access.tokens import LOGIN
from hostward.commands.accounts import Issued, let_in
from hostward.commands.auditing import UNKNOWN, recorded
from hostward.commands.services import Actor, Services
from hostward.domain.errors import Forbidden, Unauthenticated
from hostward.domain.people import MAX_USER_NAME
from hostward.domain.settings import (
    SITEMINDER_AGENTS,
    SITEMINDER_HEADER,
    SITEMINDER_ON,
    WEB_AGENT_NAME,
    own_value,
    replicated_value,
)
from hostward.domain.siteminder import Claim, Policy, believed

BY: Final = "siteminder"


def policy_now(services: Services) -> Policy | None:
    """What is believed now; None where it is off. Quick."""
    with services.group.read() as reader:
        if replicated_value(reader, SITEMINDER_ON) != "on":
            return None
        header, agents = replicated_value(reader, SITEMINDER_HEADER), replicated_value(reader, SITEMINDER_AGENTS)
    assert isinstance(agents, list), "it is declared as a list"
    return Policy(str(header), agents, str(own_value(services.server, WEB_AGENT_NAME)))


async def log_in(services: Services, policy: Policy, claim: Claim, kind: str = LOGIN) -> Issued:
    """The user whom a web agent names. Raises Forbidden where it isn't believed, Unauthenticated where that is no user,
    or a disabled one."""
    claimed = claim.users[0] if len(claim.users) == 1 else ""
    user = services.users.named(claimed)
    about = {} if user else {"named": claimed[:MAX_USER_NAME]}
    actor = Actor(user.name if user else UNKNOWN, "", claim.address)
    async with recorded(services, actor, "logged-in", kind=kind, by=BY, **about) as act:
        believed(policy, claim)
        await services.replication.check_users_let_in()
        user = services.users.named(claimed)
        if user is None:
            raise Unauthenticated(
                "The web agent names somebody who is no user of this group.",
                remedy="An administrator adds that user, under the name that SiteMinder has.",
                code="no-such-user",
            )
        issued = let_in(services, user, kind)
        act.about["token"] = issued.token.id
    return issued


def names_another(policy: Policy, claim: Claim, actor: Actor) -> bool:
    """Whether the web agent says that somebody else sits there now than the user whose login this is. An account of
    this server is known to no web agent."""
    try:
        return bool(actor.account) and believed(policy, claim).casefold() != actor.user.casefold()
    except Forbidden:
        return False
