"""Logging in and out, tokens for programs, passwords."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hostward.access.tokens import LOGIN, Token
from hostward.commands.auditing import recorded
from hostward.commands.services import Actor, Services

UNKNOWN: Final = "(unknown)"


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
    name = user.strip().casefold()[:64]
    # A name nobody has may be a password typed into the wrong field, so it isn't written down.
    known = name if services.administrators.exists(name) else UNKNOWN
    async with recorded(services, Actor(known, "", address), "logged-in", kind=kind) as act:
        issued = Issued(*services.tokens.log_in(await services.administrators.log_in(user, password, address), kind))
        act.about["token"] = issued.token.id
    return issued


def authenticate(services: Services, secret: str, address: str, *, used: bool = True) -> Actor:
    """Who this token stands for; it counts as used unless no person stands behind the request. Quick; raises
    Unauthenticated."""
    token = services.tokens.authenticate(secret, used=used)
    return Actor(token.user, token.id, address)


async def log_out(services: Services, actor: Actor) -> None:
    """The token that this request was made with is no longer valid, at once."""
    async with recorded(services, actor, "logged-out"):
        services.tokens.revoke(actor.token_id)


async def log_out_everywhere(services: Services, actor: Actor) -> int:
    """All logins of the actor's account end, this one too, at once; tokens for programs stay. How many there were."""
    async with recorded(services, actor, "logged-out-everywhere") as act:
        ended = services.tokens.revoke_logins(actor.user)
        act.about["logins_ended"] = ended
    return ended


def token_of(services: Services, actor: Actor) -> Token:
    """The token that this request was made with."""
    return next(t for t in services.tokens.list() if t.id == actor.token_id)


def list_tokens(services: Services) -> list[Token]:
    """All valid ones, newest first: every administrator may see and delete each."""
    return services.tokens.list()


async def create_token(services: Services, actor: Actor, name: str, days: int) -> Issued:
    """For a program, in the actor's name. Raises Conflict."""
    async with recorded(services, actor, "token-made", name=name) as act:
        issued = Issued(*services.tokens.create(actor.user, name, days))
        act.about |= {"made": issued.token.id, "until": _day(issued.token.expires)}
    return issued


async def delete_token(services: Services, actor: Actor, token_id: str) -> Token:
    """Raises NotFound."""
    async with recorded(services, actor, "token-deleted", deleted=token_id) as act:
        token = services.tokens.revoke(token_id)
        act.about |= {"name": token.name, "of": token.user}
    return token


async def change_password(services: Services, actor: Actor, current: str, new: str) -> int:
    """The actor's own. All other logins of that account end; how many there were. Raises InvalidInput,
    TooManyAttempts."""
    async with recorded(services, actor, "password-changed") as act:
        await services.administrators.change_password(actor.user, current, new, actor.address)
        ended = services.tokens.revoke_logins(actor.user, but=actor.token_id)
        act.about["logins_ended"] = ended
    return ended


def _day(moment: datetime) -> str:
    return moment.date().isoformat()
