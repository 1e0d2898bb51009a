"""Who belongs to the group, as replicated elements: so that every server knows it, also while its Master is away.

member          a server whose node is, or is becoming, part of the ring       id = its server id
slave           a row of the Master's Slave table, as the administrator gave it id = host:port/context
removed-member  the tombstone of a removed server                               id = its server id
ring            which generation of the ring is the current one                 id = "ring"
passphrase      the newest change of the passphrase, and who has confirmed it   id = "newest"
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from hostward.domain.changes import Delete, Operation, Put, canonical
from hostward.domain.replication import Target
from hostward.registry.group import Element

MEMBER, SLAVE, REMOVED, RING, PASSPHRASE = "member", "slave", "removed-member", "ring", "passphrase"
MEMBERSHIP_KINDS = (MEMBER, SLAVE, REMOVED, RING, PASSPHRASE)
MAX_SERVERS = 16

JOINING, JOINED = "joining", "joined"


class Elements(Protocol):
    """What is needed of a registry's reader."""

    def get(self, kind: str, id_: str, /) -> Element | None: ...
    def list(self, kind: str, /) -> list[Element]: ...


@dataclass(frozen=True, slots=True)
class Member:
    """A server of the group. `port` is the one by which servers talk; `https_port` is for browsers and desks, 0 where
    the server has none; `address` is where its database node listens for the others; `host_id` is the node's, empty
    until it has joined; certificates are PEM."""

    server_id: str
    name: str
    host: str
    port: int
    context: str
    protocol: str
    certificate: str
    internode_certificate: str
    address: str
    storage_port: int
    version: str
    state: str
    host_id: str = ""
    https_port: int = 0

    @property
    def target(self) -> Target:
        return Target(self.host, self.port, self.context)

    @property
    def seed(self) -> str:
        """Where the node listens, in cassandra.yaml's form."""
        return f"{self.address}:{self.storage_port}"

    def put(self) -> Put:
        body = asdict(self)
        del body["server_id"]
        return Put(MEMBER, self.server_id, canonical(body))

    def same_place(self, other: Member) -> bool:
        """Equal but for what the Master adds to a member's own description."""
        return replace(self, state=other.state, host_id=other.host_id) == other

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(value: dict[str, Any]) -> Member:
        return Member(**value)


@dataclass(frozen=True, slots=True)
class SlaveRow:
    """A row of the Slave table. `server_id` is empty until the server has been reached."""

    target: Target
    server_id: str = ""

    @property
    def id(self) -> str:
        return f"{self.target.host}:{self.target.port}/{self.target.context}"

    def put(self) -> Put:
        t = self.target
        return Put(
            SLAVE,
            self.id,
            canonical({"host": t.host, "port": t.port, "context": t.context, "server_id": self.server_id}),
        )


def members(elements: Elements) -> list[Member]:
    """The group's servers, the Master included, in the order of their ids."""
    return [Member(server_id=e.id, **e.json()) for e in elements.list(MEMBER)]


def member(elements: Elements, server_id: str) -> Member | None:
    e = elements.get(MEMBER, server_id)
    return Member(server_id=e.id, **e.json()) if e else None


def slave_rows(elements: Elements) -> list[SlaveRow]:
    """The Slave table."""
    rows = []
    for e in elements.list(SLAVE):
        body = e.json()
        rows.append(SlaveRow(Target(body["host"], body["port"], body["context"]), body["server_id"]))
    return rows


def slave_table_changes(elements: Elements, master_id: str) -> list[Operation]:
    """What makes the Slave table that of this Master: every other member is in it, and the Master itself isn't."""
    rows, everyone = slave_rows(elements), members(elements)
    listed = {r.server_id for r in rows} | {r.target for r in rows}
    me = next((m for m in everyone if m.server_id == master_id), None)
    own = [r for r in rows if r.server_id == master_id or (me is not None and r.target == me.target)]
    return [
        *(Delete(SLAVE, r.id) for r in own),
        *(
            SlaveRow(m.target, m.server_id).put()
            for m in everyone
            if m.server_id != master_id and not {m.server_id, m.target} & listed
        ),
    ]


@dataclass(frozen=True, slots=True)
class Removed:
    """The tombstone of a server that is no longer in the group. `left`: its own administrator took it out, so that it
    may join again as it did at first; else it must be entered in the Slave table again."""

    server_id: str
    name: str
    host: str
    port: int
    context: str
    host_id: str
    left: bool

    @staticmethod
    def of(them: Member, *, left: bool) -> Removed:
        return Removed(them.server_id, them.name, them.host, them.port, them.context, them.host_id, left)

    @property
    def target(self) -> Target:
        return Target(self.host, self.port, self.context)

    def put(self) -> Put:
        body = asdict(self)
        del body["server_id"]
        return Put(REMOVED, self.server_id, canonical(body))


def removed(elements: Elements) -> list[Removed]:
    """The tombstones."""
    return [Removed(server_id=e.id, **e.json()) for e in elements.list(REMOVED)]


def tombstone(elements: Elements, server_id: str) -> Removed | None:
    e = elements.get(REMOVED, server_id)
    return Removed(server_id=e.id, **e.json()) if e else None


def has_left(them: Member, said: str) -> bool:
    """Whether a member's refusal with that code means that it is in the group no more. One that is joining speaks for
    its own group until the Master's answer has reached it, which may take seconds."""
    return said == "left" or (said == "group" and them.state == JOINED)


def ring_generation(elements: Elements) -> int:
    """Which generation of the ring is the current one; 0 where there has been none. A new one replaces a ring whose
    data is lost: everything in it is made again from the registries."""
    e = elements.get(RING, "ring")
    return int(e.json()["generation"]) if e else 0


def put_ring_generation(generation: int) -> Put:
    return Put(RING, "ring", canonical({"generation": generation}))


def cluster_name(group_id: str, generation: int) -> str:
    """Cassandra's cluster_name: nodes of another group or generation can't merge with it."""
    return f"hostward {group_id} {generation}"


def forget_membership(elements: Elements) -> list[Operation]:
    """What removes every trace of a group, for a server that stands alone again."""
    return [Delete(kind, e.id) for kind in MEMBERSHIP_KINDS for e in elements.list(kind)]
