"""What an administrator may do about who is the Master: hand over to a Slave, promote a Slave by force, follow another
server's claim."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from hostward.domain.changes import Epoch, Position
from hostward.domain.epochs import EpochRecord
from hostward.domain.errors import ConfirmationRequired, Conflict, HostwardError, NotFound, Unavailable
from hostward.domain.replication import Role
from hostward.replication.failpoints import die_at
from hostward.replication.group.members import JOINED, Member
from hostward.replication.masters.claims import Claims
from hostward.replication.masters.epochs import GAP_S, SILENT_S, sign_record
from hostward.replication.masters.survey import Answer, Survey, survey
from hostward.replication.parts import Parts
from hostward.replication.peers.messages import Message, read_status

HAND_OVER_TIMEOUT_S = 5.0
ASK_EVERY_S = 0.05
LOOK_EVERY_S = 0.5
STATUS_TIMEOUT_S = 2.0
SUPERSEDED_TIMEOUT_S = 10.0
LOOK_TIMEOUT_S = 8.0
UP = "Up"

log = structlog.get_logger()


class Promotion:
    """Each method checks first, and changes nothing where it raises."""

    def __init__(self, parts: Parts, claims: Claims) -> None:
        self._p, self._claims = parts, claims
        self._handing_over = asyncio.Lock()

    # Planned

    async def switch_over(self, to: str, author: str, *, confirmed: bool) -> str:
        """Hand over to that server (its id, Host Id or name); the job's id. Raises NotFound, Conflict, Unavailable, or
        ConfirmationRequired."""
        them = self._target(to)
        theirs, status = await self._ask(them)
        self._check_target(them, theirs, status)
        if not confirmed:
            raise ConfirmationRequired(
                f"Switch-over to {them.name}: are you sure?",
                remedy="Look at the consequences, then send the request again with “confirm”: true.",
                consequences=[
                    f"{them.name} becomes the Master, and this server its Slave.",
                    "The other Slaves follow by themselves.",
                    "For a few seconds no changes are accepted; nothing that was accepted is lost.",
                ],
            )
        why = Unavailable(
            f"This server is handing over to {them.name}.",
            remedy=f"Try again in a few seconds, at {_url(them)}.",
            code="handing-over",
        )
        if self._handing_over.locked():
            raise Unavailable(
                "This server is handing over already.", remedy="Follow it in the status.", code="handing-over"
            )
        async with self._handing_over:
            return await self._hand_over(self._target(them.server_id), why, author)

    async def _hand_over(self, them: Member, why: Unavailable, author: str) -> str:
        """One at a time: a second hand-over from the same epoch would make two Masters."""
        p = self._p
        start = await p.group.hold(why)
        try:
            await self._wait_until_at(them, start)
            self._target(them.server_id)
            record = self._record_for(them, start)
            die_at("HAND_OVER")
            job_id = self._claims.follow([record], f"switch-over to {them.name}", author)
        except BaseException:
            if not p.state.now.coming:  # else what it waits for lifts it
                await p.group.hold(None)
            raise
        self._tell_everybody(record)
        return job_id

    def _target(self, to: str) -> Member:
        p = self._p
        if p.state.now.role is not Role.MASTER:
            raise Conflict(
                "Only the Master can hand over.",
                remedy="Do it on the Master; where that is dead, promote this Slave instead.",
                code="role",
            )
        if not p.life.caught_up or p.group.position.epoch.server != p.server_id:
            raise Unavailable("This Master has just started.", remedy="Try again in a few seconds.")
        them = next((m for m in p.everyone() if to in (m.server_id, m.host_id, m.name)), None)
        if them is None:
            raise NotFound(
                "No server of the group has that name or id.", remedy="Details lists the servers of the group."
            )
        if them.server_id == p.server_id:
            raise Conflict("This server is the Master already.", remedy="Name one of its Slaves.")
        return them

    def _check_target(self, them: Member, theirs: Position, status: dict[str, Any]) -> None:
        p = self._p
        why = ""
        if them.state != JOINED:
            why = "it hasn't joined the group yet"
        elif status["role"] != Role.SLAVE.value:
            why = f"its role is {status['role'].capitalize()}"
        elif status["database_status"] != UP:
            why = f"its Database Status is {status['database_status']}"
        elif not status["content_ok"]:
            why = "its content is being replaced"
        elif theirs.epoch != p.group.position.epoch:
            why = "it isn't in sync with this Master"
        if why:
            raise Conflict(
                f"{them.name} can't take over: {why}.",
                remedy="Wait until it is Up and in sync in Details, or choose another Slave.",
                code="not-in-sync",
            )

    async def _ask(self, them: Member) -> tuple[Position, dict[str, Any]]:
        """Where it stands, and its status. Raises Unavailable."""
        question = Message("status", {"epoch": str(self._claims.epoch)})
        try:
            return read_status(them.name, (await self._p.links.ask(them, question, timeout_s=STATUS_TIMEOUT_S)).data)
        except HostwardError as error:
            raise Unavailable(
                f"{them.name} can't take over: {error.message}", remedy="Choose a Slave that answers.", code="silent"
            ) from error

    async def _wait_until_at(self, them: Member, start: Position) -> None:
        """Until the server has fsynced everything that there is. Raises Unavailable."""
        deadline = asyncio.get_running_loop().time() + HAND_OVER_TIMEOUT_S
        while (theirs := (await self._ask(them))[0]) != start:
            if asyncio.get_running_loop().time() > deadline:
                raise Unavailable(
                    f"{them.name} lacks {start.revision - theirs.revision} changes; this server goes on as the Master.",
                    remedy="Try again when it is in sync.",
                    code="not-in-sync",
                )
            await asyncio.sleep(ASK_EVERY_S)

    def _record_for(self, them: Member, start: Position) -> EpochRecord:
        p = self._p
        record = EpochRecord(
            group=p.group.group_id,
            epoch=Epoch(self._claims.newest_number() + 1, them.server_id),
            start=start,
            planned=True,
            time=p.now(),
            name=them.name,
            target=them.target,
            certificate=them.certificate,
        )
        return sign_record(record, p.identity)

    def _tell_everybody(self, record: EpochRecord) -> None:
        """Who doesn't hear it now hears it from any server's status."""
        message = Message("epochs", {"records": [record.to_json()]})

        async def tell(them: Member) -> None:
            try:
                await self._p.links.ask(them, message, timeout_s=STATUS_TIMEOUT_S)
            except HostwardError as error:
                log.info("epoch-not-told", server=them.name, reason=error.message)

        for them in self._p.others():
            self._p.errands.start(tell(them), f"tell {them.name}")

    # By force

    async def promote(self, author: str, *, insist: bool, confirmed: bool) -> str:
        """Make this Slave the Master without the Master; the job's id. Raises Conflict or ConfirmationRequired."""
        p = self._p
        self._check_promotable()
        found = await (survey(p, self._claims) if insist else self._survey_without_master())
        self._check_promotable()
        if not confirmed:
            raise ConfirmationRequired(
                "Forced promotion: are you sure?",
                remedy="Look at the consequences, then send the request again with “confirm”: true.",
                consequences=self._consequences(found, insist=insist),
            )
        if not insist:
            await self._wait_until_silent()
            self._check_promotable()
        return self._claims.take_over((), "forced promotion", author)

    def _check_promotable(self) -> None:
        p, state = self._p, self._p.state.now
        me = p.find(p.server_id)
        if state.role is not Role.SLAVE:
            raise Conflict(
                f"Only a Slave can be promoted; this server's role is {state.role.value.capitalize()}.",
                remedy="Do it on a Slave of the group.",
                code="role",
            )
        if state.removed or not p.follower.loaded or me is None or me.state != JOINED:
            raise Conflict(
                "This server isn't a full member of the group: it doesn't hold the Master's configuration.",
                remedy="Promote another Slave.",
                code="not-joined",
            )
        if not p.content.ok:
            raise Conflict(p.content.reason, remedy="Promote another Slave, or wait.", code="content-altered")
        pending = self._claims.pending
        if pending is not None:
            raise Conflict(
                f"{pending.name} has been promoted already.",
                remedy=f"Follow it: hostward replication follow {pending.name}.",
                code="claimed",
            )

    async def _survey_without_master(self) -> Survey:
        """What the others say once nobody reaches the Master. A Slave that heard it a moment ago is asked again, as
        the Master may just have died. Raises Conflict "master-answers"."""
        p, loop = self._p, asyncio.get_running_loop()
        deadline = loop.time() + SILENT_S
        while True:
            found = await survey(p, self._claims)
            master_id = p.state.now.master_id
            if any(a.member.server_id == master_id for a in found.answered):
                raise _not_needed("The Master answers this server: there is no need for force.")
            reaches = next((a.member.name for a in found.answered if _hears(a, master_id)), None)
            if reaches is None:
                return found
            if loop.time() > deadline:
                raise _not_needed(f"The Master can't be reached from here, but {reaches} reaches it.")
            await asyncio.sleep(LOOK_EVERY_S)

    async def _wait_until_silent(self) -> None:
        """A Master that was only halted notices, when it goes on, that it was away for longer than a moment."""
        p = self._p
        deadline = asyncio.get_running_loop().time() + SILENT_S + 1
        while (silent_s := self._claims.contacts.silent_s(p.state.now.master_id)) < SILENT_S:
            if asyncio.get_running_loop().time() > deadline:
                raise _not_needed(f"The Master answered {silent_s:.0f} seconds ago.")
            await asyncio.sleep(ASK_EVERY_S)

    def _consequences(self, found: Survey, *, insist: bool) -> list[str]:
        p, mine = self._p, self._p.group.position
        ahead = max((a.position.revision for a in found.answered if a.position.epoch == mine.epoch), default=0)
        said = ["This server becomes the Master, and accepts changes."]
        if ahead > mine.revision:
            said.append(f"It first takes {ahead - mine.revision} changes that another server has.")
        silent = [m for m in found.silent if m.server_id != p.state.now.master_id]
        if silent:
            said.append(
                f"{', '.join(m.name for m in silent)} couldn't be asked: changes that only they and the Master have"
                " become change requests when they are back."
            )
        said.append("Changes that only the old Master has become change requests when it is back; it follows then.")
        if [a for a in found.answered if a.member.server_id != p.state.now.master_id]:
            said.append(
                "The other Slaves follow once an administrator confirms that there, or as forced-promotion is set."
            )
        if insist:
            said.append(
                "A Master that still runs and reaches the others goes on as Master of its own history, until an"
                " administrator lets it follow: until then there are two."
            )
        return said

    # Following a claim

    async def follow(self, server: str, author: str, *, confirmed: bool) -> str:
        """Believe the claim of that server (its id, Host Id or name); the job's id. Raises NotFound, Conflict or
        ConfirmationRequired."""
        p, claim = self._p, self._claims.pending
        them = p.find(claim.master) if claim is not None else None
        if claim is None or them is None or server not in (claim.master, claim.name, them.name, them.host_id):
            raise NotFound(
                "No server of that name says that it is the Master now.",
                remedy=f"{claim.name} says so." if claim else "`hostward replication status` shows such a claim.",
            )
        if not confirmed:
            raise ConfirmationRequired(
                f"Follow {claim.name} as the Master: are you sure?",
                remedy="Look at the consequences, then send the request again with “confirm”: true.",
                consequences=[
                    f"This server becomes a Slave of {claim.name}, at revision {claim.start.revision} of the group's"
                    " history and what came after it there.",
                    "Changes that this server has and the new Master doesn't become change requests.",
                ],
            )
        return self._claims.accept(author)

    async def check_stands(self, revision: int, hash_: bytes) -> None:
        """That a change which was just committed here is still part of the group's history. Raises Conflict
        "superseded" where another server was the Master by then."""
        p = self._p
        if p.state.now.role is Role.MASTER and self._claims.contacts.stale and p.others():
            await self._until(lambda: not self._claims.contacts.stale, LOOK_TIMEOUT_S)
        if p.state.now.role is not Role.SLAVE or not hash_:
            return
        await self._until(lambda: not p.state.now.coming, SUPERSEDED_TIMEOUT_S)
        here, name = p.group.change(revision), hash_.hex()
        if here is not None and here.hash == hash_:
            return
        master = p.state.now.master
        where = f" {master.host}:{master.port}" if master else ""
        if p.requests.find(name) is not None:
            fate = f"The change isn't part of the configuration; it was set aside as the change request {name}."
            remedy = "Implement the request on the new Master, or make the change there."
        elif here is not None:
            fate, remedy = "The change isn't part of the configuration.", "Make it on the new Master."
        else:  # the new Master's configuration was loaded as a whole, without the changes that led to it
            fate = "Whether the change is part of the configuration isn't known here."
            remedy = "Look whether it is there; where it isn't, make it on the new Master."
        raise Conflict(
            f"Another server{where} is the Master now. {fate}",
            remedy=remedy,
            code="superseded",
        )

    async def _until(self, so: Callable[[], bool], within_s: float) -> None:
        deadline = asyncio.get_running_loop().time() + within_s
        while not so():
            if asyncio.get_running_loop().time() > deadline:
                return
            await asyncio.sleep(ASK_EVERY_S)


def _hears(answer: Answer, master_id: str) -> bool:
    """Whether that server is a Slave of the Master, and heard it a moment ago."""
    silent_s = answer.status.get("master_silent_s")
    return answer.status.get("master") == master_id and silent_s is not None and bool(silent_s < GAP_S)


def _not_needed(message: str) -> Conflict:
    remedy = "Use the planned switch-over on the Master; or insist, if that is what is wanted."
    return Conflict(message, remedy=remedy, code="master-answers")


def _url(them: Member) -> str:
    return f"{them.protocol}://{them.host}:{them.port}/{them.context}"
