from __future__ import annotations

import ssl
import stat
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from hostward.database.identity import node_identity
from hostward.database.session import client_tls
from hostward.database.settings import NodeSettings
from hostward.database.yaml import cassandra_yaml, management_password, write_configuration, write_trust
from hostward.domain.errors import DatabaseError


@pytest.fixture
def settings(tmp_path: Path) -> NodeSettings:
    identity = node_identity(tmp_path / "identity", "server-1")
    return NodeSettings(
        cluster_name="hostward-1",
        listen_address="127.0.0.2",
        seeds=("127.0.0.3:7000", "127.0.0.2:7000"),
        data_dir=tmp_path / "a b & <c>" / "database",
        log_dir=tmp_path / "logs",
        key_path=identity.key_path,
        certificate_path=identity.certificate_path,
    )


def test_the_identity_is_made_once_and_is_a_p256_certificate_of_its_own(tmp_path: Path) -> None:
    made = node_identity(tmp_path, "server-1")
    again = node_identity(tmp_path, "server-1")
    assert made == again
    certificate = x509.load_pem_x509_certificate(made.certificate_pem.encode())
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)
    assert certificate.issuer == certificate.subject
    assert stat.S_IMODE(made.key_path.stat().st_mode) == 0o600


def test_an_identity_whose_parts_do_not_fit_is_refused(tmp_path: Path) -> None:
    made, other = node_identity(tmp_path / "a", "a"), node_identity(tmp_path / "b", "b")
    other.key_path.replace(made.key_path)
    with pytest.raises(DatabaseError) as refused:
        node_identity(tmp_path / "a", "a")
    assert refused.value.code == "node-identity"
    made.key_path.write_text("not a key")
    with pytest.raises(DatabaseError):
        node_identity(tmp_path / "a", "a")


@pytest.mark.feature("R9")
def test_every_file_is_private_and_readable_by_its_reader(settings: NodeSettings) -> None:
    write_configuration(settings)
    for directory in (settings.data_dir, settings.conf_dir, settings.storage_dir):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    for path in settings.conf_dir.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    written = yaml.safe_load((settings.conf_dir / "cassandra.yaml").read_text())
    assert written == cassandra_yaml(settings)
    logback = ElementTree.fromstring((settings.conf_dir / "logback.xml").read_text())
    assert logback.findtext("appender/file") == str(settings.log_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings.conf_dir / "keystore.pem")


@pytest.mark.feature("R9")
def test_neither_plaintext_nor_strangers_are_let_in(settings: NodeSettings) -> None:
    content = cassandra_yaml(settings)
    for side in ("server_encryption_options", "client_encryption_options"):
        assert content[side]["optional"] is False
        assert content[side]["require_client_auth"] is True
        assert "algorithm" not in content[side]
    assert content["server_encryption_options"]["internode_encryption"] == "all"
    assert content["rpc_address"] == "127.0.0.1"
    assert content["seed_provider"][0]["parameters"] == [{"seeds": "127.0.0.3:7000,127.0.0.2:7000"}]


def test_the_truststores_hold_the_members_and_for_clients_the_node_alone(
    settings: NodeSettings, tmp_path: Path
) -> None:
    other = node_identity(tmp_path / "other", "server-2").certificate_pem
    own = settings.certificate_path.read_text()
    write_configuration(replace(settings, trusted_certificates=(other, own, other)))
    assert settings.truststore_path.read_text() == own + other
    assert (settings.conf_dir / "client-truststore.pem").read_text() == own
    write_trust(settings)
    assert settings.truststore_path.read_text() == own


def test_the_management_password_is_kept_and_shown_nowhere(settings: NodeSettings) -> None:
    password = management_password(settings)
    write_configuration(settings)
    assert management_password(settings) == password
    assert len(password) >= 32
    assert password not in repr(settings)


def test_a_directory_that_cannot_be_written_is_named(settings: NodeSettings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DatabaseError) as refused:
        write_configuration(replace(settings, data_dir=tmp_path / "file" / "database"))
    assert refused.value.code == "unwritable"
    assert str(tmp_path / "file") in str(refused.value)


def test_the_client_trusts_the_nodes_certificate_alone(settings: NodeSettings) -> None:
    context = client_tls(settings)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert len(context.get_ca_certs()) <= 1
