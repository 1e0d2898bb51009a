from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hostward.access.credentials import Credentials
from hostward.domain.errors import InvalidInput, TrustError, Unavailable
from hostward.registry.server import ServerRegistry, read_value
from hostward.trust.vault import KEY_FILE, Vault

pytestmark = pytest.mark.feature("A11")

PASSPHRASE = "four words nobody guesses"
Start = Callable[[], Credentials]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Makes the store as a start of the server does."""
    opened: list[ServerRegistry] = []

    def started() -> Credentials:
        if opened:
            opened.pop().close()
        opened.append(ServerRegistry.open(tmp_path / "server.db"))
        return Credentials(opened[0], Vault.open(tmp_path), lambda: "2026-01-01T00:00:00+00:00")

    yield started
    opened.pop().close()


def kept(directory: Path) -> str:
    """What server.db has of the entry's secret."""
    value = read_value(directory / "server.db", "credential:ldap")
    assert value is not None
    return str(value["secret"])


def test_without_a_passphrase_the_servers_key_alone_opens_the_store(start: Start) -> None:
    start().put("ldap", "cn=reader", "secret words")
    store = start()
    assert not store.has_passphrase
    assert store.secret_of("ldap") == ("cn=reader", "secret words")


def test_with_a_passphrase_the_store_is_closed_from_each_start_until_it_is_given(start: Start) -> None:
    store = start()
    store.put("ldap", "cn=reader", "secret words")
    store.set_passphrase(PASSPHRASE)
    store.put("later", "cn=other", "other words")
    assert store.secret_of("ldap") == ("cn=reader", "secret words"), "it goes on being open"
    store = start()
    assert store.closed
    for act in (lambda: store.secret_of("ldap"), lambda: store.put("new", "cn=x", "x"), store.remove_passphrase):
        with pytest.raises(Unavailable) as closed:
            act()
        assert closed.value.code == "credential-store-closed"
    with pytest.raises(Unavailable):
        store.set_passphrase("another one altogether")
    with pytest.raises(InvalidInput) as wrong:
        store.open("not the passphrase")
    assert (wrong.value.code, store.closed) == ("wrong-passphrase", True)
    assert [c.name for c in store.list()] == ["later", "ldap"], "what there is can be seen"
    store.open(PASSPHRASE)
    assert store.secret_of("ldap") == ("cn=reader", "secret words")
    assert store.secret_of("later") == ("cn=other", "other words")


def test_the_passphrase_is_the_same_however_it_is_typed(start: Start) -> None:
    start().set_passphrase("Göteborg bei Nacht")
    store = start()
    store.open("Go\u0308teborg bei Nacht")
    assert not store.closed


def test_the_old_passphrase_opens_nothing_after_a_change_and_none_is_needed_after_its_removal(start: Start) -> None:
    store = start()
    store.put("ldap", "cn=reader", "secret words")
    store.set_passphrase(PASSPHRASE)
    store.set_passphrase("another one altogether")
    store = start()
    with pytest.raises(InvalidInput):
        store.open(PASSPHRASE)
    store.open("another one altogether")
    store.remove_passphrase()
    assert start().secret_of("ldap") == ("cn=reader", "secret words")


def test_a_poor_passphrase_is_refused_and_changes_nothing(start: Start) -> None:
    store = start()
    for poor in ("short", "", "aaaaaaaaaaaa", "with\0nothing in it"):
        with pytest.raises(InvalidInput):
            store.set_passphrase(poor)
    assert not start().closed


def test_a_copy_of_the_whole_directory_gives_no_secret_away_nor_what_it_was_before(
    start: Start, tmp_path: Path
) -> None:
    """The server's key is in it too: what it alone once opened mustn't be left anywhere in the files."""
    store = start()
    store.put("ldap", "cn=reader", "secret words")
    before = kept(tmp_path)
    assert Vault.open(tmp_path).unlock(before, "credential:ldap") == "secret words"
    store.set_passphrase(PASSPHRASE)
    for file in tmp_path.iterdir():
        raw = file.read_bytes()
        assert before.encode() not in raw, file.name
        assert b"secret words" not in raw
        assert PASSPHRASE.encode() not in raw
    now = kept(tmp_path)
    with pytest.raises(TrustError):
        Vault.open(tmp_path).unlock(now, "credential:ldap")


def test_another_servers_key_opens_nothing_even_with_the_passphrase(start: Start, tmp_path: Path) -> None:
    store = start()
    store.put("ldap", "cn=reader", "secret words")
    store.set_passphrase(PASSPHRASE)
    (tmp_path / KEY_FILE).unlink()
    with pytest.raises(TrustError):
        start().open(PASSPHRASE)


def test_a_store_whose_passphrase_is_lost_can_be_emptied(start: Start) -> None:
    store = start()
    store.put("ldap", "cn=reader", "secret words")
    store.set_passphrase(PASSPHRASE)
    store = start()
    store.reset()
    assert (store.list(), store.has_passphrase, store.closed) == ([], False, False)
    store.put("ldap", "cn=reader", "secret words")
    assert start().secret_of("ldap") == ("cn=reader", "secret words")
