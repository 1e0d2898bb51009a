from __future__ import annotations

from pathlib import Path

import pytest

from hostward.domain.replication import Role, Target
from hostward.registry.server import ServerRegistry
from hostward.replication.state import KEY, StateStore, settled_passphrase
from hostward.trust.vault import KEY_FILE, Vault

SECRETS = ("first of all", "second of all", "third of all")


def opened(directory: Path) -> StateStore:
    return StateStore(ServerRegistry.open(directory / "server.db"), Vault.open(directory))


@pytest.mark.feature("R6")
def test_passphrases_are_kept_and_cannot_be_read_in_the_file(tmp_path: Path) -> None:
    store = opened(tmp_path)
    master = Target("north.example.com", 443)
    store.update(role=Role.SLAVE, master=master, passphrase=SECRETS[0], earlier=SECRETS[1:])
    again = opened(tmp_path).now
    assert (again.role, again.master) == (Role.SLAVE, master)
    assert [p.reveal() for p in again.secrets] == list(SECRETS)
    assert again == store.now
    for file in tmp_path.glob("server.db*"):
        content = file.read_bytes()
        assert not any(secret.encode() in content for secret in SECRETS), file.name
    assert not any(secret in repr(again) for secret in SECRETS)


def test_one_that_was_kept_in_clear_is_locked_at_the_next_start(tmp_path: Path) -> None:
    server = ServerRegistry.open(tmp_path / "server.db")
    server.put(KEY, {"role": "master", "passphrase": SECRETS[0], "master": None})
    server.close()
    assert opened(tmp_path).now.secret.reveal() == SECRETS[0]
    assert "passphrase" not in (ServerRegistry.open(tmp_path / "server.db").get(KEY) or {})
    assert opened(tmp_path).now.secret.reveal() == SECRETS[0]


def test_without_the_key_the_server_starts_and_says_so_and_the_key_may_be_put_back(tmp_path: Path) -> None:
    opened(tmp_path).update(role=Role.MASTER, passphrase=SECRETS[0])
    key = (tmp_path / KEY_FILE).read_bytes()
    (tmp_path / KEY_FILE).unlink()
    store = opened(tmp_path)
    assert store.now.passphrase_lost
    assert store.now.secret.reveal() not in SECRETS
    assert not store.now.passphrase_is_default
    store.update(adapter="192.0.2.1")
    (tmp_path / KEY_FILE).write_bytes(key)
    back = opened(tmp_path).now
    assert (back.secret.reveal(), back.adapter, back.passphrase_lost) == (SECRETS[0], "192.0.2.1", False)


def test_entered_again_it_is_no_longer_lost(tmp_path: Path) -> None:
    opened(tmp_path).update(passphrase=SECRETS[0])
    (tmp_path / KEY_FILE).unlink()
    opened(tmp_path).update(**settled_passphrase(SECRETS[1]))
    now = opened(tmp_path).now
    assert (now.secret.reveal(), now.passphrase_lost) == (SECRETS[1], False)
