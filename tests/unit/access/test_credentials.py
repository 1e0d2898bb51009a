from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hostward.access.credentials import Credentials
from hostward.domain.errors import InvalidInput, TrustError, Unavailable
from hostward.registry.server import ServerRegistry, read_value
from hostward.trust.vault import KEY_FILE, Vault

pytestmark = pytest.mark.feature("A11")

PASSPHRASE = "four words nobody guesses"
Start = Callable[[], Credentials]
ROOT = Path(__file__).parents[3]

KILLED = f"""
import os, resource, sqlite3, sys
from functools import partial
from pathlib import Path
from hostward.access.credentials import Credentials
from hostward.registry.server import ServerRegistry
from hostward.trust.vault import Vault

directory, hindered = Path(sys.argv[1]), sys.argv[2]
sqlite3.connect = partial(sqlite3.connect, timeout=0)  # who reads needn't be waited for
server = ServerRegistry.open(directory / "server.db")
store = Credentials(server, Vault.open(directory), lambda: "2026-01-01T00:00:00+00:00")
if hindered == "space":
    server.put("other", "x" * (4 << 20))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
else:
    reader = sqlite3.connect(directory / "server.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM setting").fetchall()
store.set_passphrase("{PASSPHRASE}")
assert store.secret_of("ldap") == ("cn=reader", "secret words")
os._exit(0)
"""
"""There is space for the change and not for the files once more, or another program reads them; then it is killed."""


def store_in(server: ServerRegistry, directory: Path) -> Credentials:
    return Credentials(server, Vault.open(directory), lambda: "2026-01-01T00:00:00+00:00")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Makes the store as a start of the server does."""
    opened: list[ServerRegistry] = []

    def started() -> Credentials:
        if opened:
            opened.pop().close()
        opened.append(ServerRegistry.open(tmp_path / "server.db"))
        return store_in(opened[0], tmp_path)

    yield started
    opened.pop().close()


def kept(directory: Path) -> str:
    """What server.db has of the entry's secret."""
    value = read_value(directory / "server.db", "credential:ldap")
    assert value is not None
    return str(value["secret"])


def is_left(directory: Path, locked: str) -> bool:
    """Whether a file still holds what was kept of a secret."""
    return any(locked.encode() in file.read_bytes() for file in directory.iterdir())


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


@pytest.mark.parametrize("hindered", ["space", "reader"])
def test_a_passphrase_is_set_also_where_what_was_before_can_only_be_removed_by_the_next_start(
    start: Start, tmp_path: Path, hindered: str
) -> None:
    with closing(ServerRegistry.open(tmp_path / "server.db")) as server:
        store_in(server, tmp_path).put("ldap", "cn=reader", "secret words")
    before = kept(tmp_path)
    command = [sys.executable, "-c", KILLED, str(tmp_path), hindered]
    env = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "replaced-secrets-not-removed" in done.stdout
    assert is_left(tmp_path, before)
    store = start()
    assert not is_left(tmp_path, before)
    store.open(PASSPHRASE)
    assert store.secret_of("ldap") == ("cn=reader", "secret words")
