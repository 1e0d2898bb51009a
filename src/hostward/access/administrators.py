"""The administrators' accounts: *local* ones of this server, in server.db, never replicated.

They are the way in that always works, whatever happens to the group, the database or a directory. Joining a group as a
Slave overwrites the replicated configuration and not these, so it locks nobody out; each server has its own.

What it does not do: other people's accounts, which are replicated, and what a login may do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from hostward.access import passwords
from hostward.access.throttle import Throttle
from hostward.domain.errors import InvalidInput, Mistake, Unauthenticated, Unavailable
from hostward.registry.server import ServerRegistry

KEY: Final = "administrators"
FIRST: Final = "admin"
MAX_WAITING: Final = 32
_AT_ONCE: Final = 2
T = TypeVar("T")


class Administrators:
    """Accounts by their name, in lower case. Coroutines belong to one event loop; hashing runs in threads, two at a
    time, so that logging in never holds up anything else. `clock_s` is monotonic. `others` gives the hash of the
    password of a user who has no account here: one of the group."""

    def __init__(
        self,
        server: ServerRegistry,
        clock_s: Callable[[], float] = time.monotonic,
        others: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self._server, self._others = server, others
        self.throttle = Throttle(clock_s)
        self._hashing = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    def names(self) -> list[str]:
        """All accounts."""
        return sorted(self._accounts())

    def exists(self, user: str) -> bool:
        """Whether there is such an account."""
        return user in self._accounts()

    async def log_in(self, user: str, password: str, address: str) -> str:
        """The name, in lower case, of the account or user, if the password is right. `address` is where the request
        comes from.

        Raises Unauthenticated, which doesn't say whether there is such a user, TooManyAttempts, or Unavailable while
        more passwords are being checked than this server can."""
        name = user.strip().casefold()[:64]
        hashed = self._hash_of(name)
        await self.check(name, password, hashed, address)
        if self._hash_of(name) != hashed:  # changed while it was being checked: it is the old one's
            raise _wrong()
        return name

    async def check(self, name: str, password: str, hashed: str | None, address: str) -> None:
        """Return where that is the password of the hash; None is nobody's. Raises as log_in."""
        self.throttle.attempt(name, address)
        if not await self._in_thread(passwords.matches, password, hashed):
            raise _wrong()
        self.throttle.succeeded(name, address)

    async def check_by(self, name: str, address: str, right: Callable[[], Awaitable[T]]) -> T:
        """As check, where something else knows the password: `right` returns where it is right, and what it returns is
        returned. Raises what it raises, and TooManyAttempts."""
        self.throttle.attempt(name, address)
        try:
            found = await right()
        except Unavailable:
            self.throttle.not_looked_at(name, address)
            raise
        self.throttle.succeeded(name, address)
        return found

    async def change_password(self, user: str, current: str, new: str, address: str) -> None:
        """Raises InvalidInput where the new password can't be one, or the present one is wrong; TooManyAttempts."""
        hashed = self._accounts()[user]["password"]
        await self._set(user, await self.check_change(user, current, new, hashed, address))

    async def check_change(self, user: str, current: str, new: str, hashed: str, address: str) -> str:
        """The new password in the form that is hashed, where `current` is that of the present hash. Raises as
        change_password."""
        checked = passwords.check_new(new, user)
        try:
            await self.check(user.casefold(), current, hashed, address)
        except Unauthenticated as error:
            if error.code != "wrong-password":
                raise
            # Not 401: the login is good, and a client that logs in again on 401 would be sent astray.
            problem = "The present password is wrong."
            remedy = "Give the password that this login was made with."
            mistake = Mistake("current", problem, remedy)
            raise InvalidInput(problem, remedy=remedy, code="wrong-password", mistakes=[mistake]) from error
        return checked

    async def hashed(self, checked: str) -> str:
        """The hash of a password that is checked. Raises Unavailable."""
        found: str = await self._in_thread(passwords.hash_password, checked)
        return found

    def add_first(self, password: str) -> None:
        """The account `admin`, before the server serves: blocks for the hash (50 ms). Raises InvalidInput."""
        assert not self._accounts(), "there is an administrator already"
        self._keep(FIRST, passwords.hash_password(passwords.check_new(password, FIRST, "password")))

    async def _set(self, name: str, checked_password: str) -> None:
        self._keep(name, await self.hashed(checked_password))

    def _keep(self, name: str, hashed: str) -> None:
        entry = {"password": hashed, "changed_at": datetime.now(UTC).isoformat(timespec="seconds")}
        self._server.put(KEY, {**self._accounts(), name: entry})

    async def _in_thread(self, hashing: Callable[..., Any], *arguments: object) -> Any:
        if self._waiting >= MAX_WAITING:
            raise Unavailable("Too many people are logging in.", remedy="Try again in a few seconds.", code="busy")
        self._waiting += 1
        try:
            async with self._hashing:
                return await asyncio.to_thread(hashing, *arguments)
        finally:
            self._waiting -= 1

    def _hash_of(self, name: str) -> str | None:
        account = self._accounts().get(name)
        return account["password"] if account else self._others(name)

    def _accounts(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = self._server.get(KEY) or {}
        return found


def _wrong() -> Unauthenticated:
    return Unauthenticated(
        "The user name or the password is wrong.",
        remedy="Check both; upper and lower case matter in the password.",
        code="wrong-password",
    )


def ensure_first_administrator(administrators: Administrators, password: str | None) -> str | None:
    """Make the account `admin` where there is none at all, with this password or a generated one, which is returned: to
    be shown once. None where nothing was generated. A password given for a server that has accounts changes nothing.
    Raises InvalidInput."""
    if administrators.names():
        return None
    generated = passwords.generate() if password is None else None
    administrators.add_first(generated or password or "")
    return generated
