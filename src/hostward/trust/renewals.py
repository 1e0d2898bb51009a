"""Renewing a server's own certificate, so that whoever trusts the one before comes to trust the new one by itself.

A renewal leaves a statement, signed with the key before it: this server now has this certificate. The statements since
the first form a chain; who trusts any certificate in it can follow it to the last. Key, certificate and statements are
made ready in a directory of their own, which takes the place of the present one by a rename:

    identity.next  ──►  identity  ──►  identity.previous (until nothing is signed with it any more)

What it does not do: tell anybody (replication/keys/rotation.py), or decide which statements are believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson
from cryptography.hazmat.primitives.asymmetric import ec

from hostward.domain.changes import canonical
from hostward.domain.errors import TrustError
from hostward.trust.identity import (
    CERTIFICATE_FILE,
    DIRECTORY,
    KEY_FILE,
    NEXT_DIRECTORY,
    PREVIOUS_DIRECTORY,
    TLS_FILE,
    KeyPair,
    ServerIdentity,
    discard,
    fingerprint,
    finish_renewal,
    load_pair,
    public_key_of,
    self_signed,
    server_id_of,
    to_pem,
    verify,
    write_pair,
)

STATEMENTS_FILE: Final = "renewals.json"
MAX_STATEMENTS: Final = 16
"""Who was away for more renewals than that must import the certificate by hand."""

_PURPOSE: Final = "hostward certificate renewal 1"


@dataclass(frozen=True, slots=True)
class Statement:
    """The server's certificate with the fingerprint `old` is followed by `new` (PEM). `number` counts a server's
    renewals; `time` is ISO 8601. `signature` (hexadecimal) is by the old certificate's key."""

    server_id: str
    number: int
    old: str
    new: str
    time: str
    signature: str

    def signed(self) -> bytes:
        """What the signature is about."""
        value = asdict(self)
        del value["signature"]
        return canonical(value | {"purpose": _PURPOSE})

    @staticmethod
    def from_json(value: Any) -> Statement:
        """Raises TrustError "statement" for anything else."""
        texts = ("server_id", "old", "new", "time", "signature")
        if not isinstance(value, dict) or set(value) != {*texts, "number"} or type(value["number"]) is not int:
            raise _wrong("isn't one")
        if not all(isinstance(value[name], str) for name in texts):
            raise _wrong("isn't one")
        return Statement(**value)


def statements_from(value: Any) -> list[Statement]:
    """As many as there may be. Raises TrustError "statement"."""
    if not isinstance(value, list) or len(value) > MAX_STATEMENTS:
        raise _wrong("is in too long a list")
    return [Statement.from_json(one) for one in value]


def successor(trusted: str, statements: Sequence[Statement]) -> str | None:
    """The certificate (PEM) that a trusted one (PEM) was followed by, at the end of the chain; None where the chain
    doesn't hold the trusted one. Dates aren't looked at: a certificate that has expired can still be renewed. Raises
    TrustError "statement" or "signature" where the chain is broken."""
    at = next((n for n, s in enumerate(statements) if s.old == fingerprint(trusted)), None)
    if at is None:
        return None
    certificate, number = trusted, statements[at].number - 1
    for statement in statements[at:]:
        if statement.old != fingerprint(certificate) or statement.number <= number:
            raise _wrong("doesn't follow the one before it")
        if not statement.server_id == server_id_of(certificate) == server_id_of(statement.new):
            raise _wrong("is about another server")
        public_key_of(statement.new)
        try:
            signature = bytes.fromhex(statement.signature)
        except ValueError as error:
            raise _wrong("isn't signed") from error
        verify(certificate, statement.signed(), signature)
        certificate, number = statement.new, statement.number
    return certificate


def load_statements(data_dir: Path) -> list[Statement]:
    """This server's own, the oldest first. Raises TrustError where the file is damaged."""
    path = data_dir / DIRECTORY / STATEMENTS_FILE
    try:
        return statements_from(orjson.loads(path.read_bytes())) if path.exists() else []
    except (OSError, orjson.JSONDecodeError) as error:
        raise TrustError(
            f"{path} can't be read: {error}.",
            remedy="Put it back from a backup; or delete it: servers that missed a renewal must then import this "
            "server's certificate by hand.",
            code="identity-damaged",
        ) from error


def prepare(
    data_dir: Path,
    identity: ServerIdentity,
    now: datetime,
    *,
    key: ec.EllipticCurvePrivateKey,
    certificate_pem: str,
    chain: Sequence[str] = (),
) -> list[Statement]:
    """Make identity.next ready with this key and certificate; answers the statements, the new one last. Replaces what
    was made ready before. Raises OSError."""
    known = load_statements(data_dir)
    unsigned = Statement(
        server_id=identity.server_id,
        number=known[-1].number + 1 if known else 1,
        old=identity.fingerprint,
        new=certificate_pem,
        time=now.isoformat(timespec="seconds"),
        signature="",
    )
    signature = identity.sign(unsigned.signed()).hex()
    statements = [*known, Statement(**asdict(unsigned) | {"signature": signature})][-MAX_STATEMENTS:]
    following = data_dir / NEXT_DIRECTORY
    discard(following)
    here = data_dir / DIRECTORY
    # What isn't the pair's stays: the key of this server's secrets above all.
    more = {p.name: p.read_bytes() for p in here.iterdir() if p.name not in (KEY_FILE, CERTIFICATE_FILE, TLS_FILE)}
    more[STATEMENTS_FILE] = orjson.dumps([asdict(s) for s in statements])
    if chain:
        more[TLS_FILE] = "".join((certificate_pem, *chain)).encode()
    write_pair(following, key, certificate_pem, more)
    return statements


def new_pair(
    server_id: str, host_name: str, addresses: Sequence[str], now: datetime
) -> tuple[ec.EllipticCurvePrivateKey, str]:
    """A new key, and a self-signed certificate for it (PEM). Raises InvalidInput."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key, to_pem(self_signed(key, server_id, host_name, addresses, now))


def switch(data_dir: Path, identity: ServerIdentity) -> KeyPair:
    """Put what was made ready in force. Raises TrustError, OSError."""
    finish_renewal(data_dir)
    pair, previous = load_pair(data_dir / DIRECTORY), data_dir / PREVIOUS_DIRECTORY
    identity.take(pair)
    identity.earlier = load_pair(previous) if previous.exists() else identity.earlier
    return pair


def forget_previous(data_dir: Path, identity: ServerIdentity) -> None:
    """Nothing is signed with the key before this one any more. Raises OSError."""
    discard(data_dir / PREVIOUS_DIRECTORY)
    identity.earlier = None


def _wrong(what: str) -> TrustError:
    return TrustError(
        f"A statement about a renewed certificate {what}.",
        remedy="Delete that server's line in Trusted Certificates, then import its servletcontainer.cer by hand, after "
        "comparing its fingerprint.",
        code="statement",
    )
