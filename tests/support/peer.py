"""A server that is none: says whatever a test wants to the peer endpoint of a real one, with any key, passphrase, group
and clock."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from tests.support.server import CONTEXT, HTTP_PORT, HTTPS_PORT, Server

from hostward.domain.errors import TrustError
from hostward.replication.peers.messages import Message, error_message
from hostward.trust.envelope import EnvelopeRefused, Instance, Opener, Sealer
from hostward.trust.identity import ServerIdentity
from hostward.trust.passphrase import DEFAULT_PASSPHRASE, Passphrase, passphrase_key

TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer as anybody on the wire sees it. `headers` without the date."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Peer:
    """Speaks with the identity, as a member of `group` (empty: of none)."""

    def __init__(
        self,
        identity: ServerIdentity,
        *,
        passphrase: Passphrase = DEFAULT_PASSPHRASE,
        group: str = "",
        clock_ahead_s: float = 0.0,
    ) -> None:
        self.identity, self.group = identity, group
        self._instance = instance = Instance(os.urandom)

        def keys() -> list[bytes]:
            return [passphrase_key(passphrase)]

        def clock() -> float:
            return time.time() + clock_ahead_s

        self._sealer = Sealer(identity, instance, keys, clock, os.urandom)
        self._opener = Opener(identity, instance, lambda _: True, keys, clock)

    def hello(self, there: Server) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(url_of(there), verify=False, trust_env=False, timeout=TIMEOUT_S).json()
        return found

    def seal(self, there: Server, message: Message, *, nonce: str | None = None, instance: str | None = None) -> bytes:
        """An envelope for that server, not sent."""
        hello = self.hello(there)
        return self._sealer.seal(
            message.to_bytes(),
            to=hello["certificate"],
            nonce=nonce,
            to_instance=hello["instance"] if instance is None else instance,
            group=self.group,
        )

    def ask(self, there: Server, message: Message, *, instance: str | None = None) -> Message:
        """Say it, and open the answer. Fails where it isn't answered with an envelope."""
        nonce = self._sealer.new_nonce()
        answer = send(there, self.seal(there, message, nonce=nonce, instance=instance))
        assert answer.status == 200, answer
        return self.open(answer, nonce)

    def open(self, answer: Raw, nonce: str) -> Message:
        claimed = self._opener.open(answer.body, group=self.group, in_reply_to=nonce)
        return Message.from_bytes(claimed.body)

    def own_hello(self) -> dict[str, Any]:
        """What it tells anybody, where it answers at all."""
        return {"certificate": self.identity.certificate_pem, "instance": self._instance.id, "renewals": []}

    def reply(self, envelope: bytes, answer: Callable[[Message], Message]) -> bytes:
        """The answer to a request that came here, empty where it can't be opened."""
        try:
            request = self._opener.open(envelope, group=self.group)
        except EnvelopeRefused as refused:
            return self._sealer.reply(refused, error_message(refused).to_bytes())
        except TrustError:
            return b""
        said = answer(Message.from_bytes(request.body))
        return self._sealer.reply(request, said.to_bytes(), group=self.group if said.act != "error" else "")

    def refusal(self, there: Server, message: Message, *, instance: str | None = None) -> str:
        """The code with which it is refused. A refusal that this peer can't open is about its clock or passphrase."""
        try:
            answer = self.ask(there, message, instance=instance)
        except EnvelopeRefused as refused:
            return refused.code
        assert answer.act == "error", answer
        assert answer.blob == b""
        assert set(answer.data) == {"message", "code", "remedy"}
        return str(answer.data["code"])


def url_of(there: Server, protocol: str = "https") -> str:
    port = HTTPS_PORT if protocol == "https" else HTTP_PORT
    return f"{protocol}://{there.address}:{port}/{CONTEXT}/peer/"


def send(there: Server, body: bytes, *, protocol: str = "https") -> Raw:
    """Any bytes, as a request of the servers' conversation."""
    answer = httpx.post(url_of(there, protocol), content=body, verify=False, trust_env=False, timeout=TIMEOUT_S)
    headers = tuple(sorted((k, v) for k, v in answer.headers.items() if k != "date"))
    return Raw(answer.status_code, headers, answer.content)
