"""Configure Settings > Certificates: this server's own certificate, and when it warns of one."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from hostward.commands import certificates
from hostward.domain.panels import SERVER_CERTIFICATES
from hostward.http.console.pages.settings import apply_those, settings_of
from hostward.http.console.visits import HEADERS, Console, Visit, panel_routes, wrong_field
from hostward.http.downloads import attachment
from hostward.http.requests import files_of
from hostward.trust.listed import certificate_warnings

PANEL: Final = SERVER_CERTIFICATES


def own_certificate_routes(console: Console) -> list[Route]:
    """The panel with its settings; Download, Renew, Request, Install."""
    route = panel_routes(console, PANEL)
    return [
        route("", show, "GET"),
        route("", apply),
        route("/download", download, "GET"),
        route("/renew", renew),
        route("/request", request),
        route("/install", install),
        route("/for-browsers", install_for_browsers),
        route("/for-browsers/delete", remove_for_browsers),
    ]


async def show(visit: Visit) -> Response:
    own = certificates.own_certificate(visit.services)
    for_browsers = certificates.certificate_for_browsers(visit.services)
    return await visit.page(
        "own_certificate.html",
        panel=PANEL,
        own=own,
        for_browsers=for_browsers,
        problem=visit.services.for_browsers.problem,
        warnings=certificate_warnings([own, *([for_browsers] if for_browsers else [])]),
        rotation=visit.services.rotation.state(),
        settings=await settings_of(visit, PANEL),
    )


async def apply(visit: Visit) -> Response:
    return await apply_those(visit, PANEL)


async def download(visit: Visit) -> Response:
    """servletcontainer.cer, for the other servers' folder certificates."""
    own = certificates.own_certificate(visit.services)
    return _saved(own.pem, f"{_file_name(visit)}.cer", "application/x-x509-ca-cert")


async def renew(visit: Visit) -> Response:
    await certificates.renew_certificate(visit.services, visit.actor, confirmed=visit.confirmed)
    return visit.go(PANEL)


async def request(visit: Visit) -> Response:
    made = await certificates.request_certificate(visit.services, visit.actor)
    return visit.part("parts/certificate_request.html", request=made)


async def install(visit: Visit) -> Response:
    pem = visit.text("pem")
    if not pem:
        raise wrong_field("pem", "No certificate is given.", "Paste it, and its chain after it.")
    await certificates.install_certificate(visit.services, visit.actor, pem, confirmed=visit.confirmed)
    return visit.go(PANEL)


async def install_for_browsers(visit: Visit) -> Response:
    files = await files_of(visit.form)
    if len(files) != 1:
        raise wrong_field("file", "No file is chosen.", "Choose the .p12, .pfx or .pem file.")
    await certificates.install_for_browsers(
        visit.services, visit.actor, files[0][1], visit.typed("password"), confirmed=visit.confirmed
    )
    return visit.go(PANEL)


async def remove_for_browsers(visit: Visit) -> Response:
    await certificates.remove_for_browsers(visit.services, visit.actor, confirmed=visit.confirmed)
    return visit.go(PANEL)


def _file_name(visit: Visit) -> str:
    s = visit.services.configuration.server
    return "".join(c for c in s.name or s.host_name if c.isascii() and (c.isalnum() or c in "-.")) or "server"


def _saved(content: str, name: str, media_type: str) -> Response:
    return Response(content, headers={**HEADERS, **attachment(name)}, media_type=media_type)
