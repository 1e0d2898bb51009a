"""What the rest of the server may ask of replication: status, Details, Apply, Test Connection, acknowledgement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import structlog

from hostward.domain.changes import Delete, Operation
from hostward.domain.errors import Conflict, HostwardError, InvalidInput, Mistake, Unavailable
from hostward.domain.replicated import Replicated
from hostward.domain.replication import Check, Role, Target
from hostward.registry.group import Reader
from hostward.replication.adapters import Adapter, list_adapters, refuse_mixed_loopback
from hostward.replication.connection import Reached, run_checks
from hostward.replication.coordinator import Coordinator
from hostward.replication.details import Details
from hostward.replication.goals import Goal, Process, goal_names
from hostward.replication.members import JOINED, Member, SlaveRow, slave_rows
from hostward.replication.messages import Message
from hostward.replication.parts import Parts
from hostward.replication.state import State
from hostward.replication.wanted import Wanted
from hostward.trust.passphrase import Passphrase

log = structlog.get_logger()

DOWN, INITIALIZING, UP = "Down", "Initializing", "Up"
INFORMING = "Status unavailable due to registry restart"


class ReplicationService:
    """Implements commands.services.Replication on a server's parts."""

    def __init__(self, parts: Parts, coordinator: Coordinator) -> None:
        self._p, self._coordinator = parts, coordinator
        self._details = Details(parts)
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
            raise Unavailable("This server is leaving its group.", remedy="Try again in a few seconds.")
        if state.role is Role.MASTER and not p.life.caught_up:
            raise Unavailable(
                "The Master has just started and asks its Slaves whether they have newer changes.",
                remedy="Try again in a few seconds.",
            )

    async def acknowledged(self, revision: int, *, all_servers: bool = False) -> Replicated:
        return await self._p.acknowledgements.wait(revision, all_servers=all_servers)

    # What is

    def database_status(self) -> str:
        last = self._coordinator.last
        if self._p.life.informing:
            status = INFORMING
        elif last is not None and last.settled and not last.blocked:
            status = UP if self._p.content.ok else INITIALIZING
        elif self._p.node.error and self._p.node.process is Process.NONE and last and last.decision.goal is Goal.NODE:
            status = DOWN
        else:
            status = INITIALIZING
        if status != self._last_status:
            self._last_status, self._since = status, self._p.now()
        return status

    def reason(self) -> str:
        last = self._coordinator.last
        if last is None:
            return "The server is looking at its state."
        if self._p.node.error and last.decision.goal is Goal.NODE:
            return self._p.node.error
        return f"{last.reason} {last.remedy}".strip() or "Everything is as it should be."

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
            "hash": position.hash.hex(),
            "digest": position.digest.hex(),
            "epoch": str(position.epoch),
            "group": p.group.group_id,
            "content_ok": p.content.ok,
            "content_verified_at": p.content.verified_at,
            "protocol": state.protocol,
            "adapter": state.adapter,
            "adapters": [a.to_json() for a in self._adapters()],
            "local_instance_address": self._local_address(),
            "master": _target_json(state.master),
            "slaves": [
                {**_target_json(r.target), "server_id": r.server_id, "joined": r.server_id in joined}  # type: ignore[dict-item]
                for r in rows
            ],
            "passphrase_is_default": state.passphrase_is_default,
            "warnings": self._warnings(),
            "job": job.to_json() if job else None,
            "version": p.version,
        }

    async def nodes(self) -> list[dict[str, Any]]:
        """Details: a row for each server. What the ring says (status, state, Owns) is asked at this moment."""
        return await self._details.rows()

    # What shall be

    def consequences(self, wanted: Wanted) -> list[str]:
        """What Yes would do, in sentences."""
        p, state = self._p, self._p.state.now
        with p.group.read() as reader:
            sessions = reader.count("session")
        if wanted.role is Role.SLAVE:
            return [
                f"This server's own configuration is overwritten by the Master's; its {sessions} sessions are deleted.",
                "A backup of it is kept in the data directory under backups/ and can be restored.",
                "The database is initialized and joins the Master's; this can take some minutes.",
            ]
        if wanted.role is Role.MASTER and state.role is not Role.MASTER:
            return [
                "The database restarts to allow for remote communication.",
                f"{sessions} sessions will be replicated.",
            ]
        if wanted.role is Role.MASTER:
            return ["The Master contacts all Slaves to tell them about the change.", "The database may restart."]
        if state.role is Role.STANDALONE:
            return ["Nothing changes: this server is Standalone."]
        return ["This server leaves its group and keeps all its data.", "It no longer receives or sends changes."]

    async def apply(self, wanted: Wanted, author: str) -> str:
        """Store the wanted state and start a job that brings it about. Raises InvalidInput or Conflict: then nothing
        was changed."""
        state = self._p.state.now
        self._check_time(wanted, state)
        if wanted.role is Role.STANDALONE:
            return self._start(state.role, author, role=Role.STANDALONE, fresh=False)
        adapter = self._choose_adapter(wanted.adapter or state.adapter)
        protocol = wanted.protocol or state.protocol
        self._check_protocol(protocol, state, wanted)
        secret = wanted.passphrase.reveal() if wanted.passphrase else state.passphrase
        fields = {"role": wanted.role, "adapter": adapter, "protocol": protocol, "passphrase": secret}
        if wanted.role is Role.SLAVE:
            return await self._apply_slave(wanted, state, fields, author)
        return await self._apply_master(wanted, state, fields, author)

    async def test_connection(
        self, target: Target, *, protocol: str | None, passphrase: Passphrase | None
    ) -> list[Check]:
        reached = await self._reach(target, protocol or self._p.state.now.protocol, passphrase, for_slave=False)
        return reached.checks

    async def remove_node(self, host_id: str, author: str) -> str:
        """Details > Remove: take the server out of the group; its node is removed from the ring as soon as it is down.
        Raises NotFound, Conflict."""
        p = self._p
        if p.state.now.role is not Role.MASTER:
            raise Conflict(
                "Servers are removed on the Master.",
                remedy="Open Details on the Master; or set this server to Standalone to take it out itself.",
                code="slave",
            )
        them = p.membership.by_host_id(host_id)
        if them.server_id == p.server_id:
            raise Conflict("The Master can't remove itself.", remedy="Set it to Standalone instead.")
        await self._remove(them, author)
        job = p.jobs.start(f"remove {them.name}", author, goal_names(Role.MASTER))
        self._coordinator.interrupt()
        return job.id

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

    def health_in_sync(self, lag: int) -> str | None:
        p = self._p
        if not p.content.ok:
            return p.content.reason
        if p.state.now.role is not Role.SLAVE:
            return None
        behind = self._details.behind()
        if not p.follower.loaded or behind is None:
            return "This server hasn't followed its Master since it started."
        if behind > lag:
            return f"This server is {behind} changes behind its Master."
        if not p.follower.in_step and behind == 0:
            return "This server's history differs from the Master's; it is being replaced."
        master = p.views.of(p.state.now.master_id)
        return f"The Master doesn't answer: {master.silent}" if master.silent else None

    # Below: how

    async def _apply_slave(self, wanted: Wanted, state: State, fields: dict[str, Any], author: str) -> str:
        master = wanted.master or state.master
        if state.role is Role.MASTER:
            raise Conflict("This server is a Master.", remedy="Set it to Standalone first, then to Slave.")
        if master is None:
            raise _invalid(
                "master", "A Slave needs a Master.", "Add the Master server: its host name, port and context."
            )
        reached = await self._reach(master, fields["protocol"], wanted.passphrase, for_slave=True)
        failed = reached.failed
        if failed is not None:
            raise InvalidInput(
                f"The Master can't be used: {failed.detail}",
                remedy=failed.remedy,
                code=f"connection-{failed.name}",
                mistakes=[Mistake("master", failed.detail, failed.remedy)],
            )
        if reached.said["server"] == self._p.server_id:
            raise _invalid("master", "That is this server itself.", "Enter the Master's address.")
        if reached.said["role"] != Role.MASTER.value:
            raise _invalid(
                "master",
                f"The server at that address is {reached.said['role'].capitalize()}, not a Master.",
                "Configure the Master server first, or enter the address of the one that is.",
            )
        refuse_mixed_loopback(fields["adapter"], str(reached.said["database"]["address"]))
        return self._start(state.role, author, **fields, master=master, fresh=True)

    async def _apply_master(self, wanted: Wanted, state: State, fields: dict[str, Any], author: str) -> str:
        if state.role is Role.SLAVE:
            raise Conflict("This server is a Slave.", remedy="Set it to Standalone first, then to Master.")
        rows: list[SlaveRow] | None = None
        if wanted.slaves is not None:
            rows = await self._contact(wanted.slaves, fields["protocol"])
        job_id = self._start(state.role, author, **fields, master=None, fresh=False)
        if rows is not None:
            await self._set_slave_table(rows, author)
        return job_id

    async def _contact(self, targets: Sequence[Target], protocol: str) -> list[SlaveRow]:
        """The rows of the Slave table, with the ids of those servers that answer."""
        with self._p.group.read() as reader:
            known = {r.target: r for r in slave_rows(reader)}
        rows = []
        self._p.life.informing = True
        try:
            for target in dict.fromkeys(targets):
                row = known.get(target) or SlaveRow(target)
                if not row.server_id:
                    reached = await self._reach(target, protocol, None, for_slave=False)
                    row = replace(row, server_id=str(reached.said.get("server", "")))
                if row.server_id == self._p.server_id:
                    raise _invalid("slaves", f"{target.host}:{target.port} is this server itself.", "Leave it out.")
                rows.append(row)
        finally:
            self._p.life.informing = False
        return rows

    async def _set_slave_table(self, rows: Sequence[SlaveRow], author: str) -> None:
        p = self._p
        wanted = {r.id for r in rows} | {r.server_id for r in rows if r.server_id}
        with p.group.read() as reader:
            gone = [r for r in slave_rows(reader) if r.id not in wanted and r.server_id not in wanted]
        for row in gone:
            them = p.find(row.server_id) if row.server_id else None
            if them is not None:
                await self._remove(them, author)

        def decide(reader: Reader) -> Sequence[Operation]:
            have = {r.id: r for r in slave_rows(reader)}
            by_server = {r.server_id: r for r in have.values() if r.server_id}
            ops: list[Operation] = [Delete("slave", r.id) for r in gone if r.id in have]
            for row in rows:
                old = by_server.get(row.server_id)
                if old is not None and old.id != row.id:
                    ops.append(Delete("slave", old.id))
                if have.get(row.id) != row:
                    ops.append(row.put())
            return ops

        await p.group.commit(author, decide)

    async def _remove(self, them: Member, author: str) -> None:
        p = self._p
        try:
            await p.links.ask(them, Message("removed"), timeout_s=3.0)
        except HostwardError as error:
            log.info("removed-server-not-told", server=them.name, reason=error.message)
        await p.membership.remove(them.server_id, author)

    def _start(self, was: Role, author: str, **fields: Any) -> str:
        role: Role = fields["role"]
        job = self._p.jobs.start(f"{was.value} to {role.value}", author, goal_names(role))
        self._p.life.removed, self._p.life.farewell_said = "", False
        self._p.life.admitted = None if role is not Role.MASTER else self._p.life.admitted
        self._p.state.update(**fields)
        self._coordinator.interrupt()
        return job.id

    def _check_time(self, wanted: Wanted, state: State) -> None:
        last = self._coordinator.last
        changing = self.database_status() != UP and not (last is not None and last.blocked)
        if changing and wanted.role is not Role.STANDALONE and state.role is not Role.STANDALONE:
            raise Conflict(
                f"The Database Status is {self.database_status()}: {self.reason()}",
                remedy="Wait until it is Up, then Apply again; or set this server to Standalone.",
                code="not-up",
            )

    def _check_protocol(self, protocol: str, state: State, wanted: Wanted) -> None:
        if protocol not in ("https", "http"):
            raise _invalid("protocol", f"{protocol} is no protocol between servers.", "Use https or http.")
        s = self._p.configuration.server
        if (s.https_port if protocol == "https" else s.http_port) == 0:
            raise _invalid("protocol", f"This server doesn't listen on {protocol.upper()}.", "Set its port first.")
        if state.role is Role.MASTER and protocol != state.protocol:
            with self._p.group.read() as reader:
                if slave_rows(reader) and wanted.slaves != ():
                    raise Conflict(
                        "You cannot change the transport and retain previously configured Slave servers.",
                        remedy="Delete the Slave servers first, Apply, then change the Global protocol.",
                        code="slaves-configured",
                    )

    def _choose_adapter(self, wanted: str) -> str:
        adapters = self._adapters()
        if not wanted:
            wanted = self._p.configuration.database.address or ""
        for a in adapters:
            if wanted in (a.address, a.name):
                return a.address
        offered = ", ".join(f"{a.name} ({a.address})" for a in adapters)
        problem = f"There is no adapter {wanted}." if wanted else "No Database Network Adapter is chosen."
        raise _invalid("adapter", problem, f"Choose one of: {offered}.")

    def _adapters(self) -> list[Adapter]:
        return list_adapters(self._p.configuration.database.address)

    async def _reach(self, target: Target, protocol: str, passphrase: Passphrase | None, *, for_slave: bool) -> Reached:
        p = self._p

        async def ask() -> dict[str, Any]:
            answer, _, _ = await p.links.ask_target(
                target, Message("check", {"protocol": protocol}), protocol=protocol, passphrase=passphrase
            )
            return answer.data

        return await run_checks(target, version=p.version, ask=ask, database_down_is_wrong=for_slave)

    def _role(self) -> Role:
        """The role in force: a wanted role counts once its first steps are done."""
        return self._p.state.now.role

    def _local_address(self) -> str:
        return "127.0.0.1" if self._p.state.now.role is Role.STANDALONE else self._p.state.now.adapter

    def _warnings(self) -> list[str]:
        state = self._p.state.now
        if state.role is not Role.STANDALONE and state.passphrase_is_default:
            return ["The default passphrase is in use: change it on all servers."]
        return []


def _target_json(target: Target | None) -> dict[str, Any] | None:
    return {"host": target.host, "port": target.port, "context": target.context} if target else None


def _invalid(field: str, problem: str, remedy: str) -> InvalidInput:
    return InvalidInput(problem, remedy=remedy, mistakes=[Mistake(field, problem, remedy)])
