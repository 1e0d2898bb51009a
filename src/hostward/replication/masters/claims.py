"""What this server hears of later epochs, and what it does about them: follow, take over, or show a claim.

Every server tells the others of the epochs that it knows, in its status and when it refuses changes; so a hand-over
reaches a server that missed it, and a Master that was superseded learns it from whomever it meets first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from hostward.domain.changes import Epoch
from hostward.domain.epochs import EpochRecord
from hostward.domain.errors import RegistryError
from hostward.domain.replication import Role
from hostward.domain.settings import FORCED_PROMOTION, replicated_value
from hostward.replication.changelog.follower import Following
from hostward.replication.goals import goal_names
from hostward.replication.masters.epochs import (
    GAP_S,
    Circumstances,
    Contacts,
    Standing,
    Verdict,
    believes,
    judge,
)
from hostward.replication.parts import Parts

MAX_RECORDS = 64

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Told:
    """Who told of epochs: its server id, and the epoch that it is in itself (None where it didn't say)."""

    server_id: str
    epoch: Epoch | None = None


class Claims:
    """All methods belong to the server's event loop. `changed` is called when this server's role or Master is another
    one now."""

    def __init__(self, parts: Parts, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._p = parts
        self._pending: tuple[EpochRecord, ...] = ()
        self.contacts = Contacts(monotonic)
        self.changed: Callable[[], None] = lambda: None

    @property
    def epoch(self) -> Epoch:
        """The newest epoch that this server believes in: the one it is in, or about to enter."""
        p, coming = self._p, self._p.state.now.coming
        if coming:
            return coming[-1].epoch
        if p.state.now.role is Role.SLAVE and p.group.group_id != p.state.now.master_group:
            return p.follower.target.epoch if p.follower.target else Epoch(0, "")
        return p.group.position.epoch

    @property
    def pending(self) -> EpochRecord | None:
        """The newest claim that isn't believed here: it needs an administrator."""
        claim = self._pending[-1] if self._pending else None
        if claim is None or claim.epoch <= self.epoch or self._p.find(claim.master) is None:
            return None
        return claim

    def known(self, after: Epoch) -> list[dict[str, Any]]:
        """The records of epochs after that one, to tell another server."""
        p = self._p
        with p.group.read() as reader:
            found = {r.epoch: r for r in reader.epoch_records(after)}
        for record in (*p.state.now.coming, *(self._pending if self.pending else ())):
            if record.epoch > after:
                found[record.epoch] = record
        return [found[epoch].to_json() for epoch in sorted(found)[-MAX_RECORDS:]]

    def newest_number(self) -> int:
        """The highest number of an epoch that anybody is known to have begun."""
        p = self._p
        with p.group.read() as reader:
            kept = reader.epoch_records(p.group.position.epoch)
        epochs = [p.group.position.epoch, self.epoch, *(r.epoch for r in (*self._pending, *kept))]
        return max(epoch.number for epoch in epochs)

    def hear(self, values: Any, told: Told) -> None:
        """Another server told of these epochs: a list of records, as JSON. Anything else is no news."""
        if (
            self._p.state.now.role is Role.STANDALONE
            or self._p.state.now.removed
            or not isinstance(values, list | tuple)
        ):
            return
        records = []
        for value in values[:MAX_RECORDS]:
            try:
                records.append(EpochRecord.from_json(value))
            except RegistryError as error:
                log.warning("epoch-record-refused", server=told.server_id, reason=error.message)
        if records:
            self._act_upon(records, told)

    def accept(self, author: str) -> str:
        """An administrator believes the pending claim; the id of the job that follows it."""
        assert self.pending is not None
        self._p.state.update(refused=())
        return self.follow(self._pending, f"follow {self._pending[-1].name}", author)

    def heard_member(self, server_id: str, epoch: Epoch) -> None:
        """A member answered, and is in that epoch."""
        p = self._p
        if epoch == p.group.position.epoch:
            self.contacts.heard(server_id)
            if server_id in p.state.now.refused:
                p.state.update(refused=tuple(s for s in p.state.now.refused if s != server_id))

    def follow(self, chain: Sequence[EpochRecord], kind: str, author: str) -> str:
        """Be a Slave of the chain's last Master from now on; on the disk when this returns. The job's id."""
        p, record, state = self._p, chain[-1], self._p.state.now
        log.warning("follows", master=record.name, epoch=str(record.epoch), planned=record.planned)
        kept = p.life.admitted
        if state.role is Role.MASTER:
            # Who hands over is confirmed by that; who was superseded asks the new Master whether its node may run.
            kept = (p.group.group_id, p.ring_generation) if all(r.planned for r in chain) else None
        p.state.update(
            role=Role.SLAVE,
            master=record.target,
            master_id=record.master,
            master_certificate=record.certificate,
            master_group=record.group,
            fresh=False,
            epochs=tuple(r.to_json() for r in chain),
        )
        p.life.admitted, p.life.confirmed_master, p.life.caught_up = kept, False, False
        p.follower.follow(Following(record.master, record.certificate, record.group, record.epoch))
        return self._entered(kind, author)

    def take_over(self, chain: Sequence[EpochRecord], kind: str, author: str) -> str:
        """Be the Master from now on; without records by force. On the disk when this returns. The job's id."""
        p = self._p
        log.warning("takes-over", epoch=str(chain[-1].epoch) if chain else "", planned=bool(chain))
        p.state.update(role=Role.MASTER, master=None, fresh=False, epochs=tuple(r.to_json() for r in chain))
        p.life.caught_up = False
        return self._entered(kind, author)

    def _entered(self, kind: str, author: str) -> str:
        p = self._p
        self.contacts.begin()
        self._pending = ()
        job = p.jobs.start(kind, author, goal_names(p.state.now.role))
        self.changed()
        return job.id

    def _act_upon(self, records: Sequence[EpochRecord], told: Told) -> None:
        p = self._p
        me = Standing(
            server_id=p.server_id,
            group_id=p.state.now.master_group if p.state.now.role is Role.SLAVE else p.group.group_id,
            epoch=self.epoch,
            certificates_of=self._certificates_of,
            believes=lambda claim: believes(self._circumstances(claim, told)),
        )
        judgement = judge(records, me)
        if judgement.claims and (not self._pending or judgement.claims[-1].epoch >= self._pending[-1].epoch):
            self._show(judgement.claims)
        if judgement.verdict is Verdict.NOTHING:
            return
        record = judgement.chain[-1]
        if judgement.verdict is Verdict.TAKE_OVER:
            self.take_over(judgement.chain, "take over as Master", "replication")
        else:
            self.follow(judgement.chain, f"follow {record.name}", "replication")

    def _show(self, claims: tuple[EpochRecord, ...]) -> None:
        p, claim = self._p, claims[-1]
        if not self._pending or self._pending[-1].epoch != claim.epoch:
            log.warning("claim-not-believed", server=claim.name, epoch=str(claim.epoch))
        self._pending = claims
        if p.state.now.role is Role.MASTER and claim.master not in p.state.now.refused:
            p.state.update(refused=(*p.state.now.refused, claim.master))

    def _circumstances(self, claim: EpochRecord, told: Told) -> Circumstances:
        p, state = self._p, self._p.state.now
        if state.role is Role.MASTER:
            apart = self.contacts.out_of_contact(claim.master)
        else:
            apart = self.contacts.silent_s(state.master_id) > GAP_S
        with p.group.read() as reader:
            policy = str(replicated_value(reader, FORCED_PROMOTION))
        return Circumstances(
            role=state.role,
            refused=claim.master in state.refused,
            told_by_master=told.server_id == state.master_id and told.epoch == claim.epoch,
            policy=policy,
            out_of_contact=apart,
        )

    def _certificates_of(self, server_id: str) -> list[str]:
        """By which a member's signature is known here."""
        p, state = self._p, self._p.state.now
        if server_id == p.server_id:
            return [p.identity.certificate_pem]
        found = p.find(server_id)
        known = [found.certificate] if found else []
        if server_id == state.master_id and state.master_certificate not in known:
            known.append(state.master_certificate)
        # One that has just been renewed isn't in the replicated entry yet.
        return known + [e.pem for e in p.store.of_server(server_id) if e.pem not in known]
