from __future__ import annotations

import stat
from pathlib import Path

import pytest

from hostward.domain.errors import TrustError
from hostward.trust.vault import KEY_FILE, Vault


@pytest.mark.feature("R6")
def test_what_was_locked_is_unlocked_with_the_same_key_and_name_only(tmp_path: Path) -> None:
    vault = Vault.open(tmp_path)
    locked = vault.lock("correct horse", "replication")
    assert "correct" not in locked
    assert vault.lock("correct horse", "replication") != locked
    assert Vault.open(tmp_path).unlock(locked, "replication") == "correct horse"
    for wrong in (locked[:-4], "", "###", locked[4:]):
        with pytest.raises(TrustError) as refused:
            vault.unlock(wrong, "replication")
        assert refused.value.code == "secret-unreadable"
    with pytest.raises(TrustError):
        vault.unlock(locked, "another")
    (tmp_path / KEY_FILE).unlink()
    with pytest.raises(TrustError):
        Vault.open(tmp_path).unlock(locked, "replication")


def test_the_key_is_its_owners_alone(tmp_path: Path) -> None:
    Vault.open(tmp_path)
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == [KEY_FILE]


def test_a_damaged_key_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_bytes(b"short")
    with pytest.raises(TrustError) as refused:
        Vault.open(tmp_path)
    assert refused.value.code == "identity-damaged"
    assert refused.value.remedy
    assert (tmp_path / KEY_FILE).read_bytes() == b"short"
