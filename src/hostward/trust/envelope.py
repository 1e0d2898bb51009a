"""Envelopes: how servers talk, over HTTPS and HTTP alike. Signed by the sender, readable by the receiver only, bound
to this moment, to this run of the receiver, to the group and to the request answered, with proof of the passphrase.

    "HWE1" | length of token, 4 bytes | token | body, AES-256-GCM
                                         └ JWE (ECDH-ES, A256GCM; to the receiver's certificate's key)
                                            └ JWS (ES256; the sender's certificate in x5c)
                                               └ claims: who, whom, when, …, the body's key and SHA-256, the proof

The body travels outside the token, so that it isn't inflated by base64 twice and 64 MiB of it cost two passes; its
key is fresh for each envelope, which is why the GCM nonce can be constant. (RFC 7515, 7516, 7518.)

    what is wrong                                                     told to the sender
    the form, the receiver, the certificate, the signature            nothing: TrustError "untrusted"
    anything after that (the sender is trusted)                       EnvelopeRefused: instance, clock,
                                                                      certificate-expired, passphrase, group, replay
"""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from joserfc import jwe, jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from hostward.domain.changes import canonical
from hostward.domain.errors import InvalidInput, TrustError
from hostward.trust.identity import (
    KeyPair,
    ServerIdentity,
    fingerprint,
    out_of_date,
    parse_certificate,
    public_key_of,
    server_id_of,
    to_der,
    to_pem,
)
from hostward.trust.nonces import Nonces
from hostward.trust.passphrase import check_proof, proof

MAX_BODY_BYTES: Final = 64 << 20
MAX_TOKEN_BYTES: Final = 48 << 10
OVERHEAD_BYTES: Final = MAX_TOKEN_BYTES + 64
"""The most that an envelope is larger than its body: for the limit on what HTTP accepts."""

SKEW_S: Final = 300
"""How far the clocks of two servers may differ."""

_MAGIC = b"HWE1"
_PREFIX = struct.Struct(">4sI")
PREFIX_BYTES: Final = _PREFIX.size
_GCM_NONCE = bytes(12)  # each key encrypts one body, once
_END_OF_TIME_S = 1 << 37  # what a datetime can hold
_JWE_HEADER = {"alg": "ECDH-ES", "enc": "A256GCM"}
_EPK_FIELDS = {"kty", "crv", "x", "y"}


class _JwsRegistry(jws.JWSRegistry):
    max_header_length = 16 << 10  # the certificate is in the header


_JWS = _JwsRegistry(algorithms=["ES256"])
_JWE = jwe.JWERegistry(algorithms=list(_JWE_HEADER.values()))

# What the JOSE library and the parsers under it raise for hostile input, beside their own errors.
_MALFORMED = (
    JoseError,
    TrustError,
    InvalidTag,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    AssertionError,
    OverflowError,
    RecursionError,
)


class Kind(StrEnum):
    """What an envelope is."""

    REQUEST = "request"
    RESPONSE = "response"


@dataclass(frozen=True, slots=True)
class Claims:
    """What the sender signed. `sender` is a server's id, `receiver` too (or a certificate's fingerprint, where that
    holds no id); the instances are the two servers' runs (see Instance), `receiver_instance` empty while unknown.
    `time_s` is Unix time; `group` is empty outside a group; `in_reply_to` is the nonce of the request answered."""

    sender: str
    receiver: str
    sender_instance: str
    receiver_instance: str
    nonce: str
    time_s: int
    group: str
    kind: Kind
    in_reply_to: str


@dataclass(frozen=True, slots=True)
class Opened:
    """An envelope that passed every check. `sender_certificate` is PEM, and trusted; `key` is the passphrase's that it
    was proved with."""

    claims: Claims
    body: bytes = field(repr=False)
    sender_certificate: str
    key: bytes | None = field(repr=False)


class EnvelopeRefused(TrustError):
    """A trusted server's envelope was refused; `code` says why and may be told to that server, in an envelope made
    with `claims.nonce` and `sender_certificate`. Codes: instance (it must be sealed again, for the instance that the
    answer comes from), clock, certificate-expired, passphrase, group, replay, busy. `key`: as in Opened, None where the
    sender knows no passphrase of this server."""

    def __init__(self, message: str, *, remedy: str, code: str, signed: _Signed) -> None:
        super().__init__(message, remedy=remedy, code=code)
        self.claims = signed.claims
        self.sender_certificate = signed.certificate
        self.key = signed.key


class Instance:
    """One run of a server: a random name that requests must carry, so that none from before can be replayed when the
    memory of them is gone. Shared by a server's Sealer and Opener."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self.renew()

    def renew(self) -> None:
        """Void all requests sealed for this server until now: their senders are told, and seal them again."""
        self.id = self._random(16).hex()


@dataclass(frozen=True, slots=True)
class _Voice:
    """What a server signs with, made ready once for each pair."""

    pair: KeyPair
    key: ECKey
    header: dict[str, Any]

    @staticmethod
    def of(pair: KeyPair) -> _Voice:
        # RFC 7515, 4.1.6: DER in base64, not base64url.
        certificate = base64.b64encode(to_der(pair.certificate_pem)).decode()
        return _Voice(pair, ECKey(pair.private_key, None), {"alg": "ES256", "x5c": [certificate]})


class Sealer:
    """Makes envelopes in this server's name. `keys` gives the passphrases' keys (passphrase.passphrase_key), the newest
    first, and is asked each time; `clock` gives Unix seconds, `random` n random bytes. Any thread."""

    def __init__(
        self,
        identity: ServerIdentity,
        instance: Instance,
        keys: Callable[[], Sequence[bytes]],
        clock: Callable[[], float],
        random: Callable[[int], bytes],
    ) -> None:
        self._identity, self._instance = identity, instance
        self._keys, self._clock, self._random = keys, clock, random
        self._voice = _Voice.of(identity.pair)

    def keys(self) -> Sequence[bytes]:
        """The passphrases' keys that another server may know this one by, the newest first."""
        return self._keys()

    def new_nonce(self) -> str:
        """A nonce for a request, to be given to `seal` and later to `Opener.open` with the answer."""
        return self._random(16).hex()

    def seal(
        self,
        body: bytes,
        *,
        to: str,
        nonce: str | None = None,
        to_instance: str = "",
        group: str = "",
        in_reply_to: str = "",
        key: bytes | None = None,
    ) -> bytes:
        """An envelope for the server with the certificate `to` (PEM); a response if it is `in_reply_to` a request's
        nonce; proved with `key`, the newest passphrase's unless given. About 0.3 ms, and 2 ms for each MiB of body:
        seal large ones in a thread.

        Raises InvalidInput for a body of more than 64 MiB, TrustError "certificate" for a certificate that isn't a
        Hostward server's."""
        if len(body) > MAX_BODY_BYTES:
            raise InvalidInput(
                f"A message of {len(body) >> 20} MiB can't be sent; the limit is {MAX_BODY_BYTES >> 20} MiB.",
                remedy="Send it in parts.",
                code="message-too-large",
            )
        receiver_key = ECKey(public_key_of(to), None)
        claims = Claims(
            sender=self._identity.server_id,
            receiver=server_id_of(to) or fingerprint(to),
            sender_instance=self._instance.id,
            receiver_instance=to_instance,
            nonce=self.new_nonce() if nonce is None else nonce,
            time_s=int(self._clock()),
            group=group,
            kind=Kind.RESPONSE if in_reply_to else Kind.REQUEST,
            in_reply_to=in_reply_to,
        )
        body_key = self._random(32)
        signed = asdict(claims) | {"body_key": body_key.hex(), "body_sha256": hashlib.sha256(body).hexdigest()}
        signed["proof"] = proof(key or self._keys()[0], canonical(signed)).hex()
        if self._voice.pair is not self._identity.pair:  # the certificate was renewed
            self._voice = _Voice.of(self._identity.pair)
        voice = self._voice
        token = jws.serialize_compact(dict(voice.header), canonical(signed), voice.key, registry=_JWS)
        token = jwe.encrypt_compact(dict(_JWE_HEADER), token, receiver_key, registry=_JWE)
        assert len(token) <= MAX_TOKEN_BYTES, "the limits on certificate and claims keep the token small"
        sealed_body = AESGCM(body_key).encrypt(_GCM_NONCE, body, None)
        return b"".join((_PREFIX.pack(_MAGIC, len(token)), token.encode(), sealed_body))

    def reply(self, request: Opened | EnvelopeRefused, body: bytes, *, group: str = "") -> bytes:
        """The response to a request, or to one that was refused; proved with the passphrase that its sender knows.
        Raises as `seal` does."""
        return self.seal(
            body,
            to=request.sender_certificate,
            to_instance=request.claims.sender_instance,
            group=group,
            in_reply_to=request.claims.nonce,
            key=request.key,
        )


@dataclass(frozen=True, slots=True)
class _Signed:
    """What the token held, once its signature was found good."""

    claims: Claims
    body_key: bytes = field(repr=False)
    body_sha256: bytes
    proof: bytes
    proved: bytes = field(repr=False)  # what the proof is about
    certificate: str
    key: bytes | None = field(default=None, repr=False)  # of the passphrase that the proof was made with


@dataclass(frozen=True, slots=True)
class Recognised:
    """An envelope's head that passed every check, at that Unix time."""

    signed: _Signed
    at_s: float


def head_size(start: bytes) -> int:
    """How long the head of the envelope is that starts with these PREFIX_BYTES. Raises TrustError "untrusted"."""
    if len(start) < PREFIX_BYTES:
        raise _untrusted("it is too short")
    magic, length = _PREFIX.unpack_from(start)
    if magic != _MAGIC or length > MAX_TOKEN_BYTES:
        raise _untrusted("it is no envelope")
    return PREFIX_BYTES + int(length)


class Opener:
    """Opens envelopes sent to this server. `trusted` says whether the certificate with a fingerprint is; any of `keys`
    proves the passphrase. Any thread.

    `recognise` needs an envelope's head only, so that nothing large is taken from anyone who isn't known."""

    def __init__(
        self,
        identity: ServerIdentity,
        instance: Instance,
        trusted: Callable[[str], bool],
        keys: Callable[[], Sequence[bytes]],
        clock: Callable[[], float],
    ) -> None:
        self._identity, self._instance = identity, instance
        self._trusted, self._keys, self._clock = trusted, keys, clock
        self._nonces = Nonces(SKEW_S)

    def open(self, envelope: bytes, *, group: str = "", in_reply_to: str = "", sender: str = "") -> Opened:
        """What the envelope holds. A request, or with `in_reply_to` the response to the request with that nonce; with
        `sender` (a fingerprint) only from that server. With `group`, this server's, an envelope may be of that group
        or of none: look at `claims.group`. About 0.4 ms, and 2 ms for each MiB of body: open large ones in a thread.
        Raises TrustError "untrusted" and EnvelopeRefused, see there."""
        if len(envelope) > MAX_BODY_BYTES + OVERHEAD_BYTES:
            raise _untrusted("its size is wrong")
        end = head_size(envelope)
        head = self.recognise(envelope[:end], group=group, in_reply_to=in_reply_to, sender=sender)
        return self.complete(head, memoryview(envelope)[end:])

    def recognise(self, head: bytes, *, group: str = "", in_reply_to: str = "", sender: str = "") -> Recognised:
        """Everything that an envelope's first `head_size` bytes tell: whose it is, and that it would be accepted, but
        for its body and for replay. Parameters and errors are those of `open`."""
        # The answer to a request that was sent before the certificate was renewed comes for the one before.
        signed = self._authenticate(head, self._identity.earlier if in_reply_to else None)
        if in_reply_to != signed.claims.in_reply_to or (sender and fingerprint(signed.certificate) != sender):
            raise _untrusted("it isn't what was waited for")
        signed = replace(
            signed, key=next((k for k in self._keys() if check_proof(k, signed.proved, signed.proof)), None)
        )
        now_s = self._clock()
        self._check(signed, group, now_s)
        return Recognised(signed, now_s)

    def complete(self, head: Recognised, sealed_body: bytes | memoryview) -> Opened:
        """The whole envelope, from its head and the bytes after that. Raises as `open` does."""
        signed = head.signed
        try:
            body = AESGCM(signed.body_key).decrypt(_GCM_NONCE, sealed_body, None)
        except (InvalidTag, ValueError) as error:
            raise _untrusted("its body was altered") from error
        if hashlib.sha256(body).digest() != signed.body_sha256:
            raise _untrusted("its body isn't the one signed")
        # Last, so that an altered copy sent ahead can't make the true one look like a replay. A response needs no
        # memory: its request is waited for once.
        if signed.claims.kind is Kind.REQUEST:
            self._remember(signed, head.at_s)
        return Opened(signed.claims, body, signed.certificate, signed.key)

    def _authenticate(self, head: bytes, earlier: KeyPair | None) -> _Signed:
        """Everything up to a good signature by a trusted certificate. Raises TrustError "untrusted" only."""
        if len(head) != head_size(head):
            raise _untrusted("it is cut off")
        try:
            token = self._decrypt(head[_PREFIX.size :], earlier)
            certificate_der = _certificate_in(token)
        except _MALFORMED as error:
            raise _untrusted("it isn't for this server, or was altered") from error
        mark = fingerprint(certificate_der)
        if not self._trusted(mark):
            raise _untrusted(f"the sender's certificate {mark} isn't in the Trusted Certificates")
        try:
            signed = _verified(token, to_pem(certificate_der))
        except _MALFORMED as error:
            raise _untrusted(f"its signature isn't by the certificate {mark}, or its claims are wrong") from error
        if signed.claims.receiver not in (self._identity.server_id, self._identity.fingerprint):
            raise _untrusted(f"the server {signed.claims.sender} sealed it for another server")
        return signed

    def _decrypt(self, token: bytes, earlier: KeyPair | None) -> bytes:
        header = _header(token)
        key = header.get("epk")
        if header != _JWE_HEADER | {"epk": key} or not isinstance(key, dict) or set(key) != _EPK_FIELDS:
            raise ValueError("another algorithm")
        try:
            plaintext = jwe.decrypt_compact(token, ECKey(self._identity.private_key, None), registry=_JWE).plaintext
        except (JoseError, InvalidTag, ValueError):
            if earlier is None:
                raise
            plaintext = jwe.decrypt_compact(token, ECKey(earlier.private_key, None), registry=_JWE).plaintext
        assert plaintext is not None
        return plaintext

    def _check(self, signed: _Signed, group: str, now_s: float) -> None:
        """What a trusted sender may be told. Raises EnvelopeRefused."""
        claims = signed.claims
        if self._nonces.went_back(now_s):
            self._instance.renew()
        if claims.receiver_instance != self._instance.id:
            raise _refused(signed, "instance", "It was sealed for an earlier run of this server.", "Send it again.")
        if abs(claims.time_s - now_s) > SKEW_S:
            raise _refused(
                signed,
                "clock",
                f"The clocks differ by {abs(claims.time_s - now_s):.0f} s: it is {_shown(claims.time_s)} at the sender "
                f"and {_shown(now_s)} here; {SKEW_S} s are allowed.",
                "Set both servers' clocks, by NTP.",
            )
        wrong = out_of_date(parse_certificate(signed.certificate), datetime.fromtimestamp(now_s, UTC))
        if wrong:
            raise _refused(
                signed,
                "certificate-expired",
                f"The sender's certificate {wrong}.",
                "Renew it there: hostward certificate renew. The others take the new one over by themselves.",
            )
        if signed.key is None:
            raise _refused(
                signed,
                "passphrase",
                "The two servers' passphrases differ.",
                "Enter the same passphrase on the Master and on every Slave.",
            )
        if claims.group not in ("", group):
            raise _refused(
                signed,
                "group",
                f"The sender belongs to the group {claims.group}, this server {f'to {group}' if group else 'to none'}.",
                "Set that server to Standalone first, then let it join this group.",
            )

    def _remember(self, signed: _Signed, now_s: float) -> None:
        known = self._nonces.add(signed.claims.nonce, signed.claims.time_s, now_s)
        if known is None:
            raise _refused(signed, "busy", "Too many requests within ten minutes.", "Try again in a minute.")
        if known:
            raise _refused(signed, "replay", "This request was received before.", "Send it anew, with a new nonce.")


def _header(token: bytes) -> dict[str, Any]:
    """A compact token's protected header, for looking at before the library acts on it."""
    segment = token.partition(b".")[0]
    header = orjson.loads(base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4)))
    if not isinstance(header, dict):
        raise ValueError("not a header")
    return header


def _certificate_in(token: bytes) -> bytes:
    """The certificate (DER) that a JWS says it was signed with. Raises ValueError and the like."""
    header = _header(token)
    chain = header.get("x5c")
    if header != {"alg": "ES256", "x5c": chain} or not isinstance(chain, list) or len(chain) != 1:
        raise ValueError("another algorithm, or no certificate")
    return base64.b64decode(chain[0], validate=True)


def _verified(token: bytes, certificate: str) -> _Signed:
    """The claims, if the certificate's key signed them and it is the sender's. Raises one of _MALFORMED."""
    value = jws.deserialize_compact(token, ECKey(public_key_of(certificate), None), registry=_JWS)
    signed = orjson.loads(value.payload)
    proof_given = bytes.fromhex(signed.pop("proof"))
    proved = canonical(signed)
    body_key, body_sha256 = bytes.fromhex(signed.pop("body_key")), bytes.fromhex(signed.pop("body_sha256"))
    claims = Claims(**signed | {"kind": Kind(signed["kind"])})
    texts = (getattr(claims, name) for name in Claims.__slots__ if name != "time_s")
    if not all(isinstance(text, str) for text in texts) or type(claims.time_s) is not int:
        raise ValueError("a claim has another type")
    if not 0 < claims.time_s < _END_OF_TIME_S:
        raise ValueError("the time is absurd")
    if len(bytes.fromhex(claims.nonce)) != 16 or (claims.kind is Kind.RESPONSE) != bool(claims.in_reply_to):
        raise ValueError("the nonces are wrong")
    if claims.sender != server_id_of(certificate):
        raise ValueError("the certificate is another server's")
    return _Signed(claims, body_key, body_sha256, proof_given, proved, certificate)


def _shown(time_s: float) -> str:
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _untrusted(why: str) -> TrustError:
    """For this server's log; the sender is told nothing."""
    return TrustError(
        f"An envelope was refused: {why}.",
        remedy="If it came from a server of the group, import that server's servletcontainer.cer here.",
        code="untrusted",
    )


def _refused(signed: _Signed, code: str, message: str, remedy: str) -> EnvelopeRefused:
    return EnvelopeRefused(message, remedy=remedy, code=code, signed=signed)
