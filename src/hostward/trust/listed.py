"""What a certificate says, and how it is listed and spoken of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from hostward.trust.certificate_files import printable, shown_name
from hostward.trust.identity import fingerprint, parse_certificate, server_id_of

MAX_FACTS: Final = 2_000
"""Kept at a time: two of each that may be trusted."""

BY_HAND, BY_CODE, BY_GROUP, OWN, BROWSERS = "administrator", "join code", "group", "own", "browsers"
"""Who brought a certificate in. What the group brought in goes when its server is removed from the group; the one for
browsers is in no store, and listed like these where certificates are looked after."""

T = TypeVar("T", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class ListedCertificate:
    """One line of a store's list. Times are aware; `server_id` is empty for what isn't a Hostward server's; `own`
    marks this server's certificate, which can't be deleted; `expired` and `expiring_soon` (within the days that are
    set) are as of the moment of listing; `source` says who brought it in; `names` are those that it is for."""

    friendly_name: str
    fingerprint: str
    subject: str
    issuer: str
    server_id: str
    not_before: datetime
    not_after: datetime
    expired: bool
    expiring_soon: bool
    own: bool
    source: str
    pem: str
    names: tuple[str, ...]
    self_signed: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """What is read of a certificate."""

    fingerprint: str
    subject: str
    issuer: str
    server_id: str
    not_before: datetime
    not_after: datetime
    names: tuple[str, ...]
    self_signed: bool


@lru_cache(maxsize=MAX_FACTS)
def facts_of(pem: str) -> Facts:
    """Read once: each message of another server asks for them."""
    certificate = parse_certificate(pem)
    return Facts(
        fingerprint(pem),
        shown_name(certificate.subject),
        shown_name(certificate.issuer),
        server_id_of(pem),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        names_of(certificate),
        is_self_signed(certificate),
    )


def described(pem: str, name: str, source: str, now: datetime, soon: timedelta) -> ListedCertificate:
    """A certificate as it is listed at `now`."""
    facts = facts_of(pem)
    end = facts.not_after
    return ListedCertificate(
        friendly_name=name,
        fingerprint=facts.fingerprint,
        subject=facts.subject,
        issuer=facts.issuer,
        server_id=facts.server_id,
        not_before=facts.not_before,
        not_after=end,
        expired=end < now,
        expiring_soon=now <= end < now + soon,
        own=source == OWN,
        source=source,
        pem=pem,
        names=facts.names,
        self_signed=facts.self_signed,
    )


def certificate_warnings(entries: Iterable[ListedCertificate]) -> list[str]:
    """A sentence for each certificate that has expired, or will soon."""
    found = []
    for entry in entries:
        if not (entry.expired or entry.expiring_soon):
            continue
        when = f"{'expired' if entry.expired else 'expires'} on {entry.not_after:%Y-%m-%d}"
        whose, remedy = whose_and_remedy(entry.friendly_name, entry.source)
        found.append(f"{whose} {when}. {remedy}")
    return found


def whose_and_remedy(name: str, source: str) -> tuple[str, str]:
    """How an entry is spoken of, and what is done where it ends."""
    if source == BROWSERS:
        return (
            "The certificate that browsers see",
            "Install its successor: Configure Settings > Certificates, or hostward certificate install-for-browsers.",
        )
    if source == OWN:
        return "This server's own certificate", "Renew it here: hostward certificate renew."
    remedy = "Renew it on that server: hostward certificate renew. This one takes the new one over by itself."
    return f"The certificate of {name}", remedy


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The host names and addresses that it is for, as one printable line each."""
    names = extension_of(certificate, x509.SubjectAlternativeName)
    if names is None:
        return ()
    hosts = (*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress)))
    return tuple(printable(host) for host in hosts)


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Whether its own key has signed it."""
    return is_issued_by(certificate, certificate)


def is_issued_by(certificate: x509.Certificate, above: x509.Certificate) -> bool:
    """Whether the other one's key has signed it, under the name that it gives."""
    try:
        certificate.verify_directly_issued_by(above)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it may issue certificates to others."""
    constraints = extension_of(certificate, x509.BasicConstraints)
    return constraints is not None and bool(constraints.ca)


def extension_of(certificate: x509.Certificate, kind: type[T]) -> T | None:
    """An extension of this kind; None where there is none, or they can't be read."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return None
