"""The parts of a server that keep it the same as the others, wired once by the composition root."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hostward.access.auditing import Auditor
from hostward.configuration import Configuration
from hostward.registry.group import GroupRegistry
from hostward.registry.server import ServerRegistry
from hostward.replication.change_requests.outbox import Outbox
from hostward.replication.change_requests.requests import Requests
from hostward.replication.changelog.acknowledgements import Acknowledgements
from hostward.replication.changelog.content import ContentWatch
from hostward.replication.changelog.follower import Follower
from hostward.replication.changelog.publisher import Publisher
from hostward.replication.group.members import JOINED, Member, member, members, ring_generation
from hostward.replication.group.membership import Membership
from hostward.replication.jobs import Jobs
from hostward.replication.loops import Errands
from hostward.replication.peers.links import Links
from hostward.replication.peers.views import Views
from hostward.replication.ring.fence import Fence
from hostward.replication.ring.node import Node
from hostward.replication.state import StateStore
from hostward.trust.browser_certificate import BrowserCertificate
from hostward.trust.certificates import CertificateStore
from hostward.trust.identity import ServerIdentity

WAYS_ON = "To rejoin, add it to the Slave table on the Master again; or set it to Standalone. It keeps its data."


def new_attempt() -> str:
    return secrets.token_hex(8)


@dataclass(slots=True)
class Life:
    """What holds for this life of the process only. `attempt` names the Apply, or the start, since which this server
    tries to join; `ways_on` is what to do where it was removed. `disbelieved`: Slaves that said they are ahead of this
    Master, and couldn't show it; each with what an administrator should know. `not_set_aside`: the same, of changes
    that were left behind and can't become requests."""

    attempt: str = field(default_factory=new_attempt)
    caught_up: bool = False
    confirmed_master: bool = False
    asks_again_at: float = 0.0
    ways_on: str = WAYS_ON
    admitted: tuple[str, int] | None = None
    admitted_members: tuple[Member, ...] = ()
    farewell_said: bool = False
    rebuild: bool = False
    informing: bool = False
    disbelieved: dict[str, str] = field(default_factory=dict)
    not_set_aside: str = ""


@dataclass(slots=True)
class Parts:
    """Every part of one server. `new_id` makes ids; `now` gives ISO 8601 UTC."""

    data_dir: Path
    configuration: Configuration
    identity: ServerIdentity
    store: CertificateStore
    for_browsers: BrowserCertificate
    group: GroupRegistry
    server: ServerRegistry
    state: StateStore
    jobs: Jobs
    node: Node
    links: Links
    views: Views
    follower: Follower
    membership: Membership
    acknowledgements: Acknowledgements
    content: ContentWatch
    outbox: Outbox
    auditor: Auditor
    fence: Fence
    requests: Requests
    now: Callable[[], str]
    version: str
    new_id: Callable[[], str]
    errands: Errands = field(default_factory=Errands)
    publisher: Publisher | None = None
    life: Life = field(default_factory=Life)

    @property
    def server_id(self) -> str:
        return self.identity.server_id

    def everyone(self) -> list[Member]:
        with self.group.read() as reader:
            return members(reader)

    def others(self) -> list[Member]:
        return [m for m in self.everyone() if m.server_id != self.server_id]

    def find(self, server_id: str) -> Member | None:
        with self.group.read() as reader:
            return member(reader, server_id)

    @property
    def ring_generation(self) -> int:
        with self.group.read() as reader:
            return ring_generation(reader)

    @property
    def asks_to_join(self) -> bool:
        """An Apply of the role Slave isn't admitted yet. Whoever says then that this server isn't a member is right,
        or speaks of what was before: that is no removal."""
        return self.state.now.fresh and self.life.admitted is None

    def describe_self(self) -> Member:
        """This server as the others should know it."""
        s, state = self.configuration.server, self.state.now
        known = self.find(self.server_id)
        return Member(
            server_id=self.server_id,
            name=s.name or s.host_name,
            host=s.host_name,
            port=s.https_port if state.protocol == "https" else s.http_port,
            context=s.context,
            protocol=state.protocol,
            certificate=self.identity.certificate_pem,
            internode_certificate=self.node.certificate_pem,
            address=state.adapter,
            storage_port=self.configuration.database.storage_port,
            version=self.version,
            state=JOINED,
            host_id=known.host_id if known else "",
            https_port=s.https_port,
        )
