"""What the commands work on: the server's parts, and what they need of replication."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from hostward.access.administrators import Administrators
from hostward.access.auditing import Auditor
from hostward.access.credentials import Credentials
from hostward.access.directory_logins import DirectoryLogins
from hostward.access.favourites import FavouriteTurns
from hostward.access.own_pace import OwnPace
from hostward.access.tokens import Tokens
from hostward.access.users import Users
from hostward.configuration import Configuration
from hostward.domain.favourites import Marking
from hostward.domain.findings import Finding
from hostward.domain.guesses import ServerWaits
from hostward.domain.join_code import JoinCode
from hostward.domain.locks import NOTHING, Lock, TakeOver
from hostward.domain.packages import Package
from hostward.domain.people import Role
from hostward.domain.replicated import Replicated
from hostward.domain.replication import Check, Target
from hostward.logs.writing import ServerLog
from hostward.packages.folder import Folder
from hostward.registry.group import GroupRegistry
from hostward.registry.server import ServerRegistry
from hostward.replication.change_requests.requests import Requests
from hostward.replication.group.invites import Invite
from hostward.replication.keys.rotation import NewCertificate
from hostward.replication.package_copies import ServerPackages
from hostward.replication.wanted import Wanted
from hostward.trust.browser_certificate import BrowserCertificate
from hostward.trust.certificates import CertificateStore
from hostward.trust.identity import ServerIdentity
from hostward.trust.passphrase import Passphrase


class Replication(Protocol):
    """Replication as the rest of the server sees it; implemented by hostward.replication.service.ReplicationService."""

    def check_writable(self) -> None:
        """Return where this server may change the replicated configuration. Raises Conflict, code "slave", with the
        Master's URL in the remedy, or Unavailable while a Master catches up."""

    async def check_stands(self, revision: int, hash_: bytes) -> None:
        """Return where the change that was just committed with that revision and hash is part of the group's history.
        Raises Conflict, code "superseded", where another server had become the Master."""

    async def check_users_let_in(self) -> None:
        """Return once users of the group may be let in: this server knows, or may assume, that nothing has changed
        about them. Raises Unavailable, code "not-confirmed"."""

    def submits_to(self) -> str | None:
        """None where this server writes the configuration itself; on a Slave the id of the group whose Master its
        changes are submitted to. Raises Unavailable on a Slave that has nothing yet to base a change on."""
        ...

    async def acknowledged(self, revision: int, *, all_servers: bool = False) -> Replicated:
        """Who has the revision, once one Slave (all that can be reached, with `all_servers`) has it or a short time is
        over. Never raises: the change stands."""
        ...

    def status(self) -> dict[str, Any]:
        """The answer of `GET replication`. Reads the registry; any thread."""
        ...

    async def nodes(self) -> list[dict[str, Any]]:
        """The rows of Details."""
        ...

    def consequences(self, wanted: Wanted) -> list[str]:
        """What Yes would do, in sentences."""
        ...

    async def apply(self, wanted: Wanted, author: str) -> str:
        """Store the wanted state and begin to bring it about; the job's id. Raises InvalidInput or Conflict: then
        nothing was changed."""
        ...

    async def test_connection(
        self,
        target: Target,
        *,
        protocol: str | None,
        passphrase: Passphrase | None,
        tell: Callable[[Check], None] | None = None,
    ) -> list[Check]:
        """Test Connection's checks, in their order; `tell` hears of each as soon as it is made."""
        ...

    def name_of(self, host_id: str) -> str:
        """The server with that Host Id or server id, as its administrators call it."""
        ...

    async def remove_node(self, host_id: str, author: str) -> str:
        """Take the server with this node out of the group; the job's id. Raises NotFound, Conflict."""
        ...

    def passphrase_consequences(self) -> list[str]:
        """What changing the group's passphrase would do, in sentences. Raises Conflict where it can't be changed."""
        ...

    async def change_passphrase(self, new: Passphrase, author: str) -> dict[str, Any] | None:
        """Change the passphrase of the running group: the change as status shows it, None where all servers have
        confirmed it already. Raises Conflict, Unavailable."""
        ...

    async def switch_over(self, to: str, author: str, *, confirmed: bool) -> str:
        """Hand over to that Slave (its id, Host Id or name); the job's id. Raises NotFound, Conflict, Unavailable, or
        ConfirmationRequired."""
        ...

    async def promote(self, author: str, *, insist: bool, confirmed: bool) -> str:
        """Make this Slave the Master, the Master being dead; the job's id. Raises Conflict or ConfirmationRequired."""
        ...

    async def follow(self, server: str, author: str, *, confirmed: bool) -> str:
        """Follow the server that says it is the Master now; the job's id. Raises NotFound, Conflict, or
        ConfirmationRequired."""
        ...

    async def examine(self) -> list[Finding]:
        """What the doctor finds on this server and its group, the worst first."""
        ...

    def rebuild_database(self, author: str) -> str:
        """Remove the files of this server's database node and make it anew from the group; the job's id. Raises
        Conflict."""
        ...

    def jobs(self) -> list[dict[str, Any]]:
        """The newest jobs, oldest first."""
        ...

    def job(self, job_id: str, /) -> dict[str, Any]:
        """One job. Raises NotFound."""
        ...

    def health_ready(self) -> str | None:
        """None where this server serves, else why not."""
        ...

    async def health_in_sync(self, lag: int, /) -> str | None:
        """None where this server lacks at most `lag` changes and its content is right, else why not."""
        ...

    def health_master(self) -> str | None:
        """None where this server is a Master that accepts changes, else why not."""
        ...


class Welcoming(Protocol):
    """Join codes as a Master gives them out; implemented by hostward.replication.group.welcoming.Welcoming."""

    def invite(self, author: str, minutes: int) -> tuple[Invite, JoinCode]:
        """A new join code, shown this once. Raises InvalidInput, Conflict."""
        ...

    def invites(self) -> list[dict[str, Any]]:
        """Those that were given out, without their secrets; the newest first."""
        ...

    def revoke(self, author: str, invite_id: str) -> None:
        """The code no longer works. Raises NotFound."""
        ...


class Joining(Protocol):
    """Becoming a Slave by a join code; implemented by hostward.replication.group.joining.Joining."""

    def consequences(self, code: JoinCode) -> list[str]:
        """What Yes would do, in sentences. Raises Conflict where this server can't join."""
        ...

    async def join(self, code: JoinCode, author: str, *, adapter: str | None, passphrase: Passphrase | None) -> str:
        """Exchange certificates and begin to join; the job's id. Raises PeerError, InvalidInput, Conflict."""
        ...


class Rotation(Protocol):
    """This server's own certificate; implemented by hostward.replication.keys.rotation.Rotation."""

    async def renew(self, author: str, new: NewCertificate | None = None) -> None:
        """Put a new certificate in force and tell the other servers. Raises Conflict, TrustError: then the old one
        stays."""
        ...

    def state(self) -> dict[str, Any]:
        """How often it was renewed, and who has confirmed the present one."""
        ...


class Locks(Protocol):
    """Concurrency Locks of the group; implemented by hostward.replication.locking.Locks."""

    def mine(self, login: str) -> list[str]:
        """Which sessions a login of this server holds, as far as this server knows."""
        ...

    def taken(self, login: str) -> list[str]:
        """Which of the sessions that somebody here waits for are locked for others than this login."""
        ...

    def wait_for(self, session: str) -> None:
        """Somebody reads a locked session, and wants to know when it is free; asked again within a minute."""
        ...

    async def hold(self, session: str, login: str, user: str, page: str, *, take_over: bool = False) -> Lock:
        """Lock it for that page, or renew it; the lock that is there then, which may be somebody else's. Raises
        Unavailable, PeerError where the Master can't be asked."""
        ...

    async def release(self, session: str, login: str, page: str | None) -> None:
        """The page has left it (None: all have). Raises as hold."""
        ...

    async def locks(self) -> list[Lock]:
        """All of the group. Raises as hold."""
        ...


class OwnPasswords(Protocol):
    """A user's own new password on a Slave; implemented by replication.people.own_passwords. Without a
    hash only all logins of the user end."""

    async def ask(self, user_id: str, current: str, hashed: str) -> int:
        """The revision in which the Master made the change. Raises Unavailable, PeerError."""
        ...


class OwnFavourites(Protocol):
    """A user's favourites, changed on a Slave; implemented by replication.people.own_favourites."""

    async def ask(self, user_id: str, marking: Marking) -> int:
        """The revision in which the Master made the change. Raises Unavailable, PeerError."""
        ...


class DirectoryUsers(Protocol):
    """Users whom a directory knows, on a Slave; implemented by replication.people.directory_users."""

    async def ask(self, directory: str, user: str, password: str) -> int:
        """The revision since which the Master has the user. Raises Unavailable, PeerError."""
        ...


class Unlocking(Protocol):
    """Wrong passwords of a user on all servers; implemented by hostward.replication.people.unlocking.Unlocking."""

    async def waits(self, user: str) -> Sequence[ServerWaits]:
        """Where the user has to wait, on this server and then on each other. Never raises for a silent server."""
        ...

    async def forget(self, user: str) -> Sequence[ServerWaits]:
        """The user needn't wait any more; what was forgotten."""
        ...


class PackageCopies(Protocol):
    """The packages' files on all servers; implemented by hostward.replication.package_copies.PackageCopies."""

    async def of_group(self) -> Sequence[ServerPackages]:
        """What each server has, this one's first. Never raises for a server that doesn't answer."""
        ...

    async def streamed(self, package: Package, offset: int, count: int) -> AsyncIterator[bytes]:
        """A part of a file that isn't here, from a server that has it. Raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of one server. `stores` are by their key (mss, security-proxy); `clock` gives aware times."""

    group: GroupRegistry
    server: ServerRegistry
    stores: Mapping[str, CertificateStore]
    for_browsers: BrowserCertificate
    replication: Replication
    requests: Requests
    locks: Locks
    own_passwords: OwnPasswords
    own_favourites: OwnFavourites
    directory_users: DirectoryUsers
    unlocking: Unlocking
    packages: Folder
    package_copies: PackageCopies
    welcoming: Welcoming
    joining: Joining
    rotation: Rotation
    administrators: Administrators
    users: Users
    directories: DirectoryLogins
    credentials: Credentials
    favourite_turns: FavouriteTurns
    own_pace: OwnPace
    """Of users' own passwords and logging out everywhere; favourites have another, so that they keep from neither."""
    tokens: Tokens
    auditor: Auditor
    identity: ServerIdentity
    configuration: Configuration
    data_dir: Path
    clock: Callable[[], datetime]
    log: ServerLog


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: the account, the token it was shown with, and the address that the request came from; in spite of whose
    locks; and what it may do. `account` is the id of a user of the group, empty for an account of this server."""

    user: str
    token_id: str
    address: str
    take_over: TakeOver = NOTHING
    role: Role = Role.ADMINISTRATOR
    account: str = ""
