"""Whether what a server says of itself can be used: it becomes a member's entry, and from there reaches the other
servers' cassandra.yaml and truststores. It comes from a server that is trusted, yet may be compromised."""

from __future__ import annotations

import ipaddress

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from hostward.domain.errors import HostwardError, PeerError
from hostward.replication.group.members import Member
from hostward.trust.identity import parse_certificate, server_id_of, to_pem

MAX_NAME = 300
PROTOCOLS = ("https", "http")


def check_described(them: Member, sender: str) -> None:
    """Return where the server `sender` may be entered like that. Raises PeerError "description", which names the
    field."""
    _require(them.server_id == sender, "server_id")
    try:
        _ = them.target  # host, port, context
    except HostwardError as error:
        raise _wrong(error.message) from error
    for name in ("name", "version"):
        value = getattr(them, name)
        _require(isinstance(value, str) and 0 < len(value) <= MAX_NAME and value.isprintable(), name)
    _require(them.protocol in PROTOCOLS, "protocol")
    _require(type(them.storage_port) is int and 0 < them.storage_port < 65536, "storage_port")
    _require(type(them.https_port) is int and 0 <= them.https_port < 65536, "https_port")
    _require(_is_address(them.address), "address")
    _require(_is_one_certificate(them.certificate) and server_id_of(them.certificate) == sender, "certificate")
    _require(_is_one_certificate(them.internode_certificate), "internode_certificate")


def _is_address(value: object) -> bool:
    try:
        return isinstance(value, str) and str(ipaddress.ip_address(value)) == value
    except ValueError:
        return False


def _is_one_certificate(pem: object) -> bool:
    """Exactly one, with nothing around it: a second one would be trusted in its wake."""
    try:
        if not isinstance(pem, str):
            return False
        certificate = parse_certificate(pem)
        fits = isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
    except (HostwardError, ValueError):
        return False
    return fits and to_pem(certificate.public_bytes(Encoding.DER)).split() == pem.split()


def _require(fine: bool, field: str) -> None:
    if not fine:
        raise _wrong(f"Its {field} can't be used.")


def _wrong(why: str) -> PeerError:
    return PeerError(
        f"What the asking server says of itself is refused. {why}",
        remedy="Look at that server's configuration ([server], [database]); it may have been tampered with.",
        code="description",
    )
