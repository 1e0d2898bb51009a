"""Change password: one's own, of whoever is logged in."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from hostward.access.throttle import TooManyAttempts
from hostward.commands import accounts
from hostward.domain.errors import HostwardError, Unauthenticated
from hostward.domain.permissions import Permission
from hostward.http.console.visits import Console, Visit, forgery_token, html, panel_routes, wrong_field
from hostward.http.problems import status_of


def own_password_routes(console: Console) -> list[Route]:
    """The page, for every role, and Change."""
    route = panel_routes(console, "/password", reads=Permission.OWN, writes=Permission.OWN)
    return [route("", show, "GET"), route("", change)]


async def show(visit: Visit) -> Response:
    return _page(visit)


async def change(visit: Visit) -> Response:
    try:
        current, new, again = (visit.typed(name) for name in ("current", "new", "again"))
        if new != again:
            raise wrong_field("again", "The new passwords aren't the same.", "Enter the new one twice.")
        await accounts.change_password(visit.services, visit.actor, current, new)
    except TooManyAttempts as error:
        return _page(visit, error)
    except Unauthenticated:
        raise
    except HostwardError as error:
        return _page(visit, error)
    return _page(visit, changed=True)


def _page(visit: Visit, error: HostwardError | None = None, *, changed: bool = False) -> Response:
    shown = visit.console.pages.render(
        "password.html",
        base=visit.console.base,
        user=visit.actor.user,
        csrf=forgery_token(visit.secret),
        error=error,
        changed=changed,
    )
    return html(shown, status_of(error) if error else 200)
