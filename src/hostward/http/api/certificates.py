"""Trusted Certificates (guide, 5.13.3), and this server's own certificate."""

from __future__ import annotations

import base64
from typing import Any

from pydantic import Field
from starlette.responses import Response

from hostward.commands import certificates
from hostward.commands.certificates import FoundCertificate
from hostward.commands.services import Services
from hostward.domain.errors import InvalidInput
from hostward.http.api import shapes
from hostward.http.api.logins import moment
from hostward.http.api.shapes import answers
from hostward.http.requests import MAX_SECRET, ConfirmIn, Json, Strict, Who, With, administrators_router
from hostward.trust.certificate_files import MAX_FILE_BYTES
from hostward.trust.chains import MAX_BYTES
from hostward.trust.listed import ListedCertificate

router = administrators_router("Trusted Certificates", "/trusted-certificates")
own_router = administrators_router("Server", "/server/certificate")


class CertificateIn(Strict):
    """Either `file_name` or `pem`."""

    friendly_name: str = Field(max_length=1000)
    """The other server's name."""
    file_name: str | None = Field(default=None, max_length=1000)
    """A file in the server's folder certificates, without a path."""
    pem: str | None = Field(default=None, max_length=MAX_FILE_BYTES)
    """The certificate itself."""


class FetchIn(Strict):
    host: str = Field(max_length=300)
    port: int = Field(default=443, strict=True)
    confirm_fingerprint: str | None = Field(default=None, max_length=200)
    """The SHA-256 fingerprint that a person has compared with that server's own: import it."""
    friendly_name: str | None = Field(default=None, max_length=1000)
    """For the import; the host name unless given."""


class InstallIn(ConfirmIn):
    pem: str = Field(max_length=MAX_BYTES)
    """The certificate, then its chain."""


class ForBrowsersIn(ConfirmIn):
    file: str = Field(max_length=2 * MAX_BYTES)
    """Base64: PKCS #12 (.p12, .pfx), or PEM; with the private key, the certificate and its chain."""
    password: str = Field(default="", max_length=MAX_SECRET)
    """That it was exported with."""


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
    entry = await certificates.import_certificate(
        services, who, store, friendly_name=given.friendly_name, file_name=given.file_name, pem=given.pem
    )
    return Json(_shown(entry), 201)


@router.post(
    "/{store}/fetch",
    summary="Look at a server's certificate by its address, or trust it",
    responses=answers(shapes.Fetched, "What that server shows; `imported` where it was confirmed"),
)
async def fetch_certificate(store: str, given: FetchIn, who: Who, services: With) -> Response:
    """Only a TLS handshake is made. It is imported where `confirm_fingerprint` is what is found."""
    if given.confirm_fingerprint is None:
        found = await certificates.fetch_certificate_at(services, store, given.host, given.port)
        return Json(_found(found) | {"imported": False})
    entry = await certificates.import_fetched(
        services,
        who,
        store,
        given.host,
        given.port,
        friendly_name=given.friendly_name or given.host,
        confirmed=given.confirm_fingerprint,
    )
    return Json(_found(entry) | {"imported": True})


@router.delete(
    "/{store}/{friendly_name}", summary="No longer trust a certificate", status_code=204, response_class=Response
)
async def delete_certificate(store: str, friendly_name: str, who: Who, services: With) -> Response:
    await certificates.delete_certificate(services, who, store, friendly_name)
    return Response(status_code=204)


@own_router.get("", summary="This server's own certificate", responses=answers(shapes.OwnCertificate, "As of now"))
async def read_own(who: Who, services: With) -> Response:
    return Json(_own(services))


@own_router.post(
    "/renew",
    summary="Renew this server's own certificate",
    responses=answers(shapes.OwnCertificate, "The new one is in force"),
)
async def renew(who: Who, services: With, given: ConfirmIn | None = None) -> Response:
    """A new key, and a self-signed certificate for it. The group's servers take it over by themselves, those that are
    away when they are back. Without `confirm`, nothing changes: 409 with the consequences."""
    await certificates.renew_certificate(services, who, confirmed=given is not None and given.confirm)
    return Json(_own(services))


@own_router.post(
    "/request",
    summary="Request a certificate from an authority",
    responses=answers(shapes.CertificateRequest, "The request, PEM"),
)
async def request(who: Who, services: With) -> Response:
    """For a new key, which stays on this server. An earlier request is void."""
    return Json({"request_pem": await certificates.request_certificate(services, who)})


@own_router.put(
    "",
    summary="Install a certificate that an authority has issued",
    responses=answers(shapes.OwnCertificate, "It is in force"),
)
async def install(given: InstallIn, who: Who, services: With) -> Response:
    """A renewal, as above. What isn't this server's certificate is refused, and the old one stays."""
    await certificates.install_certificate(services, who, given.pem, confirmed=given.confirm)
    return Json(_own(services))


@own_router.get(
    "/for-browsers",
    summary="The certificate that browsers see",
    responses=answers(shapes.BrowserCertificate, "As of now"),
)
async def read_for_browsers(who: Who, services: With) -> Response:
    return Json(_for_browsers(services))


@own_router.put(
    "/for-browsers",
    summary="Show browsers a certificate with its own key",
    responses=answers(shapes.BrowserCertificate, "They see it"),
)
async def install_for_browsers(given: ForBrowsersIn, who: Who, services: With) -> Response:
    """The other servers, and whoever pinned this server's own, go on seeing that. Connections made from now on see it.
    Where it isn't for this server's host name, without `confirm`, nothing changes: 409 with the consequences."""
    try:
        content = base64.b64decode(given.file, validate=True)
    except ValueError as error:
        raise InvalidInput("The field file isn't base64.", remedy="Send the file's bytes in base64.") from error
    await certificates.install_for_browsers(services, who, content, given.password, confirmed=given.confirm)
    return Json(_for_browsers(services))


@own_router.delete(
    "/for-browsers",
    summary="Show browsers this server's own certificate again",
    status_code=204,
    response_class=Response,
)
async def remove_for_browsers(who: Who, services: With) -> Response:
    """Its key is deleted."""
    await certificates.remove_for_browsers(services, who, confirmed=True)
    return Response(status_code=204)


def _for_browsers(services: Services) -> dict[str, Any]:
    shown = certificates.certificate_for_browsers(services)
    certificate = None if shown is None else _shown(shown)
    return {"certificate": certificate, "problem": services.for_browsers.problem}


def _own(services: Services) -> dict[str, Any]:
    return _shown(certificates.own_certificate(services)) | services.rotation.state()


def _found(found: FoundCertificate | ListedCertificate) -> dict[str, Any]:
    return {
        "fingerprint": found.fingerprint,
        "subject": found.subject,
        "issuer": found.issuer,
        "server": found.server_id,
        "not_before": moment(found.not_before),
        "not_after": moment(found.not_after),
    }


def _shown(entry: ListedCertificate) -> dict[str, Any]:
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
        "source": entry.source,
        "pem": entry.pem,
        "names": entry.names,
        "self_signed": entry.self_signed,
    }
