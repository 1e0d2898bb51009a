from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.support.authority import DAY, Authority
from tests.unit.trust.conftest import NOW, MakeIdentity

from hostward.domain.errors import InvalidInput
from hostward.trust.identity import ServerIdentity, load_or_create
from hostward.trust.issued import forget_request, make_request, read_issued
from hostward.trust.renewals import load_statements, prepare, successor, switch

pytestmark = pytest.mark.feature("R7")

ADDRESSES = ["192.0.2.7"]


@pytest.fixture
def own(tmp_path: Path) -> ServerIdentity:
    return load_or_create(tmp_path, "a.example.org", ADDRESSES, NOW)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority(NOW)


def request(data_dir: Path, own: ServerIdentity) -> str:
    return make_request(data_dir, own.server_id, "a.example.org", ADDRESSES)


def refused(data_dir: Path, own: ServerIdentity, text: str) -> str:
    """The code of the refusal; no file was changed by it."""
    before = {p: p.read_bytes() for p in data_dir.rglob("*") if p.is_file()}
    with pytest.raises(InvalidInput, match="the old one stays") as error:
        read_issued(data_dir, own, text, NOW)
    assert error.value.remedy
    assert {p: p.read_bytes() for p in data_dir.rglob("*") if p.is_file()} == before
    return error.value.code


def test_what_was_issued_for_the_request_takes_the_place_of_the_old_one(
    tmp_path: Path, own: ServerIdentity, authority: Authority
) -> None:
    asked, old = request(tmp_path, own), own.certificate_pem
    wanted = x509.load_pem_x509_csr(asked.encode())
    assert wanted.public_key() != own.private_key.public_key(), "a new key"
    assert wanted.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)[0].value == own.server_id
    issued = authority.issue(asked)
    key, pem, chain = read_issued(tmp_path, own, issued + authority.chain, NOW)
    assert (pem, "".join(chain)) == (issued, authority.chain)
    statements = prepare(tmp_path, own, NOW, key=key, certificate_pem=pem, chain=chain)
    switch(tmp_path, own)
    forget_request(tmp_path)
    assert not (tmp_path / "identity.requested").exists()
    assert successor(old, statements) == issued
    again = load_or_create(tmp_path, "a.example.org", ADDRESSES, NOW)
    assert (again.server_id, again.certificate_pem) == (own.server_id, issued)
    assert again.pair.tls_path.read_text() == issued + authority.chain, "browsers are shown the chain"
    assert load_statements(tmp_path) == statements


def test_what_is_not_this_servers_certificate_is_refused(
    tmp_path: Path, own: ServerIdentity, authority: Authority, make_identity: MakeIdentity
) -> None:
    asked, other = request(tmp_path, own), make_identity("b.example.org", NOW)
    good = authority.issue(asked)
    nobody = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a.example.org")])
    another = x509.Name([*nobody, x509.NameAttribute(NameOID.SERIAL_NUMBER, other.server_id)])
    key = own.key_path.read_text()
    wrong: list[tuple[str, str]] = [
        ("", "not-a-certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "not-a-certificate"),
        (good[:200] + good[260:], "not-a-certificate"),
        (good * 7, "not-a-certificate"),
        (key + good, "private-key"),
        (other.certificate_pem, "certificate-key"),
        (authority.chain + good, "certificate-key"),
        (authority.issue(asked, subject=nobody), "certificate-server"),
        (authority.issue(asked, subject=another), "certificate-server"),
        (authority.issue(asked, authority=True), "authority-certificate"),
        (authority.issue(asked, valid=-DAY / 2), "certificate-expired"),
        (Authority(NOW + 3 * DAY).issue(asked), "certificate-expired"),
        (authority.issue(asked, purpose=ExtendedKeyUsageOID.CODE_SIGNING), "certificate-usage"),
        (good + authority.root, "certificate-chain"),
        (good + authority.root + authority.intermediate, "certificate-chain"),
        (good + Authority(NOW).chain, "certificate-chain"),
        (good + other.certificate_pem, "certificate-chain"),
    ]
    for text, code in wrong:
        assert refused(tmp_path, own, text) == code
    assert read_issued(tmp_path, own, good, NOW)[1] == good, "a chain isn't needed"


def test_a_request_makes_the_one_before_it_void(tmp_path: Path, own: ServerIdentity, authority: Authority) -> None:
    first = authority.issue(request(tmp_path, own))
    second = authority.issue(request(tmp_path, own))
    assert refused(tmp_path, own, first) == "certificate-key"
    assert read_issued(tmp_path, own, second, NOW + timedelta(days=30))[1] == second


def test_a_certificate_for_the_present_key_is_taken_too(
    tmp_path: Path, own: ServerIdentity, authority: Authority
) -> None:
    subject = x509.load_pem_x509_certificate(own.certificate_pem.encode()).subject
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    names = x509.SubjectAlternativeName([x509.DNSName("a.example.org")])
    asked = builder.add_extension(names, critical=False).sign(own.private_key, hashes.SHA256())
    issued = authority.issue(asked.public_bytes(serialization.Encoding.PEM).decode())
    key, pem, _ = read_issued(tmp_path, own, issued, NOW)
    assert (key, pem) == (own.private_key, issued)
