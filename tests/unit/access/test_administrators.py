"""Administrators' accounts: made at first start, local, their passwords hashed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostward.access import passwords
from hostward.access.administrators import Administrators, ensure_first_administrator
from hostward.access.throttle import LIMITS, TooManyAttempts
from hostward.domain.errors import HostwardError, InvalidInput, Unauthenticated
from hostward.registry.server import ServerRegistry

PASSWORD = "a good password"
HERE = "192.0.2.1"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[ServerRegistry]:
    found = ServerRegistry.open(tmp_path / "server.db")
    yield found
    found.close()


@pytest.fixture
def administrators(registry: ServerRegistry) -> Administrators:
    # A clock that stands still: how long hashing takes on a busy machine is no test's subject.
    found = Administrators(registry, clock_s=lambda: 0.0)
    assert ensure_first_administrator(found, PASSWORD) is None
    return found


@pytest.mark.anyio
async def test_the_first_administrator_gets_a_generated_password_once(registry: ServerRegistry) -> None:
    new = Administrators(registry)
    generated = ensure_first_administrator(new, None)
    assert generated is not None
    assert len(generated) == 20
    assert ensure_first_administrator(new, None) is None
    assert ensure_first_administrator(new, "another password") is None
    assert await Administrators(registry).log_in("admin", generated, HERE) == "admin"


def test_a_password_that_cannot_be_one_makes_no_account(registry: ServerRegistry) -> None:
    new = Administrators(registry)
    for wrong in ("", "short", "admin", "a" * 300, "aaaaaaaaaaaa", "password", "with\nline break"):
        with pytest.raises(InvalidInput) as refused:
            ensure_first_administrator(new, wrong)
        assert refused.value.remedy
    assert new.names() == []


@pytest.mark.anyio
async def test_only_the_right_password_logs_in(administrators: Administrators, tmp_path: Path) -> None:
    assert await administrators.log_in(" Admin", PASSWORD, HERE) == "admin"
    said = set()
    for user, wrong in (("admin", PASSWORD.upper()), ("admin", ""), ("nobody", PASSWORD), ("admin", "\ud800")):
        with pytest.raises(Unauthenticated) as refused:
            await administrators.log_in(user, wrong, "192.0.2.2")
        said.add(str(refused.value))
    assert len(said) == 1
    assert PASSWORD.encode() not in (tmp_path / "server.db-wal").read_bytes()


@pytest.mark.anyio
async def test_guessing_gets_slower_even_where_guesses_come_together(administrators: Administrators) -> None:
    async def guess() -> type[HostwardError]:
        with pytest.raises(HostwardError) as refused:
            await administrators.log_in("admin", "wrong password", HERE)
        return type(refused.value)

    outcomes = await asyncio.gather(*(guess() for _ in range(LIMITS["pair"].free + 5)))
    assert outcomes.count(Unauthenticated) == LIMITS["pair"].free
    with pytest.raises(TooManyAttempts):
        await administrators.log_in("admin", PASSWORD, HERE)
    assert await administrators.log_in("admin", PASSWORD, "192.0.2.2") == "admin"


@pytest.mark.anyio
async def test_a_password_is_changed_by_who_knows_it(administrators: Administrators, registry: ServerRegistry) -> None:
    new = "pässwörd of mine"
    with pytest.raises(InvalidInput) as refused:
        await administrators.change_password("admin", "not it", new, HERE)
    assert [m.field for m in refused.value.mistakes] == ["current"]
    with pytest.raises(InvalidInput) as short:
        await administrators.change_password("admin", PASSWORD, "short", HERE)
    assert [m.field for m in short.value.mistakes] == ["new"]
    await administrators.change_password("admin", PASSWORD, new, HERE)
    # The same letters, composed otherwise, as another keyboard has them.
    assert await Administrators(registry).log_in("admin", "pa\u0308sswo\u0308rd of mine", HERE) == "admin"
    with pytest.raises(Unauthenticated):
        await administrators.log_in("admin", PASSWORD, HERE)


def test_a_user_that_is_not_there_takes_a_hash_as_well() -> None:
    assert not passwords.matches("anything", None)
    assert passwords.matches("anything", passwords.hash_password("anything"))
    assert passwords.hash_password("same") != passwords.hash_password("same")
