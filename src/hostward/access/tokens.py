"""Bearer tokens: what a program or a browser shows instead of a password. 256 random bits, kept as their SHA-256 alone.

A login's token lasts 12 hours from its last use, one of the console half an hour unless it is set otherwise; one made
for a program as many days as it was given. One of a desk (`hostward client`) lasts as a login's, and at most 7 days
from when the password was given. All are local to this server, as the administrators' accounts are.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from hostward.domain.errors import Conflict, NotFound, RegistryError, Unauthenticated
from hostward.domain.tickets import DESK_LASTS
from hostward.registry.server import ServerRegistry

EACH: Final = "token:"
"""What a token is called in server.db, with its hash."""
MAX_DAYS: Final = 3650
MAX_LOGINS: Final = 100
MAX_PROGRAMS: Final = 200
"""Of one account; nobody can take all that there may be."""
MAX_ALL_PROGRAMS: Final = 20_000
PREFIX: Final = "hw_"
"""So that a token that leaks into text is recognised as one by scanners."""

_TOGETHER = "tokens"
_USE_KEPT_EVERY = timedelta(minutes=10)
LOGIN, CONSOLE, PROGRAM, DESK = "login", "console", "program", "desk"
LASTS: Final = {LOGIN: timedelta(hours=12), CONSOLE: timedelta(minutes=30), DESK: timedelta(hours=12)}
"""From the last use. The console's is shorter: a browser is left open on a desk."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Token:
    """A token without its secret. Times are aware UTC; `last_used` is None for never. `account` is the id of a user of
    the group, with the `generation` of the user's logins; empty for an administrator's account of this server. `began`:
    when the password was given, for a desk's login that a ticket carried here."""

    id: str
    kind: str
    user: str
    name: str
    created: datetime
    expires: datetime
    last_used: datetime | None
    account: str = ""
    generation: int = 0
    began: datetime | None = None

    @property
    def password_given(self) -> datetime:
        """When it was, for a login."""
        return self.began or self.created


class Tokens:
    """Checked in memory; kept in server.db. A use is written at most every 10 minutes a token, so that reading costs no
    disk write; `clock` gives aware times, `console_lasts` how long a console's login lasts without use."""

    def __init__(
        self,
        server: ServerRegistry,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        console_lasts: Callable[[], timedelta] = lambda: LASTS[CONSOLE],
    ) -> None:
        self._server, self._clock, self._console_lasts = server, clock, console_lasts
        together = server.get(_TOGETHER)
        if together is not None:  # as the builds before kept them
            server.update(**{EACH + h: t for h, t in together.items()}, **{_TOGETHER: None})
        kept = server.starting_with(EACH)
        self._by_hash: dict[str, Token] = {name.removeprefix(EACH): _from_json(t) for name, t in kept.items()}
        self._kept_use = {h: t.last_used for h, t in self._by_hash.items()}

    def log_in(
        self, user: str, kind: str = LOGIN, account: str = "", generation: int = 0, began: datetime | None = None
    ) -> tuple[str, Token]:
        """A new login's token. The user's login unused for longest gives way where there are too many; logins of desks,
        for which another server's word is enough, only to such."""
        logins = sorted(
            (
                (h, t)
                for h, t in self._by_hash.items()
                if t.kind in LASTS and (t.kind == DESK) == (kind == DESK) and _is_of(t, user, account)
            ),
            key=lambda item: item[1].last_used or item[1].created,
        )
        surplus = [h for h, _ in logins[: max(0, len(logins) - MAX_LOGINS + 1)]]
        return self._issue(kind, user, "", self._lasts(kind), account, generation, began, without=surplus)

    def create(self, user: str, name: str, days: int, account: str = "", generation: int = 0) -> tuple[str, Token]:
        """A token for a program. Raises Conflict where the name is taken or there are too many."""
        programs = [t for t in self._valid().values() if t.kind == PROGRAM]
        own = [t for t in programs if _is_of(t, user, account)]
        if any(t.name == name for t in own):
            raise Conflict(
                f"There is a token named {name!r} already.",
                remedy="Choose another name, or delete that token first.",
                code="name-taken",
            )
        if len(own) >= MAX_PROGRAMS or len(programs) >= MAX_ALL_PROGRAMS:
            raise Conflict(
                f"There are {len(own)} tokens of yours, and {len(programs):,} in all: as many as there may be.",
                remedy="Delete those that are no longer used.",
                code="too-many-tokens",
            )
        return self._issue(PROGRAM, user, name, timedelta(days=min(days, MAX_DAYS)), account, generation)

    def authenticate(self, secret: str, *, used: bool = True) -> Token:
        """Whose token this is. It counts as used now, unless no person stands behind the request (`used`). Raises
        Unauthenticated."""
        hashed = _hash(secret)
        token = self._by_hash.get(hashed)
        now = self._clock()
        if token is None or self.left_s(token) <= 0:
            raise Unauthenticated("The token isn't valid, or no longer.", remedy="Log in again.", code="token-invalid")
        if not used:
            return token
        token = replace(token, last_used=now)
        if token.kind in LASTS:
            token = self._lasting(token, now)
        self._by_hash[hashed] = token
        kept = self._kept_use.get(hashed)
        if kept is None or now - kept > _USE_KEPT_EVERY:
            self._write({hashed: token}, must=False)
        return token

    def left_s(self, token: Token) -> float:
        """How long it lasts if it isn't used, by what counts now: that may have become less since its last use."""
        ends = token.expires
        if token.kind in LASTS:
            ends = min(ends, (token.last_used or token.created) + self._lasts(token.kind))
        return (ends - self._clock()).total_seconds()

    def list(self) -> list[Token]:
        """The valid ones, newest first."""
        return sorted(self._valid().values(), key=lambda t: t.created, reverse=True)

    def ids(self) -> Collection[str]:
        """Of the valid ones."""
        return {t.id for t in self._valid().values()}

    def revoke(self, token_id: str) -> Token:
        """Make a token invalid at once. Raises NotFound."""
        for hashed, token in self._by_hash.items():
            if token.id == token_id:
                self._write({hashed: None})
                return token
        raise NotFound("There is no such token.", remedy="`GET tokens` lists those that there are.")

    def keep(self, token_id: str, generation: int) -> None:
        """This login goes on in another generation of its user's logins, whose beginning ends the others."""
        self._write({h: replace(t, generation=generation) for h, t in self._by_hash.items() if t.id == token_id})

    def revoke_logins(self, user: str, *, account: str = "", but: str = "", programs: bool = False) -> int:
        """End all of a user's logins except the token with that id, and those for programs where asked. How many there
        were."""
        own = {h: t for h, t in self._by_hash.items() if _is_of(t, user, account) and t.id != but}
        ended = {h for h, t in own.items() if programs or t.kind in LASTS}
        self._write(dict.fromkeys(ended))
        return len(ended)

    def _lasting(self, token: Token, used: datetime) -> Token:
        """A login that was used at that moment."""
        ends = used + self._lasts(token.kind)
        return replace(token, expires=min(ends, token.password_given + DESK_LASTS) if token.kind == DESK else ends)

    def _lasts(self, kind: str) -> timedelta:
        return self._console_lasts() if kind == CONSOLE else LASTS[kind]

    def _issue(
        self,
        kind: str,
        user: str,
        name: str,
        lasts: timedelta,
        account: str,
        generation: int,
        began: datetime | None = None,
        without: Iterable[str] = (),
    ) -> tuple[str, Token]:
        secret = PREFIX + secrets.token_urlsafe(32)
        now = self._clock()
        token = Token(secrets.token_hex(8), kind, user, name, now, now + lasts, None, account, generation, began)
        if kind in LASTS:
            token = self._lasting(token, now)
        over = [h for h, t in self._by_hash.items() if t.expires <= now]
        self._write({**dict.fromkeys([*over, *without]), _hash(secret): token}, must=kind == PROGRAM)
        return secret, token

    def _valid(self) -> dict[str, Token]:
        now = self._clock()
        return {h: t for h, t in self._by_hash.items() if t.expires > now}

    def _write(self, changed: Mapping[str, Token | None], *, must: bool = True) -> None:
        """These alone, by their hashes; None is revoked. Durable first, then in force: a token that was given out
        survives a crash, one revoked doesn't. What needn't be durable (a login, a time of use) is in force all the
        same: a full disk must not keep an administrator out."""
        try:
            self._server.update(**{EACH + h: _to_json(t) if t else None for h, t in changed.items()})
        except RegistryError as error:
            if must:
                raise
            log.warning("tokens-not-kept", reason=error.message)
        for hashed, token in changed.items():
            if token is None:
                self._by_hash.pop(hashed, None)
                self._kept_use.pop(hashed, None)
            else:
                self._by_hash[hashed], self._kept_use[hashed] = token, token.last_used


def _is_of(token: Token, user: str, account: str) -> bool:
    """A user of the group is known by the id, an account of this server by its name."""
    return token.account == account and (bool(account) or token.user == user)


def _hash(secret: str) -> str:
    # No salt and no slow hash: the secret is random, so there is nothing to guess.
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _to_json(token: Token) -> dict[str, str | int | None]:
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in asdict(token).items()}


def _from_json(value: dict[str, str]) -> Token:
    kept = ("created", "expires", "last_used", "began")  # builds before kept no beginning
    times = {k: datetime.fromisoformat(value[k]) if value.get(k) else None for k in kept}
    return Token(**(value | times))  # type: ignore[arg-type]
