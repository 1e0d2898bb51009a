"""What a web agent says in a request's headers."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from hostward.commands import siteminder
from hostward.commands.services import Services
from hostward.domain.errors import Forbidden
from hostward.domain.siteminder import AGENT_HEADER, Claim, Policy, believed
from hostward.http.requests import address_of


@dataclass(frozen=True, slots=True)
class Said:
    """A claim, with the policy that it is to be judged by."""

    policy: Policy
    claim: Claim

    @property
    def believed(self) -> bool:
        try:
            return bool(believed(self.policy, self.claim))
        except Forbidden:
            return False


def said_by_agent(services: Services, request: Request) -> Said | None:
    """None where SiteMinder authentication is off, or the request names nobody."""
    policy = siteminder.policy_now(services)
    users = request.headers.getlist(policy.header) if policy else []
    if policy is None or not users:
        return None
    return Said(policy, Claim(address_of(request), users, request.headers.getlist(AGENT_HEADER)))
