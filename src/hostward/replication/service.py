"""What the rest of the server may ask of replication: status, Details, Apply, Test Connection, acknowledgement."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from hostward.domain.errors import Conflict, HostwardError, Unavailable
from hostward.domain.findings import Finding
from hostward.domain.replicated import Replicated
from hostward.domain.replication import Check, Role, Target
from hostward.replication.applying import Applying
from hostward.replication.confirming import Confirmation
from hostward.replication.coordinator import Coordinator
from hostward.replication.doctor.examination import examine
from hostward.replication.doctor.eyes import Eyes
from hostward.replication.goals import Goal, Process, goal_names
from hostward.replication.group.members import JOINED, slave_rows
from hostward.replication.keys.passphrase_change import PassphraseChanges
from hostward.replication.masters.claims import Claims
from hostward.replication.masters.promotion import Promotion
from hostward.replication.parts import Parts
from hostward.replication.peers.connection import Tell
from hostward.replication.ring.details import Details
from hostward.replication.wanted import Wanted
from hostward.trust.listed import certificate_warnings
from hostward.trust.passphrase import Passphrase

log = structlog.get_logger()

DOWN, INITIALIZING, UP = "Down", "Initializing", "Up"
INFORMING = "Status unavailable due to registry restart"


class ReplicationService:
    """Implements commands.services.Replication on a server's parts."""

    def __init__(
        self,
        parts: Parts,
        coordinator: Coordinator,
        claims: Claims,
        promotion: Promotion,
        passphrases: PassphraseChanges,
        confirmation: Confirmation,
    ) -> None:
        self._p, self._coordinator = parts, coordinator
        self._claims, self._promotion, self._passphrases = claims, promotion, passphrases
        self._confirmation = confirmation
        self._details = Details(parts, passphrases)
        self._eyes = Eyes(parts, coordinator)
        self.applying = Applying(parts, coordinator, lambda: (self.database_status(), self.reason()))
        self._since, self._last_status = parts.now(), ""

    # Writing

    def check_writable(self) -> None:
        p, state = self._p, self._p.state.now
        if state.role is Role.SLAVE:
            master = state.master
            where = f"{state.protocol}://{master.host}:{master.port}/{master.context}" if master else "the Master"
            raise Conflict(
                "This server is a Slave: its configuration is the Master's.",
                remedy=f"Make the change on the Master, {where}.",
                code="slave",
            )
        if p.group.position.epoch.server != p.server_id:
            doing = "taking over as the Master" if state.role is Role.MASTER else "leaving its group"
            raise Unavailable(f"This server is {doing}.", remedy="Try again in a few seconds.")
        if state.role is Role.MASTER and not p.life.caught_up:
            raise Unavailable(
                "The Master has just started and asks its Slaves whether they have newer changes.",
                remedy="Try again in a few seconds.",
            )
        if state.role is Role.MASTER and self._claims.contacts.stale and p.others():
            raise Unavailable(
                "This Master was halted for a time, and asks the other servers whether there is another one now.",
                remedy="Try again in a few seconds.",
            )

    async def check_users_let_in(self) -> None:
        await self._confirmation.check()

    async def check_stands(self, revision: int, hash_: bytes) -> None:
        await self._promotion.check_stands(revision, hash_)

    def submits_to(self) -> str | None:
        p, state = self._p, self._p.state.now
        if state.role is not Role.SLAVE:
            return None
        if not p.follower.loaded:
            raise Unavailable(
                "This server hasn't loaded the Master's configuration yet, on which a change must be based.",
                remedy="Try again when the Database Status is Up, or make the change on the Master.",
            )
        return state.master_group

    async def acknowledged(self, revision: int, *, all_servers: bool = False) -> Replicated:
        return await self._p.acknowledgements.wait(revision, all_servers=all_servers)

    # What is

    def database_status(self) -> str:
        last = self._coordinator.last
        if self._p.life.informing:
            status = INFORMING
        elif last is not None and last.settled and not last.blocked:
            status = UP if self._p.content.ok else INITIALIZING
        elif self._p.state.now.role is not Role.STANDALONE and (self._p.node.down or self._cant_start()):
            status = DOWN
        else:
            status = INITIALIZING
        if status != self._last_status:
            self._last_status, self._since = status, self._p.now()
        return status

    def _cant_start(self) -> bool:
        """Whether the node isn't even tried, for a reason that has been said."""
        last = self._coordinator.last
        goals = (Goal.ADDRESS, Goal.RUNTIME, Goal.NODE)
        blocked = last is not None and last.blocked and last.decision.goal in goals
        return blocked and self._p.node.process is Process.NONE

    def reason(self) -> str:
        last = self._coordinator.last
        if last is None:
            return "The server is looking at its state."
        words, ended = f"{last.reason} {last.remedy}".strip(), self._p.node.error
        if self._p.node.down and last.decision.goal in (Goal.NODE, Goal.RUNTIME):
            return f"{words} Before that: {ended}" if last.blocked and last.reason not in ended else ended
        return words or "Everything is as it should be."

    def status(self) -> dict[str, Any]:
        p, state = self._p, self._p.state.now
        status, position = self.database_status(), self._p.group.position
        with p.group.read() as reader:
            rows = slave_rows(reader)
        joined = {m.server_id for m in p.everyone() if m.state == JOINED}
        job = p.jobs.running
        return {
            "server": p.server_id,
            "server_name": p.describe_self().name,
            "role": self._role().value,
            "wanted_role": state.role.value,
            "database_status": status,
            "reason": self.reason(),
            "since": self._since,
            "revision": position.revision,
            "lag_changes": self._details.behind() if state.role is Role.SLAVE else 0,
            "hash": position.hash.hex(),
            "digest": position.digest.hex(),
            "epoch": str(position.epoch),
            "group": p.group.group_id,
            "content_ok": p.content.ok,
            "content_verified_at": p.content.verified_at,
            "protocol": state.protocol,
            "adapter": state.adapter,
            "adapters": [a.to_json() for a in self.applying.adapters()],
            "local_instance_address": self._local_address(),
            "master": _target_json(state.master),
            "slaves": [
                {**_target_json(r.target), "server_id": r.server_id, "joined": r.server_id in joined}  # type: ignore[dict-item]
                for r in rows
            ],
            "passphrase_is_default": state.passphrase_is_default,
            "passphrase_change": self._passphrases.under_way(),
            "claim": self._claim(),
            "removed": state.removed,
            "warnings": self._warnings(),
            "requests_waiting": p.requests.waiting,
            "requests_on_their_way": p.requests.on_their_way,
            "job": job.to_json() if job else None,
            "version": p.version,
        }

    async def nodes(self) -> list[dict[str, Any]]:
        """Details: a row for each server. What the ring says (status, state, Owns) is asked at this moment."""
        return await self._details.rows()

    async def examine(self) -> list[Finding]:
        """The doctor's findings, the worst first."""
        return examine(await self._eyes.look(self.database_status(), self.reason(), await self.nodes()))

    # What shall be

    def rebuild_database(self, author: str) -> str:
        """Have this server's database node made anew from the group; the job's id. Raises Conflict."""
        role = self._p.state.now.role
        if role is Role.STANDALONE:
            raise Conflict("This server is Standalone: it has no database node.", remedy="Nothing need be done.")
        job = self._p.jobs.start("make the database node anew", author, goal_names(role))
        self._p.life.rebuild = True
        self._p.node.forgive()
        self._coordinator.interrupt()
        return job.id

    def consequences(self, wanted: Wanted) -> list[str]:
        return self.applying.consequences(wanted)

    async def apply(self, wanted: Wanted, author: str) -> str:
        return await self.applying.apply(wanted, author)

    async def test_connection(
        self, target: Target, *, protocol: str | None, passphrase: Passphrase | None, tell: Tell | None = None
    ) -> list[Check]:
        return await self.applying.test_connection(target, protocol=protocol, passphrase=passphrase, tell=tell)

    def name_of(self, host_id: str) -> str:
        """The server with that Host Id or server id, as its administrators call it."""
        return next((m.name for m in self._p.everyone() if host_id in (m.host_id, m.server_id)), f"the node {host_id}")

    async def remove_node(self, host_id: str, author: str) -> str:
        return await self.applying.remove_node(host_id, author)

    def passphrase_consequences(self) -> list[str]:
        return self._passphrases.consequences()

    async def change_passphrase(self, new: Passphrase, author: str) -> dict[str, Any] | None:
        self.check_writable()
        await self._passphrases.begin(new, author)
        return self._passphrases.under_way()

    # Who is the Master

    async def switch_over(self, to: str, author: str, *, confirmed: bool) -> str:
        return await self._promotion.switch_over(to, author, confirmed=confirmed)

    async def promote(self, author: str, *, insist: bool, confirmed: bool) -> str:
        return await self._promotion.promote(author, insist=insist, confirmed=confirmed)

    async def follow(self, server: str, author: str, *, confirmed: bool) -> str:
        return await self._promotion.follow(server, author, confirmed=confirmed)

    def jobs(self) -> list[dict[str, Any]]:
        return [j.to_json() for j in self._p.jobs.all()]

    def job(self, job_id: str) -> dict[str, Any]:
        return self._p.jobs.get(job_id).to_json()

    # Health: None is well, else the reason

    def health_ready(self) -> str | None:
        return None if self._coordinator.last is not None else "The server is starting."

    def health_master(self) -> str | None:
        role = self._role()
        if role is not Role.MASTER:
            return f"This server's role is {role.value.capitalize()}."
        try:
            self.check_writable()
        except HostwardError as error:
            return error.message
        return None

    async def health_in_sync(self, lag: int) -> str | None:
        p = self._p
        master = p.find(p.state.now.master_id) if p.state.now.role is Role.SLAVE else None
        if master is not None:
            await p.views.refresh(master)
        return await asyncio.to_thread(self._in_sync, lag)

    def _in_sync(self, lag: int) -> str | None:
        p = self._p
        if not p.content.ok:
            return p.content.reason
        if p.state.now.role is not Role.SLAVE:
            return None
        if p.state.now.removed:
            return p.state.now.removed
        behind = self._details.behind()
        if not p.follower.loaded or behind is None:
            return "This server hasn't followed its Master since it started."
        if behind > lag:
            return f"This server is {behind} changes behind its Master."
        if not p.follower.in_step and behind == 0:
            return "This server's history differs from the Master's; it is being replaced."
        master = p.views.of(p.state.now.master_id)
        return f"The Master doesn't answer: {master.silent}" if master.silent else None

    def _role(self) -> Role:
        """The role in force: a wanted role counts once its first steps are done."""
        return self._p.state.now.role

    def _local_address(self) -> str:
        return "127.0.0.1" if self._p.state.now.role is Role.STANDALONE else self._p.state.now.adapter

    def _warnings(self) -> list[str]:
        state = self._p.state.now
        p = self._p
        found = certificate_warnings([*p.store.entries(), *p.for_browsers.entries()])
        if p.for_browsers.problem:
            found.append(p.for_browsers.problem)
        if state.role is not Role.STANDALONE and state.passphrase_is_default:
            found.append(
                "The default passphrase is in use. Change it on the Master: Configure Settings > Replication > Change"
                " the group's passphrase, or hostward replication change-passphrase."
            )
        if state.passphrase_lost:
            found.append("The stored passphrase can't be read: enter it again with Apply, or put back secrets.key.")
        change = self._passphrases.under_way()
        if change is not None:
            names = ", ".join(change["waiting_for"])
            found.append(f"The passphrase is being changed: not confirmed yet by {names}. The old one still works.")
        claim = self._claim()
        if claim is not None:
            found.append(claim["meaning"])
        if state.role is Role.MASTER:
            found += [*self._p.membership.notices(), *self._p.life.disbelieved.values()]
        found += self._p.requests.warnings()
        if self._p.life.not_set_aside:
            found.append(self._p.life.not_set_aside)
        return found

    def _claim(self) -> dict[str, Any] | None:
        """A server that says it is the Master now, and isn't believed here without an administrator."""
        claim, role = self._claims.pending, self._p.state.now.role
        if claim is None or role is Role.STANDALONE:
            return None
        meaning = f"{claim.name} was made the Master by force, after revision {claim.start.revision}. "
        if role is Role.MASTER:
            meaning += (
                "This Master goes on, because it was in contact with the other servers all the time. Either follow"
                f" {claim.name} (hostward replication follow {claim.name}), or remove that server from the group."
            )
        else:
            meaning += (
                f"This server doesn't follow it until an administrator confirms that here: hostward replication follow"
                f" {claim.name}. Otherwise remove that server on the Master."
            )
        return {
            "server": claim.master,
            "server_name": claim.name,
            **(_target_json(claim.target) or {}),
            "epoch": str(claim.epoch),
            "revision": claim.start.revision,
            "time": claim.time,
            "not_asked": list(claim.not_asked),
            "meaning": meaning,
        }


def _target_json(target: Target | None) -> dict[str, Any] | None:
    return {"host": target.host, "port": target.port, "context": target.context} if target else None
