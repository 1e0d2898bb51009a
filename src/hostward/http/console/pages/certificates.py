"""Configure Settings > Trusted Certificates (guide, 5.13.3 and 5.13.4)."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from hostward.commands import certificates
from hostward.domain.panels import CERTIFICATES, SERVER_CERTIFICATES
from hostward.http.console.visits import Console, Visit, panel_routes, wrong_field
from hostward.trust.certificates import STORES
from hostward.trust.listed import certificate_warnings

PANEL: Final = CERTIFICATES
_STORE_OF: Final[dict[str, str]] = {str(key): title for key, title in STORES.items()}


def certificate_routes(console: Console) -> list[Route]:
    """A page for each store, + Import, Delete."""
    route = panel_routes(console, PANEL)
    return [
        route("", first, "GET"),
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
        own_panel=SERVER_CERTIFICATES,
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
