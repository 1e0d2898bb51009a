"""Trusted Certificates: list, import, delete. They are this server's own and aren't replicated, so a Slave's can be
changed too (guide, 5.13.3 and 5.13.4)."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from hostward.commands.services import Actor, Services
from hostward.domain.errors import InvalidInput, NotFound
from hostward.domain.suggestions import shown
from hostward.trust.certificates import CertificateStore, TrustedCertificate

log = structlog.get_logger()


def list_certificates(services: Services, store: str) -> Sequence[TrustedCertificate]:
    """The server's own first. Raises NotFound where there is no such store."""
    return _store(services, store).entries()


def import_certificate(
    services: Services, actor: Actor, store: str, *, friendly_name: str, file_name: str | None, pem: str | None
) -> TrustedCertificate:
    """From the file of that name in <data_dir>/certificates, or from text: one of the two. Raises InvalidInput."""
    found = _store(services, store)
    if (file_name is None) == (pem is None):
        raise InvalidInput(
            "Name the file in the server's folder certificates, or give the certificate itself.",
            remedy="Send either “file_name” or “pem”, not both.",
        )
    entry = found.import_file(file_name, friendly_name) if file_name else found.import_text(pem or "", friendly_name)
    log.info(
        "certificate-trusted", author=actor.user, store=store, name=entry.friendly_name, fingerprint=entry.fingerprint
    )
    return entry


def delete_certificate(services: Services, actor: Actor, store: str, friendly_name: str) -> None:
    """Trust it no longer. Raises NotFound, or Conflict for the server's own."""
    _store(services, store).delete(friendly_name)
    log.info("certificate-deleted", author=actor.user, store=store, name=friendly_name)


def _store(services: Services, store: str) -> CertificateStore:
    found = services.stores.get(store)
    if found is None:
        raise NotFound(
            f"There is no certificate store {shown(store)}.", remedy=f"There are {' and '.join(services.stores)}."
        )
    return found
