"""Trusted Certificates: which certificates this server believes, in two stores (guide, 5.13.3 and 5.13.4).

A certificate is imported from a file in <data_dir>/certificates, or from text, under a friendly name; by a join code;
or because the group's Master has made its server a member. Trust is in the exact certificate, by its fingerprint;
nothing is inferred from an issuer. A server that renews its certificate keeps its line (rotation.py).

What it does not do: keep anything itself (a CertificateStorage does), or decide who is a member of the group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal, Protocol

from hostward.domain.errors import Conflict, InvalidInput, NotFound
from hostward.trust.certificate_files import only_certificate, public_key_bytes, read_file, some
from hostward.trust.identity import (
    CERTIFICATE_FILE,
    ServerIdentity,
    fingerprint,
    parse_certificate,
    server_id_of,
    to_pem,
)
from hostward.trust.listed import (
    BY_GROUP,
    BY_HAND,
    OWN,
    ListedCertificate,
    described,
    facts_of,
    is_authority,
)

StoreKey = Literal["mss", "security-proxy"]
STORES: Final[dict[StoreKey, str]] = {"mss": "Management and Security Server", "security-proxy": "Security Proxy"}

DIRECTORY: Final = "certificates"
MAX_CERTIFICATES: Final = 1000
MAX_NAME_CHARACTERS: Final = 100


class CertificateStorage(Protocol):
    """Where one store's entries are kept. Entries are JSON objects of texts; `save` replaces them all, and what it
    returned from is durable."""

    def load(self) -> list[dict[str, str]]: ...

    def save(self, entries: list[dict[str, str]]) -> None: ...


@dataclass(frozen=True, slots=True)
class _Kept:
    """A line as it is kept. `previous` (PEM) is the certificate before a renewal, still good until the new one has been
    seen in use; a `declined` one was deleted by an administrator, so neither the group nor a join code that was used
    before brings its server in again."""

    name: str
    pem: str
    source: str = BY_HAND
    previous: str = ""
    declined: bool = False

    def to_json(self) -> dict[str, str]:
        value = {"friendly_name": self.name, "pem": self.pem, "source": self.source, "previous": self.previous}
        return value | {"declined": "yes" if self.declined else ""}

    @staticmethod
    def from_json(value: dict[str, str]) -> _Kept:
        source = value.get("source", BY_HAND)
        return _Kept(
            value["friendly_name"], value["pem"], source, value.get("previous", ""), bool(value.get("declined"))
        )


class CertificateStore:
    """One store. All methods are quick and may be called from any thread that doesn't overlap with a change; `clock`
    gives Unix seconds; `soon` how long before its end a certificate expires soon. `own` is listed first under
    `own_name`; give it for the store `mss` only."""

    def __init__(
        self,
        key: StoreKey,
        storage: CertificateStorage,
        directory: Path,
        clock: Callable[[], float],
        *,
        own: ServerIdentity | None = None,
        own_name: str = "this server",
        soon: Callable[[], timedelta] = lambda: timedelta(days=60),
    ) -> None:
        assert (own is not None) == (key == "mss"), "the server's own certificate is in the store mss, and only there"
        self.key, self.title = key, STORES[key]
        self._storage, self._directory, self._clock = storage, directory, clock
        self._own, self._own_name, self._soon = own, own_name, soon
        self._set([_Kept.from_json(entry) for entry in storage.load()])

    # Who is trusted

    def entries(self) -> list[ListedCertificate]:
        """The server's own certificate, then the imported ones by friendly name."""
        return [self._entry(kept) for kept in self._all()]

    def pems(self) -> list[str]:
        """All the store's certificates, for TLS."""
        own = {self._own.fingerprint: self._own.certificate_pem} if self._own else {}
        return list((own | self._by_fingerprint).values())

    def trusted(self, fingerprint: str) -> bool:
        """Whether the store holds the certificate with this fingerprint. It may have expired: see `entries`."""
        return fingerprint in self._by_fingerprint or (self._own is not None and fingerprint == self._own.fingerprint)

    def find(self, fingerprint: str) -> ListedCertificate | None:
        """The certificate with this fingerprint."""
        return next((self._entry(kept) for kept in self._all() if facts_of(kept.pem).fingerprint == fingerprint), None)

    def of_server(self, server_id: str) -> list[ListedCertificate]:
        """The imported certificates of the server with this id."""
        imported = [kept for kept in self._all() if kept.source != OWN]
        return [self._entry(kept) for kept in imported if facts_of(kept.pem).server_id == server_id]

    def find_by_public_key(self, certificate: str | bytes) -> ListedCertificate | None:
        """The certificate whose key is the one in `certificate` (PEM or DER): a renewed certificate keeps its key.
        Raises TrustError "certificate" if that isn't a certificate."""
        wanted = public_key_bytes(parse_certificate(certificate))
        return next((e for e in self.entries() if public_key_bytes(parse_certificate(e.pem)) == wanted), None)

    # By hand

    def import_file(self, file_name: str, friendly_name: str) -> ListedCertificate:
        """Trust the certificate in the file of that name in <data_dir>/certificates. Raises InvalidInput."""
        return self.import_text(read_file(self._directory, file_name), friendly_name)

    def import_text(self, certificate: str | bytes, friendly_name: str, *, source: str = BY_HAND) -> ListedCertificate:
        """Trust a certificate given as PEM, DER, or DER in base64. Raises InvalidInput, with what is wrong: no or more
        than one certificate, a private key, a CA's, expired, already there, another one of a server that is trusted
        already or of this one, a name that is taken or can't be one."""
        kept = self._checked(certificate, friendly_name, source)
        self._save([*self._kept, kept])
        return self._entry(kept)

    def delete(self, friendly_name: str) -> None:
        """Trust it no longer. Raises NotFound, or Conflict for the server's own certificate."""
        for kept in self._kept:
            if kept.name == friendly_name:
                self._save([k for k in self._kept if k is not kept], declining=kept)
                return
        if self._own and friendly_name == self._own_name:
            raise Conflict(
                "This server's own certificate can't be deleted from its Trusted Certificates.",
                remedy="Delete another server's certificate, by its friendly name.",
                code="own-certificate",
            )
        raise NotFound(
            f"No certificate in {self.title} has the friendly name {friendly_name!r}.",
            remedy=f"There are: {some(entry.friendly_name for entry in self.entries())}.",
        )

    # By the group

    def welcome(self, certificate: str, name: str, source: str) -> ListedCertificate:
        """Trust a server's certificate that a join code or the group's Master vouches for, under its server's name or
        one like it. Raises InvalidInput as `check_welcome`."""
        kept = self._welcomed(certificate, name, source)
        self._save([*self._kept, kept])
        return self._entry(kept)

    def check_welcome(self, certificate: str, source: str) -> None:
        """Raises InvalidInput, with the reason, where `welcome` would leave this certificate out: as `import_text`, and
        where it is no server's, or the group brings one that an administrator has deleted here."""
        self._welcomed(certificate, "", source)

    def declined(self, server_id: str) -> bool:
        """Whether an administrator has deleted this server's certificate, and none of it is trusted since."""
        return any(facts_of(kept.pem).server_id == server_id for kept in self._declined)

    def dismiss(self, server_id: str) -> list[str]:
        """Trust no longer what the group alone had brought in for this server; the friendly names."""
        gone = [k for k in self._kept if k.source == BY_GROUP and server_id_of(k.pem) == server_id]
        if gone:
            self._save([k for k in self._kept if k not in gone])
        return [k.name for k in gone]

    def _welcomed(self, certificate: str, name: str, source: str) -> _Kept:
        server_id = server_id_of(only_certificate(certificate))
        if not server_id:
            raise InvalidInput(
                "This certificate names no server: Hostward didn't make it.",
                remedy=f"Use the {CERTIFICATE_FILE} of a server.",
                code="not-a-server",
            )
        if source == BY_GROUP and self.declined(server_id):
            raise InvalidInput(
                "An administrator has deleted that server's certificate here.",
                remedy="Import it, if it is to be trusted again.",
                code="certificate-declined",
            )
        return self._checked(certificate, self._free_name(name, server_id), source)

    def _free_name(self, name: str, server_id: str) -> str:
        try:
            name = _checked_name(name)
        except InvalidInput:
            name = server_id
        taken = {entry.friendly_name.casefold() for entry in self.entries()}
        number, found = 1, name
        while found.casefold() in taken:
            number += 1
            found = f"{name[: MAX_NAME_CHARACTERS - 6]} ({number})"
        return found

    # Renewals

    def renewed(self, old: str, new: str, *, overlap: bool) -> str | None:
        """The server with the certificate `old` (a fingerprint) has the certificate `new` (PEM) from now on, under the
        same friendly name: that. With `overlap` the old one stays good until `settle`. None where `old` isn't there."""
        for kept in self._kept:
            if fingerprint(kept.pem) == old:
                line = replace(kept, pem=new, previous=kept.pem if overlap else "")
                self._save([line if k is kept else k for k in self._kept])
                return kept.name
        return None

    def settle(self, certificate: str) -> None:
        """This certificate (PEM) was seen in use: the one before it is no longer good."""
        for kept in self._kept:
            if kept.previous and kept.pem == certificate:
                self._save([replace(kept, previous="") if k is kept else k for k in self._kept])
                return

    # Below: helpers

    def _all(self) -> list[_Kept]:
        own = [_Kept(self._own_name, self._own.certificate_pem, OWN)] if self._own else []
        return own + sorted(self._kept, key=lambda kept: kept.name.casefold())

    def _entry(self, kept: _Kept) -> ListedCertificate:
        now = datetime.fromtimestamp(self._clock(), UTC)
        return described(kept.pem, kept.name, kept.source, now, self._soon())

    def _checked(self, certificate: str | bytes, friendly_name: str, source: str) -> _Kept:
        kept = _Kept(_checked_name(friendly_name), to_pem(only_certificate(certificate)), source)
        entry = self._entry(kept)
        self._check_kind(entry)
        self._check_dates(entry)
        self._check_new(entry)
        return kept

    def _check_kind(self, entry: ListedCertificate) -> None:
        if self.key == "mss" and is_authority(parse_certificate(entry.pem)):
            raise InvalidInput(
                f"The certificate of {entry.subject} is an authority's: trusting it would not make the servers trusted "
                "to which it gives certificates.",
                remedy=f"Import each server's own {CERTIFICATE_FILE}; also one that an authority has issued.",
                code="authority-certificate",
            )

    def _check_dates(self, entry: ListedCertificate) -> None:
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

    def _check_new(self, entry: ListedCertificate) -> None:
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
            if self.key == "mss" and entry.server_id and there.server_id == entry.server_id:
                raise _second_of_one_server(there)
            if there.friendly_name.casefold() == entry.friendly_name.casefold():
                raise InvalidInput(
                    f"The friendly name {there.friendly_name!r} is taken, by the certificate of {there.subject}.",
                    remedy="Choose another one, or delete that certificate first.",
                    code="duplicate-name",
                )
        if len(self._kept) >= MAX_CERTIFICATES:
            raise InvalidInput(
                f"{self.title} holds {MAX_CERTIFICATES} certificates, as many as it can.",
                remedy="Delete those that are no longer needed.",
            )

    def _save(self, kept: Iterable[_Kept], *, declining: _Kept | None = None) -> None:
        now = list(kept)
        there = {k.pem for k in now} | {facts_of(k.pem).server_id for k in now} - {""}
        declined = [k for k in self._declined if there.isdisjoint((k.pem, facts_of(k.pem).server_id))]
        if declining is not None:
            declined.append(replace(declining, declined=True, previous=""))
        every = [*now, *declined[-MAX_CERTIFICATES:]]
        self._storage.save([k.to_json() for k in every])
        self._set(every)

    def _set(self, every: Iterable[_Kept]) -> None:
        kept: list[_Kept] = []
        declined: list[_Kept] = []
        for one in every:
            (declined if one.declined else kept).append(one)
        self._kept, self._declined = kept, declined
        self._by_fingerprint = {fingerprint(pem): pem for k in kept for pem in (k.pem, k.previous) if pem}


def _second_of_one_server(there: ListedCertificate) -> InvalidInput:
    """Anybody can make a certificate with a server's id, which is no secret: whoever is trusted by it speaks as that
    server."""
    if there.own:
        problem = f"This certificate names this server itself, {there.server_id}, and isn't its own."
        remedy = (
            "If the other server is a copy of this one, move the copy's identity directory away and start it again: "
            "it becomes a server of its own. Else somebody has forged this certificate."
        )
    else:
        problem = (
            f"The server that this certificate names, {there.server_id}, is trusted already by another one, under the "
            f"friendly name {there.friendly_name!r}."
        )
        remedy = (
            "A renewed certificate is taken over by itself. If this one is that server's all the same, compare its "
            "fingerprint, and delete that one first."
        )
    return InvalidInput(problem, remedy=remedy, code="duplicate-server")


def _checked_name(friendly_name: str) -> str:
    name = friendly_name.strip()
    if not 0 < len(name) <= MAX_NAME_CHARACTERS or not name.isprintable() or "/" in name or "\\" in name:
        raise InvalidInput(
            f"A friendly name has 1 to {MAX_NAME_CHARACTERS} printable characters, without slashes.",
            remedy="Use the server's name.",
            code="friendly-name",
        )
    return name
