"""Trusted Certificates: list, import, fetch, delete; and this server's own certificate. They are this server's own and
aren't replicated, so a Slave's can be changed too (guide, 5.13.3 and 5.13.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from hostward.commands.auditing import recorded
from hostward.commands.replication import confirm
from hostward.commands.services import Actor, Services
from hostward.domain.errors import Conflict, InvalidInput, NotFound, TrustError
from hostward.domain.replication import Target
from hostward.domain.suggestions import shown
from hostward.replication.keys.rotation import NewCertificate
from hostward.trust.browser_certificate import covers
from hostward.trust.certificate_files import only_certificate, shown_name
from hostward.trust.certificates import CertificateStore
from hostward.trust.identity import fingerprint, parse_certificate, server_id_of, to_pem
from hostward.trust.issued import forget_request, make_request, read_issued
from hostward.trust.listed import ListedCertificate, names_of
from hostward.trust.tls import fetch_certificate

FETCH_TIMEOUT_S = 5.0
_RENEWING = "Renewing this server's certificate"
_RENEWAL = (
    "The group's servers take the new certificate over by themselves, also those that are away now.",
    "Others must import it again: Security Proxies, servers that aren't members yet, and command lines "
    "that pinned the old one at login.",
)


@dataclass(frozen=True, slots=True)
class FoundCertificate:
    """What a server shows at its TLS port. Nothing is trusted yet."""

    fingerprint: str
    subject: str
    issuer: str
    server_id: str
    not_before: datetime
    not_after: datetime
    pem: str


def list_certificates(services: Services, store: str) -> Sequence[ListedCertificate]:
    """The server's own first. Raises NotFound where there is no such store."""
    return _store(services, store).entries()


def own_certificate(services: Services) -> ListedCertificate:
    """This server's own, which the other servers of its group know it by."""
    return next(entry for entry in services.stores["mss"].entries() if entry.own)


async def import_certificate(
    services: Services, actor: Actor, store: str, *, friendly_name: str, file_name: str | None, pem: str | None
) -> ListedCertificate:
    """From the file of that name in <data_dir>/certificates, or from text: one of the two. Raises InvalidInput."""
    async with recorded(services, actor, "certificate-trusted", store=store, name=friendly_name) as act:
        found = _store(services, store)
        if (file_name is None) == (pem is None):
            raise InvalidInput(
                "Name the file in the server's folder certificates, or give the certificate itself.",
                remedy="Send either “file_name” or “pem”, not both.",
            )
        if file_name:
            entry = found.import_file(file_name, friendly_name)
        else:
            entry = found.import_text(pem or "", friendly_name)
        act.about |= {"name": entry.friendly_name, "fingerprint": entry.fingerprint}
    return entry


async def delete_certificate(
    services: Services, actor: Actor, store: str, friendly_name: str, *, confirmed: bool = True
) -> None:
    """Trust it no longer. Raises NotFound, or Conflict for the server's own; ConfirmationRequired where it is asked
    for."""
    async with recorded(services, actor, "certificate-deleted", store=store, name=friendly_name):
        found = _store(services, store)
        confirm(
            confirmed,
            f"Deleting the certificate of {friendly_name} from {found.title}",
            [
                "Its server is no longer trusted: messages from it are refused, and nothing is sent to it.",
                "It can be imported again.",
            ],
        )
        found.delete(friendly_name)


async def fetch_certificate_at(services: Services, store: str, host: str, port: int) -> FoundCertificate:
    """The certificate that the server at an address shows, for a person to compare. Only a TLS handshake is made;
    nothing is sent, and nothing else of that server is shown. Raises InvalidInput, PeerError."""
    _store(services, store)
    target = Target(host, port)
    der = only_certificate(await fetch_certificate(target.host, target.port, FETCH_TIMEOUT_S))
    certificate = parse_certificate(der)
    return FoundCertificate(
        fingerprint=fingerprint(der),
        subject=shown_name(certificate.subject),
        issuer=shown_name(certificate.issuer),
        server_id=server_id_of(der),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        pem=to_pem(der),
    )


async def import_fetched(
    services: Services, actor: Actor, store: str, host: str, port: int, *, friendly_name: str, confirmed: str
) -> ListedCertificate:
    """Fetch the certificate again and trust it, if it has the fingerprint that a person has compared. Raises
    InvalidInput, PeerError, Conflict where it is another one."""
    found = await fetch_certificate_at(services, store, host, port)
    if _bare(found.fingerprint) != _bare(confirmed):
        raise Conflict(
            f"The server at {host}:{port} shows a certificate with another SHA-256 fingerprint, {found.fingerprint}; "
            "nothing was imported.",
            remedy="Compare it with the one that `hostward certificate own` shows on that server.",
            code="fingerprint-differs",
        )
    return await import_certificate(services, actor, store, friendly_name=friendly_name, file_name=None, pem=found.pem)


def _bare(mark: str) -> str:
    return "".join(c for c in mark.upper() if c in "0123456789ABCDEF")


async def renew_certificate(services: Services, actor: Actor, *, confirmed: bool) -> None:
    """A new key and a self-signed certificate. Raises ConfirmationRequired, Conflict, TrustError: then the old one
    stays."""
    async with recorded(services, actor, "certificate-renewed") as act:
        confirm(confirmed, _RENEWING, _RENEWAL)
        await services.rotation.renew(actor.user)
        act.about["fingerprint"] = services.identity.fingerprint


async def request_certificate(services: Services, actor: Actor) -> str:
    """A certificate signing request (PEM), for an authority. Raises InvalidInput."""
    s = services.configuration
    addresses = [a for a in (s.database.address,) if a]
    async with recorded(services, actor, "certificate-requested"):
        with _written("new key"):
            return await asyncio.to_thread(
                make_request, services.data_dir, services.identity.server_id, s.server.host_name, addresses
            )


async def install_certificate(services: Services, actor: Actor, pem: str, *, confirmed: bool) -> None:
    """Put a certificate that an authority has issued in force, with its chain. Raises ConfirmationRequired,
    InvalidInput, Conflict, TrustError: then the old one stays."""
    async with recorded(services, actor, "certificate-installed") as act:
        key, certificate, chain = await asyncio.to_thread(
            read_issued, services.data_dir, services.identity, pem, services.clock()
        )
        act.about["fingerprint"] = fingerprint(certificate)
        if act.about["fingerprint"] == services.identity.fingerprint:
            raise Conflict("That certificate is in force already.", remedy="Nothing needs to be done.")
        confirm(confirmed, _RENEWING, _RENEWAL)  # only what can be put in force is asked about
        await services.rotation.renew(actor.user, NewCertificate(key, certificate, chain))
        await asyncio.to_thread(forget_request, services.data_dir)


def certificate_for_browsers(services: Services) -> ListedCertificate | None:
    """What browsers see at the HTTPS port; None for this server's own."""
    return next(iter(services.for_browsers.entries()), None)


async def install_for_browsers(
    services: Services, actor: Actor, content: bytes, password: str, *, confirmed: bool
) -> None:
    """Show browsers this key's certificate from now on, from PKCS #12 or PEM. Raises InvalidInput: then nothing
    changes; ConfirmationRequired where it isn't for this server's host name."""
    async with recorded(services, actor, "browser-certificate-installed") as act:
        given = await asyncio.to_thread(services.for_browsers.read, content, password)
        act.about["fingerprint"] = fingerprint(given.pems[0])
        names, host = names_of(parse_certificate(given.pems[0])), services.configuration.server.host_name
        if not covers(names, host):
            confirm(
                confirmed,
                f"Showing browsers a certificate that isn't for {host}",
                [f"It is for {', '.join(names) or 'no name at all'}.", "Browsers warn whoever uses another name."],
            )
        with _written("certificate for browsers"):
            await asyncio.to_thread(services.for_browsers.take, given)


async def remove_for_browsers(services: Services, actor: Actor, *, confirmed: bool) -> None:
    """Show browsers this server's own certificate again. Raises NotFound, ConfirmationRequired."""
    async with recorded(services, actor, "browser-certificate-removed"):
        kept = services.for_browsers
        if not kept.entries() and not kept.problem:
            raise NotFound("Browsers see this server's own certificate.", remedy="There is nothing to remove.")
        confirm(
            confirmed,
            "Removing the certificate for browsers",
            [
                "Browsers see this server's own certificate, and warn of it where it is self-signed.",
                "Its key is deleted from this server: to install it again, the file is needed.",
            ],
        )
        with _written("certificate for browsers"):
            await asyncio.to_thread(kept.forget)


@contextmanager
def _written(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TrustError(
            f"The {what} can't be written: {error.strerror or error}.",
            remedy="Check the free space and the permissions of the data directory.",
            code="identity-unwritable",
        ) from error


def _store(services: Services, store: str) -> CertificateStore:
    found = services.stores.get(store)
    if found is None:
        raise NotFound(
            f"There is no certificate store {shown(store)}.", remedy=f"There are {' and '.join(services.stores)}."
        )
    return found
