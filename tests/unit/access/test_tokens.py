"""Tokens: kept as hashes, ending when they should, lasting over a restart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from hostward.access.tokens import CONSOLE, EACH, LASTS, MAX_LOGINS, Tokens
from hostward.domain.errors import Conflict, NotFound, Unauthenticated
from hostward.registry.server import ServerRegistry


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[ServerRegistry]:
    found = ServerRegistry.open(tmp_path / "server.db")
    yield found
    found.close()


@pytest.fixture
def tokens(registry: ServerRegistry, clock: Clock) -> Tokens:
    return Tokens(registry, clock)


def test_a_login_lasts_12_hours_from_its_last_use(tokens: Tokens, clock: Clock) -> None:
    secret, token = tokens.log_in("admin")
    assert token.expires == clock.now + LASTS["login"] == clock.now + timedelta(hours=12)
    for _ in range(4):
        clock.now += timedelta(hours=11)
        assert tokens.authenticate(secret).user == "admin"
    clock.now += timedelta(hours=12)
    with pytest.raises(Unauthenticated) as refused:
        tokens.authenticate(secret)
    assert refused.value.code == "token-invalid"
    assert tokens.list() == []


def test_a_login_of_the_console_ends_half_an_hour_after_a_person_used_it(tokens: Tokens, clock: Clock) -> None:
    secret, _ = tokens.log_in("admin", CONSOLE)
    for _ in range(3):
        clock.now += timedelta(minutes=29)
        assert tokens.authenticate(secret).kind == CONSOLE
    for _ in range(2):
        clock.now += timedelta(minutes=14)
        assert tokens.authenticate(secret, used=False).kind == CONSOLE  # an open page's own requests
    clock.now += timedelta(minutes=2)
    with pytest.raises(Unauthenticated):
        tokens.authenticate(secret)


def test_how_long_a_login_of_the_console_lasts_may_change_while_it_does(registry: ServerRegistry, clock: Clock) -> None:
    lasts = [timedelta(minutes=60)]
    tokens = Tokens(registry, clock, lambda: lasts[-1])
    console, _ = tokens.log_in("admin", CONSOLE)
    program, _ = tokens.log_in("admin")
    clock.now += timedelta(minutes=40)
    assert tokens.authenticate(console, used=False).kind == CONSOLE
    lasts.append(timedelta(minutes=30))
    with pytest.raises(Unauthenticated):
        tokens.authenticate(console)
    assert tokens.authenticate(program).user == "admin"


def test_all_logins_of_a_user_end_at_once_and_nothing_else(tokens: Tokens) -> None:
    ended = [tokens.log_in("admin")[0], tokens.log_in("admin", CONSOLE)[0]]
    kept = [tokens.log_in("other")[0], tokens.create("admin", "job", 30)[0]]
    assert tokens.revoke_logins("admin") == 2
    for secret in ended:
        with pytest.raises(Unauthenticated):
            tokens.authenticate(secret)
    for secret in kept:
        tokens.authenticate(secret)


def test_a_programs_token_ends_on_its_day_however_much_it_is_used(tokens: Tokens, clock: Clock) -> None:
    secret, _ = tokens.create("admin", "backup job", 2)
    clock.now += timedelta(days=1, hours=23)
    assert tokens.authenticate(secret).name == "backup job"
    clock.now += timedelta(hours=1)
    with pytest.raises(Unauthenticated):
        tokens.authenticate(secret)


def test_tokens_outlive_a_restart_and_their_secrets_are_nowhere(
    tokens: Tokens, registry: ServerRegistry, clock: Clock, tmp_path: Path
) -> None:
    secret, token = tokens.create("admin", "job", 30)
    again = Tokens(registry, clock)
    assert again.authenticate(secret).id == token.id
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert secret.encode() not in kept
    assert secret.removeprefix("hw_").encode() not in kept
    assert secret not in repr(token)


def test_what_is_revoked_is_so_at_once_and_after_a_restart(
    tokens: Tokens, registry: ServerRegistry, clock: Clock
) -> None:
    secret, token = tokens.create("admin", "job", 30)
    tokens.revoke(token.id)
    for one in (tokens, Tokens(registry, clock)):
        with pytest.raises(Unauthenticated):
            one.authenticate(secret)
    with pytest.raises(NotFound):
        tokens.revoke(token.id)


def test_reading_writes_to_disk_only_now_and_then(tokens: Tokens, registry: ServerRegistry, clock: Clock) -> None:
    secret, _ = tokens.log_in("admin")
    kept = []
    for _ in range(12):
        tokens.authenticate(secret)
        kept.append(registry.starting_with(EACH))
        clock.now += timedelta(minutes=1)
    assert sum(a != b for a, b in pairwise(kept)) == 1


def test_logins_are_bounded_and_the_oldest_gives_way(tokens: Tokens, clock: Clock) -> None:
    first, _ = tokens.log_in("admin")
    second, _ = tokens.log_in("admin")
    clock.now += timedelta(seconds=1)
    tokens.authenticate(first)
    for _ in range(MAX_LOGINS - 1):
        tokens.log_in("admin")
    assert len(tokens.list()) == MAX_LOGINS
    assert tokens.authenticate(first)
    with pytest.raises(Unauthenticated):
        tokens.authenticate(second)


def test_changing_a_password_ends_the_other_logins_and_no_programs(tokens: Tokens) -> None:
    here, mine = tokens.log_in("admin")
    there, _ = tokens.log_in("admin")
    others, _ = tokens.log_in("someone")
    program, _ = tokens.create("admin", "job", 1)
    assert tokens.revoke_logins("admin", but=mine.id) == 1
    for secret in (here, others, program):
        assert tokens.authenticate(secret)
    with pytest.raises(Unauthenticated):
        tokens.authenticate(there)


def test_a_name_is_used_once(tokens: Tokens) -> None:
    tokens.create("admin", "job", 1)
    with pytest.raises(Conflict):
        tokens.create("admin", "job", 1)


def test_a_full_disk_keeps_nobody_out(tokens: Tokens, registry: ServerRegistry) -> None:
    registry._db.execute("PRAGMA query_only=ON")
    secret, _ = tokens.log_in("admin")
    assert tokens.authenticate(secret).user == "admin"


@pytest.mark.parametrize("wrong", ["", "hw_", "x" * 2000, "hw_\ud800", "ä"])
def test_anything_else_is_no_token(tokens: Tokens, wrong: str) -> None:
    with pytest.raises(Unauthenticated):
        tokens.authenticate(wrong)


def test_what_is_left_of_a_login_grows_with_its_use_and_is_nothing_at_its_end(tokens: Tokens, clock: Clock) -> None:
    secret, token = tokens.log_in("admin", CONSOLE)
    lasts_s = LASTS[CONSOLE].total_seconds()
    clock.now += timedelta(minutes=20)
    assert tokens.left_s(tokens.authenticate(secret, used=False)) == lasts_s - 1200
    assert tokens.left_s(tokens.authenticate(secret)) == lasts_s
    clock.now += LASTS[CONSOLE]
    assert tokens.left_s(token) <= 0
    with pytest.raises(Unauthenticated):
        tokens.authenticate(secret, used=False)


def test_tokens_as_the_builds_before_kept_them_are_still_good(tmp_path: Path, clock: Clock) -> None:
    registry = ServerRegistry.open(tmp_path / "old.db")
    secret, token = Tokens(registry, clock).create("admin", "nightly", 30)
    registry.update(**dict.fromkeys(registry.starting_with(EACH)), tokens={
        hashlib.sha256(secret.encode()).hexdigest(): {
            "id": token.id, "kind": token.kind, "user": "admin", "name": "nightly",
            "created": token.created.isoformat(), "expires": token.expires.isoformat(), "last_used": None,
        }
    })  # fmt: skip
    assert Tokens(registry, clock).authenticate(secret).name == "nightly"
    assert registry.get("tokens") is None
    assert Tokens(registry, clock).authenticate(secret).id == token.id
    registry.close()


def test_a_login_writes_its_own_token_and_removes_those_that_are_over(tmp_path: Path, clock: Clock) -> None:
    registry = ServerRegistry.open(tmp_path / "one.db")
    tokens = Tokens(registry, clock)
    for n in range(20):
        tokens.log_in(f"u{n}", account=f"id{n}", generation=1)
    before = registry.starting_with(EACH)
    tokens.log_in("another")
    after = registry.starting_with(EACH)
    assert {name: after[name] for name in before} == before
    assert len(after) == len(before) + 1
    clock.now += timedelta(hours=13)
    tokens.log_in("later")
    assert len(registry.starting_with(EACH)) == 1
    registry.close()
