"""Reading a certificate from a file in <data_dir>/certificates, or from text: exactly one, and nothing else.

What it does not do: decide whether to trust it (certificates.py).
"""

from __future__ import annotations

import base64
import binascii
import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from hostward.domain.errors import InvalidInput
from hostward.trust.identity import CERTIFICATE_FILE

MAX_FILE_BYTES: Final = 64 << 10
MAX_SHOWN_NAME: Final = 300
_MAX_SHOWN = 20
PEM_CERTIFICATE = re.compile(r"-----BEGIN (?:X509 )?CERTIFICATE-----.+?-----END[^-]+-----", re.DOTALL)


def read_file(directory: Path, file_name: str) -> bytes:
    """A file's content, only if the file itself is in the directory: no path, no link, no device, no surprise."""
    if file_name in ("", ".", "..") or any(c in "/\\\0" for c in file_name) or not file_name.isprintable():
        raise InvalidInput(
            f"{file_name!r} is not the name of a file.",
            remedy=f"Copy the certificate to {directory} and give its name there, without a path.",
            code="file-name",
        )
    try:
        # Never follows a link, and never waits for a pipe's other end.
        descriptor = os.open(directory / file_name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise InvalidInput(
            f"There is no file {file_name!r} in {directory}.",
            remedy=f"Copy the certificate there first. There are: {some(_files(directory))}.",
            code="file-missing",
        ) from error
    except OSError as error:
        why = "is a link" if error.errno == errno.ELOOP else f"can't be read: {error.strerror}"
        raise InvalidInput(
            f"{file_name!r} in {directory} {why}.",
            remedy="Put a copy of the file itself there.",
            code="file-unreadable",
        ) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InvalidInput(
                f"{file_name!r} in {directory} is not a file.",
                remedy="Put the certificate's file there.",
                code="file-unreadable",
            )
        return os.read(descriptor, MAX_FILE_BYTES + 1)
    finally:
        os.close(descriptor)


def _files(directory: Path) -> list[str]:
    try:
        return sorted(e.name for e in os.scandir(directory) if e.is_file(follow_symlinks=False))
    except OSError:  # it is told as empty; the file that was asked for is missing all the same
        return []


def some(names: Iterator[str] | list[str]) -> str:
    all_names = list(names)
    more = len(all_names) - _MAX_SHOWN
    return ", ".join(all_names[:_MAX_SHOWN]) + (f" and {more} more" if more > 0 else "") or "none"


def only_certificate(given: str | bytes) -> bytes:
    """The DER of the one certificate given. A chain is refused rather than its first certificate taken: files don't
    agree on their order, and trusting the wrong one would be silent."""
    data = given.encode(errors="replace") if isinstance(given, str) else given
    if len(data) > MAX_FILE_BYTES:
        raise _not_a_certificate(f"is larger than {MAX_FILE_BYTES >> 10} KiB")
    text = data.decode("latin-1")  # PEM is ASCII, and whatever surrounds it doesn't matter
    found = PEM_CERTIFICATE.findall(text)
    if "PRIVATE KEY-----" in text or (not found and _is_private_key(data)):
        raise InvalidInput(
            "This holds a private key. It must never leave its server; nothing was imported.",
            remedy=f"Delete this copy, and import the {CERTIFICATE_FILE} of that server instead.",
            code="private-key",
        )
    if len(found) > 1:
        raise InvalidInput(
            f"This holds {len(found)} certificates: {some([_subject(pem) for pem in found])}.",
            remedy="Import the server's own certificate alone, from a file of its own.",
            code="several-certificates",
        )
    if found:
        return _checked_der(x509.load_pem_x509_certificate, found[0].encode())
    try:
        der = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        der = data
    return _checked_der(x509.load_der_x509_certificate, der)


def _checked_der(load: Callable[[bytes], x509.Certificate], data: bytes) -> bytes:
    """The certificate's DER, once everything that will be asked of it has been read: parsing is lazy."""
    try:
        certificate = load(data)
        certificate.subject.rfc4514_string()
        certificate.issuer.rfc4514_string()
        _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        public_key_bytes(certificate)
        return certificate.public_bytes(serialization.Encoding.DER)
    except (ValueError, TypeError, OverflowError, x509.InvalidVersion, UnsupportedAlgorithm) as error:
        raise _not_a_certificate("is not an X.509 certificate that can be read") from error


def _not_a_certificate(what: str) -> InvalidInput:
    return InvalidInput(
        f"What was given {what}; nothing was imported.",
        remedy=f"Import the {CERTIFICATE_FILE} of the other server: PEM (BEGIN CERTIFICATE) or DER.",
        code="not-a-certificate",
    )


def _subject(pem: str) -> str:
    try:
        return shown_name(x509.load_pem_x509_certificate(pem.encode()).subject)
    except (ValueError, x509.InvalidVersion):
        return "(unreadable)"


def _is_private_key(data: bytes) -> bool:
    try:
        serialization.load_der_private_key(data, None)
    except TypeError:  # an encrypted one
        return True
    except (ValueError, UnsupportedAlgorithm):
        return False
    return True


def public_key_bytes(certificate: x509.Certificate) -> bytes:
    """The certificate's key (DER): a renewed certificate may keep it."""
    return certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def shown_name(name: x509.Name) -> str:
    """A subject or issuer, also of a certificate that isn't trusted, as one printable line of bounded length."""
    return printable(name.rfc4514_string({NameOID.SERIAL_NUMBER: "serialNumber"}))


def printable(text: str) -> str:
    """Text of a certificate as one line that steers nothing."""
    return "".join(c if c.isprintable() else "?" for c in text[:MAX_SHOWN_NAME])
