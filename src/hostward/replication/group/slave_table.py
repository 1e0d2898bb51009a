"""The Master's Slave table and Details > Remove: who is entered, who is taken out, and telling the servers about it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import structlog

from hostward.domain.changes import Delete, Operation
from hostward.domain.errors import Conflict, HostwardError, InvalidInput, Mistake, NotFound
from hostward.domain.replication import Role, Target
from hostward.registry.group import Reader
from hostward.replication.goals import goal_names
from hostward.replication.group.members import Member, SlaveRow, removed, slave_rows
from hostward.replication.parts import Parts
from hostward.replication.peers.connection import Reached
from hostward.replication.peers.messages import Message

TELL_TIMEOUT_S = 3.0

log = structlog.get_logger()

Reach = Callable[[Target], Awaitable[Reached]]


class SlaveTable:
    """Each method checks first, and changes nothing where it raises."""

    def __init__(self, parts: Parts) -> None:
        self._p = parts

    async def look_up(self, targets: Sequence[Target], reach: Reach) -> list[SlaveRow]:
        """The rows for these servers, with the ids of those that answer. One that can't be reached is entered too: it
        may be down. Raises InvalidInput for this server itself and for servers of other groups."""
        p = self._p
        with p.group.read() as reader:
            known = {r.target: r for r in slave_rows(reader)}
            gone = {r.target: r.server_id for r in removed(reader)}
        rows = []
        for target in dict.fromkeys(targets):
            row = known.get(target) or SlaveRow(target)
            if not row.server_id:
                said = (await reach(target)).said
                self._check_free(target, said)
                row = replace(row, server_id=str(said.get("server", "")) or gone.get(target, ""))
            if row.server_id == p.server_id:
                raise _refused(f"{target.host}:{target.port} is this server itself.", "Leave it out.")
            rows.append(row)
        return rows

    async def set(self, rows: Sequence[SlaveRow], author: str, job_id: str) -> None:
        """Make the table exactly these rows; servers that are in it no more are removed from the group."""
        p = self._p
        wanted = {r.id for r in rows} | {r.server_id for r in rows if r.server_id}
        with p.group.read() as reader:
            gone = [r for r in slave_rows(reader) if r.id not in wanted and r.server_id not in wanted]
        leaving = [them for row in gone if row.server_id and (them := p.find(row.server_id))]
        for them in leaving:
            await p.membership.remove(them.server_id, author)

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
        self._tell(leaving, job_id)

    async def remove(self, host_id: str, author: str) -> str:
        """Take out the server with this Host Id (or server id), whether it runs, is down, joins, or has left by itself;
        or a node that belongs to no server. The job's id. Raises NotFound, Conflict."""
        p = self._p
        them = next((m for m in p.everyone() if host_id in (m.host_id, m.server_id)), None)
        if them is None:
            return await self._remove_remains(host_id, author)
        if them.server_id == p.server_id:
            raise Conflict("The Master can't remove itself.", remedy="Set it to Standalone instead.")
        await p.membership.remove(them.server_id, author)
        job_id = self._job(them.name, author)
        self._tell([them], job_id)
        return job_id

    async def _remove_remains(self, host_id: str, author: str) -> str:
        p = self._p
        with p.group.read() as reader:
            gone = next((r for r in removed(reader) if host_id in (r.host_id, r.server_id)), None)
        node = next((n for n in await p.node.ring() or [] if n.host_id == host_id), None)
        if gone is None and node is None:
            raise NotFound("No server of the group has that Host Id.", remedy="See Details for the Host Ids.")
        if node is not None:
            p.fence.hurry(node.host_id)
        if gone is not None:
            await p.membership.remove(gone.server_id, author)
            return self._job(gone.name, author)
        assert node is not None
        return self._job(f"the node at {node.address}", author)

    def _job(self, name: str, author: str) -> str:
        return self._p.jobs.start(f"remove {name}", author, goal_names(Role.MASTER)).id

    def _check_free(self, target: Target, said: dict[str, object]) -> None:
        """Raises InvalidInput where the server is another group's. A Slave whose Master is this server, with a group
        that is no more, is none."""
        there, mine = f"{target.host}:{target.port}", self._p.group.group_id
        other = said.get("server") != self._p.server_id and said.get("group") != mine
        if said.get("role") == Role.MASTER.value and other:
            raise _refused(
                f"The server at {there} is the Master of a group of its own.", "Set it to Standalone there first."
            )
        theirs = said.get("master_group") not in ("", None, mine) and said.get("master_id") != self._p.server_id
        if said.get("role") == Role.SLAVE.value and theirs:
            raise _refused(
                f"The server at {there} is a Slave of another group.",
                "Set it to Standalone there first: it then leaves that group in order.",
                "other-group",
            )

    def _tell(self, leaving: Sequence[Member], job_id: str) -> None:
        """Tell the servers in the background. Database Status says so meanwhile."""
        self._p.life.informing = True
        self._p.errands.start(self._tell_all(leaving, job_id), "tell the Slaves")

    async def _tell_all(self, leaving: Sequence[Member], job_id: str) -> None:
        p = self._p
        try:
            told = [(m, Message("removed", {"server": m.server_id})) for m in leaving]
            told += [(m, Message("status")) for m in p.others()]
            answers = await asyncio.gather(
                *(p.links.ask(m, message, timeout_s=TELL_TIMEOUT_S) for m, message in told), return_exceptions=True
            )
        finally:
            p.life.informing = False
        for (them, message), answer in zip(told, answers, strict=True):
            if isinstance(answer, HostwardError):
                log.info("server-not-told", server=them.name, reason=answer.message)
                p.jobs.note(job_id, _not_updated(them, answer, removed=message.act == "removed"))
            elif isinstance(answer, BaseException):
                raise answer


def _not_updated(them: Member, error: HostwardError, *, removed: bool) -> str:
    then = (
        "If it ever starts again, it is refused, says so, and keeps its data."
        if removed
        else "It follows by itself when it runs again."
    )
    return f"{them.name} could not be updated: {error.message} This is expected of a server that is down. {then}"


def _refused(problem: str, remedy: str, code: str | None = None) -> InvalidInput:
    return InvalidInput(problem, remedy=remedy, code=code, mistakes=[Mistake("slaves", problem, remedy)])
