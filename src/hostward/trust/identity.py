"""A server's identity: its id, its P-256 key and its self-signed certificate, `servletcontainer.cer`.

The server's id is the certificate's subject attribute serialNumber (X.520: what tells one device from another), so
whoever holds a server's certificate knows its id, and trusting the certificate is what trusts the id: a message's
sender is read from the certificate that signed it. The host name is the common name and may change; the id never does.

What it does not do: decide whom to believe (certificates.py), or make a new pair (renewals.py).
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import shutil
import ssl
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hostward.domain.errors import InvalidInput, TrustError

DIRECTORY: Final = "identity"
NEXT_DIRECTORY: Final = "identity.next"
PREVIOUS_DIRECTORY: Final = "identity.previous"
CERTIFICATE_FILE: Final = "servletcontainer.cer"
KEY_FILE: Final = "servletcontainer.key"
TLS_FILE: Final = "tls-chain.pem"

VALID_DAYS: Final = 825
"""The longest that every browser accepts, Apple's being the strictest, for a certificate that its user trusts by
hand. Longer would spare renewals between servers, but people open the same port."""

MAX_ADDRESSES: Final = 64
_BEFORE = timedelta(days=1)  # Valid from yesterday, for servers whose clocks differ: skew is then told as skew.
_MAX_COMMON_NAME = 64  # X.520's upper bound; the whole host name is in the alternative names.
_PURPOSE = b"hostward-signature-1\0"  # What sign() signs can't be taken for a JWS or a TLS handshake, nor they for it.
log = structlog.get_logger()

_ALGORITHM = ec.ECDSA(hashes.SHA256())

# One key signs (TLS, envelopes, changes) and receives envelopes (ECDH): the guide's single certificate a server.
USES: Final[tuple[tuple[x509.ExtensionType, bool], ...]] = (
    (x509.BasicConstraints(ca=False, path_length=None), True),
    (
        x509.KeyUsage(
            digital_signature=True,
            key_agreement=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_cert_sign=False,
            crl_sign=False,
            encipher_only=False,
            decipher_only=False,
        ),
        True,
    ),
    (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False),
)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its key. The files stay where they are for TLS, which reads them by path; `tls_path` holds the
    certificate and, where an authority issued it, the chain after it."""

    certificate_pem: str = field(repr=False)
    private_key: ec.EllipticCurvePrivateKey = field(repr=False)
    certificate_path: Path
    key_path: Path
    tls_path: Path

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, hexadecimal with colons."""
        return fingerprint(self.certificate_pem)

    def sign(self, data: bytes) -> bytes:
        """An ECDSA P-256 SHA-256 signature (DER), to be checked with `verify`."""
        return self.private_key.sign(_PURPOSE + data, _ALGORITHM)


class ServerIdentity:
    """Who this server is. Its id never changes; key and certificate do, together, when they are renewed. `earlier` is
    the pair before that, for as long as something is still to be read or signed with it. Any thread."""

    __slots__ = ("earlier", "pair", "server_id")

    def __init__(self, server_id: str, pair: KeyPair, earlier: KeyPair | None = None) -> None:
        self.server_id, self.pair, self.earlier = server_id, pair, earlier

    @property
    def certificate_pem(self) -> str:
        return self.pair.certificate_pem

    @property
    def private_key(self) -> ec.EllipticCurvePrivateKey:
        return self.pair.private_key

    @property
    def certificate_path(self) -> Path:
        return self.pair.certificate_path

    @property
    def key_path(self) -> Path:
        return self.pair.key_path

    @property
    def fingerprint(self) -> str:
        return self.pair.fingerprint

    def sign(self, data: bytes) -> bytes:
        """See KeyPair.sign."""
        return self.pair.sign(data)

    def take(self, pair: KeyPair) -> None:
        """Use a new pair from now on."""
        self.earlier, self.pair = self.pair, pair

    def __repr__(self) -> str:
        return f"ServerIdentity({self.server_id}, {self.fingerprint})"


def verify(certificate_pem: str, data: bytes, signature: bytes) -> None:
    """Return if the certificate's key signed `data` with `ServerIdentity.sign`; else raise TrustError, code
    "signature". Dates are not looked at: a change stays valid after its signer's certificate has expired."""
    try:
        public_key_of(certificate_pem).verify(signature, _PURPOSE + data, _ALGORITHM)
    except InvalidSignature as error:
        raise TrustError(
            f"A signature isn't by the server with the certificate {fingerprint(certificate_pem)}.",
            remedy="Check that the certificate is the one this server has now; then reload from the group.",
            code="signature",
        ) from error


def load_or_create(data_dir: Path, host_name: str, addresses: Sequence[str], now: datetime) -> ServerIdentity:
    """The identity in <data_dir>/identity, made when there is none. Key and certificate appear together, by one
    rename, so a crash leaves both or neither; the caller holds the data directory's lock.

    `addresses` are the IP addresses that others reach this server by; `now` is aware. Raises InvalidInput for a host
    name or address that no certificate can hold, TrustError "identity-damaged" where one of the files is missing or
    they don't belong together (never replaced: other servers trust them), "identity-unwritable" for the disk's
    refusal."""
    directory = data_dir / DIRECTORY
    try:
        for left in data_dir.glob(f"{DIRECTORY}.new-*"):  # of a server that was killed
            shutil.rmtree(left)
        finish_renewal(data_dir)
        if not directory.exists() or not any(directory.iterdir()):
            _create(directory, host_name, addresses, now)
        pair = load_pair(directory)
        return ServerIdentity(server_id_of(pair.certificate_pem), pair, _load_previous(data_dir))
    except OSError as error:
        raise _unusable(directory, error) from error


def read_pair(data_dir: Path) -> KeyPair:
    """The pair that the next start uses, for whoever only looks, also beside a server that runs: a renewal that is
    ready is left alone. Raises TrustError, as load_or_create."""
    following = data_dir / NEXT_DIRECTORY
    directory = following if following.exists() else data_dir / DIRECTORY
    try:
        return load_pair(directory)
    except OSError as error:
        raise _unusable(directory, error) from error


def finish_renewal(data_dir: Path) -> None:
    """Put the renewed pair, where one is ready, in the place of the present one, which becomes the previous one. Two
    renames: a crash between them is made good by calling this again. Raises OSError."""
    here, following, previous = (data_dir / name for name in (DIRECTORY, NEXT_DIRECTORY, PREVIOUS_DIRECTORY))
    if not following.exists():
        return
    if here.exists():
        discard(previous)
        here.rename(previous)
    following.rename(here)
    sync_directory(data_dir)


def parse_certificate(certificate: str | bytes) -> x509.Certificate:
    """A certificate from PEM (text) or DER (bytes). Raises TrustError "certificate" for anything else."""
    try:
        if isinstance(certificate, str):
            return _parse_pem(certificate)
        return x509.load_der_x509_certificate(certificate)
    except (ValueError, x509.InvalidVersion) as error:
        raise TrustError("This is not an X.509 certificate.", code="certificate") from error


def out_of_date(certificate: x509.Certificate, now: datetime) -> str:
    """What is wrong with its dates at `now`, as the end of a sentence about the certificate; "" where nothing is."""
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now > end:
        return f"expired on {end:%Y-%m-%d %H:%M} UTC; it is {now:%Y-%m-%d %H:%M} UTC here"
    if now < start:
        return f"is valid from {start:%Y-%m-%d %H:%M} UTC; it is {now:%Y-%m-%d %H:%M} UTC here"
    return ""


def fingerprint(certificate: str | bytes) -> str:
    """SHA-256 of the certificate (PEM text or DER bytes): 32 pairs of capital hexadecimal digits with colons, as
    browsers and openssl show it. Raises TrustError "certificate"."""
    der = to_der(certificate) if isinstance(certificate, str) else certificate
    return hashlib.sha256(der).digest().hex(":").upper()


def server_id_of(certificate: str | bytes) -> str:
    """The id of the server whose certificate this is; empty for a certificate that Hostward didn't make. Raises
    TrustError "certificate"."""
    try:
        found = parse_certificate(certificate).subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
    except ValueError:  # a subject that can't be decoded
        return ""
    return str(found[0].value) if found and _is_server_id(str(found[0].value)) else ""


def public_key_of(certificate: str | bytes) -> ec.EllipticCurvePublicKey:
    """The certificate's P-256 key. Raises TrustError "certificate" for other kinds of key."""
    try:
        key = parse_certificate(certificate).public_key()
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise TrustError(
            "The certificate's key is not an elliptic curve P-256 key, so it can't be a Hostward server's.",
            remedy=f"Import the {CERTIFICATE_FILE} from that server's data directory.",
            code="certificate",
        )
    return key


def to_pem(der: bytes) -> str:
    """The PEM form of a DER certificate."""
    return ssl.DER_cert_to_PEM_cert(der)


@lru_cache(maxsize=128)
def to_der(pem: str) -> bytes:
    """The DER form of a PEM certificate. Raises TrustError "certificate"."""
    return parse_certificate(pem).public_bytes(serialization.Encoding.DER)


@lru_cache(maxsize=128)
def _parse_pem(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


def _is_server_id(text: str) -> bool:
    return len(text) == 32 and all(c in "0123456789abcdef" for c in text)


def _create(directory: Path, host_name: str, addresses: Sequence[str], now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = self_signed(key, uuid.uuid4().hex, host_name, addresses, now)
    write_pair(directory, key, to_pem(certificate))


def write_pair(
    directory: Path, key: ec.EllipticCurvePrivateKey, certificate_pem: str, more: Mapping[str, bytes] | None = None
) -> None:
    """A directory with the key, its certificate and further files, which appears whole or not at all. Raises
    OSError."""
    new = directory.with_name(f"{DIRECTORY}.new-{uuid.uuid4().hex}")
    new.mkdir(mode=0o700)
    write_private(new / KEY_FILE, key_bytes(key))
    write_private(new / CERTIFICATE_FILE, certificate_pem.encode())
    for name, content in (more or {}).items():
        write_private(new / name, content)
    sync_directory(new)
    new.rename(directory)  # over nothing, or over an empty directory
    sync_directory(directory.parent)


def discard(directory: Path) -> None:
    """Remove a directory that write_pair made, where it is there. It goes from its name at once: killed in the middle,
    nothing takes what is left for a damaged pair, and the next start removes it. Raises OSError."""
    if directory.exists():
        left = directory.with_name(f"{DIRECTORY}.new-{uuid.uuid4().hex}")
        directory.rename(left)
        shutil.rmtree(left)


def key_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A key as it is kept, PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def self_signed(
    key: ec.EllipticCurvePrivateKey, server_id: str, host_name: str, addresses: Sequence[str], now: datetime
) -> bytes:
    """A certificate (DER) for this key, valid from `now` on. Raises InvalidInput for names that none can hold."""
    subject, names = subject_of(server_id, host_name, addresses)
    public = key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now - _BEFORE + timedelta(days=VALID_DAYS, seconds=-1))  # both ends count
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
    )
    for extension, critical in USES:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def subject_of(server_id: str, host_name: str, addresses: Sequence[str]) -> tuple[x509.Name, list[x509.GeneralName]]:
    """The subject and the alternative names of a server's certificate. Raises InvalidInput."""
    common_name = host_name if len(host_name) <= _MAX_COMMON_NAME else host_name.partition(".")[0]
    try:
        names = _alternative_names(host_name, addresses)
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, common_name),
                x509.NameAttribute(NameOID.SERIAL_NUMBER, server_id),
            ]
        )
    except ValueError as error:
        raise InvalidInput(
            f"No certificate can be made for host name {host_name!r} and addresses {list(addresses)!r}: {error}.",
            remedy="Set host_name under [server] to the full name that other servers reach this one by.",
        ) from error
    return subject, names


def _alternative_names(host_name: str, addresses: Sequence[str]) -> list[x509.GeneralName]:
    """Each name once, in order. Raises ValueError for what is neither a host name nor an IP address."""
    if len(addresses) > MAX_ADDRESSES:
        raise ValueError(f"there are more than {MAX_ADDRESSES} addresses")
    found: dict[object, x509.GeneralName] = {}
    for name in (host_name, "localhost", *addresses):
        try:
            address = ipaddress.ip_address(name.partition("%")[0])  # without an IPv6 zone
            found[address] = x509.IPAddress(address)
        except ValueError:
            if name not in (host_name, "localhost"):
                raise
            found[name.lower()] = x509.DNSName(name.encode("idna").decode())
    return list(found.values())


def load_pair(directory: Path) -> KeyPair:
    """The pair in a directory. Raises TrustError "identity-damaged", OSError."""
    certificate_path, key_path = directory / CERTIFICATE_FILE, directory / KEY_FILE
    for path in (certificate_path, key_path):
        if not path.is_file():
            raise _damaged(f"{path.name} is missing from {directory}")
    try:
        key = serialization.load_pem_private_key(key_path.read_bytes(), None)
        pem = certificate_path.read_text("ascii")
        public_key = public_key_of(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm, TrustError) as error:
        raise _damaged(f"{directory} holds something other than a P-256 key and its certificate") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != public_key:
        raise _damaged(f"the key and the certificate in {directory} don't belong together")
    if not server_id_of(pem):
        raise _damaged(f"the certificate in {directory} doesn't hold a server's id")
    tls_path = directory / TLS_FILE
    return KeyPair(pem, key, certificate_path, key_path, tls_path if tls_path.exists() else certificate_path)


def _load_previous(data_dir: Path) -> KeyPair | None:
    """The pair before the last renewal. The server starts without one that is damaged, as when it was being destroyed:
    the present one is what others know it by. Raises OSError."""
    previous = data_dir / PREVIOUS_DIRECTORY
    if not previous.exists():
        return None
    try:
        return load_pair(previous)
    except TrustError as error:
        log.warning("previous-key-dropped", directory=str(previous), reason=error.message)
        discard(previous)
        return None


def _unusable(directory: Path, error: OSError) -> TrustError:
    return TrustError(
        f"This server's identity in {directory} can't be read or written: {error.strerror or error}.",
        remedy="Check who owns the directory, its permissions and the free space, then start again.",
        code="identity-unwritable",
    )


def _damaged(what: str) -> TrustError:
    return TrustError(
        f"This server's identity is damaged: {what}.",
        remedy="Put back both files from a backup. To become a new server that others must trust anew, move the "
        f"{DIRECTORY} directory away and start again.",
        code="identity-damaged",
    )


def write_private(path: Path, data: bytes) -> None:
    """A new file that only this user can read, on the disk when this returns. Raises OSError."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_directory(directory: Path) -> None:
    """What was made and renamed in a directory is on the disk when this returns. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
