from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hostward.domain.errors import Conflict, InvalidInput, NotFound, PeerError
from hostward.registry.server import ServerRegistry
from hostward.replication.group.invites import MAX_MINUTES, MAX_OPEN, REMEMBERED_S, Invite, Invites


class Desk:
    """Invitations in a real server.db, at a time that can be set."""

    def __init__(self, path: Path) -> None:
        self.path, self.now_s, self._numbers = path, 1_000_000.0, iter(range(1, 10_000))
        self.server = ServerRegistry.open(path)

    def invites(self) -> Invites:
        return Invites(self.server, lambda: self.now_s, lambda n: next(self._numbers).to_bytes(n))

    def use(self, secret: bytes, server: str = "a" * 32, role: str = "slave", mark: str = "AA") -> Invite | None:
        """As the Master does: look whether it may be used, then burn it."""
        invites = self.invites()
        found = invites.find(secret, role=role, server_id=server, fingerprint=mark)
        if found is not None and not found.used_by:
            invites.burn(found, server_id=server, fingerprint=mark, name=f"name of {server}")
        return found


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    found = Desk(tmp_path / "server.db")
    yield found
    found.server.close()


def refused(desk: Desk, secret: bytes, **more: str) -> str:
    with pytest.raises(PeerError) as error:
        desk.use(secret, **more)
    assert error.value.code == "join-code"
    assert error.value.remedy
    return error.value.message


@pytest.mark.feature("R7")
def test_a_code_works_once_for_one_server(desk: Desk) -> None:
    invite, secret = desk.invites().make("admin", 10)
    assert desk.use(bytes(16)) is None
    assert desk.use(secret[:-1] + b"\xff") is None
    used = desk.use(secret)
    assert used is not None
    assert used.id == invite.id
    assert "was used already, by the server name of aaaa" in refused(desk, secret, server="b" * 32)
    assert "used already" in refused(desk, secret, mark="BB"), "the same id with another certificate is another server"
    for wait_s in (0, 601):
        desk.now_s += wait_s
        again = desk.use(secret)
        assert again is not None, "its answer may have been lost: the same server may come again"
        assert (again.id, again.used_by) == (invite.id, "a" * 32)


@pytest.mark.feature("R7")
def test_a_code_expires_and_is_for_one_role(desk: Desk) -> None:
    _, secret = desk.invites().make("admin", 1)
    assert "for the role Slave" in refused(desk, secret, role="master")
    desk.now_s += 59
    assert [i.is_open(desk.now_s) for i in desk.invites().all()] == [True]
    desk.now_s += 1
    assert refused(desk, secret) == "The join code has expired."
    desk.now_s += REMEMBERED_S
    assert desk.use(secret) is None
    assert desk.invites().all() == []


def test_limits_and_revoking(desk: Desk) -> None:
    for minutes in (0, -1, MAX_MINUTES + 1):
        with pytest.raises(InvalidInput):
            desk.invites().make("admin", minutes)
    made = [desk.invites().make("admin", MAX_MINUTES) for _ in range(MAX_OPEN)]
    with pytest.raises(Conflict):
        desk.invites().make("admin", 1)
    invite, secret = made[0]
    desk.invites().revoke(invite.id)
    with pytest.raises(NotFound):
        desk.invites().revoke(invite.id)
    assert desk.use(secret) is None
    assert desk.use(made[1][1]) is not None


@pytest.mark.feature("R7")
def test_the_secret_is_kept_nowhere(desk: Desk) -> None:
    _, secret = desk.invites().make("admin", 10)
    desk.use(secret)
    desk.server.close()
    held = b"".join(f.read_bytes() for f in desk.path.parent.iterdir())
    assert b"secret_sha256" in held
    assert secret not in held
    assert secret.hex().encode() not in held
