"""Servers for tests: real registries, identity and stores in a directory, and replication as a Standalone has it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from hostward import main
from hostward.access.administrators import Administrators, ensure_first_administrator
from hostward.access.auditing import open_auditor
from hostward.access.credentials import Credentials
from hostward.access.directory_logins import DirectoryLogins
from hostward.access.favourites import FavouriteTurns
from hostward.access.own_pace import OwnPace
from hostward.access.tokens import Tokens
from hostward.access.users import Users
from hostward.commands.services import Actor, Services
from hostward.commands.writing import Submitted
from hostward.configuration import Configuration, load_configuration
from hostward.domain.errors import ConfirmationRequired, Conflict, NotFound, Unavailable
from hostward.domain.favourites import Marking
from hostward.domain.findings import Act, Finding
from hostward.domain.guesses import ServerWaits
from hostward.domain.join_code import JoinCode
from hostward.domain.locks import Holder, Lock, LockTable
from hostward.domain.packages import Package
from hostward.domain.replicated import Replicated
from hostward.domain.replication import Check, Target
from hostward.domain.requests import ChangeRequest
from hostward.domain.settings import CERTIFICATE_WARNING, own_number
from hostward.logs.reading import OWN
from hostward.logs.writing import ServerLog
from hostward.packages.folder import Folder
from hostward.registry.group import GroupRegistry
from hostward.registry.server import ServerRegistry
from hostward.replication.change_requests.outbox import Outbox
from hostward.replication.change_requests.requests import Requests
from hostward.replication.group.invites import Invite
from hostward.replication.keys.rotation import NewCertificate
from hostward.replication.package_copies import ServerPackages
from hostward.replication.wanted import Wanted
from hostward.trust.browser_certificate import BrowserCertificate
from hostward.trust.certificates import STORES, CertificateStore
from hostward.trust.identity import ServerIdentity, load_or_create
from hostward.trust.passphrase import Passphrase
from hostward.trust.tls import ServerTls
from hostward.trust.vault import Vault

T = TypeVar("T")

PASSWORD = "four words of mine"
ACTOR = Actor("admin", "0123456789abcdef", "192.0.2.1")


@dataclass(slots=True)
class StandaloneReplication:
    """A Standalone's: nobody else has anything. Set `master_url` to make it submit writes as a Slave does. It remembers
    what was asked of it."""

    group: GroupRegistry
    identity: ServerIdentity
    master_url: str = ""
    waited_for: list[tuple[int, bool]] = field(default_factory=list)
    applied: list[tuple[Wanted, str]] = field(default_factory=list)
    tested: list[tuple[Target, str | None, Passphrase | None]] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    promoted: list[str] = field(default_factory=list)

    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    """Set, unless a test clears it: then Test Connection waits after each check."""
    given_up: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a Test Connection was."""
    rebuilt: list[str] = field(default_factory=list)
    shown: dict[str, Any] = field(default_factory=dict)
    """What its status says otherwise than a Standalone's."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    """Details' further rows."""
    jobs_shown: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What jobs say otherwise, by id."""

    def check_writable(self) -> None:
        if self.master_url:
            raise Conflict("This server is a Slave.", remedy=f"Use the Master, {self.master_url}.", code="slave")

    async def check_stands(self, revision: int, hash_: bytes) -> None:
        change = self.group.change(revision)
        assert change is None or change.hash == hash_ or not hash_

    def __post_init__(self) -> None:
        self.go_on.set()

    async def check_users_let_in(self) -> None:
        return

    def submits_to(self) -> str | None:
        return self.group.group_id if self.master_url else None

    async def acknowledged(self, revision: int, *, all_servers: bool = False) -> Replicated:
        assert self.group.position.revision >= revision, "acknowledgement is asked for after the commit"
        self.waited_for.append((revision, all_servers))
        return Replicated(1, 1, False)

    def status(self) -> dict[str, Any]:
        at = self.group.position
        role = "slave" if self.master_url else "standalone"
        return {
            "server": self.identity.server_id, "server_name": "server.example.com", "role": role, "wanted_role": role,
            "database_status": "Up", "reason": "Everything is as it should be.", "since": "2026-01-02T03:04:05.000Z",
            "lag_changes": 0, "protocol": "https", "adapter": "", "adapters": [], "master": None, "slaves": [],
            "passphrase_is_default": True, "passphrase_change": None, "claim": None, "removed": "", "warnings": [],
            "requests_waiting": 0, "requests_on_their_way": 0, "job": None, **at.to_json(), **self.shown,
        }  # fmt: skip

    async def nodes(self) -> list[dict[str, Any]]:
        own = {
            "server": self.identity.server_id, "server_name": "server.example.com", "address": "127.0.0.1",
            "status": "UP", "owns_percent": 100.0, "host_id": self.identity.server_id, "local_instance": True,
            "state": "NORMAL", "role": self.status()["role"], "revision": 0, "lag_changes": 0, "in_sync": True,
            "compared_at": "", "version": "0.1.0", "detail": "",
        }  # fmt: skip
        return [own, *(own | row for row in self.rows)]

    def consequences(self, wanted: Wanted) -> list[str]:
        return [f"This server becomes {wanted.role.value}."]

    async def apply(self, wanted: Wanted, author: str) -> str:
        self.applied.append((wanted, author))
        return f"job{len(self.applied)}"

    async def test_connection(
        self,
        target: Target,
        *,
        protocol: str | None,
        passphrase: Passphrase | None,
        tell: Callable[[Check], None] | None = None,
    ) -> list[Check]:
        self.tested.append((target, protocol, passphrase))
        found = Check("name", True, "It is there.")
        refused = Check("port", False, f"Nothing listens at {target.host}.", "Check the port.")
        for check in (found, refused):
            if tell is not None:
                tell(check)
                await self.between_checks()
        return [found, refused, Check("protocol", None)]

    async def between_checks(self) -> None:
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.given_up.set()
            raise

    def name_of(self, host_id: str) -> str:
        return f"the server {host_id}"

    async def remove_node(self, host_id: str, author: str) -> str:
        if host_id != "there":
            raise NotFound("There is no such server.", remedy="Look at Details.")
        self.removed.append(host_id)
        return "job1"

    def passphrase_consequences(self) -> list[str]:
        raise Conflict("This server is Standalone.", remedy="Use Apply.", code="standalone")

    async def change_passphrase(self, new: Passphrase, author: str) -> dict[str, Any] | None:
        raise Conflict("This server is Standalone.", remedy="Use Apply.", code="standalone")

    async def switch_over(self, to: str, author: str, *, confirmed: bool) -> str:
        return self._promoted(confirmed, f"switch-over {to} {author}")

    async def promote(self, author: str, *, insist: bool, confirmed: bool) -> str:
        return self._promoted(confirmed, f"promote {insist} {author}")

    async def follow(self, server: str, author: str, *, confirmed: bool) -> str:
        return self._promoted(confirmed, f"follow {server} {author}")

    def _promoted(self, confirmed: bool, what: str) -> str:
        if not confirmed:
            raise ConfirmationRequired("Are you sure?", remedy="Say yes.", consequences=[what])
        self.promoted.append(what)
        return "job1"

    async def examine(self) -> list[Finding]:
        act = Act("Remove it", "DELETE", "replication/nodes/there", {}, "hostward replication remove there")
        return [Finding("node-down", "south", "Its node is down.", "Start it.", act)]

    def rebuild_database(self, author: str) -> str:
        self.rebuilt.append(author)
        return "job1"

    def jobs(self) -> list[dict[str, Any]]:
        return [self.job(f"job{n}") for n in range(1, len(self.applied) + 1)]

    def job(self, job_id: str, /) -> dict[str, Any]:
        if not job_id.startswith("job"):
            raise NotFound("There is no such job.", remedy="Look at all jobs.")
        job = {"id": job_id, "kind": "standalone to master", "author": "admin", "state": "running", "steps": []}
        return (
            job
            | {"created": "2026-03-01T00:00:00Z", "reason": "", "notices": [], "progress_percent": 0}
            | self.jobs_shown.get(job_id, {})
        )

    def health_ready(self) -> str | None:
        return None

    async def health_in_sync(self, lag: int, /) -> str | None:
        return None if lag >= 5 or not self.master_url else "This server is 5 changes behind its Master."

    def health_master(self) -> str | None:
        return "This server's role is Standalone."


class NoGroup:
    """What a Standalone server has no use for. Join codes: it makes none, and remembers those that it was given."""

    async def ask(self, user_id: str, current: str, hashed: str) -> int:
        raise AssertionError("there is no Master to ask")

    async def of_group(self) -> list[ServerPackages]:
        return []

    async def streamed(self, package: Package, offset: int, count: int) -> AsyncIterator[bytes]:
        raise Unavailable("No other server has it.", remedy="Upload it.", code="package-not-here")

    def __init__(self) -> None:
        self.joined: list[tuple[JoinCode, str | None, Passphrase | None]] = []

    def invite(self, author: str, minutes: int) -> tuple[Invite, JoinCode]:
        raise Conflict("Join codes are made on the Master.", remedy="Ask the Master.", code="role")

    def invites(self) -> list[dict[str, Any]]:
        return []

    def revoke(self, author: str, invite_id: str) -> None:
        raise NotFound("There is no such invitation.", remedy="Look at all of them.")

    def consequences(self, code: JoinCode) -> list[str]:
        return [f"This server becomes a Slave of {code.master.host}."]

    async def join(self, code: JoinCode, author: str, *, adapter: str | None, passphrase: Passphrase | None) -> str:
        self.joined.append((code, adapter, passphrase))
        return "job1"


class MasterAway:
    """Who a Slave would ask, and gets no answer."""

    async def ask(self, user_id: str, marking: Marking) -> int:
        raise Unavailable("The Master doesn't answer.", remedy="Try again later.", code="master-away")


@dataclass(frozen=True, slots=True)
class OwnWaits:
    """A Standalone server's wrong passwords."""

    administrators: Administrators

    async def waits(self, user: str) -> Sequence[ServerWaits]:
        return [ServerWaits("server.example.com", self.administrators.throttle.waits(user))]

    async def forget(self, user: str) -> Sequence[ServerWaits]:
        found = await self.waits(user)
        self.administrators.throttle.forget(user, everywhere=True)
        return found


class OwnLocks:
    """A Standalone server's locks, whose clock the test moves."""

    def __init__(self, server: str, tokens: Tokens) -> None:
        self._server, self._tokens = server, tokens
        self.table, self.now_s, self.away = LockTable(), 1000.0, False
        self.awaited: set[str] = set()

    def mine(self, login: str) -> list[str]:
        return [lock.session for lock in self._locks() if lock.holder.login == login]

    def taken(self, login: str) -> list[str]:
        return [k.session for k in self._locks() if k.session in self.awaited and k.holder.login != login]

    def wait_for(self, session: str) -> None:
        self.awaited.add(session)

    async def hold(self, session: str, login: str, user: str, page: str, *, take_over: bool = False) -> Lock:
        self._locks()
        holder = Holder(self._server, "server.example.com", login, user)
        return self.table.hold(session, holder, page, now_s=self.now_s, lasts_s=60.0, take_over=take_over)

    async def release(self, session: str, login: str, page: str | None) -> None:
        self.table.release(session, Holder(self._server, "server.example.com", login, ""), page)

    async def locks(self) -> list[Lock]:
        return self._locks()

    def _locks(self) -> list[Lock]:
        if self.away:
            raise Unavailable("The Master can't be reached.", remedy="Wait.", code="master-away")
        self.table.end_logins(self._server, {*self._tokens.ids(), ACTOR.token_id})
        return self.table.locks(self.now_s)


class NeverRenewed:
    """The certificate of a server whose renewals aren't the test's matter: it remembers what it was given."""

    def __init__(self) -> None:
        self.renewed: list[NewCertificate | None] = []

    async def renew(self, author: str, new: NewCertificate | None = None) -> None:
        self.renewed.append(new)

    def state(self) -> dict[str, Any]:
        return {"renewals": len(self.renewed), "renewed_at": None, "members": []}


@dataclass(slots=True)
class KeptInServerDb:
    """A certificate store's entries."""

    server: ServerRegistry
    key: str

    def load(self) -> list[dict[str, str]]:
        return self.server.get(self.key) or []

    def save(self, entries: list[dict[str, str]]) -> None:
        self.server.put(self.key, entries)


def now() -> str:
    return datetime.now(UTC).isoformat()


def done(outcome: T | Submitted) -> T:
    """A write that this server made itself."""
    assert not isinstance(outcome, Submitted), f"it was submitted as {outcome.request}"
    return outcome


def submitted(outcome: object) -> ChangeRequest:
    """The change request that a write on a Slave became."""
    assert isinstance(outcome, Submitted), f"it was made: {outcome}"
    return outcome.request


@contextmanager
def open_server(
    data_dir: Path, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[Services, StandaloneReplication]]:
    """A server in that directory, with the administrator admin whose password is PASSWORD."""
    for name in ("certificates", "backups", "logs"):
        (data_dir / name).mkdir(exist_ok=True)
    configuration: Configuration = load_configuration(None, environment or {}, lambda: "server.example.com")
    identity = load_or_create(data_dir, "server.example.com", [], datetime.now(UTC))
    server = ServerRegistry.open(data_dir / "server.db")
    group = GroupRegistry.open(
        data_dir / "group.db",
        server_id=identity.server_id,
        sign=identity.sign,
        now=now,
    )
    auditor = open_auditor(data_dir, server, identity, "server.example.com", main.now, lambda: "log of a test")
    try:
        users = Users(group)
        administrators = Administrators(server, others=users.hash_of)
        ensure_first_administrator(administrators, PASSWORD)
        tokens = Tokens(server, console_lasts=main.console_lasts(group))
        replication, no_group = StandaloneReplication(group, identity), NoGroup()
        outbox = Outbox(server, group, identity.server_id, "server.example.com")
        requests = Requests(group, outbox, identity.server_id, "server.example.com", now)
        stores: dict[str, CertificateStore] = {
            key: CertificateStore(
                key,
                KeptInServerDb(server, key),
                data_dir / "certificates",
                time.time,
                own=identity if key == "mss" else None,
                soon=lambda: timedelta(days=own_number(server, CERTIFICATE_WARNING)),
            )
            for key in STORES
        }
        credentials = Credentials(server, Vault.open(data_dir / "identity"), now)
        yield (
            Services(
                group=group,
                server=server,
                stores=stores,
                for_browsers=BrowserCertificate(data_dir, ServerTls(identity), time.time, main.warned_of(server)),
                replication=replication,
                requests=requests,
                locks=OwnLocks(identity.server_id, tokens),
                own_passwords=no_group,
                own_favourites=MasterAway(),
                directory_users=no_group,
                unlocking=OwnWaits(administrators),
                packages=Folder(data_dir / "deploy" / "packages", server),
                package_copies=no_group,
                welcoming=no_group,
                joining=no_group,
                rotation=NeverRenewed(),
                administrators=administrators,
                users=users,
                directories=DirectoryLogins(group, lambda: main._directories(credentials)),
                credentials=credentials,
                favourite_turns=FavouriteTurns(),
                own_pace=OwnPace(),
                tokens=tokens,
                auditor=auditor,
                identity=identity,
                configuration=configuration,
                data_dir=data_dir,
                clock=lambda: datetime.now(UTC),
                log=ServerLog(OWN.path(data_dir)),
            ),
            replication,
        )
    finally:
        auditor.log.close()
        group.close()
        server.close()
