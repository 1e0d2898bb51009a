"""What an administrator wants of the group: Apply with its checks, the Slave table, Test Connection, Remove."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import structlog

from hostward.domain.changes import Delete, Operation
from hostward.domain.errors import Conflict, HostwardError, InvalidInput, Mistake
from hostward.domain.replication import Check, Role, Target
from hostward.registry.group import Reader
from hostward.replication.adapters import Adapter, list_adapters, refuse_mixed_loopback
from hostward.replication.connection import Reached, run_checks
from hostward.replication.coordinator import Coordinator
from hostward.replication.goals import goal_names
from hostward.replication.members import Member, SlaveRow, slave_rows
from hostward.replication.messages import Message
from hostward.replication.parts import Parts
from hostward.replication.state import State, settled_passphrase
from hostward.replication.wanted import Wanted
from hostward.trust.passphrase import Passphrase

UP = "Up"

log = structlog.get_logger()


class Applying:
    """Each method checks first, and changes nothing where it raises. `status` gives Database Status and its reason."""

    def __init__(self, parts: Parts, coordinator: Coordinator, status: Callable[[], tuple[str, str]]) -> None:
        self._p, self._coordinator, self._status = parts, coordinator, status

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
        fields: dict[str, Any] = {"role": wanted.role, "adapter": adapter, "protocol": protocol}
        if wanted.passphrase is not None and (wanted.passphrase != state.secret or state.passphrase_lost):
            fields |= settled_passphrase(wanted.passphrase.reveal())
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
        status, reason = self._status()
        changing = status != UP and not (last is not None and last.blocked)
        if changing and wanted.role is not Role.STANDALONE and state.role is not Role.STANDALONE:
            raise Conflict(
                f"The Database Status is {status}: {reason}",
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
        adapters = self.adapters()
        if not wanted:
            wanted = self._p.configuration.database.address or ""
        for a in adapters:
            if wanted in (a.address, a.name):
                return a.address
        offered = ", ".join(f"{a.name} ({a.address})" for a in adapters)
        problem = f"There is no adapter {wanted}." if wanted else "No Database Network Adapter is chosen."
        raise _invalid("adapter", problem, f"Choose one of: {offered}.")

    def adapters(self) -> list[Adapter]:
        return list_adapters(self._p.configuration.database.address)

    async def _reach(self, target: Target, protocol: str, passphrase: Passphrase | None, *, for_slave: bool) -> Reached:
        p = self._p

        async def ask() -> dict[str, Any]:
            answer, _, _ = await p.links.ask_target(
                target, Message("check", {"protocol": protocol}), protocol=protocol, passphrase=passphrase
            )
            return answer.data

        return await run_checks(target, version=p.version, ask=ask, database_down_is_wrong=for_slave)


def _invalid(field: str, problem: str, remedy: str) -> InvalidInput:
    return InvalidInput(problem, remedy=remedy, mistakes=[Mistake(field, problem, remedy)])
