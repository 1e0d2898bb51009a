"""Certificates as authorities give them, a leaf and its chain: what a server may show to browsers.

What it does not do: know whose they are (issued.py, browser_certificate.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID

from hostward.domain.errors import InvalidInput
from hostward.trust.certificate_files import PEM_CERTIFICATE, public_key_bytes, shown_name
from hostward.trust.identity import out_of_date
from hostward.trust.listed import extension_of, is_authority, is_issued_by

MAX_CHAIN: Final = 6
MAX_BYTES: Final = 64 << 10


def parsed(text: str) -> list[x509.Certificate]:
    """The certificates in PEM text, in their order. Raises InvalidInput."""
    found = PEM_CERTIFICATE.findall(text) if len(text) <= MAX_BYTES else []
    if not 1 <= len(found) <= MAX_CHAIN:
        raise refused(
            f"There are {len(found)} certificates in it.",
            f"Send PEM: the server's certificate first, then its chain, {MAX_CHAIN} at most.",
            "not-a-certificate",
        )
    try:
        certificates = [x509.load_pem_x509_certificate(pem.encode()) for pem in found]
        for certificate in certificates:
            public_key_bytes(certificate)
            certificate.subject.rfc4514_string()
        return certificates
    except (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm) as error:
        raise refused(
            "It holds a certificate that can't be read.", "Send what the authority gave, as PEM.", "not-a-certificate"
        ) from error


def check_leaf(leaf: x509.Certificate, now: datetime) -> None:
    """Return where it is a TLS server's and valid at `now` (aware). Raises InvalidInput."""
    if is_authority(leaf):
        raise refused("It may issue certificates itself.", "Ask for a server's certificate.", "authority-certificate")
    _check_dates(leaf, now)
    usage, purposes = extension_of(leaf, x509.KeyUsage), extension_of(leaf, x509.ExtendedKeyUsage)
    signs = usage is None or usage.digital_signature
    if not signs or (purposes is not None and ExtendedKeyUsageOID.SERVER_AUTH not in purposes):
        raise refused(
            "It isn't meant for TLS servers.",
            "Ask for a certificate with the key usage digitalSignature and the purpose serverAuth.",
            "certificate-usage",
        )


def check_chain(certificates: Sequence[x509.Certificate], now: datetime) -> None:
    """Return where each is issued by the next one, and all are valid at `now`. Raises InvalidInput."""
    for below, above in pairwise(certificates):
        _check_dates(above, now)
        if not is_issued_by(below, above) or not is_authority(above):
            raise refused(
                f"{shown_name(below.subject)} wasn't issued by {shown_name(above.subject)}.",
                "Put the certificates in order: the server's, then who issued it, then who issued that.",
                "certificate-chain",
            )


def _check_dates(certificate: x509.Certificate, now: datetime) -> None:
    if wrong := out_of_date(certificate, now):
        raise refused(
            f"{shown_name(certificate.subject)} {wrong}.",
            "Check this server's clock; else ask for a new certificate.",
            "certificate-expired",
        )


def refused(what: str, remedy: str, code: str) -> InvalidInput:
    """Nothing was changed."""
    return InvalidInput(f"The certificate was refused, and the old one stays: {what}", remedy=remedy, code=code)
