"""All pages of a server."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from hostward.commands.services import Services
from hostward.domain.people import Role
from hostward.domain.permissions import Permission, check_allowed
from hostward.http.console.events import Broadcaster, stream
from hostward.http.console.logins import login_routes
from hostward.http.console.pages.access import access_routes
from hostward.http.console.pages.audit import audit_routes
from hostward.http.console.pages.certificates import certificate_routes
from hostward.http.console.pages.credentials import credential_routes
from hostward.http.console.pages.directories import directory_routes
from hostward.http.console.pages.history import history_routes
from hostward.http.console.pages.inventories import inventory_routes
from hostward.http.console.pages.locks import PANEL as FIRST_PANEL
from hostward.http.console.pages.locks import lock_routes, locks_shown
from hostward.http.console.pages.logging import logging_routes
from hostward.http.console.pages.my_sessions import PAGE as MY_SESSIONS
from hostward.http.console.pages.my_sessions import my_session_routes
from hostward.http.console.pages.names import name_routes
from hostward.http.console.pages.own_certificate import own_certificate_routes
from hostward.http.console.pages.own_password import own_password_routes
from hostward.http.console.pages.packages import package_routes
from hostward.http.console.pages.people import people_routes
from hostward.http.console.pages.people_files import people_file_routes
from hostward.http.console.pages.people_lists import people_list_routes
from hostward.http.console.pages.replication import replication_routes
from hostward.http.console.pages.reports import report_routes
from hostward.http.console.pages.requests import request_routes
from hostward.http.console.pages.search import search_routes
from hostward.http.console.pages.servers import server_routes
from hostward.http.console.pages.sessions import session_routes
from hostward.http.console.pages.settings import setting_routes
from hostward.http.console.pages.siteminder import siteminder_routes
from hostward.http.console.rendering import Pages
from hostward.http.console.visits import HEADERS, Console, Visit, authenticated, for_administrators


def console_routes(services: Services) -> list[BaseRoute]:
    """Everything below /<context>/ that is for people."""
    base = f"/{services.configuration.server.context}"
    broadcaster = Broadcaster(services.replication.status, lambda login: locks_shown(services, login))
    console = Console(services, Pages(base), broadcaster)

    async def home(visit: Visit) -> Response:
        """Administrators manage; who has no role uses."""
        path = MY_SESSIONS if visit.actor.role is Role.NONE else FIRST_PANEL
        return RedirectResponse(f"{base}{path}", 303, HEADERS)

    async def events(request: Request) -> Response:
        actor, secret = await authenticated(console, request, used=False)  # a browser connects again by itself
        check_allowed(actor.role, Permission.READ)
        return stream(services, console.broadcaster, secret, actor)

    async def static(request: Request) -> Response:
        assets = await asyncio.to_thread(lambda: console.pages.assets)
        return await assets.serve(request)

    return [
        Route(f"{base}/", for_administrators(console, home, reads=Permission.OWN)),
        Route(base, for_administrators(console, home, reads=Permission.OWN)),
        Route(f"{base}/events", events),
        Route(f"{base}/static/{{name}}", static),
        *login_routes(console),
        *own_password_routes(console),
        *my_session_routes(console),
        *inventory_routes(console),
        *session_routes(console),
        *package_routes(console),
        *access_routes(console),
        *lock_routes(console),
        *replication_routes(console),
        *server_routes(console),
        *setting_routes(console),
        *people_file_routes(console),
        *siteminder_routes(console),
        *directory_routes(console),
        *credential_routes(console),
        *people_list_routes(console),
        *people_routes(console),
        *certificate_routes(console),
        *own_certificate_routes(console),
        *request_routes(console),
        *history_routes(console),
        *audit_routes(console),
        *logging_routes(console),
        *report_routes(console),
        *search_routes(console),
        *name_routes(console),
    ]
