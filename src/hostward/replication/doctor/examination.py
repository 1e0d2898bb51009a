"""The doctor: everything that may be wrong with this server and its group, from one picture. No I/O:
`examine(picture)`.

Each check looks at the picture alone and gives findings, or none. What gathers the picture is doctor_eyes.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from hostward.domain.audit import Trouble
from hostward.domain.findings import Act, Finding, in_order
from hostward.domain.replication import Role
from hostward.replication.ring.health import ALL_PERCENT
from hostward.trust.listed import whose_and_remedy

CLOCK_TOLERANCE_S = 30.0
DISK_FREE_MIN_PERCENT = 5.0
DISK_FREE_MIN_BYTES = 256 << 20
MEMORY_MIN_BYTES = 200 << 20
HEALED_SHOWN_S = 24 * 3600.0
_REBUILD = "hostward replication rebuild-database"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that went wrong, in the words of the part where it did."""

    code: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Other:
    """Another member as this server sees it. `silent`: why it doesn't answer, empty while it does; `clock_ahead_s` by
    how much its clock is before this one's, None where it hasn't said."""

    name: str
    host_id: str
    silent: str
    trusted: bool
    clock_ahead_s: float | None
    version: str


@dataclass(frozen=True, slots=True)
class Paper:
    """A certificate that this server has. `days_left` is negative for an expired one; `soon`: it is time to say so."""

    name: str
    source: str
    days_left: float
    soon: bool


@dataclass(frozen=True, slots=True)
class Disk:
    """The room left where something is kept."""

    what: str
    path: str
    free_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Picture:
    """One server and its group at one moment. `nodes` are Details' rows; `yaml_refused` gives the reason by key;
    `healed_ago_s` is None where nothing was."""

    name: str
    role: Role
    database_status: str
    reason: str
    problem: Problem | None
    removed: str
    nodes: Sequence[Mapping[str, Any]]
    others: Sequence[Other]
    unjoined: Sequence[str]
    content_problem: str
    log_problem: str
    passphrase_is_default: bool
    papers: Sequence[Paper]
    disks: Sequence[Disk]
    memory_free_bytes: int
    yaml_path: str
    yaml_honoured: Sequence[str]
    yaml_refused: Mapping[str, str]
    yaml_set_aside: str
    yaml_problem: str
    healed: str
    healed_ago_s: float | None
    version: str
    audit_troubles: Sequence[Trouble] = ()
    audit_problem: str = ""


def examine(picture: Picture) -> list[Finding]:
    """Every finding, the worst first."""
    return in_order([finding for check in CHECKS for finding in check(picture)])


def _state(p: Picture) -> Iterator[Finding]:
    if p.removed:
        yield Finding(
            "removed-from-group", p.name, p.removed, "Apply the role Slave again to rejoin, or set it to Standalone."
        )
    elif p.problem is not None and p.problem.code == "address-missing":
        yield Finding("address-gone", p.name, p.problem.message, p.problem.remedy)
    elif p.problem is not None:
        act = None
        if p.problem.code in ("damaged", "other-ring", "removed", "node-exited", "hung", "start-timeout"):
            act = Act("Make the database node anew", "POST", "replication/database/rebuild", {}, _REBUILD)
        yield Finding("database-down", p.name, p.problem.message, p.problem.remedy, act)
    elif p.database_status != "Up":
        remedy = "It goes on by itself as soon as that is so; Apply with other settings, or Standalone, is possible."
        yield Finding("waiting", p.name, f"Database Status is {p.database_status}: {p.reason}", remedy)


def _content(p: Picture) -> Iterator[Finding]:
    if p.content_problem:
        remedy = (
            "It is replaced from the group as soon as another server can give it; see the other findings for why not."
        )
        yield Finding("content-altered", p.name, p.content_problem, remedy)
    if p.log_problem:
        remedy = "It is tried again; the Slaves get the changes from the Master directly meanwhile."
        yield Finding("log-not-written", p.name, p.log_problem, remedy)


def _nodes(p: Picture) -> Iterator[Finding]:
    for row in p.nodes:
        subject = str(row["server_name"] or row["address"])
        remove = _remove(row) if p.role is Role.MASTER and not row["local_instance"] else None
        down, state = row["status"] != "UP", row["state"]
        where = f"{subject}'s database node at {row['address']}"
        if not row["server"]:
            remedy = "It is removed by itself once it is down; stop that process, or use nodetool removenode HOST-ID."
            yield Finding("stranger-in-ring", str(row["address"]), f"{where} belongs to no server here.", remedy)
        elif state == "LEAVING":
            remedy = "It is ended by force within a minute; nodetool removenode force does the same at once."
            if not down:
                remedy = "Wait: it joins again by itself. To take the server out, remove it in Details."
            yield Finding("node-leaving", subject, f"{where} is Leaving the ring.", remedy, remove if down else None)
        elif row["status"] == "UNKNOWN" and not row["local_instance"]:
            remedy = "Start that server: its node joins again. Or remove it in Details, and delete it from the table."
            yield Finding("node-missing", subject, f"{subject} has no node in the ring.", remedy, remove)
        elif down and not row["local_instance"]:
            remedy = "Start that server, or see its own Database Status; if it won't come back, remove it in Details."
            yield Finding("node-down", subject, f"{where} is down.", remedy, remove)
        owns = row["owns_percent"]
        if row["server"] and state == "NORMAL" and owns is not None and owns < ALL_PERCENT:
            cause = f"{where} owns {owns:g} % of the data: the replication factor is less than the number of nodes."
            remedy = "The Master brings it back by itself while its Database Status isn't Down."
            yield Finding("owns-below-100", subject, cause, remedy)
        lag = row["lag_changes"]
        if row["server"] and not row["in_sync"] and not row["detail"] and row["revision"] is not None:
            cause = f"{subject} lacks {lag} changes." if lag else f"{subject}'s content isn't confirmed as equal."
            yield Finding("not-in-sync", subject, cause, "It catches up by itself; look again in a few seconds.")


def _remove(row: Mapping[str, Any]) -> Act:
    node = str(row["host_id"] or row["server"])
    path, command = f"replication/nodes/{quote(node, safe='')}", f"hostward replication remove {node}"
    return Act("Remove the server from the group", "DELETE", path, {}, command)


def _others(p: Picture) -> Iterator[Finding]:
    for other in p.others:
        if not other.trusted:
            cause = f"The certificate of {other.name} isn't among this server's Trusted Certificates."
            yield Finding("trust-missing", other.name, cause, "Import it: Configure Settings - Trusted Certificates.")
        if other.silent:
            remedy = "See whether that server runs, and Test Connection from here to it."
            yield Finding("member-unreachable", other.name, other.silent, remedy)
        ahead = other.clock_ahead_s
        if ahead is not None and abs(ahead) > CLOCK_TOLERANCE_S:
            how = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'}"
            cause = f"The clock of {other.name} is {how} this server's."
            yield Finding("clock-skew", other.name, cause, "Have both servers' clocks set by NTP.")
        if other.version and other.version != p.version:
            cause = f"{other.name} runs version {other.version}, this server {p.version}."
            yield Finding("versions-differ", other.name, cause, "Upgrade the older one (guide, 5.13.9).")
    for row in p.unjoined:
        remedy = "Set that server to the role Slave, with this Master; or delete it from the table."
        yield Finding("slave-not-joined", row, f"{row} is in the Slave table, but hasn't joined.", remedy)
    if p.role is Role.MASTER and not p.others and not p.unjoined:
        remedy = "Add a Slave: changes then survive the loss of one machine. Metering wants two."
        yield Finding("alone", p.name, "This Master has no Slave.", remedy)


def _trust(p: Picture) -> Iterator[Finding]:
    for paper in p.papers:
        whose, remedy = whose_and_remedy(paper.name, paper.source)
        days = abs(paper.days_left)
        if paper.days_left < 0:
            yield Finding("certificate-expired", paper.name, f"{whose} expired {days:.0f} days ago.", remedy)
        elif paper.soon:
            yield Finding("certificate-expiring", paper.name, f"{whose} expires in {days:.0f} days.", remedy)
    if p.passphrase_is_default and p.role is not Role.STANDALONE:
        remedy = (
            "Change it on the Master: Configure Settings > Replication > Change the group's passphrase, or hostward"
            " replication change-passphrase. The certificates keep strangers out."
        )
        yield Finding("passphrase-default", p.name, "The default passphrase is in use.", remedy)


def _machine(p: Picture) -> Iterator[Finding]:
    for disk in p.disks:
        percent = 100.0 * disk.free_bytes / max(1, disk.total_bytes)
        if disk.free_bytes < DISK_FREE_MIN_BYTES or percent < DISK_FREE_MIN_PERCENT:
            cause = f"{disk.free_bytes >> 20} MB ({percent:.0f} %) are free in {disk.path}, where {disk.what} is kept."
            yield Finding(
                "disk-nearly-full", disk.path, cause, "Free some room, or move the directory to a larger disk."
            )
    if p.memory_free_bytes < MEMORY_MIN_BYTES:
        cause = f"The machine has {p.memory_free_bytes >> 20} MB of memory left."
        yield Finding("memory-low", p.name, cause, "End other programs, or give the machine more memory.")


def _by_hand(p: Picture) -> Iterator[Finding]:
    if p.yaml_honoured:
        cause = f"Changed by hand, and kept: {', '.join(p.yaml_honoured)}."
        yield Finding("yaml-edited", p.yaml_path, cause, "Nothing need be done; take the change back to undo it.")
    for key, why in p.yaml_refused.items():
        yield Finding("yaml-refused", p.yaml_path, f"The change of {key} isn't used.", f"{why[:1].upper()}{why[1:]}.")
    if p.yaml_set_aside:
        cause = f"The file could not be read ({p.yaml_problem}), and is now {p.yaml_set_aside}."
        yield Finding("yaml-unreadable", p.yaml_path, cause, "Make the change again in the file that is there now.")
    if p.healed and p.healed_ago_s is not None and p.healed_ago_s < HEALED_SHOWN_S:
        remedy = "Nothing need be done; if it happens again, look for the cause: disk, memory, or somebody's hand."
        yield Finding("healed", p.name, p.healed, remedy)


def _audit(p: Picture) -> Iterator[Finding]:
    for trouble in p.audit_troubles:
        cause = f"The audit log of {trouble.server_name}: {trouble.text}"
        remedy = "Find out who has had access to that server's files. What is left of the log is kept as it is."
        yield Finding("audit-log-broken", trouble.server_name, cause, remedy)
    if p.audit_problem:
        yield Finding("audit-not-written", p.name, p.audit_problem, "Free some room; what is done goes on unrecorded.")


CHECKS: tuple[Callable[[Picture], Iterator[Finding]], ...] = (
    _state, _content, _nodes, _others, _trust, _machine, _by_hand, _audit,
)  # fmt: skip
