"""The certificate that browsers see at the HTTPS port, where it is another than this server's own: one with a key of
its own, from PKCS #12 or PEM, as an organisation's authority hands them out.

The other servers go on seeing the server's own (domain/greeting.py): it is what they know this server by, and its key
stays what signs. Kept in one file of the data directory, which only the server's user can read.
"""

from __future__ import annotations

import ssl
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from hostward.domain.errors import InvalidInput
from hostward.trust.certificate_files import PEM_CERTIFICATE, public_key_bytes, shown_name
from hostward.trust.chains import MAX_BYTES, MAX_CHAIN, check_chain, check_leaf, parsed, refused
from hostward.trust.identity import sync_directory, to_pem, write_private
from hostward.trust.listed import BROWSERS, ListedCertificate, described, is_issued_by, is_self_signed
from hostward.trust.tls import ServerTls, context_of

FILE: Final = "browser-certificate.pem"
NAME: Final = "Browsers"
log = structlog.get_logger()

CURVES: Final = (ec.SECP256R1, ec.SECP384R1)
"""Every browser has these; a server with a key of another one can't be reached by them at all."""

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Given:
    """A key with its certificate (PEM) and the chain above it, the root left out or not, in order."""

    key: Key = field(repr=False)
    pems: tuple[str, ...]


class BrowserCertificate:
    """One for a server. `clock` gives Unix seconds; `soon` how long before its end it expires soon. `problem` says why
    the one that is kept isn't shown, "" where it is or there is none. Methods may take milliseconds of disk."""

    def __init__(
        self, data_dir: Path, tls: ServerTls, clock: Callable[[], float], soon: Callable[[], timedelta]
    ) -> None:
        self._path, self._tls, self._clock, self._soon = data_dir / FILE, tls, clock, soon
        self._pem, self.problem = "", ""
        for left in data_dir.glob(f"{FILE}.new-*"):  # of a server that was killed
            left.unlink()
        if self._path.exists():
            self._open()

    def entries(self) -> list[ListedCertificate]:
        """What is shown to browsers, or nothing where that is the server's own."""
        if not self._pem:
            return []
        now = datetime.fromtimestamp(self._clock(), UTC)
        return [described(self._pem, NAME, BROWSERS, now, self._soon())]

    def read(self, content: bytes, password: str) -> Given:
        """What a file holds, checked; nothing is changed. Raises InvalidInput."""
        return read_given(content, password, datetime.fromtimestamp(self._clock(), UTC))

    def take(self, given: Given) -> None:
        """Show it from now on, also after a restart. Raises InvalidInput where TLS can't use it, OSError."""
        new = self._path.with_name(f"{FILE}.new-{uuid.uuid4().hex}")
        key = given.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        try:
            write_private(new, key + "".join(given.pems).encode())
            context = context_of(new)
            new.rename(self._path)
        except ssl.SSLError as error:
            raise refused(
                f"TLS can't use it ({error.reason or error}).",
                "Use an RSA key of 2048 bits or more, or an elliptic curve P-256 or P-384 key.",
                "certificate-key",
            ) from error
        finally:
            new.unlink(missing_ok=True)
        sync_directory(self._path.parent)
        self._tls.show(context)
        self._pem, self.problem = given.pems[0], ""

    def forget(self) -> None:
        """Show the server's own again. Raises OSError."""
        self._path.unlink(missing_ok=True)
        sync_directory(self._path.parent)
        self._tls.show(None)
        self._pem, self.problem = "", ""

    def _open(self) -> None:
        """At the start. A server that can't show it still serves, and says so."""
        try:
            leaf = x509.load_pem_x509_certificate(self._path.read_bytes())
            self._tls.show(context_of(self._path))
            self._pem = to_pem(leaf.public_bytes(serialization.Encoding.DER))
        except (OSError, ValueError, x509.InvalidVersion) as error:  # ssl.SSLError is an OSError
            self.problem = (
                f"The certificate for browsers in {self._path} can't be used, so they see this server's own: "
                f"{error}."
                " Install it again, or remove it: Configure Settings > Certificates."
            )
            log.warning("browser-certificate-unusable", path=str(self._path), reason=str(error))


def read_given(content: bytes, password: str, now: datetime) -> Given:
    """A key and its certificates, from PKCS #12 or PEM; the certificates in any order. Raises InvalidInput."""
    if len(content) > MAX_BYTES:
        raise refused(
            f"It is larger than {MAX_BYTES >> 10} KiB.", "Send the file that holds just these.", "not-a-certificate"
        )
    if b"-----BEGIN" in content:
        key, certificates = _from_pem(content, password)
    else:
        key, certificates = _from_pkcs12(content, password)
    odd = isinstance(key, ec.EllipticCurvePrivateKey) and not isinstance(key.curve, CURVES)
    if odd or not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise refused(
            "Browsers can't use its kind of key.",
            "Have an RSA key, or an elliptic curve P-256 or P-384 key.",
            "certificate-key",
        )
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < 2048:
        raise refused(f"Its RSA key has {key.key_size} bits.", "Have one of 2048 bits or more.", "certificate-key")
    chain = _in_order(key, certificates)
    check_leaf(chain[0], now)
    check_chain(chain, now)
    return Given(key, tuple(to_pem(c.public_bytes(serialization.Encoding.DER)) for c in chain))


def covers(names: Iterable[str], host: str) -> bool:
    """Whether browsers take a certificate with these names for the host's (RFC 6125: a leading * is one label)."""
    wanted = host.lower().rstrip(".")
    above = wanted.partition(".")[2]
    return any(n.lower() == wanted or (above and n.lower() == f"*.{above}") for n in names)


def _from_pem(content: bytes, password: str) -> tuple[object, list[x509.Certificate]]:
    text = content.decode("latin-1")
    if not PEM_CERTIFICATE.search(text):
        raise refused("It holds no certificate.", "Put key, certificate and chain into one file.", "not-a-certificate")
    certificates = parsed(text)
    if "PRIVATE KEY-----" not in text:
        raise refused(
            "It holds no private key.",
            "Put key, certificate and chain into one file. For a certificate of this server's own request there is"
            " Install.",
            "no-private-key",
        )
    encrypted = "BEGIN ENCRYPTED PRIVATE KEY" in text or "Proc-Type: 4,ENCRYPTED" in text
    if encrypted and not password:
        raise _needs_password()
    try:
        return serialization.load_pem_private_key(content, password.encode() if encrypted else None), certificates
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _wrong_password("private key") from error


def _from_pkcs12(content: bytes, password: str) -> tuple[object, list[x509.Certificate]]:
    try:
        found = pkcs12.load_pkcs12(content, password.encode() or None)
        certificates = [c.certificate for c in (found.cert, *found.additional_certs) if c is not None]
        for certificate in certificates:
            public_key_bytes(certificate)
            certificate.subject.rfc4514_string()
    except (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm) as error:
        raise _wrong_password("PKCS #12 file") from error
    if found.key is None or not certificates:
        missing = "private key" if found.key is None else "certificate"
        raise refused(f"It holds no {missing}.", "Export both, with the chain.", f"no-{missing.replace(' ', '-')}")
    if len(certificates) > MAX_CHAIN:
        raise refused(f"It holds {len(certificates)} certificates.", f"{MAX_CHAIN} at most.", "not-a-certificate")
    return found.key, certificates


def _in_order(key: Key, certificates: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """The key's certificate, who issued it, and so on; what doesn't belong to that is left out."""
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    leaf = next((c for c in certificates if public_key_bytes(c) == public), None)
    if leaf is None:
        names = ", ".join(shown_name(c.subject) for c in certificates)
        raise refused(f"Its key belongs to none of its certificates ({names}).", "Export the pair.", "certificate-key")
    chain, others = [leaf], [c for c in certificates if c is not leaf]
    while not is_self_signed(chain[-1]):
        above = next((c for c in others if is_issued_by(chain[-1], c)), None)
        if above is None:
            break
        chain.append(above)
        others.remove(above)
    return chain


def _needs_password() -> InvalidInput:
    return refused("Its private key is encrypted.", "Give its password too.", "password-needed")


def _wrong_password(what: str) -> InvalidInput:
    return refused(
        f"The password is wrong, or the {what} is damaged or of another kind.",
        "Give the password that it was exported with; the file is PKCS #12 (.p12, .pfx) or PEM.",
        "wrong-password",
    )
