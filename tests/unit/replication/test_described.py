from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from hostward.database.identity import node_identity
from hostward.database.settings import NodeSettings
from hostward.database.yaml import cassandra_yaml
from hostward.domain.errors import PeerError
from hostward.replication.group.described import check_described
from hostward.replication.group.members import Member
from hostward.trust.identity import ServerIdentity, load_or_create


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[ServerIdentity, Member]:
    directory = tmp_path_factory.mktemp("described")
    identity = load_or_create(directory, "north.example.com", [], datetime.now(UTC))
    node = node_identity(directory / "node", identity.server_id)
    return identity, Member(
        server_id=identity.server_id, name="north", host="north.example.com", port=8443, context="mss",
        protocol="https", certificate=identity.certificate_pem, internode_certificate=node.certificate_pem,
        address="192.0.2.7", storage_port=7000, version="0.1.0", state="joining",
    )  # fmt: skip


def test_an_ordinary_server_is_fine(known: tuple[ServerIdentity, Member]) -> None:
    identity, them = known
    check_described(them, identity.server_id)
    check_described(replace(them, address="2001:db8::7"), identity.server_id)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("server_id", "0" * 32),
        ("host", "north\n.example.com"), ("host", "-oProxyCommand=x"), ("host", ""), ("port", 0), ("port", "443"),
        ("context", "../peer"), ("context", "a\nb"),
        ("name", ""), ("name", "n" * 301), ("name", "a\nb"), ("version", "\x1b[31m"),
        ("protocol", "ftp"),
        ("https_port", -1), ("https_port", 65_536), ("https_port", "8443"),
        ("storage_port", 70_000), ("storage_port", True), ("storage_port", "7000"),
        ("address", "192.0.2.7\n- 198.51.100.1"), ("address", "192.0.2.7,198.51.100.1"), ("address", "north"),
        ("address", "192.0.2.7: {}"), ("address", ["192.0.2.7"]), ("address", ""),
        ("certificate", ""), ("certificate", "-----BEGIN CERTIFICATE-----"),
        ("internode_certificate", ""), ("internode_certificate", 5),
    ],
)  # fmt: skip
def test_whatever_else_is_refused_before_it_reaches_anything(
    known: tuple[ServerIdentity, Member], field: str, value: Any
) -> None:
    identity, them = known
    with pytest.raises(PeerError) as refused:
        check_described(replace(them, **{field: value}), identity.server_id)
    assert refused.value.code == "description"


def test_no_certificate_comes_in_the_wake_of_another(tmp_path: Path, known: tuple[ServerIdentity, Member]) -> None:
    identity, them = known
    removed = node_identity(tmp_path / "removed", "0" * 32).certificate_pem
    bundles = (
        them.internode_certificate + removed,
        removed + them.internode_certificate,
        f"{removed}\n#{them.internode_certificate}",
    )
    for bundle in bundles:
        with pytest.raises(PeerError):
            check_described(replace(them, internode_certificate=bundle), identity.server_id)
    with pytest.raises(PeerError):
        check_described(replace(them, certificate=removed), identity.server_id)
    with pytest.raises(PeerError):
        check_described(them, "0" * 32)


@pytest.mark.parametrize(
    "text", ["a\nauthenticator: AllowAllAuthenticator", "- b", "{c: d}", "!!python/object:e", "# f", "'", '"\n']
)
def test_text_that_looks_like_yaml_stays_text(tmp_path: Path, text: str) -> None:
    def rendered(text: str) -> dict[str, Any]:
        settings = NodeSettings(
            cluster_name=text, listen_address=text, seeds=(text,), data_dir=tmp_path, log_dir=tmp_path,
            key_path=tmp_path / "node.key", certificate_path=tmp_path / "node.cer", loopback=text,
        )  # fmt: skip
        found: dict[str, Any] = yaml.safe_load(yaml.safe_dump(cassandra_yaml(settings)))
        return found

    hostile = rendered(text)
    assert hostile.keys() == rendered("harmless").keys()
    assert hostile["cluster_name"] == hostile["listen_address"] == text
    assert hostile["seed_provider"][0]["parameters"] == [{"seeds": text}]
