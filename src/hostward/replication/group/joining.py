"""The newcomer's side of joining by a code: one command instead of certificates both ways, Test Connection and Apply.

    greet the Master  ─►  its certificate is the pinned one?  ─►  hand over secret and certificate, sealed to it
                             └─ no: nothing is sent                 └─► trust the Master and the other servers, Apply

It may be run again after a crash at any step: the Master answers the same server again, and a server that is trusted
both ways already goes straight to Apply.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import structlog

from hostward.domain.errors import Conflict, HostwardError, InvalidInput, PeerError, TrustError
from hostward.domain.join_code import JoinCode
from hostward.domain.replication import Role
from hostward.replication.applying import Applying
from hostward.replication.group.welcoming import JOIN, REQUEST_KEY, answer_key
from hostward.replication.parts import Parts
from hostward.replication.peers.links import Hello
from hostward.replication.peers.messages import Message
from hostward.replication.wanted import Wanted
from hostward.trust.certificates import CertificateStore
from hostward.trust.envelope import Instance, Opener, Sealer
from hostward.trust.identity import fingerprint, out_of_date, parse_certificate, server_id_of
from hostward.trust.listed import BY_CODE
from hostward.trust.passphrase import Passphrase

log = structlog.get_logger()

AGAIN = "Then join with the same code again: the certificates have been exchanged, so it needn't be valid any more."


class Joining:
    """One for a server."""

    def __init__(self, parts: Parts, applying: Applying, instance: Instance) -> None:
        self._p, self._applying, self._instance = parts, applying, instance

    def consequences(self, code: JoinCode) -> list[str]:
        """What Yes would do, in sentences. Raises Conflict where this server can't join."""
        self._check_role()
        at = f"{code.protocol}://{code.master.host}:{code.master.port}/{code.master.context}"
        return [
            f"This server becomes a Slave of the Master at {at}, whose certificate has the SHA-256 fingerprint "
            f"{code.fingerprint}.",
            "Each of the two trusts the other's certificate, and those of the group's other servers.",
            *self._applying.consequences(Wanted(Role.SLAVE, master=code.master)),
        ]

    async def join(self, code: JoinCode, author: str, *, adapter: str | None, passphrase: Passphrase | None) -> str:
        """Exchange certificates, then Apply as Slave; the job's id. Raises PeerError, InvalidInput, Conflict."""
        self._check_role()
        wanted = Wanted(
            Role.SLAVE, adapter=adapter, protocol=code.protocol, passphrase=passphrase, master=code.master
        )  # fmt: skip
        self._applying.check_settings(wanted)
        known = await self._trusted_both_ways(code, passphrase)
        if known:
            return await self._applying.apply(replace(wanted, master_id=known), author)
        master_id = await self._exchange(code, author)
        try:
            return await self._applying.apply(replace(wanted, master_id=master_id), author)
        except HostwardError as error:
            error.remedy = f"{error.remedy} {AGAIN}".strip()
            raise

    def _check_role(self) -> None:
        role = self._p.state.now.role
        if role is not Role.STANDALONE:
            raise Conflict(
                f"This server is a {role.value.capitalize()} already.",
                remedy="`hostward replication status` says how far it is. To join another group, set it to Standalone.",
                code="role",
            )

    async def _trusted_both_ways(self, code: JoinCode, passphrase: Passphrase | None) -> str:
        """The id of the Master that the code was made on, where the certificates have been exchanged; else empty."""
        pinned = self._p.store.find(code.fingerprint)
        if pinned is None:
            return ""
        try:
            await self._p.links.ask_target(
                code.master,
                Message("check", {"protocol": code.protocol}),
                protocol=code.protocol,
                passphrase=passphrase,
                whose=pinned.server_id,
            )
        except PeerError as error:  # what isn't about certificates is said by Apply's own checks
            return "" if error.code in ("certificate", "certificate-there") else pinned.server_id
        return pinned.server_id

    async def _exchange(self, code: JoinCode, author: str) -> str:
        """Answers the Master's id."""
        p, name = self._p, self._p.describe_self().name
        _check_dates(p.identity.certificate_pem, "This server's", "here")
        hello = await self._greet(code)
        _check_dates(hello.certificate, "The Master's", "on the Master, then make a new join code")
        mark = fingerprint(hello.certificate)
        if not p.store.trusted(mark):
            _check_certificate(p.store, hello.certificate)
        secret = {
            "secret": code.secret.hex(), "role": Role.SLAVE.value, "name": name,
            "master": mark, "newcomer": p.identity.fingerprint,
        }  # fmt: skip
        answer = await self._hand_over(code, hello, Message(JOIN, secret))
        for theirs, certificate in (
            (answer.data["name"], hello.certificate),
            *((other["name"], other["certificate"]) for other in answer.data["others"]),
        ):
            with contextlib.suppress(InvalidInput):  # trusted already; or another member's that can't be: it is shown
                entry = p.store.welcome(str(certificate), str(theirs), BY_CODE)
                log.info("certificate-trusted", author=author, name=entry.friendly_name, fingerprint=entry.fingerprint)
        return server_id_of(hello.certificate)

    async def _greet(self, code: JoinCode) -> Hello:
        """The Master's hello, if it is the Master that the code was made on. Nothing else was sent until then."""
        hello = await self._p.links.greet_stranger(code.master, code.protocol)
        mark = fingerprint(hello.certificate)
        if mark != code.fingerprint:
            raise PeerError(
                f"The server at {code.master.host}:{code.master.port} isn't the one that made the join code: its "
                f"certificate has the SHA-256 fingerprint {mark}, not {code.fingerprint}. Nothing was sent to it.",
                remedy="See who answers at that address. If the Master has a new certificate, make a new join code.",
                code="certificate",
            )
        return hello

    async def _hand_over(self, code: JoinCode, hello: Hello, request: Message) -> Message:
        """Send the request; once more where the Master has begun a new life since it was greeted."""
        identity = self._p.identity
        sealer = Sealer(identity, self._instance, lambda: [REQUEST_KEY], time.time, os.urandom)
        for attempt in (1, 2):
            nonce = sealer.new_nonce()
            envelope = sealer.seal(request.to_bytes(), to=hello.certificate, nonce=nonce, to_instance=hello.instance)
            data = await self._p.links.post_to_stranger(code.master, code.protocol, JOIN, envelope, hello.certificate)
            answer = self._opened(data, nonce, code)
            if answer.act == "ok":
                return answer
            if answer.data.get("code") == "instance" and attempt == 1:
                hello = await self._greet(code)
                continue
            message, remedy = str(answer.data.get("message", "")), str(answer.data.get("remedy", ""))
            raise PeerError(message, remedy=remedy, code=str(answer.data.get("code", "peer")))
        raise AssertionError("unreachable")

    def _opened(self, data: bytes, nonce: str, code: JoinCode) -> Message:
        """The answer, if the pinned Master gave it to this very request: with a proof of the secret where it got as far
        as that, else one that says why the envelope was refused."""
        failed: HostwardError | None = None
        for key in (answer_key(code.secret), REQUEST_KEY):
            opener = Opener(self._p.identity, self._instance, code.fingerprint.__eq__, partial(list, [key]), time.time)
            try:
                message = Message.from_bytes(opener.open(data, in_reply_to=nonce, sender=code.fingerprint).body)
            except TrustError as error:
                failed = failed or error
                continue
            if key is not REQUEST_KEY or message.act == "error":
                return message
        raise PeerError("The Master's answer isn't its own.", remedy="Try again.", code="certificate") from failed


def _check_certificate(store: CertificateStore, master: str) -> None:
    """Before the code is used up. Raises Conflict."""
    try:
        store.check_welcome(master, BY_CODE)
    except InvalidInput as error:
        raise Conflict(
            f"This server can't trust the Master's certificate. {error.message} The join code wasn't used.",
            remedy=f"{error.remedy} Then join with the same code again.",
            code="certificate",
        ) from error


def _check_dates(certificate: str, whose: str, where: str) -> None:
    """Before the code is used up. Raises PeerError."""
    if wrong := out_of_date(parse_certificate(certificate), datetime.now(UTC)):
        raise PeerError(
            f"{whose} certificate {wrong}. The join code wasn't used.",
            remedy=f"Check the clocks; else renew it {where}: hostward certificate renew.",
            code="certificate-expired",
        )
