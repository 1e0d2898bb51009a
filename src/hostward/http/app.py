"""The web application of one server: the API, its description, and the Administrative Console."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hostward import __version__
from hostward.commands.services import Services
from hostward.domain.packages import MAX_BYTES
from hostward.domain.panels import AUTHENTICATION, PACKAGES, SESSIONS
from hostward.http.api import (
    access,
    audit,
    certificates,
    change_requests,
    credentials,
    directories,
    doctor,
    group,
    history,
    launching,
    locks,
    logins,
    logs,
    packages,
    people,
    replication,
    reports,
    search,
    server,
    sessions,
    settings,
)
from hostward.http.api.shapes import Problem
from hostward.http.compression import Compression
from hostward.http.console.routes import console_routes
from hostward.http.guard import FORM_BYTES, MAX_IMPORT_BYTES, Guard
from hostward.http.problems import MEDIA_TYPE, add_problem_handlers

API: Final = "api/v1"
_DESCRIPTION: Final = (
    "Everything that an administrator can do. Log in, then send `Authorization: Bearer TOKEN`. Errors are "
    "application/problem+json with a stable `code` and a `remedy`. A write answers with the revision that it made, and "
    "how many servers have it; on a Slave it answers 202, with the change request that it became."
)


def create_app(services: Services) -> FastAPI:
    """Everything below /<context>/ except the servers' own conversation, peer/, which the composition root mounts; and
    /, which leads there. It never answers with anything that the request's Host header says."""
    context = services.configuration.server.context
    base = f"/{context}/{API}"
    app = FastAPI(
        title="Hostward",
        version=__version__,
        description=_DESCRIPTION,
        openapi_url=f"{base}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
    )
    app.state.services = services
    add_problem_handlers(app)
    for router in (
        logins.open_router,
        logins.router,
        logins.token_router,
        locks.router,  # sessions/locks looks like a session
        sessions.router,
        launching.router,
        change_requests.router,
        history.router,
        people.router,
        people.help_router,
        people.group_router,
        access.router,
        access.user_router,
        access.own_router,
        access.favourites_router,
        packages.router,
        packages.own_router,
        packages.user_router,
        directories.router,
        credentials.router,
        credentials.store_router,
        settings.router,
        search.router,
        replication.router,
        certificates.router,
        doctor.router,
        certificates.own_router,
        group.router,
        server.router,
        server.health_router,
        audit.router,
        logs.router,
        reports.access_router,
        reports.router,
    ):
        app.include_router(router, prefix=base)
    app.router.routes.extend(console_routes(services))
    app.add_route("/", _to_context(context), include_in_schema=False)
    app.openapi = lambda: _description(app)  # type: ignore[method-assign]
    app.add_middleware(Compression, peer_path=f"/{context}/peer/")
    app.add_middleware(
        Guard,
        peer_path=f"/{context}/peer/",
        limits=_limits(context),
    )
    return app


def _limits(context: str) -> dict[str, int]:
    """Of the bodies of what takes whole files."""
    base = f"/{context}/{API}"
    pages = [f"/{context}{panel}/import" for panel in (SESSIONS, f"{AUTHENTICATION}/users")]
    imports = (f"{base}/sessions/import", f"{base}/users/import", *pages)
    uploads = (f"{base}/packages", f"/{context}{PACKAGES}/upload")
    return dict.fromkeys(imports, MAX_IMPORT_BYTES + FORM_BYTES) | dict.fromkeys(uploads, MAX_BYTES)


def _to_context(context: str) -> Any:
    async def lead(_: Request) -> Response:
        return RedirectResponse(f"/{context}/")

    return lead


def _operation_id(route: APIRoute) -> str:
    return route.name


def _description(app: FastAPI) -> dict[str, Any]:
    """The API's OpenAPI description. Every operation may answer with a problem, said once instead of the framework's
    own validation error, which never leaves the server."""
    if app.openapi_schema is None:
        found = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes, servers=[{"url": "/"}]
        )
        parts = found.setdefault("components", {})
        schemas = parts.setdefault("schemas", {})
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        shape = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(shape.pop("$defs", {}))
        schemas["Problem"] = shape
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        parts["responses"] = {"Problem": {"description": "What went wrong, and what to do next", "content": content}}
        for operations in found["paths"].values():
            for operation in operations.values():
                operation["responses"].pop("422", None)
                operation["responses"]["default"] = {"$ref": "#/components/responses/Problem"}
        app.openapi_schema = found
    return app.openapi_schema
