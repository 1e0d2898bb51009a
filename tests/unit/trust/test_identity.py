from __future__ import annotations

import ipaddress
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from hostward.domain.errors import InvalidInput, TrustError
from hostward.trust.identity import (
    CERTIFICATE_FILE,
    KEY_FILE,
    ServerIdentity,
    fingerprint,
    load_or_create,
    parse_certificate,
    public_key_of,
    server_id_of,
    to_der,
    to_pem,
    verify,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def create(path: Path, host_name: str = "a.example.org", addresses: tuple[str, ...] = ()) -> ServerIdentity:
    return load_or_create(path, host_name, addresses, NOW)


@pytest.mark.feature("R25")
def test_first_start_makes_an_identity_that_later_starts_keep(tmp_path: Path) -> None:
    first = create(tmp_path)
    again = load_or_create(tmp_path, "renamed.example.org", ["10.0.0.9"], NOW + timedelta(days=400))
    assert (again.server_id, again.certificate_pem) == (first.server_id, first.certificate_pem)
    assert server_id_of(first.certificate_pem) == first.server_id
    assert len(first.server_id) == 32


def test_files_are_private_and_nothing_else_is_left(tmp_path: Path) -> None:
    identity = create(tmp_path)
    directory = tmp_path / "identity"
    assert sorted(p.name for p in directory.iterdir()) == [CERTIFICATE_FILE, KEY_FILE]
    assert [p.name for p in tmp_path.iterdir()] == ["identity"]
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(identity.key_path.stat().st_mode) == 0o600
    assert identity.key_path.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
    assert "PRIVATE" not in repr(identity)


def test_certificate_names_host_addresses_and_localhost_for_825_days(tmp_path: Path) -> None:
    identity = create(tmp_path, addresses=("127.0.0.2", "fe80::1%eth0", "127.0.0.2"))
    certificate = parse_certificate(identity.certificate_pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.example.org", "localhost"]
    assert names.get_values_for_type(x509.IPAddress) == [
        ipaddress.ip_address("127.0.0.2"),
        ipaddress.ip_address("fe80::1"),
    ]
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "a.example.org"
    assert certificate.not_valid_before_utc < NOW
    length = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert timedelta(days=824) < length < timedelta(days=825)


def test_host_name_may_be_an_address_or_longer_than_a_common_name(tmp_path: Path) -> None:
    long = ".".join(["server" * 5] * 5) + ".example.org"
    names = parse_certificate(create(tmp_path / made(tmp_path, "a"), long).certificate_pem)
    assert long in names.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
        x509.DNSName
    )
    numeric = parse_certificate(create(tmp_path / made(tmp_path, "b"), "127.0.0.3").certificate_pem)
    found = numeric.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert found.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("127.0.0.3")]


def made(path: Path, name: str) -> str:
    (path / name).mkdir()
    return name


@pytest.mark.parametrize(
    ("host_name", "addresses"),
    [("", ()), ("a..b", ()), ("a.example.org", ("nowhere",)), ("a.example.org", ("127.0.0.1",) * 65)],
)
def test_what_no_certificate_can_hold_is_refused(tmp_path: Path, host_name: str, addresses: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput) as caught:
        create(tmp_path, host_name, addresses)
    assert "host_name" in caught.value.remedy
    assert not any(tmp_path.iterdir())


def test_a_start_killed_while_making_it_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    left = tmp_path / "identity.new-0123"
    left.mkdir()
    (left / KEY_FILE).write_bytes(b"half")
    create(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["identity"]


@pytest.mark.parametrize("missing", [CERTIFICATE_FILE, KEY_FILE])
def test_a_missing_file_is_named_and_nothing_is_made_anew(tmp_path: Path, missing: str) -> None:
    create(tmp_path)
    (tmp_path / "identity" / missing).unlink()
    with pytest.raises(TrustError, match=missing) as caught:
        create(tmp_path)
    assert caught.value.code == "identity-damaged"
    assert not (tmp_path / "identity" / missing).exists()


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    one = create(tmp_path / made(tmp_path, "1"))
    two = create(tmp_path / made(tmp_path, "2"))
    two.certificate_path.write_text(one.certificate_pem)
    with pytest.raises(TrustError, match="belong together"):
        create(tmp_path / "2")
    two.certificate_path.write_text("not a certificate")
    with pytest.raises(TrustError, match="something other"):
        create(tmp_path / "2")


def test_a_data_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrustError) as caught:
        create(tmp_path / "nowhere")
    assert caught.value.code == "identity-unwritable"


def test_signature_is_good_for_its_data_and_server_alone(tmp_path: Path) -> None:
    one = create(tmp_path / made(tmp_path, "1"))
    two = create(tmp_path / made(tmp_path, "2"))
    signature = one.sign(b"data")
    verify(one.certificate_pem, b"data", signature)
    for certificate, data, given_signature in [
        (one.certificate_pem, b"date", signature),
        (two.certificate_pem, b"data", signature),
        (one.certificate_pem, b"data", signature[:-1]),
        (one.certificate_pem, b"data", b""),
    ]:
        with pytest.raises(TrustError) as caught:
            verify(certificate, data, given_signature)
        assert caught.value.code == "signature"


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_what_is_not_a_certificate_is_refused(data: bytes | str) -> None:
    with pytest.raises(TrustError) as caught:
        parse_certificate(data)
    assert caught.value.code == "certificate"


def test_certificates_of_other_products_have_no_server_id_and_no_usable_key() -> None:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "other"), x509.NameAttribute(NameOID.SERIAL_NUMBER, "7")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    assert server_id_of(pem) == ""
    with pytest.raises(TrustError, match="P-256"):
        public_key_of(pem)


def test_fingerprint_is_the_same_for_pem_and_der(tmp_path: Path) -> None:
    pem = create(tmp_path).certificate_pem
    assert fingerprint(pem) == fingerprint(to_der(pem)) == fingerprint(to_pem(to_der(pem)))
    assert len(fingerprint(pem)) == 95
