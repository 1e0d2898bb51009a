"""What an administrator wants of the group: Apply with its checks, the Slave table, Test Connection, Remove."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hostward.domain.errors import Conflict, InvalidInput, Mistake, PeerError
from hostward.domain.replication import Check, Role, Target
from hostward.replication.coordinator import Coordinator
from hostward.replication.goals import goal_names
from hostward.replication.group.members import SlaveRow, slave_rows
from hostward.replication.group.slave_table import SlaveTable
from hostward.replication.parts import Parts, new_attempt
from hostward.replication.peers.connection import Reached, Tell, run_checks
from hostward.replication.peers.messages import Message
from hostward.replication.peers.try_back import listening
from hostward.replication.ring.adapters import Adapter, list_adapters, refuse_mixed_loopback
from hostward.replication.state import State, settled_passphrase
from hostward.replication.wanted import Wanted
from hostward.trust.passphrase import Passphrase

UP = "Up"
TRY_BACK_TIMEOUT_S = 12.0


class Applying:
    """Each method checks first, and changes nothing where it raises. `status` gives Database Status and its reason."""

    def __init__(self, parts: Parts, coordinator: Coordinator, status: Callable[[], tuple[str, str]]) -> None:
        self._p, self._coordinator, self._status = parts, coordinator, status
        self._table = SlaveTable(parts)

    def consequences(self, wanted: Wanted) -> list[str]:
        """What Yes would do, in sentences, and how long that took the last time."""
        took_s = self._p.jobs.last_took_s(_kind(self._p.state.now.role, wanted.role))
        last = [] if took_s is None else [f"The last time this took {max(1, round(took_s))} seconds on this server."]
        return self._changes(wanted) + last

    def _changes(self, wanted: Wanted) -> list[str]:
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

    def check_settings(self, wanted: Wanted) -> None:
        """Whether what Apply needs of this server itself is there. Raises InvalidInput, Conflict."""
        state = self._p.state.now
        self._choose_adapter(wanted.adapter or state.adapter)
        self._check_protocol(wanted.protocol or state.protocol, state, wanted)

    async def apply(self, wanted: Wanted, author: str) -> str:
        """Store the wanted state and start a job that brings it about. Raises InvalidInput or Conflict: then nothing
        was changed."""
        state = self._p.state.now
        self._check_time(wanted, state)
        if wanted.role is Role.STANDALONE:
            return self._start(state, author, role=Role.STANDALONE, fresh=False)
        adapter = self._choose_adapter(wanted.adapter or state.adapter)
        protocol = wanted.protocol or state.protocol
        self._check_protocol(protocol, state, wanted)
        fields: dict[str, Any] = {"role": wanted.role, "protocol": protocol}
        fields |= {"adapter": adapter.address, "adapter_name": adapter.name}
        if wanted.passphrase is not None and (wanted.passphrase != state.secret or state.passphrase_lost):
            fields |= settled_passphrase(wanted.passphrase.reveal())
        if wanted.role is Role.SLAVE:
            return await self._apply_slave(wanted, state, fields, author)
        return await self._apply_master(wanted, state, fields, author)

    async def test_connection(
        self, target: Target, *, protocol: str | None, passphrase: Passphrase | None, tell: Tell | None = None
    ) -> list[Check]:
        protocol = protocol or self._p.state.now.protocol
        reached = await self._reach(target, protocol, passphrase, for_slave=False, tell=tell)
        return reached.checks

    async def remove_node(self, host_id: str, author: str) -> str:
        """Details > Remove: take the server out of the group; its node is removed from the ring as soon as it is down.
        Raises NotFound, Conflict."""
        if self._p.state.now.role is not Role.MASTER:
            raise Conflict(
                "Servers are removed on the Master.",
                remedy="Open Details on the Master; or set this server to Standalone to take it out itself.",
                code="slave",
            )
        job_id = await self._table.remove(host_id, author)
        self._coordinator.interrupt()
        return job_id

    async def _apply_slave(self, wanted: Wanted, state: State, fields: dict[str, Any], author: str) -> str:
        master = wanted.master or state.master
        if state.role is Role.MASTER:
            raise Conflict("This server is a Master.", remedy="Set it to Standalone first, then to Slave.")
        if master is None:
            raise _invalid(
                "master", "A Slave needs a Master.", "Add the Master server: its host name, port and context."
            )
        pinned = wanted.master_id if wanted.master else state.pinned
        reached = await self._reach(master, fields["protocol"], wanted.passphrase, for_slave=True, whose=pinned)
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
        moves = state.role is Role.SLAVE and master != state.master
        if moves and state.master_group and reached.said["group"] != state.master_group and not state.removed:
            raise Conflict(
                "This server is a Slave of another group; it can have only one Master.",
                remedy="Set it to Standalone first: it then leaves that group in order. Then add the new Master.",
                code="other-group",
            )
        refuse_mixed_loopback(fields["adapter"], str(reached.said["database"]["address"]))
        await self._try_back(master, fields, wanted.passphrase, pinned)
        return self._start(state, author, **fields, master=master, pinned=pinned, fresh=True, epochs=())

    async def _try_back(
        self, master: Target, fields: dict[str, Any], passphrase: Passphrase | None, whose: str
    ) -> None:
        """The Master tries whether it reaches this server as well. Raises InvalidInput."""
        p = self._p
        me = replace(p.describe_self(), address=fields["adapter"], protocol=fields["protocol"], port=self._port(fields))
        async with listening(me.address, me.storage_port) as word:
            try:
                await p.links.ask_target(
                    master,
                    Message("try-back", {"member": me.to_json(), "word": word}),
                    protocol=fields["protocol"],
                    passphrase=passphrase,
                    whose=whose,
                    timeout_s=TRY_BACK_TIMEOUT_S,
                )
            except PeerError as error:
                if error.code == "version":  # an older Master doesn't try
                    return
                raise InvalidInput(
                    error.message,
                    remedy=error.remedy,
                    code="connection-back",
                    mistakes=[Mistake("adapter", error.message, error.remedy)],
                ) from error

    def _port(self, fields: dict[str, Any]) -> int:
        s = self._p.configuration.server
        return s.https_port if fields["protocol"] == "https" else s.http_port

    async def _apply_master(self, wanted: Wanted, state: State, fields: dict[str, Any], author: str) -> str:
        if state.role is Role.SLAVE:
            raise Conflict("This server is a Slave.", remedy="Set it to Standalone first, then to Master.")
        rows: list[SlaveRow] | None = None
        if wanted.slaves is not None:
            protocol = fields["protocol"]
            self._p.life.informing = True
            try:
                rows = await self._table.look_up(
                    wanted.slaves, lambda target: self._reach(target, protocol, None, for_slave=False)
                )
            finally:
                self._p.life.informing = False
        job_id = self._start(state, author, **fields, master=None, fresh=False)
        if rows is not None:
            await self._table.set(rows, author, job_id)
        self._p.membership.try_anew()
        return job_id

    def _start(self, seen: State, author: str, **fields: Any) -> str:
        """Store it, if the server is still what the checks, which take seconds, have seen. Raises Conflict."""
        now = self._p.state.now
        if (now.role, now.master, now.epochs) != (seen.role, seen.master, seen.epochs):
            raise Conflict(
                f"Something else was decided meanwhile: this server's role is {now.role.value.capitalize()} now.",
                remedy="Look at the status; Apply again if that is still wanted.",
                code="changed-meanwhile",
            )
        role: Role = fields["role"]
        job = self._p.jobs.start(_kind(now.role, role), author, goal_names(role))
        self._p.life.attempt = new_attempt()
        self._p.life.asks_again_at, self._p.life.farewell_said = 0.0, False
        self._p.life.admitted = None if role is not Role.MASTER else self._p.life.admitted
        self._p.state.update(**{"pinned": ""} | fields, removed="")
        self._p.node.forgive()
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

    def _choose_adapter(self, wanted: str) -> Adapter:
        adapters = self.adapters()
        if not wanted:
            wanted = self._p.configuration.database.address or ""
        for a in adapters:
            if wanted in (a.address, a.name):
                return a
        offered = ", ".join(f"{a.name} ({a.address})" for a in adapters)
        problem = f"There is no adapter {wanted}." if wanted else "No Database Network Adapter is chosen."
        raise _invalid("adapter", problem, f"Choose one of: {offered}.")

    def adapters(self) -> list[Adapter]:
        return list_adapters(self._p.configuration.database.address)

    async def _reach(
        self,
        target: Target,
        protocol: str,
        passphrase: Passphrase | None,
        *,
        for_slave: bool,
        whose: str = "",
        tell: Tell | None = None,
    ) -> Reached:
        p = self._p

        async def ask() -> dict[str, Any]:
            answer, _, _ = await p.links.ask_target(
                target, Message("check", {"protocol": protocol}), protocol=protocol, passphrase=passphrase, whose=whose
            )
            return answer.data

        return await run_checks(target, version=p.version, ask=ask, database_down_is_wrong=for_slave, tell=tell)


def _kind(now: Role, then: Role) -> str:
    """The name of the job that brings a change of the role about."""
    return f"{now.value} to {then.value}"


def _invalid(field: str, problem: str, remedy: str) -> InvalidInput:
    return InvalidInput(problem, remedy=remedy, mistakes=[Mistake(field, problem, remedy)])
