"""Certificates that an authority issues for this server: the request for one, and what came back.

Between servers it counts like a self-signed one: by itself, not for who issued it. The chain is for browsers.

What it does not do: put it in force (renewals.py).
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from hostward.domain.errors import InvalidInput, TrustError
from hostward.trust.certificate_files import PEM_CERTIFICATE, public_key_bytes, shown_name
from hostward.trust.certificates import is_authority
from hostward.trust.identity import (
    KEY_FILE,
    USES,
    ServerIdentity,
    key_bytes,
    out_of_date,
    public_key_of,
    server_id_of,
    subject_of,
    sync_directory,
    to_pem,
    write_private,
)

REQUESTED_DIRECTORY: Final = "identity.requested"
MAX_CHAIN: Final = 6
MAX_BYTES: Final = 64 << 10

T = TypeVar("T", bound=x509.ExtensionType)


def make_request(data_dir: Path, server_id: str, host_name: str, addresses: Sequence[str]) -> str:
    """A certificate signing request (PEM) for a new key, which is kept until its certificate comes; an earlier one is
    void. The subject's serialNumber is the server's id, and must stay. Raises InvalidInput, OSError."""
    subject, names = subject_of(server_id, host_name, addresses)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    for extension, critical in USES:
        builder = builder.add_extension(extension, critical=critical)
    request = builder.sign(key, hashes.SHA256())
    new, there = data_dir / f"identity.new-{uuid.uuid4().hex}", data_dir / REQUESTED_DIRECTORY
    new.mkdir(mode=0o700)
    write_private(new / KEY_FILE, key_bytes(key))
    sync_directory(new)
    shutil.rmtree(there, ignore_errors=True)
    new.rename(there)
    sync_directory(data_dir)
    return request.public_bytes(serialization.Encoding.PEM).decode()


def forget_request(data_dir: Path) -> None:
    """Its certificate is in force."""
    shutil.rmtree(data_dir / REQUESTED_DIRECTORY, ignore_errors=True)


def read_issued(
    data_dir: Path, identity: ServerIdentity, text: str, now: datetime
) -> tuple[ec.EllipticCurvePrivateKey, str, tuple[str, ...]]:
    """The key, this server's certificate (PEM) and the chain above it, from what an authority gave. Raises InvalidInput
    where it can't be this server's certificate; nothing is changed."""
    leaf, *chain = _parsed(text)
    key = _key_for(data_dir, identity, leaf)
    pem = to_pem(leaf.public_bytes(serialization.Encoding.DER))
    given = server_id_of(pem)
    if given != identity.server_id:
        has = f"names the server {given}" if given else "doesn't name a server"
        raise _refused(
            f"The certificate {has}; this one is {identity.server_id}.",
            "Ask the authority to keep the subject of the request as it is, serialNumber included.",
            "certificate-server",
        )
    _check_leaf(leaf, now)
    _check_chain([leaf, *chain], now)
    return key, pem, tuple(to_pem(c.public_bytes(serialization.Encoding.DER)) for c in chain)


def _parsed(text: str) -> list[x509.Certificate]:
    if "PRIVATE KEY-----" in text:
        raise _refused("This holds a private key.", "Send the certificate and its chain only.", "private-key")
    found = PEM_CERTIFICATE.findall(text) if len(text) <= MAX_BYTES else []
    if not 1 <= len(found) <= MAX_CHAIN:
        raise _refused(
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
        raise _refused(
            "It holds a certificate that can't be read.", "Send what the authority gave, as PEM.", "not-a-certificate"
        ) from error


def _key_for(data_dir: Path, identity: ServerIdentity, leaf: x509.Certificate) -> ec.EllipticCurvePrivateKey:
    """The key of the request, or the present one."""
    requested = data_dir / REQUESTED_DIRECTORY / KEY_FILE
    keys = [identity.private_key]
    if requested.exists():
        key = serialization.load_pem_private_key(requested.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey), "it was written by make_request"
        keys.insert(0, key)
    try:
        public = public_key_of(leaf.public_bytes(serialization.Encoding.DER))
    except TrustError as error:
        raise _refused(error.message, "Have the authority certify the request's own key.", "certificate-key") from error
    for key in keys:
        if key.public_key() == public:
            return key
    raise _refused(
        "The first certificate is for another key than this server's last request.",
        "Put this server's certificate first; or make a new request, and have that one certified.",
        "certificate-key",
    )


def _check_leaf(leaf: x509.Certificate, now: datetime) -> None:
    if is_authority(leaf):
        raise _refused("It may issue certificates itself.", "Ask for a server's certificate.", "authority-certificate")
    _check_dates(leaf, now)
    usage, purposes = _extension(leaf, x509.KeyUsage), _extension(leaf, x509.ExtendedKeyUsage)
    signs = usage is None or usage.digital_signature
    if not signs or (purposes is not None and ExtendedKeyUsageOID.SERVER_AUTH not in purposes):
        raise _refused(
            "It isn't meant for TLS servers.",
            "Ask for a certificate with the key usage digitalSignature and the purpose serverAuth.",
            "certificate-usage",
        )


def _check_chain(certificates: Sequence[x509.Certificate], now: datetime) -> None:
    for below, above in pairwise(certificates):
        _check_dates(above, now)
        try:
            below.verify_directly_issued_by(above)
            issues = is_authority(above)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            issues = False
        if not issues:
            raise _refused(
                f"{shown_name(below.subject)} wasn't issued by {shown_name(above.subject)}.",
                "Put the certificates in order: the server's, then who issued it, then who issued that.",
                "certificate-chain",
            )


def _check_dates(certificate: x509.Certificate, now: datetime) -> None:
    if wrong := out_of_date(certificate, now):
        raise _refused(
            f"{shown_name(certificate.subject)} {wrong}.",
            "Check this server's clock; else ask for a new certificate.",
            "certificate-expired",
        )


def _extension(certificate: x509.Certificate, kind: type[T]) -> T | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, ValueError):
        return None


def _refused(what: str, remedy: str, code: str) -> InvalidInput:
    return InvalidInput(f"The certificate was refused, and the old one stays: {what}", remedy=remedy, code=code)
