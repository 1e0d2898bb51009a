"""Trusted Certificates: which certificates this server believes, in two stores (guide, 5.13.3 and 5.13.4).

A certificate is imported from a file in <data_dir>/certificates, or from text, under a friendly name. Trust is in
the exact certificate, by its fingerprint; nothing is inferred from an issuer.

What it does not do: keep anything itself (a CertificateStorage does), or decide who is a member of the group.
"""

from __future__ import annotations

import base64
import binascii
import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal, Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from hostward.domain.errors import Conflict, InvalidInput, NotFound
from hostward.trust.identity import (
    CERTIFICATE_FILE,
    ServerIdentity,
    fingerprint,
    parse_certificate,
    server_id_of,
    to_pem,
)

StoreKey = Literal["mss", "security-proxy"]
STORES: Final[dict[StoreKey, str]] = {"mss": "Management and Security Server", "security-proxy": "Security Proxy"}

DIRECTORY: Final = "certificates"
MAX_FILE_BYTES: Final = 64 << 10
MAX_CERTIFICATES: Final = 1000
MAX_NAME_CHARACTERS: Final = 100
SOON: Final = timedelta(days=60)
_MAX_SHOWN = 20
_PEM_CERTIFICATE = re.compile(r"-----BEGIN (?:X509 )?CERTIFICATE-----.+?-----END[^-]+-----", re.DOTALL)


class CertificateStorage(Protocol):
    """Where one store's entries are kept. Entries are JSON objects of texts; `save` replaces them all, and what it
    returned from is durable."""

    def load(self) -> list[dict[str, str]]: ...

    def save(self, entries: list[dict[str, str]]) -> None: ...


@dataclass(frozen=True, slots=True)
class TrustedCertificate:
    """One line of a store's list. Times are aware; `server_id` is empty for what isn't a Hostward server's; `own`
    marks this server's certificate, which can't be deleted; `expired` and `expiring_soon` (within 60 days) are as of
    the moment of listing."""

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
    pem: str


class CertificateStore:
    """One store. All methods are quick and may be called from any thread that doesn't overlap with a change; `clock`
    gives Unix seconds. `own` is listed first under `own_name`; give it for the store `mss` only."""

    def __init__(
        self,
        key: StoreKey,
        storage: CertificateStorage,
        directory: Path,
        clock: Callable[[], float],
        *,
        own: ServerIdentity | None = None,
        own_name: str = "this server",
    ) -> None:
        assert (own is not None) == (key == "mss"), "the server's own certificate is in the store mss, and only there"
        self.key, self.title = key, STORES[key]
        self._storage, self._directory, self._clock = storage, directory, clock
        self._own = (own_name, own.certificate_pem) if own else None
        self._set({entry["friendly_name"]: entry["pem"] for entry in storage.load()})

    def entries(self) -> list[TrustedCertificate]:
        """The server's own certificate, then the imported ones by friendly name."""
        imported = sorted(self._imported.items(), key=lambda item: item[0].casefold())
        own = [self._entry(*self._own, own=True)] if self._own else []
        return own + [self._entry(name, pem) for name, pem in imported]

    def pems(self) -> list[str]:
        """All the store's certificates, for TLS."""
        return list(self._by_fingerprint.values())

    def trusted(self, fingerprint: str) -> bool:
        """Whether the store holds the certificate with this fingerprint. It may have expired: see `entries`."""
        return fingerprint in self._by_fingerprint

    def find(self, fingerprint: str) -> TrustedCertificate | None:
        """The certificate with this fingerprint."""
        return next((entry for entry in self.entries() if entry.fingerprint == fingerprint), None)

    def find_by_public_key(self, certificate: str | bytes) -> TrustedCertificate | None:
        """The certificate whose key is the one in `certificate` (PEM or DER): a renewed certificate keeps its key.
        Raises TrustError "certificate" if that isn't a certificate."""
        wanted = _public_key(parse_certificate(certificate))
        return next((e for e in self.entries() if _public_key(parse_certificate(e.pem)) == wanted), None)

    def import_file(self, file_name: str, friendly_name: str) -> TrustedCertificate:
        """Trust the certificate in the file of that name in <data_dir>/certificates. Raises InvalidInput."""
        return self.import_text(_read(self._directory, file_name), friendly_name)

    def import_text(self, certificate: str | bytes, friendly_name: str) -> TrustedCertificate:
        """Trust a certificate given as PEM, DER, or DER in base64. Raises InvalidInput, with what is wrong: no or more
        than one certificate, a private key, expired, already there, a name that is taken or can't be one."""
        name = _checked_name(friendly_name)
        pem = to_pem(_only_certificate(certificate))
        entry = self._entry(name, pem)
        self._check_dates(entry)
        self._check_new(entry)
        self._save({**self._imported, name: pem})
        return entry

    def delete(self, friendly_name: str) -> None:
        """Trust it no longer. Raises NotFound, or Conflict for the server's own certificate."""
        if friendly_name in self._imported:
            self._save({name: pem for name, pem in self._imported.items() if name != friendly_name})
            return
        if self._own and friendly_name == self._own[0]:
            raise Conflict(
                "This server's own certificate can't be deleted from its Trusted Certificates.",
                remedy="Delete another server's certificate, by its friendly name.",
                code="own-certificate",
            )
        raise NotFound(
            f"No certificate in {self.title} has the friendly name {friendly_name!r}.",
            remedy=f"There are: {_some(entry.friendly_name for entry in self.entries())}.",
        )

    def _entry(self, name: str, pem: str, *, own: bool = False) -> TrustedCertificate:
        certificate, now = parse_certificate(pem), datetime.fromtimestamp(self._clock(), UTC)
        end = certificate.not_valid_after_utc
        return TrustedCertificate(
            friendly_name=name,
            fingerprint=fingerprint(pem),
            subject=certificate.subject.rfc4514_string(),
            issuer=certificate.issuer.rfc4514_string(),
            server_id=server_id_of(pem),
            not_before=certificate.not_valid_before_utc,
            not_after=end,
            expired=end < now,
            expiring_soon=now <= end < now + SOON,
            own=own,
            pem=pem,
        )

    def _check_dates(self, entry: TrustedCertificate) -> None:
        now = datetime.fromtimestamp(self._clock(), UTC)
        if entry.expired:
            raise InvalidInput(
                f"The certificate of {entry.subject} expired on {entry.not_after:%Y-%m-%d}; it was not imported.",
                remedy="Import that server's new certificate.",
                code="certificate-expired",
            )
        if entry.not_before > now:
            raise InvalidInput(
                f"The certificate of {entry.subject} is valid from {entry.not_before:%Y-%m-%d %H:%M} UTC; it is "
                f"{now:%Y-%m-%d %H:%M} UTC here.",
                remedy="Set the clocks of both servers, or wait until then.",
                code="certificate-not-yet-valid",
            )

    def _check_new(self, entry: TrustedCertificate) -> None:
        for there in self.entries():
            if there.fingerprint == entry.fingerprint:
                whose = "this server's own, listed" if there.own else "already trusted"
                raise InvalidInput(
                    f"This certificate is {whose} under the friendly name {there.friendly_name!r}.",
                    remedy="Nothing needs to be done. To rename it, delete it and import it again."
                    if not there.own
                    else f"Copy the {CERTIFICATE_FILE} of the other server here, not this server's.",
                    code="duplicate-certificate",
                )
            if there.friendly_name.casefold() == entry.friendly_name.casefold():
                raise InvalidInput(
                    f"The friendly name {there.friendly_name!r} is taken, by the certificate of {there.subject}.",
                    remedy="Choose another one, or delete that certificate first.",
                    code="duplicate-name",
                )
        if len(self._imported) >= MAX_CERTIFICATES:
            raise InvalidInput(
                f"{self.title} holds {MAX_CERTIFICATES} certificates, as many as it can.",
                remedy="Delete those that are no longer needed.",
            )

    def _save(self, imported: dict[str, str]) -> None:
        self._storage.save([{"friendly_name": name, "pem": pem} for name, pem in imported.items()])
        self._set(imported)

    def _set(self, imported: dict[str, str]) -> None:
        own = [self._own[1]] if self._own else []
        self._imported = imported
        self._by_fingerprint = {fingerprint(pem): pem for pem in (*own, *imported.values())}


def _public_key(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _checked_name(friendly_name: str) -> str:
    name = friendly_name.strip()
    if not 0 < len(name) <= MAX_NAME_CHARACTERS or not name.isprintable() or "/" in name or "\\" in name:
        raise InvalidInput(
            f"A friendly name has 1 to {MAX_NAME_CHARACTERS} printable characters, without slashes.",
            remedy="Use the server's name.",
            code="friendly-name",
        )
    return name


def _read(directory: Path, file_name: str) -> bytes:
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
            remedy=f"Copy the certificate there first. There are: {_some(_files(directory))}.",
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


def _some(names: Iterator[str] | list[str]) -> str:
    all_names = list(names)
    more = len(all_names) - _MAX_SHOWN
    return ", ".join(all_names[:_MAX_SHOWN]) + (f" and {more} more" if more > 0 else "") or "none"


def _only_certificate(given: str | bytes) -> bytes:
    """The DER of the one certificate given. A chain is refused rather than its first certificate taken: files don't
    agree on their order, and trusting the wrong one would be silent."""
    data = given.encode(errors="replace") if isinstance(given, str) else given
    if len(data) > MAX_FILE_BYTES:
        raise _not_a_certificate(f"is larger than {MAX_FILE_BYTES >> 10} KiB")
    text = data.decode("latin-1")  # PEM is ASCII, and whatever surrounds it doesn't matter
    found = _PEM_CERTIFICATE.findall(text)
    if "PRIVATE KEY-----" in text or (not found and _is_private_key(data)):
        raise InvalidInput(
            "This holds a private key. It must never leave its server; nothing was imported.",
            remedy=f"Delete this copy, and import the {CERTIFICATE_FILE} of that server instead.",
            code="private-key",
        )
    if len(found) > 1:
        raise InvalidInput(
            f"This holds {len(found)} certificates: {_some([_subject(pem) for pem in found])}.",
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
        _public_key(certificate)
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
        return x509.load_pem_x509_certificate(pem.encode()).subject.rfc4514_string()
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
