"""What `hostward client` needs at a user's desk: the servers of the group, and a login that is good on each.

A ticket is made for whoever has logged in here with a password, and taken from any member of the group. Whatever its
server says, it opens what the user's own sessions need and nothing else (access.tokens.DESK), and only in the
generation of the user's logins that it was made in. Why it is so: docs/decisions/0014.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hostward.access.tokens import DESK, Token
from hostward.access.users import User
from hostward.commands.accounts import Issued, token_of
from hostward.commands.auditing import UNKNOWN, recorded
from hostward.commands.services import Actor, Services
from hostward.domain.errors import Conflict, HostwardError, TrustError
from hostward.domain.tickets import LASTS, Ticket, check_times, read_ticket, refused
from hostward.replication.group.members import Member, member, members
from hostward.trust.envelope import SKEW_S
from hostward.trust.identity import verify


@dataclass(frozen=True, slots=True)
class DeskServer:
    """A server of the group as a desk reaches it: `certificate` (PEM) is the one to believe there."""

    server: str
    name: str
    url: str
    certificate: str


def desk_servers(services: Services) -> list[DeskServer]:
    """This server first, then the others of its group by name, but for those without HTTPS."""
    own, identity = services.configuration.server, services.identity
    here = DeskServer(
        identity.server_id,
        own.name or own.host_name,
        _url(own.host_name, own.https_port, own.context),
        identity.certificate_pem,
    )
    with services.group.read() as reader:
        others = [m for m in members(reader) if m.server_id != identity.server_id and m.https_port]
    return [here, *sorted(map(_desk_server, others), key=lambda s: s.name)]


def ticket_for(services: Services, actor: Actor) -> str:
    """For the other servers of the group; empty where there are none, or they don't know this account. Raises
    Conflict where the actor's login isn't a desk's."""
    token = token_of(services, actor)
    if token.kind != DESK:
        raise Conflict("A ticket is for a desk's login.", remedy="Use `hostward client login`.", code="no-desk")
    return ticket_of(services, token)


async def exchange(services: Services, text: str, address: str) -> Issued:
    """A desk's login here for a ticket of a server of the group. Raises Unauthenticated, Unavailable."""
    try:
        await services.replication.check_users_let_in()
        ticket, server = _checked(services, text)
        user = _user_of(services, ticket)
    except HostwardError:
        async with recorded(services, Actor(UNKNOWN, "", address), "logged-in", kind=DESK):
            raise
    actor = Actor(user.name, "", address)
    async with recorded(services, actor, "logged-in", kind=DESK, ticket_of=server.name) as act:
        began = datetime.fromtimestamp(ticket.began, UTC)
        issued = Issued(*services.tokens.log_in(user.name, DESK, user.id, user.generation, began))
        act.about["token"] = issued.token.id
    return issued


def ticket_of(services: Services, token: Token) -> str:
    """As ticket_for, with a new login of a desk."""
    with services.group.read() as reader:
        known = member(reader, services.identity.server_id) is not None
    if not token.account or not known:
        return ""
    ticket = Ticket(
        group=services.group.group_id,
        server=services.identity.server_id,
        account=token.account,
        generation=token.generation,
        began=int(token.password_given.timestamp()),
        expires=int((services.clock() + LASTS).timestamp()),
    )
    return ticket.to_text(services.identity.sign)


def _checked(services: Services, text: str) -> tuple[Ticket, Member]:
    """The ticket, which is its server's and for this group. Raises Unauthenticated."""
    read = read_ticket(text)
    ticket = read.ticket
    with services.group.read() as reader:
        server = member(reader, ticket.server)
    if server is None or ticket.group != services.group.group_id:
        raise refused("The ticket is of no server of this group.")
    try:
        verify(server.certificate, read.signed, read.signature)
    except TrustError as error:
        raise refused("The ticket isn't by the server that it names.") from error
    check_times(ticket, services.clock(), timedelta(seconds=SKEW_S))
    return ticket, server


def _user_of(services: Services, ticket: Ticket) -> User:
    user = services.users.get(ticket.account)
    if user is None or user.disabled or user.generation != ticket.generation:
        raise refused("The login that this ticket carries has ended.")
    return user


def _desk_server(them: Member) -> DeskServer:
    return DeskServer(them.server_id, them.name, _url(them.host, them.https_port, them.context), them.certificate)


def _url(host: str, port: int, context: str) -> str:
    return f"https://{f'[{host}]' if ':' in host else host}:{port}/{context}"
