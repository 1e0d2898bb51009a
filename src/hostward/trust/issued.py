"""Certificates that an authority issues for this server: the request for one, and what came back.

Between servers it counts like a self-signed one: by itself, not for who issued it. The chain is for browsers.

What it does not do: put it in force (renewals.py).
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hostward.domain.errors import TrustError
from hostward.trust.chains import check_chain, check_leaf, parsed, refused
from hostward.trust.identity import (
    KEY_FILE,
    USES,
    ServerIdentity,
    key_bytes,
    public_key_of,
    server_id_of,
    subject_of,
    sync_directory,
    to_pem,
    write_private,
)

REQUESTED_DIRECTORY: Final = "identity.requested"


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
    if "PRIVATE KEY-----" in text:
        raise refused("This holds a private key.", "Send the certificate and its chain only.", "private-key")
    leaf, *chain = parsed(text)
    key = _key_for(data_dir, identity, leaf)
    pem = to_pem(leaf.public_bytes(serialization.Encoding.DER))
    given = server_id_of(pem)
    if given != identity.server_id:
        has = f"names the server {given}" if given else "doesn't name a server"
        raise refused(
            f"The certificate {has}; this one is {identity.server_id}.",
            "Ask the authority to keep the subject of the request as it is, serialNumber included.",
            "certificate-server",
        )
    check_leaf(leaf, now)
    check_chain([leaf, *chain], now)
    return key, pem, tuple(to_pem(c.public_bytes(serialization.Encoding.DER)) for c in chain)


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
        raise refused(error.message, "Have the authority certify the request's own key.", "certificate-key") from error
    for key in keys:
        if key.public_key() == public:
            return key
    raise refused(
        "The first certificate is for another key than this server's last request.",
        "Put this server's certificate first; or make a new request, and have that one certified.",
        "certificate-key",
    )
