"""A server as a member of a group: its parts wired together, and the loops that run for its life."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.routing import Route

from hostward.access.administrators import Administrators
from hostward.access.auditing import Auditor
from hostward.configuration import Configuration
from hostward.domain.changes import Position
from hostward.domain.errors import PeerError
from hostward.domain.replication import Role
from hostward.packages.folder import Folder
from hostward.registry.group import GroupRegistry
from hostward.registry.server import ServerRegistry
from hostward.replication.acts.server import ServerActs
from hostward.replication.audit_copies import AuditCopies
from hostward.replication.change_requests.carrier import Carrier
from hostward.replication.change_requests.outbox import Outbox
from hostward.replication.change_requests.requests import Requests
from hostward.replication.changelog.acknowledgements import Acknowledgements, Nudge
from hostward.replication.changelog.content import ContentWatch
from hostward.replication.changelog.follower import BEFORE_ALL, Follower, Following
from hostward.replication.changelog.sources import PeerSources
from hostward.replication.confirming import Confirmation
from hostward.replication.coordinator import Coordinator
from hostward.replication.group.joining import Joining
from hostward.replication.group.members import JOINED, Member, has_left
from hostward.replication.group.membership import Membership
from hostward.replication.group.welcoming import Welcoming
from hostward.replication.jobs import Jobs
from hostward.replication.keys.passphrase_change import PassphraseChanges
from hostward.replication.keys.rotation import Rotation
from hostward.replication.keys.trusting import Trusting
from hostward.replication.locking import Locks
from hostward.replication.loops import keep_running
from hostward.replication.masters.beyond import keep_beyond
from hostward.replication.masters.claims import Claims, Told
from hostward.replication.masters.promotion import Promotion
from hostward.replication.package_copies import PackageCopies
from hostward.replication.parts import Parts
from hostward.replication.peers.conversation import REMOVED_WORDS, Conversation
from hostward.replication.peers.envelopes import Receiver
from hostward.replication.peers.links import Links
from hostward.replication.peers.messages import Message, understood
from hostward.replication.peers.views import POLL_S, View, Views
from hostward.replication.people.directory_users import DirectoryUsers
from hostward.replication.people.own_favourites import OwnFavourites
from hostward.replication.people.own_passwords import OwnPasswords
from hostward.replication.people.unlocking import Unlocking
from hostward.replication.ring.fence import Fence
from hostward.replication.ring.node import Node
from hostward.replication.service import ReplicationService
from hostward.replication.state import StateStore
from hostward.trust.browser_certificate import BrowserCertificate
from hostward.trust.certificates import CertificateStore
from hostward.trust.envelope import Instance, Opener, Sealer
from hostward.trust.identity import ServerIdentity
from hostward.trust.passphrase import Passphrase, passphrase_key
from hostward.trust.vault import Vault

NUDGE_TIMEOUT_S = 5.0
STATUS_TIMEOUT_S = 2.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Foundation:
    """What a server's part in its group is built on. `store`: whom it believes; `now` gives ISO 8601 UTC, `new_id`
    ids; `reload_tls` makes new connections see a new certificate; `logins` are the ids of those that count now."""

    data_dir: Path
    configuration: Configuration
    identity: ServerIdentity
    group: GroupRegistry
    server: ServerRegistry
    auditor: Auditor
    store: CertificateStore
    for_browsers: BrowserCertificate
    now: Callable[[], str]
    version: str
    new_id: Callable[[], str]
    reload_tls: Callable[[], None]
    logins: Callable[[], Collection[str]]
    administrators: Administrators
    packages: Folder


class GroupServer:
    """Everything that keeps this server the same as the others. `service` is what the rest of the server sees."""

    def __init__(self, on: Foundation) -> None:
        self._group, self._identity, self._store = on.group, on.identity, on.store
        self._state = StateStore(on.server, Vault.open(on.identity.key_path.parent))
        self._instance, self._throttle = Instance(os.urandom), on.administrators.throttle
        sealer, opener = self._speak(lambda: self._state.now.secrets)
        links = Links(on.store, sealer, opener, lambda p: self._speak(lambda: [p]), self._own_group, self._met)
        p = self.parts = self._parts(on, links)
        self.rotation = Rotation(p, on.reload_tls)
        p.follower.keep_beyond = partial(keep_beyond, p)
        self._claims = Claims(p)
        self._promotion = Promotion(p, self._claims)
        self._acts = ServerActs(p, self._claims)
        self._coordinator = Coordinator(self._acts, p.jobs)
        self._claims.changed = self._coordinator.interrupt
        self._passphrases = PassphraseChanges(p)
        self.confirmation = Confirmation(p)
        self.service = ReplicationService(
            p, self._coordinator, self._claims, self._promotion, self._passphrases, self.confirmation
        )
        self._carrier = Carrier(p, self.service.check_writable)
        p.outbox.added = self._carrier.wake
        self.locks = Locks(p, on.logins)
        self.own_passwords, self.own_favourites, self.directory_users = (
            OwnPasswords(p),
            OwnFavourites(p),
            DirectoryUsers(p),
        )
        self.package_copies, self.unlocking = PackageCopies(p, on.packages), Unlocking(p, on.administrators)
        self._receiver = Receiver(
            on.identity, self._instance, sealer, opener, self._own_group, self._conversation().answer,
            lambda: [asdict(s) for s in self.rotation.statements], self.rotation.seen,
        )  # fmt: skip
        self.welcoming = Welcoming(p, self._instance)
        self.joining = Joining(p, self.service.applying, self._instance)
        self._tasks: list[asyncio.Task[None]] = []

    def _parts(self, on: Foundation, links: Links) -> Parts:
        sources, s, server_id = PeerSources(), on.configuration.server, on.identity.server_id
        name = s.name or s.host_name
        outbox = Outbox(on.server, on.group, server_id, name)
        sources.parts = Parts(
            data_dir=on.data_dir,
            configuration=on.configuration,
            identity=on.identity,
            store=on.store,
            for_browsers=on.for_browsers,
            group=on.group,
            server=on.server,
            state=self._state,
            jobs=Jobs(on.server, on.now),
            node=Node(on.data_dir, on.configuration, server_id),
            links=links,
            views=Views(on.group, self._ask_status, self._answered, on.now),
            follower=Follower(on.group, sources),
            membership=Membership(on.group, server_id, time.monotonic, self._prepare_ring),
            acknowledgements=Acknowledgements(on.group, self._send_nudge, self._acknowledged),
            content=ContentWatch(on.group, self._heal, self._wake, on.now),
            fence=Fence(time.monotonic),
            outbox=outbox,
            auditor=on.auditor,
            requests=Requests(on.group, outbox, server_id, name, on.now),
            now=on.now,
            version=on.version,
            new_id=on.new_id,
        )
        return sources.parts

    def _conversation(self) -> Conversation:
        from_slaves = {
            "submit": self._carrier.receive,
            "lock": self.locks.answer,
            "own-password": self.own_passwords.answer,
            "own-favourites": self.own_favourites.answer,
            "directory-user": self.directory_users.answer,
        }
        from_members = {
            "unlock": self.unlocking.answer,
            "packages": self.package_copies.answer_packages,
            "package-pieces": self.package_copies.answer_pieces,
            "package-range": self.package_copies.answer_range,
        }
        return Conversation(
            self.parts,
            self._claims,
            self._passphrases,
            self.rotation,
            changed=self._wake,
            database_status=self.service.database_status,
            guesses=self._throttle.to_tell,
            settled=self.confirmation.settled,
            from_slaves=from_slaves,
            from_members=from_members,
        )

    def peer_app(self, routes: Callable[[Receiver, Welcoming], list[Route]]) -> Starlette:
        """What is served under /<context>/peer/."""
        return Starlette(routes=routes(self._receiver, self.welcoming))

    async def start(self) -> None:
        """Start the loops. What the server knew of its Master before is taken up again."""
        p, state = self.parts, self._state.now
        for passphrase in state.secrets:
            await asyncio.to_thread(passphrase_key, passphrase)  # a tenth of a second, once
        if state.role is Role.SLAVE and state.master_id:
            since = state.coming[-1].epoch if state.coming else BEFORE_ALL
            p.follower.follow(Following(state.master_id, state.master_certificate, state.master_group, since))
        self._group.subscribe(self._registry_changed)
        loops = {
            "coordinator": self._coordinator.run,
            "follower": p.follower.run,
            "content": p.content.run,
            "carrier": self._carrier.run,
            "locks": self.locks.run,
            "views": self._watch_others,
            "passphrase": self._passphrases.run,
            "trusting": Trusting(p).run,
            "rotation": self.rotation.run,
            "audit": p.auditor.run,
            "audit-copies": AuditCopies(p).run,
            "packages": self.package_copies.run,
        }
        self._tasks = [asyncio.create_task(keep_running(loop), name=name) for name, loop in loops.items()]

    async def stop(self) -> None:
        """End the loops, then the database node."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.parts.errands.close()
        await self.parts.acknowledgements.close()
        await self._acts.close()
        await self.parts.links.close()

    def _speak(self, passphrases: Callable[[], Sequence[Passphrase]]) -> tuple[Sealer, Opener]:
        def keys() -> list[bytes]:
            return [passphrase_key(p) for p in passphrases()]

        clock = time.time
        sealer = Sealer(self._identity, self._instance, keys, clock, os.urandom)
        return sealer, Opener(self._identity, self._instance, self._store.trusted, keys, clock)

    def _own_group(self) -> str:
        """The group that this server speaks for: a Slave's is its Master's, also before it has the Master's content."""
        state = self._state.now
        return state.master_group if state.role is Role.SLAVE and state.master_group else self._group.group_id

    def _met(self, certificate: str, renewals: Any) -> bool:
        return self.rotation.met(certificate, renewals)

    def _registry_changed(self) -> None:
        p = self.parts
        p.acknowledgements.announce()
        if p.publisher is not None:
            p.publisher.announce()

    def _wake(self) -> None:
        self._coordinator.wake()

    async def _prepare_ring(self, everyone: Sequence[Member]) -> None:
        await self._acts.master.prepare_ring(everyone)

    async def _send_nudge(self, server_id: str, nudge: Nudge) -> Position:
        p = self.parts
        them = p.find(server_id)
        if them is None:  # removed since; the senders are looked through once a second
            raise PeerError("The server isn't a member of the group any more.", code="removed")
        blob = await nudge.packed()
        message = Message("nudge", {"position": nudge.position.to_json()}, blob)
        answer = await p.links.ask(them, message, timeout_s=NUDGE_TIMEOUT_S + len(blob) / 200_000)
        with understood(them.name):
            theirs = Position.from_json(answer.data["position"])
        self._claims.hear(answer.data.get("records", ()), Told(server_id, theirs.epoch))
        if self._state.now.role is not Role.MASTER:
            raise PeerError("Another server is the Master now.", code="role")
        return theirs

    def _acknowledged(self, server_id: str, position: Position) -> None:
        self.parts.views.at(server_id, position)

    async def _ask_status(self, them: Member) -> dict[str, Any]:
        p, state = self.parts, self._state.now
        try:
            question = Message("status", {"epoch": str(self._claims.epoch)})
            answer = await p.links.ask(them, question, timeout_s=STATUS_TIMEOUT_S)
        except PeerError as error:
            if state.role is Role.MASTER and has_left(them, error.code):
                log.warning("member-has-left", server=them.name)
                await p.membership.remove(them.server_id, "replication", left=True)
                self._wake()
            now = p.state.now
            from_master = now.role is Role.SLAVE and them.server_id == now.master_id
            if from_master and error.code == "removed" and not p.asks_to_join:
                p.life.admitted = None
                p.state.update(fresh=False, removed=p.state.now.removed or REMOVED_WORDS)
                self._wake()
            raise
        return answer.data

    async def _answered(self, view: View) -> None:
        p = self.parts
        assert view.position is not None
        assert view.status is not None
        self._claims.heard_member(view.server_id, view.position.epoch)
        self._claims.hear(view.status.get("records", ()), Told(view.server_id, view.position.epoch))
        self._throttle.hear(view.server_id, view.status.get("guesses"))
        state = self._state.now
        self.rotation.heard(view.server_id)
        self.confirmation.answered(view)
        if state.role is Role.SLAVE and view.server_id == state.master_id:
            p.life.confirmed_master = True
            p.follower.master_is_at(view.position)
        elif state.role is Role.MASTER:
            p.membership.turns.heard(view.server_id)
            mine = self._group.position
            ahead = view.position.epoch == mine.epoch and view.position.revision > mine.revision
            if ahead and view.server_id not in p.life.disbelieved:
                # This Master was restored from an older copy, and that Slave didn't answer when it started.
                p.life.caught_up = False
                self._wake()

    async def _watch_others(self) -> None:
        """Ask the others how they are, and keep a sender for each Slave."""
        p = self.parts
        while True:
            others = p.others()
            master = self._state.now.role is Role.MASTER
            p.acknowledgements.follow({m.server_id: m for m in others if m.state == JOINED} if master else {})
            self._throttle.hear_only([m.server_id for m in others])
            await p.views.poll(others)
            self._claims.contacts.looked()
            self.confirmation.looked()
            await asyncio.sleep(POLL_S)

    async def _heal(self) -> None:
        """Replace altered content. A Slave takes the Master's; a Master takes a Slave's that is at its own position."""
        p = self.parts
        mine = self._group.position
        if p.follower.following is not None:
            await p.follower.load(not_older_than=mine)
            return
        following = Following(p.server_id, self._identity.certificate_pem, self._group.group_id)
        await p.follower.heal_master(following, mine)
