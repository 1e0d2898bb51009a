"""Which Master a server believes in: decided from signed epoch records, without I/O.

    planned, signed by the Master that is followed ──► followed by itself
    forced, on a Slave ──► shown, until an administrator confirms it, its own Master follows it, or the setting
                           forced-promotion says so while the Master can't be reached
    forced, on a Master ─► believed where this Master was out of contact; else shown, and it goes on

A Master that has been in contact with the others all the time knows that nobody needed another one: whoever says that
it is the Master now was mistaken, or isn't honest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from hostward.domain.changes import Change, Epoch, Position
from hostward.domain.epochs import EpochRecord
from hostward.domain.errors import RegistryError, TrustError
from hostward.domain.replication import Role
from hostward.trust.identity import ServerIdentity, server_id_of, verify

GAP_S = 6.0
"""Who wasn't heard for so long was out of contact. Members are asked every second, for two seconds at most."""

SILENT_S = 8.0
"""A Slave is promoted by force only when its Master was silent for so long: a Master that halted notices the gap."""


class Verdict(Enum):
    """What to do about later epochs."""

    NOTHING = "nothing"
    FOLLOW = "follow"
    TAKE_OVER = "take over"


@dataclass(frozen=True, slots=True)
class Judgement:
    """`chain`: the records to act upon, in order; the last one names the Master. `claims`: those that aren't believed
    yet, which need an administrator."""

    verdict: Verdict
    chain: tuple[EpochRecord, ...] = ()
    claims: tuple[EpochRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a server stands that hears of epochs. `certificates_of` gives those by which it knows a member (none for a
    stranger). `believes` decides about a claim that only its claimant has signed."""

    server_id: str
    group_id: str
    epoch: Epoch
    certificates_of: Callable[[str], Sequence[str]]
    believes: Callable[[EpochRecord], bool]


def judge(records: Iterable[EpochRecord], me: Standing) -> Judgement:
    """What the records of later epochs mean for this server. Those that aren't properly signed by a member mean
    nothing; a hand-over by the Master that is followed outranks every claim before it."""
    at, proven, claims = me.epoch, list[EpochRecord](), list[EpochRecord]()
    certificates: dict[str, str] = {}
    for record in sorted(records, key=lambda r: r.epoch):
        if record.group != me.group_id or record.epoch <= me.epoch:
            continue
        signers = [*me.certificates_of(record.signer), *filter(None, [certificates.get(record.signer)])]
        known = record.master == me.server_id or bool(me.certificates_of(record.master))
        if not known or not _genuine(record, signers):
            continue
        certificates[record.master] = record.certificate
        if record.planned and record.start.epoch == at:
            proven.append(record)
            claims, at = [], record.epoch
        else:
            claims.append(record)
    if claims and me.believes(claims[-1]):
        proven, claims = [*proven, *claims], []
    if not proven:
        return Judgement(Verdict.NOTHING, (), tuple(claims))
    verdict = Verdict.TAKE_OVER if proven[-1].master == me.server_id else Verdict.FOLLOW
    return Judgement(verdict, tuple(proven), tuple(claims))


def _genuine(record: EpochRecord, signers: Iterable[str]) -> bool:
    try:
        if server_id_of(record.certificate) != record.master:
            return False
    except TrustError:
        return False
    for certificate in signers:
        try:
            verify(certificate, record.body, record.signature)
        except TrustError:
            continue
        return True
    return False


def sign_record(record: EpochRecord, identity: ServerIdentity) -> EpochRecord:
    """The record with this server's signature, which must be the one that it needs."""
    assert record.signer == identity.server_id, "an epoch's record is signed by who may"
    return replace(record, signature=identity.sign(record.body))


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What decides whether a claim is believed. `refused`: this Master has seen before that the
    claim is needless. `told_by_master`: the Master that is followed says that it follows it.
    `policy`: the setting forced-promotion. `out_of_contact`: a Slave's Master is silent; a Master was cut off, halted,
    or has just started."""

    role: Role
    refused: bool = False
    told_by_master: bool = False
    policy: str = "ask"
    out_of_contact: bool = False


def believes(c: Circumstances) -> bool:
    """Whether a claim with nothing but the claimant's word is acted upon."""
    if c.role is Role.MASTER:
        return c.out_of_contact and not c.refused
    if c.role is Role.SLAVE:
        return c.told_by_master or (c.policy == "follow" and c.out_of_contact)
    return False


@dataclass(slots=True)
class _Run:
    """A time of contact without a gap, on the monotonic clock."""

    since: float
    last: float


class Contacts:
    """When other servers were heard as members of this server's own epoch, and when this server last looked around. Of
    what was before it started it knows nothing; `begin` is called when an epoch begins in its life."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._runs: dict[str, _Run] = {}
        self._began = self._looked = monotonic()
        self._begun_here = False

    def begin(self) -> None:
        """A new epoch: what was heard before is of another one."""
        self._runs.clear()
        self._began, self._begun_here = self._monotonic(), True

    def heard(self, server_id: str) -> None:
        now = self._monotonic()
        run = self._runs.get(server_id)
        if run is None or now - run.last > GAP_S:
            self._runs[server_id] = _Run(now, now)
        else:
            run.last = now

    def looked(self) -> None:
        """Every member has been asked."""
        self._looked = self._monotonic()

    @property
    def stale(self) -> bool:
        """This server hasn't looked around for a time: it was halted, and the world may have gone on without it."""
        return self._monotonic() - self._looked > GAP_S

    def silent_s(self, server_id: str) -> float:
        """For how long a server hasn't been heard, as far as is known."""
        run = self._runs.get(server_id)
        return self._monotonic() - (run.last if run else self._began)

    def out_of_contact(self, claimant: str) -> bool:
        """Whether a Master was: between the claimant's last word as its Slave and now it was apart from everybody. One
        that has just started was."""
        now = self._monotonic()
        theirs = self._runs.get(claimant)
        last = theirs.last if theirs else self._began if self._begun_here else float("-inf")
        if now - last <= GAP_S:
            return False
        return not any(
            run.since <= last + GAP_S and now - run.last <= GAP_S
            for server_id, run in self._runs.items()
            if server_id != claimant
        )


def check_epochs(at: Position, changes: Sequence[Change], records: Iterable[EpochRecord]) -> None:
    """That changes, which follow `at`, are of its epoch, or cross into later ones exactly where their records say.
    Raises RegistryError "gap"."""
    epoch, starts = at.epoch, {r.epoch: r for r in records}
    for change in changes:
        if change.epoch == epoch:
            continue
        record = starts.get(change.epoch)
        crosses = (
            record is not None
            and change.epoch > epoch
            and (record.start.revision, record.start.hash) == (change.revision - 1, change.previous)
        )
        if not crosses:
            raise RegistryError(f"A change is of epoch {change.epoch}, not of {epoch}.", code="gap")
        epoch = change.epoch
