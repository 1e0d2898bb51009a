"""Concurrency Locks: who edits which session. Pure: the time comes with each question, in seconds of one clock.

A lock is held by a login, for the pages in which it has the session open. Each page renews its own part; a page that no
longer does, because its browser or its server died, is forgotten after the Concurrency Lock Timeout, and the lock ends
with its last page. Locks are in memory alone: they are no part of the configuration, and no revision.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, Self

from hostward.domain.errors import Unavailable

MAX_EACH_SERVER: Final = 500
MAX_PAGES: Final = 16
MAX_TEXT: Final = 200


@dataclass(frozen=True, slots=True)
class Holder:
    """A login on a server of the group: `login` is the id of its token, which is no secret."""

    server: str
    server_name: str
    login: str
    user: str

    def same(self, other: Holder) -> bool:
        return (self.server, self.login) == (other.server, other.login)


@dataclass(frozen=True, slots=True)
class Lock:
    """As it was when it was asked for: held for `age_s`, for `left_s` more unless it is renewed."""

    session: str
    holder: Holder
    age_s: float
    left_s: float

    def to_json(self) -> dict[str, Any]:
        h = self.holder
        return {
            "session": self.session, "server": h.server, "server_name": h.server_name, "login": h.login,
            "user": h.user, "age_s": self.age_s, "left_s": self.left_s,
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Raises KeyError, TypeError, ValueError."""
        server, server_name, login, user = (str(data[k]) for k in ("server", "server_name", "login", "user"))
        holder = Holder(server, server_name, login, user)
        return cls(str(data["session"]), holder, float(data["age_s"]), float(data["left_s"]))


@dataclass(frozen=True, slots=True)
class TakeOver:
    """In spite of which locks of others sessions are written: any, or exactly those that `tag` names."""

    any: bool = False
    tag: str = ""


NOTHING: Final = TakeOver()


@dataclass(slots=True)
class _Held:
    holder: Holder
    since_s: float
    pages: dict[str, float]
    """Until when each counts, the longest unused first."""


class LockTable:
    """All locks of a group, at the one server where sessions change. Times must never go back."""

    def __init__(self, max_each_server: int = MAX_EACH_SERVER) -> None:
        self._max = max_each_server
        self._held: dict[str, _Held] = {}

    def hold(
        self, session: str, holder: Holder, page: str, *, now_s: float, lasts_s: float, take_over: bool = False
    ) -> Lock:
        """Lock it, or renew it, where nobody else holds it, or else with `take_over`. Answers the lock that is there
        then: somebody else's where it was refused. Raises Unavailable where the server holds too many."""
        self._lapse(now_s)
        held = self._held.get(session)
        if held is not None and not held.holder.same(holder):
            if not take_over:
                return self._shown(session, held, now_s)
            held = None
        if held is None:
            if sum(h.holder.server == holder.server for s, h in self._held.items() if s != session) >= self._max:
                raise Unavailable(
                    f"{self._max:,} sessions are locked on this server already.",
                    remedy="Close forms that are no longer needed.",
                    code="too-many-locks",
                )
            held = self._held[session] = _Held(holder, now_s, {})
        held.pages.pop(page, None)
        held.pages[page] = now_s + lasts_s
        while len(held.pages) > MAX_PAGES:
            del held.pages[next(iter(held.pages))]
        return self._shown(session, held, now_s)

    def release(self, session: str, holder: Holder, page: str | None = None) -> None:
        """The page has left it (None: all of the holder's have). Somebody else's lock stays."""
        held = self._held.get(session)
        if held is None or not held.holder.same(holder):
            return
        if page is None:
            held.pages.clear()
        held.pages.pop(page or "", None)
        if not held.pages:
            del self._held[session]

    def end_logins(self, server: str, still: Collection[str]) -> None:
        """Only these logins are left on that server."""
        self._held = {
            s: h for s, h in self._held.items() if h.holder.server != server or h.holder.login in still
        }  # fmt: skip

    def locks(self, now_s: float) -> list[Lock]:
        """All that are in force."""
        self._lapse(now_s)
        return [self._shown(session, held, now_s) for session, held in self._held.items()]

    def _lapse(self, now_s: float) -> None:
        for session, held in list(self._held.items()):
            held.pages = {page: until_s for page, until_s in held.pages.items() if until_s > now_s}
            if not held.pages:
                del self._held[session]

    @staticmethod
    def _shown(session: str, held: _Held, now_s: float) -> Lock:
        return Lock(session, held.holder, now_s - held.since_s, max(held.pages.values()) - now_s)
