"""Logging in and out, tokens for programs, passwords."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog

from hostward.access.tokens import LOGIN, Token
from hostward.commands.services import Actor, Services
from hostward.domain.errors import Unauthenticated

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Issued:
    """A new token with its secret, which is shown this once and isn't printed by accident."""

    secret: str
    token: Token

    def __repr__(self) -> str:
        return f"Issued({self.token.id}, ***)"


async def log_in(services: Services, user: str, password: str, address: str, kind: str = LOGIN) -> Issued:
    """`kind` says how long it lasts (access.tokens). Raises Unauthenticated or TooManyAttempts, which don't say whether
    there is such a user."""
    try:
        name = await services.administrators.log_in(user, password, address)
    except Unauthenticated as error:
        # A name nobody has may be a password typed into the wrong field, so it isn't written down.
        known = user if services.administrators.exists(user) else "(unknown)"
        log.warning("login-refused", user=known, address=address, code=error.code)
        raise
    issued = Issued(*services.tokens.log_in(name, kind))
    log.info("logged-in", kind=kind, user=name, address=address, token=issued.token.id)
    return issued


def authenticate(services: Services, secret: str, address: str, *, used: bool = True) -> Actor:
    """Who this token stands for; it counts as used unless no person stands behind the request. Quick; raises
    Unauthenticated."""
    token = services.tokens.authenticate(secret, used=used)
    return Actor(token.user, token.id, address)


def log_out(services: Services, actor: Actor) -> None:
    """The token that this request was made with is no longer valid, at once."""
    services.tokens.revoke(actor.token_id)
    log.info("logged-out", user=actor.user, address=actor.address, token=actor.token_id)


def log_out_everywhere(services: Services, actor: Actor) -> int:
    """All logins of the actor's account end, this one too, at once; tokens for programs stay. How many there were."""
    ended = services.tokens.revoke_logins(actor.user)
    log.info("logged-out-everywhere", user=actor.user, address=actor.address, logins_ended=ended)
    return ended


def token_of(services: Services, actor: Actor) -> Token:
    """The token that this request was made with."""
    return next(t for t in services.tokens.list() if t.id == actor.token_id)


def list_tokens(services: Services) -> list[Token]:
    """All valid ones, newest first: every administrator may see and delete each."""
    return services.tokens.list()


def create_token(services: Services, actor: Actor, name: str, days: int) -> Issued:
    """For a program, in the actor's name. Raises Conflict."""
    issued = Issued(*services.tokens.create(actor.user, name, days))
    log.info("token-made", author=actor.user, token=issued.token.id, name=name, until=_day(issued.token.expires))
    return issued


def delete_token(services: Services, actor: Actor, token_id: str) -> Token:
    """Raises NotFound."""
    token = services.tokens.revoke(token_id)
    log.info("token-deleted", author=actor.user, token=token.id, name=token.name)
    return token


async def change_password(services: Services, actor: Actor, current: str, new: str) -> int:
    """The actor's own. All other logins of that account end; how many there were. Raises InvalidInput,
    TooManyAttempts."""
    await services.administrators.change_password(actor.user, current, new, actor.address)
    ended = services.tokens.revoke_logins(actor.user, but=actor.token_id)
    log.info("password-changed", user=actor.user, address=actor.address, logins_ended=ended)
    return ended


def _day(moment: datetime) -> str:
    return moment.date().isoformat()
