"""What the doctor looks at on a server that runs: gathers doctor.Picture from the server's parts."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import psutil

from hostward.domain.errors import RegistryError
from hostward.domain.replication import Role
from hostward.replication.coordinator import Coordinator
from hostward.replication.doctor.examination import Disk, Other, Paper, Picture, Problem
from hostward.replication.group.members import Member, slave_rows
from hostward.replication.parts import Parts
from hostward.trust.identity import fingerprint
from hostward.trust.listed import ListedCertificate

MAX_AUDIT_TROUBLES = 20
_DAY_S = 86_400.0


class Eyes:
    """`rows` gives Details, `status` Database Status and its reason, `trusted` the store of the servers'
    certificates."""

    def __init__(self, parts: Parts, coordinator: Coordinator) -> None:
        self._p, self._coordinator = parts, coordinator

    async def look(self, status: str, reason: str, rows: Sequence[Mapping[str, Any]]) -> Picture:
        p, state, node = self._p, self._p.state.now, self._p.node
        trust = p.store.entries()
        trusted = {c.fingerprint for c in trust}
        with p.group.read() as reader:
            table = slave_rows(reader)
        everyone = {m.server_id for m in p.everyone()}
        in_group = state.role is not Role.STANDALONE
        others = [self._other(m, trusted) for m in p.others()] if in_group else []
        unjoined = [r.id for r in table if r.server_id not in everyone] if state.role is Role.MASTER else []
        conf = p.data_dir / "database" / "conf" / "cassandra.yaml"
        try:
            troubles, unread = (await p.auditor.verified_lately()).troubles, ""
        except RegistryError as error:
            troubles, unread = [], error.message
        return Picture(
            name=p.describe_self().name,
            role=state.role,
            database_status=status,
            reason=reason,
            problem=self._problem() if in_group else None,
            removed=state.removed if in_group else "",
            nodes=rows if in_group else (),
            others=others,
            unjoined=unjoined,
            content_problem="" if p.content.ok else p.content.reason,
            log_problem=(p.publisher.problem or "") if p.publisher is not None else "",
            passphrase_is_default=state.passphrase_is_default,
            papers=[self._paper(c) for c in (*trust, *p.for_browsers.entries())],
            disks=await asyncio.to_thread(self._disks),
            memory_free_bytes=psutil.virtual_memory().available,
            yaml_path=str(conf),
            yaml_honoured=list(node.hand.honoured),
            yaml_refused=dict(node.hand.refused),
            yaml_set_aside=node.hand.set_aside,
            yaml_problem=node.hand.problem,
            healed=state.healed,
            healed_ago_s=_ago_s(p.now(), state.healed_at),
            version=p.version,
            audit_troubles=troubles[:MAX_AUDIT_TROUBLES],
            audit_problem=p.auditor.problem or unread,
        )

    def _problem(self) -> Problem | None:
        problem, last = self._p.node.problem, self._coordinator.last
        if problem is not None and self._p.node.down:
            return Problem(problem.code, problem.message, problem.remedy)
        if last is not None and last.blocked and last.code == "address-missing":
            return Problem(last.code, last.reason, last.remedy)
        return None

    def _other(self, them: Member, trusted: set[str]) -> Other:
        view = self._p.views.of(them.server_id)
        told = view.status or {}
        ahead = _ago_s(str(told.get("time", "")), view.seen_at)
        known = fingerprint(them.certificate) in trusted
        return Other(them.name, them.host_id, view.silent, known, ahead, str(told.get("version", "")))

    def _paper(self, certificate: ListedCertificate) -> Paper:
        left = certificate.not_after - datetime.fromisoformat(self._p.now())
        days = left.total_seconds() / _DAY_S
        return Paper(certificate.friendly_name, certificate.source, days, certificate.expiring_soon)

    def _disks(self) -> list[Disk]:
        """One for each file system."""
        found: dict[int, Disk] = {}
        p = self._p
        places = [("the registry", p.data_dir), ("the replication database", p.data_dir / "database")]
        for what, path in places:
            if path.exists():
                usage = shutil.disk_usage(path)
                found.setdefault(path.stat().st_dev, Disk(what, str(path), usage.free, usage.total))
        return list(found.values())


def _ago_s(later: str, earlier: str) -> float | None:
    """Seconds between two times as they are stored; None where one of them is none."""
    try:
        return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier).astimezone(UTC)).total_seconds()
    except ValueError:
        return None
