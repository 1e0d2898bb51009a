from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hostward.domain.errors import TrustError
from hostward.trust.identity import ServerIdentity, load_or_create, verify
from hostward.trust.renewals import (
    MAX_STATEMENTS,
    Statement,
    forget_previous,
    load_statements,
    new_pair,
    prepare,
    statements_from,
    successor,
    switch,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def renewed(data_dir: Path, identity: ServerIdentity, *, days: int = 1) -> list[Statement]:
    """One renewal, the whole of it."""
    now = NOW + timedelta(days=days)
    key, pem = new_pair(identity.server_id, "a.example.org", [], now)
    statements = prepare(data_dir, identity, now, key=key, certificate_pem=pem)
    switch(data_dir, identity)
    forget_previous(data_dir, identity)
    return statements


def create(path: Path) -> ServerIdentity:
    path.mkdir(exist_ok=True)
    return load_or_create(path, "a.example.org", [], NOW)


@pytest.mark.feature("R7")
def test_whoever_trusts_any_certificate_before_comes_to_the_last(tmp_path: Path) -> None:
    identity = create(tmp_path)
    (tmp_path / "identity" / "secrets.key").write_bytes(b"of other secrets")
    certificates = [identity.certificate_pem]
    for day in range(1, 6):
        renewed(tmp_path, identity, days=day)
        certificates.append(identity.certificate_pem)
    assert len(set(certificates)) == 6
    chain = load_statements(tmp_path)
    assert [s.number for s in chain] == [1, 2, 3, 4, 5]
    for trusted in certificates[:-1]:
        assert successor(trusted, chain) == identity.certificate_pem
    assert successor(identity.certificate_pem, chain) is None
    assert successor(create(tmp_path / "other").certificate_pem, chain) is None
    again = load_or_create(tmp_path, "a.example.org", [], NOW)
    assert (again.server_id, again.certificate_pem) == (identity.server_id, certificates[-1])
    assert (tmp_path / "identity" / "secrets.key").read_bytes() == b"of other secrets"


@pytest.mark.feature("R7")
def test_a_chain_that_was_tampered_with_leads_nowhere(tmp_path: Path) -> None:
    identity, thief = create(tmp_path / "one"), create(tmp_path / "thief")
    first = identity.certificate_pem
    renewed(tmp_path / "one", identity)
    chain = renewed(tmp_path / "one", identity)
    one, two = chain
    key, stolen = new_pair(identity.server_id, "a.example.org", [], NOW)
    forged = replace(two, new=stolen, number=3, old=identity.fingerprint)
    by_thief = replace(forged, signature=thief.sign(forged.signed()).hex())
    for wrong in (
        [replace(one, new=stolen), two],
        [replace(one, time="2030-01-01T00:00:00+00:00"), two],
        [replace(one, new=thief.certificate_pem), two],
        [replace(one, signature="00"), two],
        [replace(one, signature="no"), two],
        [one, replace(two, number=1)],
        [one, one],
        [one, two, forged],
        [one, two, by_thief],
    ):
        with pytest.raises(TrustError):
            successor(first, wrong)
    assert successor(first, [one, two]) == identity.certificate_pem
    assert successor(first, [two]) is None
    assert key is not None


def test_what_is_no_list_of_statements_is_refused(tmp_path: Path) -> None:
    wrong: tuple[Any, ...] = (None, {}, "x", [1], [{}], [{"server_id": "a"}], [{}] * (MAX_STATEMENTS + 1))
    for value in wrong:
        with pytest.raises(TrustError):
            statements_from(value)
    assert statements_from([]) == []


def test_the_oldest_statements_are_forgotten(tmp_path: Path) -> None:
    identity = create(tmp_path)
    first = identity.certificate_pem
    for day in range(MAX_STATEMENTS + 1):
        renewed(tmp_path, identity, days=day)
    chain = load_statements(tmp_path)
    assert len(chain) == MAX_STATEMENTS
    assert chain[-1].number == MAX_STATEMENTS + 1
    assert successor(first, chain) is None


@pytest.mark.feature("R7")
@pytest.mark.parametrize("what", ["identity.next", "identity.previous"])
def test_a_server_killed_while_it_removes_a_key_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    identity = create(tmp_path)
    key, pem = new_pair(identity.server_id, "a.example.org", [], NOW)
    prepare(tmp_path, identity, NOW, key=key, certificate_pem=pem)
    if what == "identity.previous":
        switch(tmp_path, identity)

    def killed(directory: Path) -> None:
        (directory / "servletcontainer.key").unlink()
        raise KeyboardInterrupt

    def remove() -> None:
        if what == "identity.previous":
            forget_previous(tmp_path, identity)
        else:
            prepare(tmp_path, identity, NOW, key=key, certificate_pem=pem)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            remove()
    again = load_or_create(tmp_path, "a.example.org", [], NOW)
    assert (again.certificate_pem, again.earlier) == (identity.certificate_pem, None)
    assert [p.name for p in tmp_path.iterdir()] == ["identity"]


@pytest.mark.feature("R7")
def test_a_damaged_key_of_before_the_renewal_is_dropped(tmp_path: Path) -> None:
    """As an interrupted removal left it."""
    identity = create(tmp_path)
    key, pem = new_pair(identity.server_id, "a.example.org", [], NOW)
    prepare(tmp_path, identity, NOW, key=key, certificate_pem=pem)
    switch(tmp_path, identity)
    (tmp_path / "identity.previous" / "servletcontainer.key").unlink()
    again = load_or_create(tmp_path, "a.example.org", [], NOW)
    assert (again.certificate_pem, again.earlier) == (pem, None)
    assert [p.name for p in tmp_path.iterdir()] == ["identity"]


@pytest.mark.feature("R7")
def test_a_crash_at_any_rename_leaves_one_whole_identity(tmp_path: Path) -> None:
    """Wherever it was killed, the next start has a key with its certificate, and the one before it to sign with."""
    before = create(tmp_path / "start")
    key, pem = new_pair(before.server_id, "a.example.org", [], NOW)
    prepare(tmp_path / "start", before, NOW, key=key, certificate_pem=pem)
    states = {"prepared": ("identity", "identity.next"), "between": ("identity.previous", "identity.next")}
    for name, (here, following) in states.items():
        there = tmp_path / name
        shutil.copytree(tmp_path / "start" / "identity", there / here)
        shutil.copytree(tmp_path / "start" / "identity.next", there / following)
        (there / "identity.new-1").mkdir()
        found = load_or_create(there, "a.example.org", [], NOW)
        assert (found.server_id, found.certificate_pem) == (before.server_id, pem)
        assert found.earlier is not None
        assert found.earlier.certificate_pem == before.certificate_pem
        verify(before.certificate_pem, b"data", found.earlier.sign(b"data"))
        assert sorted(p.name for p in there.iterdir()) == ["identity", "identity.previous"]
        forget_previous(there, found)
        assert [p.name for p in there.iterdir()] == ["identity"]
        assert load_or_create(there, "a.example.org", [], NOW).earlier is None
