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


def check_no_other_site(request: Request) -> None:
    """Return unless a page of another site has caused the request: each would be one more login, which pushes out
    others. Programs send neither header. Raises Forbidden."""
    site, origin = request.headers.get("sec-fetch-site", "none"), request.headers.get("origin")
    own = f"{request.base_url.scheme}://{request.base_url.netloc}"
    if site not in ("none", "same-origin") or origin not in (None, own):
        raise Forbidden(
            "This was sent by another site's page; nobody was logged in.", remedy="Open Hostward.", code="cross-site"
        )


def said_by_agent(services: Services, request: Request) -> Said | None:
    """None where SiteMinder authentication is off, or the request names nobody."""
    policy = siteminder.policy_now(services)
    users = request.headers.getlist(policy.header) if policy else []
    if policy is None or not users:
        return None
    return Said(policy, Claim(address_of(request), users, request.headers.getlist(AGENT_HEADER)))
