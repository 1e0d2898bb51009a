"""The node's own key and certificate, for internode traffic and for CQL on loopback.

The certificate is self-signed: the members pin each other's, and a leaf issued by an authority can't be pinned in
Cassandra's truststore. What vouches for it towards other servers is the server's signature, not this module.
"""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hostward.domain.errors import DatabaseError

VALID_DAYS = 20 * 365
"""Long, since trust ends with the pin, not with a date: a node must not fall out of its ring by age."""


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """Where the node's key and certificate are, and the certificate itself (PEM) for the other members' trust."""

    key_path: Path = field(repr=False)
    certificate_path: Path
    certificate_pem: str


def node_identity(directory: Path, server_id: str) -> NodeIdentity:
    """The identity kept in `directory` (mode 0700), made when there is none: EC P-256, common name `server_id`.

    Raises DatabaseError (code "node-identity") when the files are there but can't be used.
    """
    key_path, certificate_path = directory / "node.key", directory / "node.cer"
    if not (key_path.exists() and certificate_path.exists()):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make(key_path, certificate_path, server_id)
    try:
        pem = certificate_path.read_text()
        key = serialization.load_pem_private_key(key_path.read_bytes(), None)
        certificate = x509.load_pem_x509_certificate(pem.encode())
        fits = key.public_key() == certificate.public_key()
    except (OSError, ValueError, TypeError) as error:
        raise _unusable(directory) from error
    if not fits:
        raise _unusable(directory)
    return NodeIdentity(key_path, certificate_path, pem)


def _make(key_path: Path, certificate_path: Path, server_id: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, server_id[:64])])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))  # the members' clocks may differ
        .not_valid_after(now + dt.timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    # The certificate last: only both together count, so a crash between them makes a new pair.
    certificate_path.unlink(missing_ok=True)
    write_private(key_path, pem)
    write_private(certificate_path, certificate.public_bytes(serialization.Encoding.PEM))


def write_private(path: Path, content: bytes) -> None:
    """Replace the file in one step, readable by its owner only."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _unusable(directory: Path) -> DatabaseError:
    return DatabaseError(
        f"The database node's key and certificate in {directory} can't be used together.",
        remedy="Remove that directory and apply the replication settings again: the node gets a new identity.",
        code="node-identity",
    )
