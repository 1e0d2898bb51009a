"""What browsers see may have a key of its own; what can't be shown is refused and changes nothing."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from tests.support.authority import DAY, Authority

from hostward.domain.errors import InvalidInput
from hostward.domain.greeting import IDENTITY_NAME
from hostward.trust.browser_certificate import FILE, BrowserCertificate, covers, read_given
from hostward.trust.chains import MAX_BYTES
from hostward.trust.identity import ServerIdentity, fingerprint, to_pem
from hostward.trust.listed import certificate_warnings
from hostward.trust.tls import ServerTls

pytestmark = pytest.mark.feature("R7")
MakeIdentity = Callable[..., ServerIdentity]
NOW = datetime.now(UTC)
HOST = "127.0.0.1"
ENCRYPTED = Authority(NOW).hand_out(["localhost"]).pem(password="not asked for at the terminal")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority(NOW)


def browsers(data_dir: Path, tls: ServerTls) -> BrowserCertificate:
    return BrowserCertificate(data_dir, tls, NOW.timestamp, lambda: timedelta(days=60))


@pytest.fixture
def port(make_identity: MakeIdentity) -> Iterator[tuple[ServerTls, int]]:
    """A real HTTPS port."""
    tls = ServerTls(make_identity())
    server = ThreadingHTTPServer((HOST, 0), BaseHTTPRequestHandler)
    server.socket = tls.context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield tls, server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


def shown(port: int, name: str | None = None) -> str:
    """The certificate's fingerprint; without a name, as by an address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((HOST, port), 10) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        return fingerprint(to_pem(connection.getpeercert(binary_form=True) or b""))


@pytest.mark.parametrize("kind", ["RSA", "P-384"])
def test_browsers_see_it_and_servers_the_own_one_also_after_a_restart(
    kind: str, port: tuple[ServerTls, int], authority: Authority, tmp_path: Path
) -> None:
    (tls, number), own = port, port[0]._identity
    kept = browsers(tmp_path, tls)
    assert {shown(number), shown(number, "localhost"), shown(number, IDENTITY_NAME)} == {own.fingerprint}
    key = ec.generate_private_key(ec.SECP384R1()) if kind == "P-384" else None
    pair = authority.hand_out(["localhost", HOST], key=key)
    kept.take(kept.read(pair.pem(authority.chain), ""))
    theirs = fingerprint(pair.certificate)
    assert {shown(number), shown(number, "localhost")} == {theirs}
    assert shown(number, IDENTITY_NAME) == own.fingerprint
    trusting = ssl.create_default_context(cadata=authority.root)
    with socket.create_connection((HOST, number), 10) as plain:
        trusting.wrap_socket(plain, server_hostname=HOST).close()  # with its chain, as a browser checks it
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0
    tls.show(None)
    again = browsers(tmp_path, tls)
    assert shown(number, "localhost") == theirs
    assert [c.fingerprint for c in again.entries()] == [theirs]
    again.forget()
    assert shown(number, "localhost") == own.fingerprint
    assert list(tmp_path.iterdir()) == []


def test_of_two_that_follow_each_other_the_second_is_seen_whatever_their_keys(
    port: tuple[ServerTls, int], authority: Authority, tmp_path: Path
) -> None:
    tls, number = port
    kept = browsers(tmp_path, tls)
    for key in (None, ec.generate_private_key(ec.SECP256R1()), None):
        pair = authority.hand_out(["localhost"], key=key)
        kept.take(kept.read(pair.pem(authority.chain), ""))
        assert shown(number, "localhost") == fingerprint(pair.certificate)


def test_as_much_as_may_be_given_is_still_there_after_a_restart(
    port: tuple[ServerTls, int], authority: Authority, tmp_path: Path
) -> None:
    """PEM is a third larger than PKCS #12."""
    tls, number = port
    names = ["localhost", *(f"host{n:04}.a-domain-with-a-rather-long-name.example.com" for n in range(900))]
    content = authority.hand_out(names).pkcs12(authority.chain)
    assert 0.75 * MAX_BYTES < len(content) < MAX_BYTES
    kept = browsers(tmp_path, tls)
    kept.take(kept.read(content, ""))
    tls.show(None)
    again = browsers(tmp_path, tls)
    assert (again.problem, len(again.entries())) == ("", 1)
    assert shown(number, "localhost") == again.entries()[0].fingerprint


@pytest.mark.parametrize("content", [b"", b"damaged", b"-----BEGIN PRIVATE KEY-----\nAAAA\n", ENCRYPTED])
def test_a_damaged_file_is_told_and_the_own_one_shown(
    content: bytes, port: tuple[ServerTls, int], authority: Authority, tmp_path: Path
) -> None:
    (tls, number), own = port, port[0]._identity
    (tmp_path / FILE).write_bytes(content)
    (tmp_path / f"{FILE}.new-0").write_bytes(b"of a server that was killed")
    kept = browsers(tmp_path, tls)
    assert "can't be used" in kept.problem
    assert kept.entries() == []
    assert shown(number, "localhost") == own.fingerprint
    assert [p.name for p in tmp_path.iterdir()] == [FILE]
    pair = authority.hand_out(["localhost"])
    kept.take(kept.read(pair.pem(authority.chain), ""))
    assert (kept.problem, shown(number, "localhost")) == ("", fingerprint(pair.certificate))


def test_its_end_is_warned_of(port: tuple[ServerTls, int], authority: Authority, tmp_path: Path) -> None:
    kept = browsers(tmp_path, port[0])
    kept.take(kept.read(authority.hand_out(["localhost"], valid=90 * DAY).pem(authority.chain), ""))
    assert certificate_warnings(kept.entries()) == []
    kept.take(kept.read(authority.hand_out(["localhost"], valid=20 * DAY).pem(authority.chain), ""))
    (warning,) = certificate_warnings(kept.entries())
    assert warning.startswith(f"The certificate that browsers see expires on {NOW + 20 * DAY:%Y-%m-%d}.")


def test_every_form_that_authorities_give_is_read(authority: Authority) -> None:
    pair = authority.hand_out(["www.example.com"])
    backwards = authority.root + authority.intermediate
    stranger = Authority(NOW).root
    forms = [
        (pair.pem(authority.chain), ""), (pair.pem(authority.chain, "secret"), "secret"),
        (pair.pem(authority.chain), "a password that isn't needed"), (pair.pem(backwards + stranger), ""),
        (pair.pkcs12(authority.chain, "sécret"), "sécret"), (pair.pkcs12(backwards), ""),
    ]  # fmt: skip
    for content, password in forms:
        given = read_given(content, password, NOW)
        assert [fingerprint(pem) for pem in given.pems] == [
            fingerprint(pem) for pem in (pair.certificate, authority.intermediate, authority.root)
        ]
        assert "PRIVATE" not in repr(given)


def test_what_browsers_could_not_use_is_refused(authority: Authority) -> None:
    pair, other = authority.hand_out(["www.example.com"]), authority.hand_out(["www.example.com"])
    mixed = pair.pem().split(b"-----BEGIN CERTIFICATE")[0] + other.certificate.encode()
    small = authority.hand_out(["a.example.com"], key=rsa.generate_private_key(public_exponent=65537, key_size=1024))
    koblitz = authority.hand_out(["a.example.com"], key=ec.generate_private_key(ec.SECP256K1()))
    odd = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    late = Authority(NOW - 30 * DAY).hand_out(["a.example.com"], valid=20 * DAY)
    for content, password, code in [
        (b"", "", "wrong-password"),
        (b"no file of that kind", "", "wrong-password"),
        (pair.pkcs12(password="secret"), "", "wrong-password"),
        (pair.pkcs12(password="secret"), "Secret", "wrong-password"),
        (pair.pem(password="secret"), "", "password-needed"),
        (pair.pem(password="secret"), "Secret", "wrong-password"),
        (pair.certificate.encode(), "", "no-private-key"),
        (pair.pem().split(b"-----BEGIN CERTIFICATE")[0], "", "not-a-certificate"),
        (mixed, "", "certificate-key"),
        (small.pem(), "", "certificate-key"),
        (odd + pair.certificate.encode(), "", "certificate-key"),
        (koblitz.pem(), "", "certificate-key"),
        (late.pem(), "", "certificate-expired"),
        (b"-----BEGIN" + b"A" * (1 << 20), "", "not-a-certificate"),
    ]:
        with pytest.raises(InvalidInput) as refused:
            read_given(content, password, NOW)
        assert refused.value.code == code, (content[:60], refused.value.message)
        assert refused.value.remedy
        assert "secret" not in refused.value.message.lower().replace("secret key", "")


def test_names_are_compared_as_browsers_do(authority: Authority) -> None:
    names = [
        str(n)
        for n in x509.load_pem_x509_certificate(authority.hand_out(["*.example.com", "b.org"]).certificate.encode())
        .extensions.get_extension_for_class(x509.SubjectAlternativeName)
        .value.get_values_for_type(x509.DNSName)
    ]
    for host, fits in [
        ("mss.example.com", True), ("MSS.Example.com.", True), ("b.org", True), ("example.com", False),
        ("a.b.example.com", False), ("c.org", False), ("com", False),
    ]:  # fmt: skip
        assert covers(names, host) is fits, host
