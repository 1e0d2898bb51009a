"""Users whose password a directory checks: at a login, and from time to time while a login of theirs is used."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

from hostward.access.users import User
from hostward.domain.directories import KIND, Directory, directory_of
from hostward.domain.errors import HostwardError, NotFound, Unavailable
from hostward.domain.texts import name_key
from hostward.registry.group import GroupRegistry

if TYPE_CHECKING:  # slow to load, and most servers have no directory
    from hostward.access.directories import Entry

AT_ONCE: Final = 8
MAX_WAITING: Final = 64
NEW_AT_ONCE: Final = 2
MAX_NEW_WAITING: Final = 16
"""Of names that are no user's yet: anybody can make up such, and they mustn't keep users out."""
AGAIN_S: Final = 300.0
"""How long what the directory has said of a user counts, while a login is used."""
MAX_REMEMBERED: Final = 20_000

T = TypeVar("T")

log = structlog.get_logger()


class DirectoryLogins:
    """Belongs to one event loop. `directories` makes an access.directories.Directories when it is first needed: that
    module is slow to load, and most servers have no directory."""

    def __init__(
        self, group: GroupRegistry, directories: Callable[[], Any], clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._group, self._make, self._clock_s = group, directories, clock_s
        self._made: Any = None
        self._asking, self._waiting = asyncio.Semaphore(AT_ONCE), 0
        self._asking_new, self._new_waiting = asyncio.Semaphore(NEW_AT_ONCE), 0
        self._seen: dict[str, float] = {}
        self._gone: set[str] = set()
        self._looking: dict[str, asyncio.Task[None]] = {}

    def named(self, name: str) -> Directory:
        """Raises NotFound."""
        with self._group.read() as reader:
            found = reader.get(KIND, name_key(name))
        if found is None:
            raise NotFound(f"There is no directory “{name[:100]}”.", remedy="GET directories lists them.")
        return directory_of(found.id, found.json())

    def of_new_users(self) -> list[Directory]:
        """Those that let users in who aren't users of the group yet, by name."""
        with self._group.read() as reader:
            every = [directory_of(e.id, e.json()) for e in reader.list(KIND)]
        return sorted((d for d in every if d.first_login), key=lambda d: d.id)

    async def check(self, user: User, password: str) -> Entry:
        """What the user's directory says of them, where it has that password for them. Raises Unauthenticated,
        Unavailable."""
        try:
            directory = self.named(user.directory)
        except NotFound as error:
            raise Unavailable(
                f"{user.name} logs in by the directory {user.directory}, which isn't there any more.",
                remedy="Ask an administrator.",
                code="directory",
            ) from error
        found: Entry = await self.ask(lambda d: d.check(directory, user.name, password))
        self._gone.discard(user.id)
        self._remember(user)
        return found

    async def ask(self, question: Callable[[Any], T]) -> T:
        """Ask in a thread: `question` gets the access.directories.Directories. Raises Unavailable where too many wait,
        and what the question raises."""
        if self._waiting >= MAX_WAITING:
            raise _busy()
        self._waiting += 1
        try:
            async with self._asking:
                return await asyncio.to_thread(self._asked, question)
        finally:
            self._waiting -= 1

    async def ask_of_new(self, question: Callable[[Any], T]) -> T:
        """As `ask`, about a name that is no user's yet."""
        if self._new_waiting >= MAX_NEW_WAITING:
            raise _busy()
        self._new_waiting += 1
        try:
            async with self._asking_new:
                return await self.ask(question)
        finally:
            self._new_waiting -= 1

    def gone(self, user: User) -> bool:
        """Whether the directory no longer has the user, as far as it was asked; it is asked again by this, where that
        was a while ago. One that doesn't answer changes nothing."""
        if user.id in self._gone:
            return True
        if self._clock_s() - self._seen.get(user.id, -AGAIN_S) >= AGAIN_S and user.id not in self._looking:
            self._looking[user.id] = asyncio.create_task(self._look(user), name="directory")
        return False

    async def close(self) -> None:
        for task in self._looking.values():
            task.cancel()
        await asyncio.gather(*self._looking.values(), return_exceptions=True)

    async def _look(self, user: User) -> None:
        try:
            directory = self.named(user.directory)
            await self.ask(lambda d: d.find(directory, user.name))
        except NotFound:
            log.info("user-gone-from-directory", user=user.name, directory=user.directory)
            self._gone.add(user.id)
        except HostwardError as error:
            log.warning("directory-not-asked", directory=user.directory, reason=error.message)
        finally:
            self._remember(user)
            self._looking.pop(user.id, None)

    def _remember(self, user: User) -> None:
        if len(self._seen) >= MAX_REMEMBERED:
            self._seen.clear()
        self._seen[user.id] = self._clock_s()

    def _asked(self, question: Callable[[Any], T]) -> T:
        if self._made is None:
            self._made = self._make()
        return question(self._made)


def _busy() -> Unavailable:
    return Unavailable("Too many people are logging in.", remedy="Try again in a few seconds.", code="busy")
