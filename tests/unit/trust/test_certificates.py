from __future__ import annotations

import base64
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hostward.domain.errors import Conflict, InvalidInput, NotFound, TrustError
from hostward.trust.certificates import MAX_CERTIFICATES, CertificateStore
from hostward.trust.identity import ServerIdentity, to_der
from hostward.trust.listed import BY_GROUP, ListedCertificate
from hostward.trust.renewals import new_pair

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MakeIdentity = Callable[..., ServerIdentity]


class Memory:
    """A CertificateStorage that only remembers."""

    def __init__(self) -> None:
        self.entries: list[dict[str, str]] = []

    def load(self) -> list[dict[str, str]]:
        return [dict(entry) for entry in self.entries]

    def save(self, entries: list[dict[str, str]]) -> None:
        self.entries = [dict(entry) for entry in entries]


class Desk:
    """A store `mss` of the server `own`, its directory and storage, at a time that can be set."""

    def __init__(self, directory: Path, own: ServerIdentity) -> None:
        self.directory, self.own, self.now, self.storage = directory, own, NOW, Memory()
        self.store = self.open()

    def open(self) -> CertificateStore:
        return CertificateStore(
            "mss", self.storage, self.directory, lambda: self.now.timestamp(), own=self.own, own_name="master"
        )

    def names(self) -> list[str]:
        return [entry.friendly_name for entry in self.store.entries()]

    def refused(self, certificate: str | bytes, name: str = "other") -> InvalidInput:
        before = self.storage.load()
        with pytest.raises(InvalidInput) as caught:
            self.store.import_text(certificate, name)
        assert self.storage.load() == before
        assert caught.value.remedy
        return caught.value

    def refused_file(self, name: str) -> InvalidInput:
        with pytest.raises(InvalidInput) as caught:
            self.store.import_file(name, "other")
        assert caught.value.remedy
        assert self.names() == ["master"]
        return caught.value


@pytest.fixture
def desk(tmp_path: Path, make_identity: MakeIdentity) -> Desk:
    directory = tmp_path / "certificates"
    directory.mkdir()
    return Desk(directory, make_identity("master.example.org"))


@pytest.fixture(scope="session")
def slave(make_identity: MakeIdentity) -> ServerIdentity:
    return make_identity("slave.example.org")


@pytest.mark.feature("R7")
def test_import_by_file_name_list_find_and_delete(desk: Desk, slave: ServerIdentity) -> None:
    (desk.directory / "slave.cer").write_text(slave.certificate_pem)
    entry = desk.store.import_file("slave.cer", " Slave 1 ")
    assert (entry.friendly_name, entry.fingerprint, entry.server_id) == ("Slave 1", slave.fingerprint, slave.server_id)
    assert "CN=slave.example.org" in entry.subject
    assert not entry.expired
    assert desk.store.trusted(slave.fingerprint)
    reopened = desk.open()
    assert [(e.friendly_name, e.own) for e in reopened.entries()] == [("master", True), ("Slave 1", False)]
    assert reopened.find(slave.fingerprint) == entry
    assert reopened.find_by_public_key(to_der(slave.certificate_pem)) == entry
    assert reopened.pems() == [desk.own.certificate_pem, slave.certificate_pem]
    reopened.delete("Slave 1")
    assert not reopened.trusted(slave.fingerprint)
    assert reopened.find(slave.fingerprint) is reopened.find_by_public_key(slave.certificate_pem) is None
    assert [e["friendly_name"] for e in desk.storage.entries if not e["declined"]] == []


@pytest.mark.feature("R7")
def test_own_certificate_is_always_there_and_stays(desk: Desk) -> None:
    [own] = desk.store.entries()
    assert own.own
    assert own.fingerprint == desk.own.fingerprint
    with pytest.raises(Conflict, match="own certificate"):
        desk.store.delete("master")
    with pytest.raises(NotFound, match="nobody") as caught:
        desk.store.delete("nobody")
    assert "master" in caught.value.remedy
    assert desk.refused(desk.own.certificate_pem).code == "duplicate-certificate"


@pytest.mark.feature("R7")
def test_what_an_administrator_deleted_the_group_doesnt_bring_in_again_renewed_or_not(
    desk: Desk, slave: ServerIdentity
) -> None:
    _, renewed = new_pair(slave.server_id, "slave.example.org", [], NOW)
    desk.store.import_text(slave.certificate_pem, "slave")
    assert not desk.store.declined(slave.server_id)
    desk.store.delete("slave")
    desk.store = desk.open()
    for certificate in (slave.certificate_pem, renewed):
        with pytest.raises(InvalidInput, match="deleted"):
            desk.store.welcome(certificate, "slave", BY_GROUP)
    assert desk.names() == ["master"]
    assert desk.store.declined(slave.server_id)
    desk.store.import_text(renewed, "slave")
    assert not desk.store.declined(slave.server_id), "an administrator's last word counts"


def test_security_proxy_store_has_no_certificate_of_its_own(tmp_path: Path, slave: ServerIdentity) -> None:
    store = CertificateStore("security-proxy", Memory(), tmp_path, lambda: NOW.timestamp())
    assert store.entries() == []
    store.import_text(slave.certificate_pem, "proxy")
    assert [e.friendly_name for e in store.entries()] == ["proxy"]


def test_der_and_base64_are_the_same_certificate(desk: Desk, slave: ServerIdentity) -> None:
    der = to_der(slave.certificate_pem)
    for given_form in (der, base64.b64encode(der), base64.encodebytes(der).decode(), f"text\n{slave.certificate_pem}"):
        entry = desk.store.import_text(given_form, "slave")
        assert entry.pem == slave.certificate_pem
        desk.store.delete("slave")


def test_expiry_is_shown_and_an_expired_one_is_not_imported(desk: Desk, slave: ServerIdentity) -> None:
    desk.store.import_text(slave.certificate_pem, "slave")

    def shown(days: int) -> tuple[bool, bool]:
        desk.now = NOW + timedelta(days=days)
        found: ListedCertificate | None = desk.store.find(slave.fingerprint)
        assert found
        return found.expired, found.expiring_soon

    assert [shown(0), shown(763), shown(765), shown(825)] == [
        (False, False),
        (False, False),
        (False, True),
        (True, False),
    ]
    desk.store.delete("slave")
    assert desk.refused(slave.certificate_pem).code == "certificate-expired"
    desk.now = NOW - timedelta(days=2)
    assert desk.refused(slave.certificate_pem).code == "certificate-not-yet-valid"


def test_duplicates_name_what_is_there(desk: Desk, slave: ServerIdentity, make_identity: MakeIdentity) -> None:
    desk.store.import_text(slave.certificate_pem, "Slave")
    again = desk.refused(slave.certificate_pem, "another name")
    assert again.code == "duplicate-certificate"
    assert "'Slave'" in again.message
    for name in ("SLAVE", "Master"):
        taken = desk.refused(make_identity().certificate_pem, name)
        assert taken.code == "duplicate-name"
        assert name.casefold() in taken.message.casefold()


@pytest.mark.feature("R7")
def test_no_second_certificate_speaks_for_a_server_nor_for_this_one(desk: Desk, slave: ServerIdentity) -> None:
    """A server's id is no secret, and anybody can make a certificate with it."""
    desk.store.import_text(slave.certificate_pem, "slave")
    for victim, said in ((slave.server_id, "'slave'"), (desk.own.server_id, "this server itself")):
        _, forged = new_pair(victim, "evil.example.org", [], NOW)
        refused = desk.refused(forged)
        assert refused.code == "duplicate-server"
        assert said in refused.message
    _, renewed = new_pair(slave.server_id, "slave.example.org", [], NOW)
    desk.store.delete("slave")
    assert desk.store.import_text(renewed, "slave").server_id == slave.server_id


@pytest.mark.parametrize("name", ["", "  ", "a/b", "a\\b", "a\nb", "x" * 101])
def test_friendly_names_that_can_not_be_one(desk: Desk, slave: ServerIdentity, name: str) -> None:
    assert desk.refused(slave.certificate_pem, name).code == "friendly-name"


def test_private_keys_are_named_as_such(desk: Desk, slave: ServerIdentity) -> None:
    key = slave.key_path.read_text()
    der = base64.b64decode("".join(key.splitlines()[1:-1]))
    for given_form in (key, der, slave.certificate_pem + key):
        refused = desk.refused(given_form)
        assert refused.code == "private-key"
        assert key.splitlines()[1] not in str(refused)


def test_several_certificates_are_told_apart(desk: Desk, slave: ServerIdentity) -> None:
    refused = desk.refused(desk.own.certificate_pem + slave.certificate_pem)
    assert refused.code == "several-certificates"
    assert "CN=slave.example.org" in refused.message


def test_too_large_and_too_many(desk: Desk, slave: ServerIdentity) -> None:
    assert "64 KiB" in desk.refused(slave.certificate_pem + "\n" * (64 << 10)).message
    (desk.directory / "large.cer").write_bytes(b"\n" * (65 << 10))
    assert "64 KiB" in desk.refused_file("large.cer").message
    desk.storage.entries = [{"friendly_name": str(i), "pem": desk.own.certificate_pem} for i in range(MAX_CERTIFICATES)]
    desk.store = desk.open()
    assert "as many as it can" in desk.refused(slave.certificate_pem).message


@given(st.binary(max_size=300) | st.text(max_size=300))
@example("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")
@example("-----BEGIN CERTIFICATE-----\n\n-----END CERTIFICATE-----" * 2)
@example(b"\x30\x82\x01\x00")
@example("\ud800")
def test_anything_else_is_not_a_certificate(data: bytes | str) -> None:
    store = CertificateStore("security-proxy", Memory(), Path(), lambda: NOW.timestamp())
    with pytest.raises(InvalidInput):
        store.import_text(data, "name")


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")  # serial numbers below zero
@given(st.data())
def test_damaged_certificates_are_refused_or_harmless(slave: ServerIdentity, data: st.DataObject) -> None:
    """DER with a byte changed is refused, or is a certificate that can be listed."""
    der = bytearray(to_der(slave.certificate_pem))
    der[data.draw(st.integers(0, len(der) - 1))] ^= data.draw(st.integers(1, 255))
    store = CertificateStore("security-proxy", Memory(), Path(), lambda: NOW.timestamp())
    try:
        store.import_text(bytes(der), "name")
    except InvalidInput:
        assert store.entries() == []
    else:
        assert store.find_by_public_key(bytes(der)) == store.entries()[0]


@pytest.mark.parametrize("name", ["..", ".", "", "../slave.cer", "/etc/hosts", "a/b.cer", "a\\b.cer", "a\0", "a\n"])
def test_file_names_that_lead_elsewhere(desk: Desk, name: str) -> None:
    assert desk.refused_file(name).code == "file-name"


def test_links_directories_and_pipes_are_not_read(desk: Desk, slave: ServerIdentity) -> None:
    (desk.directory / "link.cer").symlink_to(slave.certificate_path)
    (desk.directory / "sub").mkdir()
    os.mkfifo(desk.directory / "pipe")
    assert "is a link" in desk.refused_file("link.cer").message
    assert "is not a file" in desk.refused_file("sub").message
    assert "is not a file" in desk.refused_file("pipe").message
    assert "can't be read" in desk.refused_file("x" * 300).message


def test_a_missing_file_is_told_with_what_is_there(desk: Desk) -> None:
    assert "none" in desk.refused_file("slave.cer").remedy
    (desk.directory / "slaev.cer").write_text("x")
    (desk.directory / "link.cer").symlink_to("slaev.cer")
    refused = desk.refused_file("slave.cer")
    assert refused.code == "file-missing"
    assert str(desk.directory) in refused.message
    assert "slaev.cer" in refused.remedy
    assert "link.cer" not in refused.remedy
    desk.directory.rename(desk.directory.with_name("gone"))
    assert "none" in desk.refused_file("slave.cer").remedy


def test_find_by_public_key_wants_a_certificate(desk: Desk) -> None:
    with pytest.raises(TrustError):
        desk.store.find_by_public_key(b"nothing")


def test_an_extension_that_is_there_twice_breaks_no_list(slave: ServerIdentity) -> None:
    """As a damaged byte may make it."""
    der = to_der(slave.certificate_pem)
    key_usage, alternative_names = bytes.fromhex("0603551d0f"), bytes.fromhex("0603551d11")
    assert der.count(key_usage) == der.count(alternative_names) == 1
    store = CertificateStore("security-proxy", Memory(), Path(), lambda: NOW.timestamp())
    store.import_text(der.replace(key_usage, alternative_names), "twice")
    assert store.entries()[0].names == ()
