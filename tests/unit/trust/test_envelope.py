from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwe, jws
from joserfc.jwk import ECKey

from hostward.domain.changes import canonical
from hostward.domain.errors import InvalidInput, TrustError
from hostward.trust import envelope as module
from hostward.trust import nonces
from hostward.trust.envelope import MAX_BODY_BYTES, OVERHEAD_BYTES, EnvelopeRefused, Instance, Kind, Opener, Sealer
from hostward.trust.identity import ServerIdentity, public_key_of
from hostward.trust.passphrase import proof

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
START_S = NOW.timestamp()
MakeIdentity = Callable[..., ServerIdentity]


class Counter:
    """Bytes that are different each time, and the same in each run."""

    def __init__(self, seed: str) -> None:
        self._seed, self._count = seed, 0

    def __call__(self, size: int) -> bytes:
        self._count += 1
        return hashlib.shake_256(f"{self._seed}:{self._count}".encode()).digest(size)


class Server:
    """Both sides of one server's envelopes, with a clock, passphrase key and trust that can be set."""

    def __init__(self, identity: ServerIdentity) -> None:
        self.identity = identity
        self.now_s, self.passphrase_key, self.trusted = START_S, b"k" * 32, set[str]()
        self.earlier_keys: list[bytes] = []
        random = Counter(identity.server_id)
        self.instance = Instance(random)
        self.sealer = Sealer(identity, self.instance, self.keys, lambda: self.now_s, random)
        self.opener = self.new_opener()

    def keys(self) -> list[bytes]:
        return [self.passphrase_key, *self.earlier_keys]

    def new_opener(self) -> Opener:
        return Opener(
            self.identity,
            self.instance,
            lambda f: f in self.trusted,
            self.keys,
            lambda: self.now_s,
        )

    def request(self, to: Server, body: bytes = b"hello", nonce: str | None = None, group: str = "g") -> bytes:
        return self.sealer.seal(
            body, to=to.identity.certificate_pem, nonce=nonce, to_instance=to.instance.id, group=group
        )

    def refused(self, envelope: bytes, group: str = "g") -> EnvelopeRefused:
        with pytest.raises(EnvelopeRefused) as caught:
            self.opener.open(envelope, group=group)
        assert caught.value.remedy
        return caught.value

    def distrusted(self, envelope: bytes, *, in_reply_to: str = "", sender: str = "") -> TrustError:
        with pytest.raises(TrustError) as caught:
            self.opener.open(envelope, group="g", in_reply_to=in_reply_to, sender=sender)
        assert caught.value.code == "untrusted"
        assert not isinstance(caught.value, EnvelopeRefused)
        return caught.value


@pytest.fixture(scope="session")
def identities(make_identity: MakeIdentity) -> list[ServerIdentity]:
    return [make_identity(f"{name}.example.org") for name in ("a", "b", "c")]


def pair(identities: list[ServerIdentity]) -> tuple[Server, Server]:
    """Two servers that trust each other."""
    a, b = Server(identities[0]), Server(identities[1])
    a.trusted, b.trusted = {b.identity.fingerprint}, {a.identity.fingerprint}
    return a, b


@pytest.mark.feature("R5")
def test_request_and_response(identities: list[ServerIdentity]) -> None:
    a, b = pair(identities)
    nonce = a.sealer.new_nonce()
    request = b.opener.open(a.request(b, b"question", nonce), group="g")
    assert request.body == b"question"
    assert request.sender_certificate == a.identity.certificate_pem
    claims = request.claims
    assert (claims.sender, claims.receiver) == (a.identity.server_id, b.identity.server_id)
    assert (claims.kind, claims.nonce, claims.group, claims.time_s) == (Kind.REQUEST, nonce, "g", int(START_S))
    sealed = b.sealer.reply(request, b"answer", group="g")
    answer = a.opener.open(sealed, group="g", in_reply_to=nonce, sender=b.identity.fingerprint)
    assert answer.body == b"answer"
    assert (answer.claims.kind, answer.claims.in_reply_to) == (Kind.RESPONSE, nonce)


@given(body=st.binary(max_size=2000))
def test_any_body_arrives_and_costs_little_more(identities: list[ServerIdentity], body: bytes) -> None:
    a, b = pair(identities)
    envelope = a.request(b, body)
    assert b.opener.open(envelope, group="g").body == body
    assert len(envelope) < len(body) + 5000 < len(body) + OVERHEAD_BYTES


@given(data=st.data())
def test_any_changed_byte_is_refused(identities: list[ServerIdentity], data: st.DataObject) -> None:
    a, b = pair(identities)
    envelope = bytearray(a.request(b, b"some body"))
    at = data.draw(st.integers(0, len(envelope) - 1))
    # Ends and borders of the parts are tried as often as their middles.
    at = data.draw(st.sampled_from([at, at % 16, len(envelope) - 1 - at % 40]))
    envelope[at] ^= data.draw(st.integers(1, 255))
    b.distrusted(bytes(envelope))


@given(data=st.data())
def test_any_cut_or_addition_is_refused(identities: list[ServerIdentity], data: st.DataObject) -> None:
    a, b = pair(identities)
    envelope = a.request(b, b"some body")
    b.distrusted(envelope[: data.draw(st.integers(0, len(envelope) - 1))])
    b.distrusted(envelope + data.draw(st.binary(min_size=1, max_size=10)))


@given(st.binary(max_size=200))
def test_anything_else_is_refused(identities: list[ServerIdentity], data: bytes) -> None:
    _, b = pair(identities)
    b.distrusted(data)
    b.distrusted(b"HWE1" + len(data).to_bytes(4) + data)


def seal_token(to: ServerIdentity, inner: bytes) -> bytes:
    """What anybody can send: something of their own, encrypted to the server's certificate."""
    key = ECKey(public_key_of(to.certificate_pem), None)
    token = jwe.encrypt_compact({"alg": "ECDH-ES", "enc": "A256GCM"}, inner, key).encode()
    return b"HWE1" + len(token).to_bytes(4) + token + bytes(16)


@given(
    st.binary(max_size=300)
    | st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["alg", "x5c", "crit", "b64", "jwk"]), inner, max_size=4)
        ),
        max_leaves=6,
    ).map(lambda header: base64.urlsafe_b64encode(orjson.dumps(header)).rstrip(b"=") + b".e30.AAAA")
)
def test_whatever_an_outsider_encrypts_is_refused(identities: list[ServerIdentity], inner: bytes) -> None:
    _, b = pair(identities)
    b.distrusted(seal_token(b.identity, inner))


def test_deep_nesting_is_refused(identities: list[ServerIdentity]) -> None:
    _, b = pair(identities)
    deep = base64.urlsafe_b64encode(b"[" * 9000 + b"]" * 9000)
    b.distrusted(seal_token(b.identity, deep + b".e30.AAAA"))


@pytest.mark.feature("R5")
def test_nothing_but_the_form_can_be_read_or_compared(identities: list[ServerIdentity]) -> None:
    a, b = pair(identities)
    body = b"the secret of the house " * 10
    first, second = a.request(b, body), a.request(b, body)
    for secret in (
        b"the secret",
        a.passphrase_key,
        a.identity.server_id.encode(),
        b.identity.server_id.encode(),
        b.instance.id.encode(),
        b"a.example.org",
        base64.b64encode(b"a.example.org")[:-4],
    ):
        assert secret not in first
    size = int.from_bytes(first[4:8])
    header = orjson.loads(base64.urlsafe_b64decode(first[8:].partition(b".")[0] + b"=="))
    assert set(header) == {"alg", "enc", "epk"}
    assert first[8 + size :] != second[8 + size :]
    c = Server(identities[2])
    c.trusted = {a.identity.fingerprint}
    c.distrusted(first)  # another server can't open it, even one that trusts the sender


def test_secrets_are_not_in_reprs(identities: list[ServerIdentity]) -> None:
    a, b = pair(identities)
    opened = b.opener.open(a.request(b, b"the secret"), group="g")
    assert "secret" not in repr(opened)


@pytest.mark.feature("R7")
def test_untrusted_sender(identities: list[ServerIdentity]) -> None:
    a, b = pair(identities)
    b.trusted.clear()
    assert a.identity.fingerprint in b.distrusted(a.request(b)).message


def test_trusted_sender_can_not_pass_on_anothers_message(identities: list[ServerIdentity]) -> None:
    """B takes A's signed token out of its envelope and encrypts it to C."""
    a, b = pair(identities)
    c = Server(identities[2])
    c.trusted = {a.identity.fingerprint, b.identity.fingerprint}
    envelope = a.request(b)
    size = int.from_bytes(envelope[4:8])
    key = ECKey(b.identity.private_key, None)
    inner = jwe.decrypt_compact(envelope[8 : 8 + size], key).plaintext
    assert inner is not None
    assert "another server" in c.distrusted(seal_token(c.identity, inner)).message


@pytest.mark.parametrize(
    "change",
    [
        {"sender": "0" * 32},
        {"time_s": 0},
        {"time_s": 1 << 60},
        {"time_s": "1"},
        {"nonce": "xx"},
        {"nonce": ""},
        {"kind": "order"},
        {"kind": "response"},
        {"group": None},
        {"extra": "claim"},
        {"body_key": "00"},
        {"body_sha256": "00" * 32},
    ],
)
def test_signed_nonsense_of_a_trusted_server_is_refused(
    identities: list[ServerIdentity], change: dict[str, object]
) -> None:
    a, b = pair(identities)
    b.distrusted(forged(a, b, change))


def forged(a: Server, b: Server, change: dict[str, object], header: dict[str, object] | None = None) -> bytes:
    """An envelope that A really signed and proved, with other claims."""
    envelope = a.request(b)
    size = int.from_bytes(envelope[4:8])
    inner = jwe.decrypt_compact(envelope[8 : 8 + size], ECKey(b.identity.private_key, None)).plaintext
    assert inner is not None
    parts = [base64.urlsafe_b64decode(part + b"==") for part in inner.split(b".")]
    claims = orjson.loads(parts[1]) | change
    claims.pop("proof")
    claims["proof"] = proof(a.passphrase_key, canonical(claims)).hex()
    jws_header = orjson.loads(parts[0]) | (header or {})
    registry = jws.JWSRegistry(algorithms=["ES256"], strict_check_header=False)
    token = jws.serialize_compact(jws_header, canonical(claims), ECKey(a.identity.private_key, None), registry=registry)
    return seal_token(b.identity, token.encode())[:-16] + envelope[8 + size :]


def test_the_forgery_of_these_tests_is_good_when_nothing_is_changed(identities: list[ServerIdentity]) -> None:
    a, b = pair(identities)
    assert b.opener.open(forged(a, b, {}), group="g").body == b"hello"
    b.distrusted(forged(a, b, {}, {"typ": "JWT"}))


def test_another_algorithm_is_not_accepted(identities: list[ServerIdentity]) -> None:
    _, b = pair(identities)
    key = ECKey(public_key_of(b.identity.certificate_pem), None)
    for header in ({"alg": "ECDH-ES", "enc": "A128GCM"}, {"alg": "ECDH-ES", "enc": "A256GCM", "zip": "DEF"}):
        registry = jwe.JWERegistry(algorithms=[*header.values()])
        token = jwe.encrypt_compact(header, b"x", key, registry=registry).encode()
        b.distrusted(b"HWE1" + len(token).to_bytes(4) + token + bytes(16))


def test_an_earlier_run_of_the_receiver(identities: list[ServerIdentity]) -> None:
    a, b = pair(identities)
    envelope = a.request(b)
    b.instance.renew()
    b.opener = b.new_opener()
    refused = b.refused(envelope)
    assert refused.code == "instance"
    sealed = b.sealer.reply(refused, b"instance")
    answer = a.opener.open(sealed, group="g", in_reply_to=refused.claims.nonce)
    assert answer.claims.sender_instance == b.instance.id
    assert b.opener.open(a.request(b), group="g").body == b"hello"


def test_unknown_instance_at_first_contact(identities: list[ServerIdentity]) -> None:
    a, b = pair(identities)
    assert b.refused(a.sealer.seal(b"", to=b.identity.certificate_pem)).code == "instance"


@given(skew_s=st.integers(-100_000, 100_000))
def test_clock_skew_is_named_with_both_times(identities: list[ServerIdentity], skew_s: int) -> None:
    a, b = pair(identities)
    a.now_s += skew_s
    if abs(skew_s) <= 300:
        assert b.opener.open(a.request(b), group="g").body == b"hello"
        return
    refused = b.refused(a.request(b))
    assert refused.code == "clock"
    assert "2026-03-01 12:00:00 UTC here" in refused.message
    assert f"{datetime.fromtimestamp(a.now_s, UTC):%Y-%m-%d %H:%M:%S} UTC at the sender" in refused.message


@pytest.mark.feature("R6")
def test_wrong_passphrase_is_named_on_both_sides(identities: list[ServerIdentity]) -> None:
    a, b = pair(identities)
    b.passphrase_key = b"other".ljust(32)
    nonce = a.sealer.new_nonce()
    refused = b.refused(a.request(b, nonce=nonce))
    assert refused.code == "passphrase"
    with pytest.raises(EnvelopeRefused) as caught:
        a.opener.open(b.sealer.reply(refused, b"passphrase"), group="g", in_reply_to=nonce)
    assert caught.value.code == "passphrase"


def test_expired_certificates(identities: list[ServerIdentity]) -> None:
    a, b = pair(identities)
    a.now_s = b.now_s = (NOW + timedelta(days=826)).timestamp()
    assert b.refused(a.request(b)).code == "certificate-expired"
    c, d = pair(identities)
    c.now_s = d.now_s = (NOW - timedelta(days=2)).timestamp()
    assert d.refused(c.request(d)).code == "certificate-expired"


def test_groups(identities: list[ServerIdentity]) -> None:
    a, b = pair(identities)
    assert b.refused(a.request(b, group="other")).code == "group"
    assert b.refused(a.request(b, group="g"), group="").code == "group"
    assert b.opener.open(a.request(b, group=""), group="g").claims.group == ""


@given(times_s=st.lists(st.integers(0, 700), min_size=1, max_size=8))
def test_a_request_is_taken_once_whenever_it_comes_again(identities: list[ServerIdentity], times_s: list[int]) -> None:
    a, b = pair(identities)
    envelope = a.request(b)
    assert b.opener.open(envelope, group="g").body == b"hello"
    for after_s in sorted(times_s):
        b.now_s = START_S + after_s
        assert b.refused(envelope).code in ("replay", "clock")
        a.now_s = b.now_s
        assert b.opener.open(a.request(b), group="g")


@given(moves_s=st.lists(st.integers(-5000, 5000), max_size=8))
def test_setting_the_receivers_clock_replays_nothing(identities: list[ServerIdentity], moves_s: list[int]) -> None:
    a, b = pair(identities)
    envelope = a.request(b)
    assert b.opener.open(envelope, group="g")
    for move_s in [*moves_s, -sum(moves_s)]:
        b.now_s = a.now_s = b.now_s + move_s
        with pytest.raises(EnvelopeRefused):
            b.opener.open(envelope, group="g")
        assert b.opener.open(a.request(b), group="g")  # of the new instance, where it is one


def test_an_altered_copy_sent_ahead_does_not_spoil_the_true_one(identities: list[ServerIdentity]) -> None:
    a, b = pair(identities)
    envelope = a.request(b)
    b.distrusted(envelope[:-1] + bytes([envelope[-1] ^ 1]))
    assert b.opener.open(envelope, group="g").body == b"hello"


def test_memory_of_requests_is_bounded(identities: list[ServerIdentity], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nonces, "MAX_REMEMBERED", 3)
    a, b = pair(identities)
    for _ in range(3):
        b.opener.open(a.request(b), group="g")
    assert b.refused(a.request(b)).code == "busy"
    a.now_s = b.now_s = START_S + 2 * 300 + 61
    assert b.opener.open(a.request(b), group="g").body == b"hello"


def test_response_for_another_request_or_from_another_server(identities: list[ServerIdentity]) -> None:
    a, b = pair(identities)
    nonces = [a.sealer.new_nonce() for _ in range(2)]
    requests = [b.opener.open(a.request(b, nonce=nonce), group="g") for nonce in nonces]
    answers = [b.sealer.reply(request, b"x", group="g") for request in requests]
    a.distrusted(answers[0], in_reply_to=nonces[1])
    a.distrusted(answers[0])  # nor is it a request
    a.distrusted(a.request(b), in_reply_to=nonces[0])
    a.distrusted(answers[0], in_reply_to=nonces[0], sender=identities[2].fingerprint)
    assert a.opener.open(answers[0], group="g", in_reply_to=nonces[0]).body == b"x"


def test_bodies_of_64_mib_and_not_more(identities: list[ServerIdentity]) -> None:
    a, b = pair(identities)
    body = bytes(MAX_BODY_BYTES)
    envelope = a.request(b, body)
    assert len(envelope) < MAX_BODY_BYTES + OVERHEAD_BYTES
    assert b.opener.open(envelope, group="g").body == body
    with pytest.raises(InvalidInput, match="limit is 64 MiB"):
        a.request(b, body + b"x")
    b.distrusted(envelope + bytes(OVERHEAD_BYTES))


def test_the_bodys_key_is_fresh(identities: list[ServerIdentity]) -> None:
    """GCM's nonce is constant, so a key must never be used twice."""
    a, b = pair(identities)
    bodies = []
    for _ in range(2):
        envelope = a.request(b, b"same")
        bodies.append(envelope[8 + int.from_bytes(envelope[4:8]) :])
    assert bodies[0] != bodies[1]
    assert len(bodies[0]) == len(b"same") + 16


@pytest.mark.feature("R6")
def test_while_the_passphrase_changes_both_are_known_and_each_is_answered_with_its_own(
    identities: list[ServerIdentity],
) -> None:
    changed, old = pair(identities)
    changed.passphrase_key, changed.earlier_keys = b"n" * 32, [b"k" * 32]
    nonce = old.sealer.new_nonce()
    request = changed.opener.open(old.request(changed, nonce=nonce), group="g")
    assert request.key == b"k" * 32
    answer = changed.sealer.reply(request, b"answer")
    assert old.opener.open(answer, group="g", in_reply_to=nonce).body == b"answer"
    refused = old.refused(changed.request(old))
    assert (refused.code, refused.key) == ("passphrase", None)
    sealed = changed.sealer.seal(
        b"again", to=old.identity.certificate_pem, to_instance=old.instance.id, key=changed.sealer.keys()[1]
    )
    assert old.opener.open(sealed, group="g").body == b"again"
    changed.earlier_keys = []
    assert changed.refused(old.request(changed)).code == "passphrase"


def test_a_refusal_too_is_proved_with_the_passphrase_that_its_sender_knows(identities: list[ServerIdentity]) -> None:
    changed, old = pair(identities)
    nonce = old.sealer.new_nonce()
    request = old.request(changed, nonce=nonce)
    changed.passphrase_key, changed.earlier_keys = b"n" * 32, [b"k" * 32]
    changed.instance.renew()
    refused = changed.refused(request)
    assert refused.code == "instance"
    answer = changed.sealer.reply(refused, b"sorry")
    assert old.opener.open(answer, group="g", in_reply_to=nonce).body == b"sorry"


@pytest.mark.feature("R5")
def test_an_envelopes_head_says_whose_it_is_before_the_rest_is_there(identities: list[ServerIdentity]) -> None:
    a, b = pair(identities)
    envelope = a.request(b, b"x" * 100_000)
    size = module.head_size(envelope[: module.PREFIX_BYTES])
    assert size < OVERHEAD_BYTES
    head = b.opener.recognise(envelope[:size], group="g")
    assert head.signed.claims.sender == a.identity.server_id
    assert b.opener.complete(head, envelope[size:]).body == b"x" * 100_000
    with pytest.raises(EnvelopeRefused) as replayed:
        b.opener.complete(b.opener.recognise(envelope[:size], group="g"), envelope[size:])
    assert replayed.value.code == "replay"
    a.trusted, b.trusted = set(), set()
    with pytest.raises(TrustError, match="Trusted Certificates"):
        b.opener.recognise(envelope[:size], group="g")
    for cut in (envelope[: size - 1], envelope[: size + 1], b"", b"HWE1"):
        with pytest.raises(TrustError):
            b.opener.recognise(cut, group="g")
