"""Logging in and out, tokens for programs, passwords."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from hostward.access.tokens import CONSOLE, DESK, LOGIN, Token
from hostward.access.users import User
from hostward.commands import first_logins, user_passwords
from hostward.commands.auditing import UNKNOWN, Act, recorded
from hostward.commands.directories import list_directories
from hostward.commands.services import Actor, Services
from hostward.commands.writing import Decide, commit_act
from hostward.domain.errors import Forbidden, NotFound, Unauthenticated, Unavailable
from hostward.domain.people import Role
from hostward.domain.permissions import ALLOWED, Permission, check_allowed


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
    known = name if services.administrators.exists(name) or services.users.named(name) else UNKNOWN
    async with recorded(services, Actor(known, "", address), "logged-in", kind=kind) as act:
        try:
            found, by = await _checked(services, act, name, password, address)
        except Unauthenticated as error:
            if error.code not in ("wrong-password", first_logins.NOT_FOUND_OUT):
                raise
            if error.code == first_logins.NOT_FOUND_OUT:
                act.about["directory"] = error.message
            raise _wrong(services) from error
        of_group = None if services.administrators.exists(found) else services.users.named(found)
        if of_group is not None and (by is None or _key(of_group) != _key(by)):
            # Meanwhile all logins were ended, or it is somebody else's name by now.
            raise Unauthenticated("That has changed just now.", remedy="Log in again.", code="wrong-password")
        issued = let_in(services, of_group, kind) if of_group else Issued(*services.tokens.log_in(found, kind))
        act.about["token"] = issued.token.id
    return issued


async def _checked(services: Services, act: Act, name: str, password: str, address: str) -> tuple[str, User | None]:
    """The name of whose password it is, and the user of the group that it was then. Raises as log_in; Unauthenticated
    says more than anybody may be told."""
    own = services.administrators.exists(name)
    if not own:
        await services.replication.check_users_let_in()
    by = None if own else services.users.named(name)
    directories = () if own or by is not None else first_logins.open_to(services, name)
    if directories:
        by = await first_logins.become_user(services, directories, name, password, address)
        act.author = by.name
    elif by is not None and by.directory:
        try:
            right = partial(services.directories.check, by, password)
            entry = await services.administrators.check_by(name, address, right)
        except Unavailable as error:  # not counted: else a directory that is away would make all its users wait
            raise first_logins.not_found_out(error) from error
        await first_logins.follow_move(services, by, entry, password, address)
    else:
        name = await services.administrators.log_in(name, password, address)
    return name, by


def _wrong(services: Services) -> Unauthenticated:
    """The same whatever is wrong, for each name, and whether a directory answers or not: so it tells nobody who there
    is."""
    remedy = "Check both; upper and lower case matter in the password."
    if list_directories(services):
        remedy += " If a directory checks it, that may not answer just now: then try again later."
    return Unauthenticated("The user name or the password is wrong.", remedy=remedy, code="wrong-password")


def _key(user: User) -> tuple[str, int, str]:
    """What a password was checked for."""
    return user.id, user.generation, user.directory


def let_in(services: Services, user: User, kind: str) -> Issued:
    """A login of a user of the group who has shown who it is. Raises Unauthenticated."""
    if user.disabled:
        raise Unauthenticated(
            "This user is disabled.", remedy="Ask an administrator to enable it again.", code="user-disabled"
        )
    return Issued(*services.tokens.log_in(user.name, kind, user.id, user.generation))


def authenticate(services: Services, secret: str, address: str, *, used: bool = True) -> Actor:
    """Who this token stands for; it counts as used unless no person stands behind the request. Quick; raises
    Unauthenticated."""
    token = services.tokens.authenticate(secret, used=used)
    # What lies at a user's desk, or was let in on another server's word, administers nothing.
    desk = token.kind == DESK
    if not token.account:
        return Actor(token.user, token.id, address, role=Role.NONE if desk else Role.ADMINISTRATOR)
    user = services.users.get(token.account)
    if user is None or user.disabled or user.generation != token.generation:
        raise Unauthenticated(
            "This login has ended: an administrator ended it, or the user's password was changed.",
            remedy="Log in again.",
            code="token-invalid",
        )
    return Actor(user.name, token.id, address, role=Role.NONE if desk else user.role, account=user.id)


async def end_replaced(services: Services, secret: str, address: str) -> None:
    """A browser has logged in anew: the console's login that it showed until then, whoever's, ends."""
    try:
        before = authenticate(services, secret, address, used=False)
    except Unauthenticated:
        return
    if token_of(services, before).kind == CONSOLE:
        await log_out(services, before)


def left_s(services: Services, actor: Actor) -> float:
    """How long the actor's login lasts if nobody uses it."""
    return services.tokens.left_s(token_of(services, actor))


async def authenticate_confirmed(services: Services, secret: str, address: str, *, used: bool = True) -> Actor:
    """As authenticate; for a user of the group once this server knows what has become of them. Raises Unavailable
    too."""
    actor = authenticate(services, secret, address, used=used)
    if not actor.account:
        return actor
    await services.replication.check_users_let_in()
    user = services.users.get(actor.account)
    if user is not None and user.directory and services.directories.gone(user):
        services.tokens.revoke_logins(actor.user, account=actor.account, programs=True)
    return authenticate(services, secret, address, used=used)


async def log_out(services: Services, actor: Actor) -> None:
    """The token that this request was made with is no longer valid, at once."""
    async with recorded(services, actor, "logged-out"):
        services.tokens.revoke(actor.token_id)


async def log_out_everywhere(services: Services, actor: Actor, *, programs: bool = False) -> int:
    """All logins of the actor's account end, this one too, at once; tokens for programs of an administrator of this
    server stay unless `programs`. A user of the group is logged out of all its servers, tokens too, by a change. How
    many there were on this one. Raises TooOften, and Unavailable where the Master is needed and away: then only this
    one's ended."""
    async with recorded(services, actor, "logged-out-everywhere", programs=programs) as act:
        ended = services.tokens.revoke_logins(actor.user, account=actor.account, programs=programs)
        act.about["logins_ended"] = ended
        if actor.account and services.replication.submits_to() is None:
            services.own_pace.take(actor.account, "")
            await commit_act(services, actor, act, partial(user_passwords.ended_logins, actor.account))
        elif actor.account:
            act.revision = await services.own_passwords.ask(actor.account, "", "")
    return ended


def token_of(services: Services, actor: Actor) -> Token:
    """The token that this request was made with."""
    return next(t for t in services.tokens.list() if t.id == actor.token_id)


def list_tokens(services: Services, actor: Actor) -> list[Token]:
    """The valid ones that the actor may see, newest first: administrators see and delete every one, others their
    own."""
    return [t for t in services.tokens.list() if _may_see(actor, t)]


async def create_token(services: Services, actor: Actor, name: str, days: int) -> Issued:
    """For a program, in the actor's name. Raises Conflict."""
    async with recorded(services, actor, "token-made", name=name) as act:
        issued = Issued(*services.tokens.create(actor.user, name, days, actor.account, _generation(services, actor)))
        act.about |= {"made": issued.token.id, "until": _day(issued.token.expires)}
    return issued


async def delete_token(services: Services, actor: Actor, token_id: str) -> Token:
    """Raises NotFound, Forbidden."""
    async with recorded(services, actor, "token-deleted", deleted=token_id) as act:
        if any(t.id == token_id and not _may_see(actor, t) for t in services.tokens.list()):
            raise Forbidden("This token is somebody else's.", remedy="Ask an administrator.", code="role")
        token = services.tokens.revoke(token_id)
        act.about |= {"name": token.name, "of": token.user}
    return token


async def change_password(services: Services, actor: Actor, current: str, new: str) -> int:
    """The actor's own. All other logins of that account end, those of a user of the group on every server; how many
    there were on this one. Raises InvalidInput, TooManyAttempts, TooOften, and Unavailable where the Master is
    needed and away."""
    async with recorded(services, actor, "password-changed") as act:
        if actor.account:
            await _change_users_password(services, actor, act, current, new)
            services.tokens.keep(actor.token_id, _generation(services, actor))
        else:
            await services.administrators.change_password(actor.user, current, new, actor.address)
        ended = services.tokens.revoke_logins(actor.user, account=actor.account, but=actor.token_id)
        act.about["logins_ended"] = ended
    return ended


async def change_own_password(services: Services, user_id: str, current: str, hashed: str, server: str) -> int:
    """On the Master: a user's own new password, given on the Slave `server`; the revision. The present one is what
    proves the user. Without a hash all logins of the user end, for which the Slave's word is enough. Raises NotFound,
    Unauthenticated, TooManyAttempts, TooOften, InvalidInput, and what a change raises."""
    user = services.users.get(user_id)
    name = user.name if user else UNKNOWN
    actor = Actor(name, "", "")
    async with recorded(services, actor, "password-changed" if hashed else "logged-out-everywhere", on=server) as act:
        if user is None or user.disabled:
            raise NotFound("There is no such user.", remedy="Ask an administrator.")
        if hashed and user.directory:
            raise user_passwords.by_directory(user.directory)
        decide: Decide = partial(user_passwords.ended_logins, user_id)
        if hashed:
            await services.administrators.check(name.casefold(), current, user.hash or None, f"server {server}")
            decide = partial(user_passwords.own_password, services, user_id, hashed)
        # By server: one that was taken over must not use up what the user may do by way of the others.
        services.own_pace.take(f"{user_id} {server}", server)
        done = await commit_act(services, actor, act, decide)
    return done.committed.revision


async def _change_users_password(services: Services, actor: Actor, act: Act, current: str, new: str) -> None:
    user = services.users.get(actor.account)
    assert user is not None
    if user.directory:
        raise user_passwords.by_directory(user.directory)
    checked = await services.administrators.check_change(user.name, current, new, user.hash, actor.address)
    hashed = await services.administrators.hashed(checked)
    if services.replication.submits_to() is None:
        services.own_pace.take(actor.account, "")
        await commit_act(services, actor, act, partial(user_passwords.own_password, services, actor.account, hashed))
    else:
        act.revision = await services.own_passwords.ask(actor.account, current, hashed)


async def check_permitted(services: Services, actor: Actor, needed: Permission, what: str) -> None:
    """Return where the actor's role allows it; else it is recorded that `what` was tried. Raises Forbidden."""
    if needed in ALLOWED[actor.role]:
        return
    async with recorded(services, actor, "not-allowed", what=what):
        check_allowed(actor.role, needed)


def _may_see(actor: Actor, token: Token) -> bool:
    own = token.account == actor.account and (bool(actor.account) or token.user == actor.user)
    return own or actor.role is Role.ADMINISTRATOR


def _generation(services: Services, actor: Actor) -> int:
    user = services.users.get(actor.account) if actor.account else None
    return user.generation if user else 0


def _day(moment: datetime) -> str:
    return moment.date().isoformat()
