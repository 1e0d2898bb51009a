"""The Master's side of joining by a code: gives codes out, and answers the server that comes with one.

What a newcomer sends is an envelope as between members: signed with its own certificate's key, sealed to this server's
certificate. It isn't trusted yet, so the passphrase's place is taken by a key that everybody knows, and the code's
secret is inside. An answer is sealed to the newcomer, with a proof made from the secret. Who doesn't know a secret
learns nothing.
"""

from __future__ import annotations

import hashlib
import os
import time
from typing import Any, Final

import structlog

from hostward.access.throttle import Throttle
from hostward.domain.errors import Conflict, InvalidInput, PeerError, TrustError
from hostward.domain.join_code import JoinCode
from hostward.domain.replication import Role, Target
from hostward.replication.group.invites import Invite, Invites
from hostward.replication.parts import Parts
from hostward.replication.peers.messages import Message, error_message
from hostward.trust.certificates import CertificateStore
from hostward.trust.envelope import EnvelopeRefused, Instance, Opener, Sealer
from hostward.trust.identity import fingerprint, server_id_of
from hostward.trust.listed import BY_CODE

JOIN: Final = "join"
MAX_ENVELOPE_BYTES: Final = 128 << 10
# Requests come before any common secret is known: this key proves nothing, and isn't meant to.
REQUEST_KEY: Final = hashlib.sha256(b"hostward join request").digest()

log = structlog.get_logger()


def answer_key(secret: bytes) -> bytes:
    """What an answer's proof is made with: it shows the newcomer that its code was understood."""
    return hashlib.sha256(b"hostward join answer\0" + secret).digest()


class Welcoming:
    """One for a server; it only works on a Master. `instance` is this server's life, as for all envelopes."""

    def __init__(self, parts: Parts, instance: Instance) -> None:
        self._p = parts
        self._invites = Invites(parts.server, time.time, os.urandom)
        self._throttle = Throttle(time.monotonic)
        self._sealer = Sealer(parts.identity, instance, lambda: [REQUEST_KEY], time.time, os.urandom)
        self._opener = Opener(parts.identity, instance, lambda _: True, lambda: [REQUEST_KEY], time.time)

    # For administrators

    def invite(self, author: str, minutes: int) -> tuple[Invite, JoinCode]:
        """A new join code. It is shown this once. Raises InvalidInput, Conflict."""
        p = self._p
        if p.state.now.role is not Role.MASTER:
            raise Conflict(
                "Join codes are made on the Master.",
                remedy="Make this server the Master first, or ask the one that is.",
                code="role",
            )
        me = p.describe_self()
        target = Target(me.host, me.port, me.context)
        invite, secret = self._invites.make(author, minutes)
        log.info("join-code-made", author=author, invite=invite.id, minutes=minutes)
        return invite, JoinCode(target, me.protocol, p.identity.fingerprint, secret)

    def invites(self) -> list[dict[str, Any]]:
        """What was given out, without the secrets; the newest first."""
        now_s = time.time()
        return [
            {
                "id": i.id,
                "role": i.role,
                "author": i.author,
                "created_s": i.created_s,
                "expires_s": i.expires_s,
                "state": "used" if i.used_by else "open" if i.is_open(now_s) else "expired",
                "used_by": i.used_name,
            }
            for i in reversed(self._invites.all())
        ]

    def revoke(self, author: str, invite_id: str) -> None:
        """Raises NotFound."""
        self._invites.revoke(invite_id)
        log.info("join-code-revoked", author=author, invite=invite_id)

    # For newcomers

    @property
    def expects_somebody(self) -> bool:
        """Whether there are join codes at all: else nothing needs to be read of who comes with one."""
        return bool(self._invites.all())

    def receive(self, envelope: bytes, address: str) -> bytes:
        """The answer to a newcomer. Raises TrustError where it is to be told nothing, TooManyAttempts."""
        if not self.expects_somebody:
            raise TrustError("There are no join codes.", code="untrusted")
        self._throttle.attempt(JOIN, address)
        try:
            opened = self._opener.open(envelope)
        except EnvelopeRefused as refused:
            return self._sealer.reply(refused, error_message(refused).to_bytes())
        request = Message.from_bytes(opened.body)
        data = request.data
        secret = bytes.fromhex(str(data["secret"]))
        newcomer = opened.sender_certificate
        bound = (data["master"], data["newcomer"]) == (self._p.identity.fingerprint, fingerprint(newcomer))
        if request.act != JOIN or not bound:
            raise TrustError("A request to join is bound to other certificates.", code="untrusted")
        try:
            answer = self._welcome(secret, newcomer, str(data["role"]), str(data["name"]))
        except PeerError as error:
            log.warning("join-refused", address=address, name=str(data["name"])[:100], reason=error.message)
            answer = error_message(error)
        if answer is None:
            log.warning("join-refused", address=address, reason="It came with a code that nobody was given.")
            raise TrustError("A join code is not known.", code="untrusted")
        self._throttle.succeeded(JOIN, address)
        return self._sealer.seal(
            answer.to_bytes(), to=newcomer, to_instance=opened.claims.sender_instance,
            in_reply_to=opened.claims.nonce, key=answer_key(secret),
        )  # fmt: skip

    def _welcome(self, secret: bytes, newcomer: str, role: str, name: str) -> Message | None:
        """Burn the code and trust the newcomer; None for a secret that nobody was given. Raises PeerError."""
        p = self._p
        server_id, mark = server_id_of(newcomer), fingerprint(newcomer)
        invite = self._invites.find(secret, role=role, server_id=server_id, fingerprint=mark)
        if invite is None:
            return None
        if p.state.now.role is not Role.MASTER:
            raise PeerError(
                "The server that made the join code is no longer the Master.",
                remedy="Make a new one on the server that is.",
                code="role",
            )
        trusted = p.store.trusted(mark)
        if invite.used_by and not trusted and p.store.declined(server_id):
            raise PeerError(
                "An administrator of the Master has deleted this server's certificate after the join code was used.",
                remedy="Make a new one on the Master, if this server may join again: hostward group invite.",
                code="join-code",
            )
        if not trusted:
            _check_certificate(p.store, newcomer)
        if not invite.used_by:
            self._invites.burn(invite, server_id=server_id, fingerprint=mark, name=name[:100])
        if not trusted:
            entry = p.store.welcome(newcomer, name, BY_CODE)
            log.info("certificate-trusted", name=entry.friendly_name, fingerprint=mark, invite=invite.id)
        others = [m for m in p.others() if m.server_id != server_id]
        me = p.describe_self()
        known = [{"name": m.name, "certificate": m.certificate} for m in others]
        return Message("ok", {"name": me.name, "certificate": me.certificate, "others": known})


def _check_certificate(store: CertificateStore, newcomer: str) -> None:
    """Before the code is used up. Raises PeerError."""
    try:
        store.check_welcome(newcomer, BY_CODE)
    except InvalidInput as error:
        raise PeerError(
            f"The Master can't trust this server's certificate. It says: {error.message}",
            remedy=f"On the Master: {error.remedy} Then use the same join code again.",
            code="certificate-there",
        ) from error
