"""Trusted Certificates (guide, 5.13.3)."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from starlette.responses import Response

from hostward.commands import certificates
from hostward.http.api import shapes
from hostward.http.api.logins import moment
from hostward.http.api.shapes import answers
from hostward.http.requests import Json, Strict, Who, With, administrators_router
from hostward.trust.certificates import MAX_FILE_BYTES, TrustedCertificate

router = administrators_router("Trusted Certificates", "/trusted-certificates")


class CertificateIn(Strict):
    """Either `file_name` or `pem`."""

    friendly_name: str = Field(max_length=1000)
    """The other server's name."""
    file_name: str | None = Field(default=None, max_length=1000)
    """A file in the server's folder certificates, without a path."""
    pem: str | None = Field(default=None, max_length=MAX_FILE_BYTES)
    """The certificate itself."""


@router.get("/{store}", summary="List a store", responses=answers(shapes.Certificates, "The server's own first"))
async def list_certificates(store: str, who: Who, services: With) -> Response:
    """The stores are `mss` (Management and Security Server) and `security-proxy`."""
    return Json({"items": [_shown(entry) for entry in certificates.list_certificates(services, store)]})


@router.post(
    "/{store}",
    summary="Trust a certificate",
    status_code=201,
    responses=answers(shapes.Certificate, "It is trusted", 201),
)
async def import_certificate(store: str, given: CertificateIn, who: Who, services: With) -> Response:
    entry = certificates.import_certificate(
        services, who, store, friendly_name=given.friendly_name, file_name=given.file_name, pem=given.pem
    )
    return Json(_shown(entry), 201)


@router.delete(
    "/{store}/{friendly_name}", summary="No longer trust a certificate", status_code=204, response_class=Response
)
async def delete_certificate(store: str, friendly_name: str, who: Who, services: With) -> Response:
    certificates.delete_certificate(services, who, store, friendly_name)
    return Response(status_code=204)


def _shown(entry: TrustedCertificate) -> dict[str, Any]:
    return {
        "friendly_name": entry.friendly_name,
        "fingerprint": entry.fingerprint,
        "subject": entry.subject,
        "issuer": entry.issuer,
        "server": entry.server_id,
        "not_before": moment(entry.not_before),
        "not_after": moment(entry.not_after),
        "expired": entry.expired,
        "expiring_soon": entry.expiring_soon,
        "own": entry.own,
        "pem": entry.pem,
    }
