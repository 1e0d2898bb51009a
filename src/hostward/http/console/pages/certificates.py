"""Configure Settings > Trusted Certificates (guide, 5.13.3 and 5.13.4), and this server's own certificate."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from hostward.commands import certificates
from hostward.domain.errors import NotFound
from hostward.domain.panels import CERTIFICATES
from hostward.http.console.visits import HEADERS, Console, Visit, panel_routes, wrong_field
from hostward.http.downloads import attachment
from hostward.trust.certificates import STORES, certificate_warnings

PANEL: Final = CERTIFICATES
_STORE_OF: Final[dict[str, str]] = {str(key): title for key, title in STORES.items()}


def certificate_routes(console: Console) -> list[Route]:
    """A page for each store, + Import, Delete, the server's own certificate."""
    route = panel_routes(console, PANEL)
    return [
        route("", first, "GET"),
        route("/own/download", download, "GET"),
        route("/own/renew", renew),
        route("/{store}", show, "GET"),
        route("/{store}/import", import_certificate),
        route("/{store}/delete", delete),
    ]


async def first(visit: Visit) -> Response:
    return await _show(visit, "mss")


async def show(visit: Visit) -> Response:
    return await _show(visit, visit.request.path_params["store"])


async def _show(visit: Visit, store: str) -> Response:
    entries = certificates.list_certificates(visit.services, store)
    return await visit.page(
        "certificates.html",
        panel=PANEL,
        store=store,
        stores=_STORE_OF,
        entries=entries,
        warnings=certificate_warnings(entries),
        folder=visit.services.data_dir / "certificates",
        rotation=visit.services.rotation.state(),
    )


async def import_certificate(visit: Visit) -> Response:
    """+ Import: a file's name, or the certificate itself."""
    store, by_file = visit.request.path_params["store"], visit.text("from") != "text"
    file_name, pem = visit.text("file_name"), visit.text("pem")
    if by_file and not file_name:
        raise wrong_field("file_name", "No file name is given.", "Enter the name of a file in the folder certificates.")
    if not by_file and not pem:
        raise wrong_field("pem", "No certificate is given.", "Paste it, from -----BEGIN to END CERTIFICATE-----.")
    await certificates.import_certificate(
        visit.services,
        visit.actor,
        store,
        friendly_name=visit.text("friendly_name"),
        file_name=file_name if by_file else None,
        pem=None if by_file else pem,
    )
    return visit.go(f"{PANEL}/{store}")


async def delete(visit: Visit) -> Response:
    store = visit.request.path_params["store"]
    await certificates.delete_certificate(
        visit.services, visit.actor, store, visit.text("friendly_name"), confirmed=visit.confirmed
    )
    return visit.go(f"{PANEL}/{store}")


async def renew(visit: Visit) -> Response:
    await certificates.renew_certificate(visit.services, visit.actor, confirmed=visit.confirmed)
    return visit.go(f"{PANEL}/mss")


async def download(visit: Visit) -> Response:
    """servletcontainer.cer, for the other servers' folder certificates."""
    own = next((e for e in certificates.list_certificates(visit.services, "mss") if e.own), None)
    if own is None:
        raise NotFound("This server has no certificate.", remedy="Restart it.")
    s = visit.services.configuration.server
    name = "".join(c for c in s.name or s.host_name if c.isascii() and (c.isalnum() or c in "-.")) or "server"
    headers = {**HEADERS, **attachment(f"{name}.cer")}
    return Response(own.pem, headers=headers, media_type="application/x-x509-ca-cert")
