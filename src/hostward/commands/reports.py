"""Reports: what was opened, when each session was last used, who logs in, and who may use what.

Each is read piece by piece, so that one over 100,000 sessions needs no more memory than one over a hundred. A page
leads on to the next by a cursor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final, Generic, TypeVar
from urllib.parse import quote, unquote

from hostward.commands.access import chosen
from hostward.commands.reading import now_of
from hostward.commands.services import Services
from hostward.domain.assignments import Of, To
from hostward.domain.errors import InvalidInput
from hostward.domain.people import USER_KIND
from hostward.domain.sessions import KIND as SESSION_KIND
from hostward.domain.texts import name_key
from hostward.registry import uses
from hostward.registry.uses import Counted, Reach

DEFAULT_DAYS: Final = 30
MAX_DAYS: Final = 3660
MONTHS_FROM_DAYS: Final = 92
"""A longer time is counted by month."""
MOST: Final = 10
PIECE: Final = 500
USABLE_PIECE: Final = 5_000

T = TypeVar("T", bound="Row")


@dataclass(frozen=True, slots=True)
class Row:
    """Of a report; `cursor` leads on from it."""

    cursor: str


@dataclass(frozen=True, slots=True)
class SessionUse(Row):
    """`last` is empty for a session that nobody has used."""

    id: str
    name: str
    last: str
    by: str
    times: int
    users: int


@dataclass(frozen=True, slots=True)
class Login(Row):
    """`last` is empty for a user who never logged in."""

    name: str
    full_name: str
    role: str
    disabled: bool
    last: str
    times: int


@dataclass(frozen=True, slots=True)
class MayUse(Row):
    """A user, and a session that the user may use."""

    user: str
    full_name: str
    disabled: bool
    session: str
    type: str
    host: str


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """`next` leads on; empty where there is no more."""

    items: Sequence[T]
    next: str


@dataclass(frozen=True, slots=True)
class Launches:
    """What was opened from `since` until `until`, with every day or month between in `spans`."""

    since: str
    until: str
    by_month: bool
    counted: Counted


@dataclass(frozen=True, slots=True)
class Known:
    """Since when uses are known here, and how far the logs of the servers go that are here."""

    since: str
    reach: Sequence[Reach]


async def known(services: Services) -> Known:
    path = services.auditor.path
    return await asyncio.to_thread(lambda: Known(uses.known_since(path), uses.reach(path)))


async def launches(services: Services, *, since: str = "", until: str = "", user: str = "") -> Launches:
    """Of a time, as moments of the audit log; the last 30 days, unless it is given. Raises InvalidInput."""
    now = services.clock().astimezone(UTC)
    end = datetime.fromisoformat(until) if until else now
    try:
        midnight = (end - timedelta(days=DEFAULT_DAYS - 1)).replace(hour=0, minute=0, second=0, microsecond=0)
        begin = datetime.fromisoformat(since) if since else midnight
    except OverflowError:
        begin = end
    if not begin < end or (end - begin).days > MAX_DAYS:
        problem = f"The time must end after it begins, and be at most {MAX_DAYS // 366} years."
        raise InvalidInput(problem, remedy="Choose another time.", code="report-time")
    by_month = (end - begin).days > MONTHS_FROM_DAYS
    wanted = _moment(begin), _moment(end)
    path = services.auditor.path
    found = await asyncio.to_thread(lambda: uses.count_launches(path, *wanted, user=user, by_month=by_month, most=MOST))
    there = dict(found.spans)
    spans = [(span, there.get(span, 0)) for span in _spans(begin, end, by_month=by_month)]
    return Launches(*wanted, by_month, Counted(found.total, spans, found.sessions, found.users))


def all_session_uses(services: Services, *, unused_days: int = 0, after: str = "") -> Iterator[SessionUse]:
    """Of all sessions, by name; only those that nobody has used for so many days, or ever, unless that is 0. Reads as
    it goes: use it in a thread."""
    before, path = _days_ago(services, unused_days), services.auditor.path
    for piece in _names(services, SESSION_KIND, after):
        used = uses.uses_of(path, [id_ for id_, _ in piece])
        for id_, name in piece:
            use = used.get(id_)
            if use is None:
                yield SessionUse(name_key(name), id_, name, "", "", 0, 0)
            elif not before or use.last < before:
                yield SessionUse(name_key(name), id_, name, use.last, use.by, use.times, use.users)


def all_logins(services: Services, *, unused_days: int = 0, after: str = "") -> Iterator[Login]:
    """Of all users, as `all_session_uses`."""
    before, path = _days_ago(services, unused_days), services.auditor.path
    for piece in _names(services, USER_KIND, after):
        there = uses.logins_of(path, [name for _, name in piece])
        with services.group.read() as reader:
            bodies = {id_: e.json() for id_, _ in piece if (e := reader.get(USER_KIND, id_)) is not None}
        for id_, name in piece:
            use, body = there.get(name), bodies.get(id_)
            if body is None or (use is not None and before and use.last >= before):
                continue
            last, times = (use.last, use.times) if use else ("", 0)
            full_name, role = body.get("full_name", ""), body.get("role", "")
            yield Login(name_key(name), name, full_name, role, bool(body["disabled"]), last, times)


def all_may_use(
    services: Services, *, user: str = "", group: str = "", folder: str = "", session: str = "", after: str = ""
) -> Iterator[MayUse]:
    """Every user with every session that they may use, by both their names; of one user, of a user group (also by way
    of other groups), of a directory folder or of one session, each by name or id. Raises InvalidInput where one isn't
    there; use it in a thread."""
    to, of = chosen(services, user=user, group=group, folder=folder, session=session)
    return _may_use(services, to, of, after)


def _may_use(services: Services, to: tuple[To, str] | None, of: tuple[Of, str] | None, after: str) -> Iterator[MayUse]:
    now = now_of(services)
    at_user, at_session = map(unquote, after.split("/", 1)) if "/" in after else ("", "")
    if at_user:
        with services.group.read() as reader:
            id_ = reader.people.user_named(at_user)
        if id_ is not None and _is_wanted(services, to, id_):
            yield from _of_user(services, id_, of, now, at_session)
    if to is not None and to[0] is To.USER:
        if not at_user:
            yield from _of_user(services, to[1], of, now, "")
        return
    for piece in _names(services, USER_KIND, at_user):
        for id_, _ in piece:
            if _is_wanted(services, to, id_):
                yield from _of_user(services, id_, of, now, "")


def _is_wanted(services: Services, to: tuple[To, str] | None, user_id: str) -> bool:
    if to is None:
        return True
    if to[0] is To.USER:
        return to[1] == user_id
    with services.group.read() as reader:
        if to[0] is To.FOLDER:
            return to[1] in reader.people.folders_of(user_id)
        return to[1] in reader.people.groups_of(user_id)


def _of_user(services: Services, id_: str, of: tuple[Of, str] | None, now: str, after: str) -> Iterator[MayUse]:
    count = 1 if of else USABLE_PIECE
    while True:
        with services.group.read() as reader:
            user = reader.get(USER_KIND, id_)
            if user is None:
                return
            if of is not None:
                found = reader.get(SESSION_KIND, of[1])
                may = found is not None and not after and reader.access.may_use(id_, Of.SESSION, of[1], now)
                body = found.json() if found is not None and may else None
                rows = [(body["name"], body["type"], body.get("host", ""), name_key(body["name"]))] if body else []
            else:
                rows = list(reader.access.sessions_after(id_, now, after, count))
        who = user.json()
        for name, type_, host, key in rows:
            cursor = f"{quote(name_key(who['name']), safe='')}/{quote(key, safe='')}"
            yield MayUse(cursor, who["name"], who.get("full_name", ""), bool(who["disabled"]), name, type_, host)
        if of is not None or len(rows) < count:
            return
        after = rows[-1][3]


async def one_page(rows: Iterator[T], count: int) -> Page[T]:
    """The first of these rows."""
    found = await asyncio.to_thread(lambda: list(islice(rows, count + 1)))
    return Page(found[:count], found[count - 1].cursor if len(found) > count else "")


def _names(services: Services, kind: str, after: str) -> Iterator[Sequence[tuple[str, str]]]:
    while True:
        with services.group.read() as reader:
            piece = reader.names_after(kind, after, PIECE)
        if not piece:
            return
        yield piece
        after = name_key(piece[-1][1])


def _days_ago(services: Services, days: int) -> str:
    return _moment(services.clock().astimezone(UTC) - timedelta(days=days)) if days else ""


def _moment(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _spans(begin: datetime, end: datetime, *, by_month: bool) -> Iterator[str]:
    """Every day or month that a part of the time is in."""
    day, last, said = begin.date(), end.date(), ""
    while day <= last:
        span = day.isoformat()[: 7 if by_month else 10]
        if span != said:
            yield span
            said = span
        day += timedelta(days=1)
