"""A renewed certificate of this server, in a group that goes on: told to the others before it is used, so that no
message is refused; and what others say of theirs.

    prepared ──► told to the members that answer ──► in force ──► the Master's entry of this server has it
                  (they trust both for a while)                     └► the key before it is destroyed

A crash anywhere goes on from what is on the disk. Who was away learns it later by itself: the public hello carries the
chain of statements (trust/renewals.py), and every member greets every other. A server that was removed from the group
isn't followed. The Master's entry of itself changes by a change that is signed with the old key (`signer_for`), and
whatever comes after it with the new one: followers verify by the entry in their registry.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric import ec

from hostward.domain.changes import Operation
from hostward.domain.errors import Conflict, HostwardError, PeerError, TrustError
from hostward.domain.replication import Role
from hostward.registry.group import Reader
from hostward.replication.failpoints import die_at
from hostward.replication.group.members import REMOVED, Member, member
from hostward.replication.parts import Parts
from hostward.replication.peers.messages import Message
from hostward.trust.identity import ServerIdentity, fingerprint
from hostward.trust.renewals import (
    Statement,
    forget_previous,
    load_statements,
    new_pair,
    prepare,
    statements_from,
    successor,
    switch,
)

KEY = "renewal"
EVERY_S = 1.0
TELL_TIMEOUT_S = 3.0
RENEWED = "renewed"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class NewCertificate:
    """A key with its certificate (PEM), and the chain of an authority's that comes after it."""

    key: ec.EllipticCurvePrivateKey
    certificate_pem: str
    chain: tuple[str, ...] = ()


def signer_for(identity: ServerIdentity) -> Callable[[Reader], Callable[[bytes], bytes]]:
    """Chooses what a change is signed with: the key of the certificate that the registry has for this server when the
    change is made."""

    def choose(reader: Reader) -> Callable[[bytes], bytes]:
        earlier = identity.earlier
        if earlier is not None:
            me = member(reader, identity.server_id)
            if me is not None and me.certificate == earlier.certificate_pem:
                return earlier.sign
        return identity.pair.sign

    return choose


class Rotation:
    """One for a server. `reload_tls` makes new connections to this server see the new certificate."""

    def __init__(self, parts: Parts, reload_tls: Callable[[], None]) -> None:
        self._p, self._reload_tls = parts, reload_tls
        self._lock = asyncio.Lock()
        self.statements = load_statements(parts.data_dir)

    # This server's own

    async def renew(self, author: str, new: NewCertificate | None = None) -> None:
        """Give this server a new certificate (by default a new key and a self-signed one) and tell the others. Raises
        Conflict while an earlier renewal isn't finished, TrustError where the new one can't be used: then the old one
        stays."""
        if self._lock.locked():
            raise Conflict("The certificate is being renewed now.", remedy="Wait a few seconds.", code="renewing")
        async with self._lock:
            await self._finish()
            p = self._p
            if p.identity.earlier is not None:
                raise Conflict(
                    "The Master doesn't know the certificate of the last renewal yet.",
                    remedy="Wait until `hostward certificate own` shows it as confirmed by the Master.",
                    code="renewing",
                )
            statements = await asyncio.to_thread(self._prepare, new)
            die_at("RENEWAL_PREPARED")
            await self._tell(statements)
            die_at("RENEWAL_TOLD")
            await self._switch(statements)
            die_at("RENEWAL_IN_FORCE")
            log.info("certificate-renewed", author=author, fingerprint=p.identity.fingerprint)
            await self._finish()

    def _prepare(self, new: NewCertificate | None) -> list[Statement]:
        p = self._p
        now = datetime.now(UTC)
        if new is None:
            addresses = [a for a in (p.configuration.database.address, p.state.now.adapter) if a]
            new = NewCertificate(*new_pair(p.server_id, p.configuration.server.host_name, addresses, now))
        try:
            return prepare(
                p.data_dir, p.identity, now, key=new.key, certificate_pem=new.certificate_pem, chain=new.chain
            )
        except OSError as error:
            raise TrustError(
                f"The new certificate can't be written: {error.strerror or error}.",
                remedy="Check the free space and the permissions of the data directory; the old one stays.",
                code="identity-unwritable",
            ) from error

    async def _tell(self, statements: list[Statement]) -> None:
        """Tell those that answer, while they still trust this server by its old certificate."""
        message = Message(RENEWED, {"statements": [asdict(s) for s in statements]})

        async def tell(them: Member) -> None:
            try:
                await self._p.links.ask(them, message, timeout_s=TELL_TIMEOUT_S)
            except HostwardError as error:
                log.info("renewal-not-told", server=them.name, reason=error.message)

        await asyncio.gather(*(tell(m) for m in self._p.others()))

    async def _switch(self, statements: list[Statement]) -> None:
        p = self._p
        await asyncio.to_thread(switch, p.data_dir, p.identity)
        self.statements = statements
        self._reload_tls()

    async def _finish(self) -> None:
        """On the Master, enter the new certificate; then, or once the Master has entered it, destroy the old key."""
        p = self._p
        if p.identity.earlier is None:
            return
        if p.state.now.role is Role.MASTER:
            await self._enter(p.server_id, p.identity.certificate_pem)
        me = p.find(p.server_id)
        if me is None or me.certificate == p.identity.certificate_pem:
            await asyncio.to_thread(forget_previous, p.data_dir, p.identity)

    async def _enter(self, server_id: str, certificate: str) -> None:
        """A member's entry gets its new certificate."""

        def decide(reader: Reader) -> list[Operation]:
            known = member(reader, server_id)
            if known is None or known.certificate == certificate:
                return []
            return [replace(known, certificate=certificate).put()]

        if self._p.group.position.epoch.server == self._p.server_id:
            await self._p.group.commit("replication", decide)

    # The others'

    def met(self, certificate: str, statements: Any) -> bool:
        """A server showed this certificate, which isn't trusted, with its statements: whether they lead to it from one
        that is. It is then trusted in its place."""
        try:
            return self._follow(statements_from(statements), certificate, overlap=False)
        except TrustError as error:
            log.warning("renewal-refused", fingerprint=fingerprint(certificate), reason=error.message)
            return False

    async def told(self, sender: str, statements: Any) -> None:
        """A server tells that it will use another certificate soon. Raises TrustError, PeerError."""
        chain = statements_from(statements)
        if not chain or chain[-1].server_id != sender:
            raise PeerError("A server can only renew its own certificate.", code="role")
        self._follow(chain, chain[-1].new, overlap=True)

    def _follow(self, chain: list[Statement], certificate: str, *, overlap: bool) -> bool:
        p = self._p
        if not chain or p.store.trusted(fingerprint(certificate)):
            return False
        server_id = chain[-1].server_id
        with p.group.read() as reader:
            if reader.get(REMOVED, server_id) is not None:
                raise TrustError("That server was removed from the group.", code="removed")
        for entry in p.store.of_server(server_id):
            if successor(entry.pem, chain) == certificate:
                name = p.store.renewed(entry.fingerprint, certificate, overlap=overlap)
                log.info("certificate-replaced", name=name, old=entry.fingerprint, new=fingerprint(certificate))
                self._follow_master(server_id, certificate)
                return True
        return False

    def _follow_master(self, server_id: str, certificate: str) -> None:
        p = self._p
        if server_id == p.state.now.master_id:
            p.state.update(master_certificate=certificate)
            p.follower.recertify(certificate)

    def heard(self, server_id: str) -> None:
        """That member has answered a message that was signed with the present certificate: it trusts it."""
        confirmed = self._confirmed()
        if confirmed is not None and server_id not in confirmed:
            self._p.server.put(KEY, {"fingerprint": self._p.identity.fingerprint, "confirmed": [*confirmed, server_id]})

    def seen(self, certificate: str) -> None:
        """A message came that was signed with this certificate: the one before it is no longer good."""
        self._p.store.settle(certificate)

    # All the time

    async def run(self) -> None:
        """Until cancelled: finish what a crash left, and on the Master enter what members have renewed."""
        while True:
            try:
                if not self._lock.locked():
                    await self._finish()
                await self._enter_others()
            except HostwardError as error:
                log.info("renewal-waits", reason=error.message)
            await asyncio.sleep(EVERY_S)

    async def _enter_others(self) -> None:
        p = self._p
        if p.state.now.role is not Role.MASTER:
            return
        for m in p.others():
            entries = p.store.of_server(m.server_id)
            if (
                len(entries) == 1
                and entries[0].pem != m.certificate
                and not p.store.trusted(fingerprint(m.certificate))
            ):
                await self._enter(m.server_id, entries[0].pem)

    def state(self) -> dict[str, Any]:
        """Who has confirmed the present certificate, since the last renewal."""
        p, confirmed = self._p, self._confirmed()
        members = [
            {"server": m.server_id, "server_name": m.name, "confirmed": m.server_id in (confirmed or ())}
            for m in p.others()
        ]
        return {
            "renewals": self.statements[-1].number if self.statements else 0,
            "renewed_at": self.statements[-1].time if self.statements else None,
            "members": members if confirmed is not None else [],
        }

    def _confirmed(self) -> list[str] | None:
        """Who has confirmed the present certificate; None where it is this server's first."""
        if not self.statements:
            return None
        kept = self._p.server.get(KEY)  # of an earlier one where a renewal was put in force by a start after a crash
        return list(kept["confirmed"]) if kept and kept["fingerprint"] == self._p.identity.fingerprint else []
