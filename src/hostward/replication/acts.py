"""The coordinator's eyes and hands: how this server is observed, and one act for each goal."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import structlog

from hostward.domain.changes import Epoch, Position
from hostward.domain.errors import DatabaseError, HostwardError, PeerError
from hostward.domain.replication import Role
from hostward.registry.group import Reader
from hostward.replication.follower import Following
from hostward.replication.goals import Admission, Goal, Marker, Observed, Process
from hostward.replication.loops import keep_running
from hostward.replication.members import (
    Member,
    forget_membership,
    member,
    members,
    put_ring_generation,
    ring_generation,
)
from hostward.replication.membership import Admitted, Asking
from hostward.replication.messages import Message
from hostward.replication.parts import Parts
from hostward.replication.publisher import Publisher

FAREWELL_TIMEOUT_S = 5.0
CATCH_UP_TIMEOUT_S = 3.0
ADMIT_TIMEOUT_S = 30.0
SEED_TIMEOUT_S = 1.0

log = structlog.get_logger()


class ServerActs:
    """Implements coordinator.Acts on a server's parts."""

    def __init__(self, parts: Parts) -> None:
        self._p = parts
        self._publishing: asyncio.Task[None] | None = None
        self._acts: dict[Goal, Callable[[], Awaitable[str]]] = {
            Goal.OWN_MEMBER: self._enter_self,
            Goal.CAUGHT_UP: self._catch_up_with_slaves,
            Goal.RUNTIME: self._install,
            Goal.GENERATION: self._new_generation,
            Goal.NODE: self._run_node,
            Goal.KEYSPACES: self._make_keyspaces,
            Goal.LOG: self._publish,
            Goal.RING: self._tidy_ring,
            Goal.ADMISSION: self._ask_admission,
            Goal.BACKUP: self._back_up,
            Goal.CLEAN_NODE: self._wipe,
            Goal.CONTENT: self._load_content,
            Goal.IN_STEP: self._wait_in_step,
            Goal.CONFIRMED: self._confirm,
            Goal.FAREWELL: self._say_farewell,
            Goal.STOPPED: self._stop,
            Goal.WIPED: self._wipe,
            Goal.OWN_HISTORY: self._own_history,
        }

    async def observe(self) -> Observed:
        p, state, node = self._p, self._p.state.now, self._p.node
        with p.group.read() as reader:
            everyone, generation = members(reader), ring_generation(reader)
            me, membership_left = member(reader, p.server_id), bool(forget_membership(reader))
        master = state.role is Role.MASTER
        await node.become_ready()
        process = node.process
        if state.role is Role.SLAVE and process is Process.READY and node.store() is None:
            # Also after the node was started again: the log must be there to read when nobody else is.
            with contextlib.suppress(DatabaseError):
                await node.open_store(replication_factor=None)
        ring = await node.ring() if master else []
        strangers = ring is None or bool(p.membership.strangers(ring))
        formed_group, _, formed = state.ring_formed.partition("/")
        admitted = p.life.admitted
        if admitted and p.follower.loaded and (generation != admitted[1] or me is None):
            admitted = p.life.admitted = None
        return Observed(
            wanted=state.role,
            group_id=p.group.group_id,
            own_member_current=me is not None and me.same_place(p.describe_self()),
            generation=generation,
            ring_formed_here=int(formed or 0) if formed_group == p.group.group_id else 0,
            runtime=node.installed,
            marker=node.marker(),
            process=process,
            address_fits=node.address in ("", state.adapter),
            keyspaces_ready=node.store() is not None and me is not None and me.host_id == node.host_id,
            log_published=p.publisher is not None and p.publisher.published is not None and not p.publisher.problem,
            ring_tidy=not strangers and node.replication_factor == max(1, len(everyone)),
            caught_up=p.life.caught_up,
            admission=Admission(*admitted) if admitted else None,
            backup_kept=state.backup_group == state.master_group or p.follower.loaded,
            content_loaded=p.follower.loaded,
            in_step=p.follower.recently_in_step and p.content.ok,
            confirmed=me is not None and bool(me.host_id) and me.host_id == node.host_id,
            farewell_said=p.life.farewell_said
            or not (state.master or [m for m in everyone if m.server_id != p.server_id]),
            membership_left=membership_left or bool(state.master_id) or p.follower.following is not None,
        )

    async def act(self, goal: Goal) -> str:
        return await self._acts[goal]()

    async def maintain(self) -> str:
        """All goals are met: keep trust in step with the members, and say what isn't as it should be."""
        p = self._p
        if not p.content.ok:
            return p.content.reason
        if p.state.now.role is Role.STANDALONE:
            return ""
        p.state.update(ring_formed=f"{p.group.group_id}/{ring_generation_of(p)}", fresh=False)
        await p.node.trust([m.internode_certificate for m in p.everyone()])
        p.node.speed_up_starts()
        if p.state.now.role is Role.MASTER:
            await p.membership.abandon_stale_joins()
        silent = [f"{m.name}: {p.views.of(m.server_id).silent}" for m in p.others() if p.views.of(m.server_id).silent]
        return f"Up, but without {'; '.join(silent)}" if silent else ""

    async def close(self) -> None:
        """The server ends."""
        await self._stop_publishing()
        await self._p.node.close()

    # The Master's acts

    async def _enter_self(self) -> str:
        me = self._p.describe_self()
        await self._p.group.commit("replication", lambda _: [me.put()])
        return ""

    async def _catch_up_with_slaves(self) -> str:
        """A Master restored from an old copy of its files takes what its Slaves have of its own epoch, before it
        accepts changes."""
        p = self._p

        async def position_of(them: Member) -> tuple[Member, Position]:
            said = await p.links.ask(them, Message("status"), timeout_s=CATCH_UP_TIMEOUT_S)
            return them, Position.from_json(said.data["position"])

        answers = await asyncio.gather(*(position_of(m) for m in p.others()), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, HostwardError):
                raise answer
        ahead = [
            a
            for a in answers
            if not isinstance(a, BaseException)
            and a[1].epoch == p.group.position.epoch
            and a[1].revision > p.group.position.revision
        ]
        if ahead:
            them, theirs = max(ahead, key=lambda a: a[1].revision)
            log.warning("master-was-behind", server=them.name, revision=theirs.revision)
            p.follower.follow(Following(p.server_id, p.identity.certificate_pem, p.group.group_id))
            try:
                await p.follower.take_from(them.server_id, theirs)
            finally:
                p.follower.follow(None)
        p.life.caught_up = True
        return ""

    async def _new_generation(self) -> str:
        """The ring is made anew from this registry: what was in it is only a copy. The Slaves notice the generation and
        join again."""
        p = self._p
        await self._stop_publishing()
        await p.node.stop()
        await p.node.wipe()
        generation = ring_generation_of(p) + 1
        await p.group.commit("replication", lambda _: [put_ring_generation(generation)])
        return ""

    async def _make_keyspaces(self) -> str:
        p = self._p
        # Never lowered here: nodes of servers that have left are removed first, at the full factor.
        await p.node.open_store(replication_factor=max(1, len(p.everyone())), lower=False)
        host_id = p.node.host_id

        def decide(reader: Reader) -> Sequence[object]:
            me = member(reader, p.server_id)
            return [replace(me, host_id=host_id).put()] if me and me.host_id != host_id else []

        await p.group.commit("replication", decide)  # type: ignore[arg-type]
        return ""

    async def _publish(self) -> str:
        p = self._p
        store = p.node.store()
        if store is None:
            raise DatabaseError("The database doesn't answer.", remedy="It is being restarted.")
        if p.publisher is None:
            p.publisher = Publisher(p.group, p.server, p.identity, store, ring_generation_of(p))
            self._publishing = asyncio.create_task(keep_running(p.publisher.run), name="publisher")
        return p.publisher.problem or "Publishing the registry to the database."

    async def _tidy_ring(self) -> str:
        """Remove the nodes of servers that are no members, then bring the replication factor to the members' number."""
        p = self._p
        everyone = p.everyone()
        await p.node.trust([m.internode_certificate for m in everyone])
        ring = await p.node.ring()
        if ring is None:
            return "The database's management doesn't answer at the moment."
        strangers = p.membership.strangers(ring)
        for stranger in strangers:
            if stranger.up:
                return f"Waiting until the removed server's node at {stranger.address} is down."
            await p.node.remove(stranger.host_id)
        if not strangers:
            await p.node.open_store(replication_factor=max(1, len(everyone)))
        return ""

    async def prepare_ring(self, everyone: Sequence[Member]) -> None:
        """Before one more node starts: all members' certificates trusted, and the replication factor raised."""
        p = self._p
        if p.node.process is not Process.READY:
            raise PeerError("The Master's database isn't Up yet.", code="busy")
        await p.node.trust([m.internode_certificate for m in everyone])
        await p.node.open_store(replication_factor=max(len(everyone), p.node.replication_factor))
        await p.acknowledgements.wait(p.group.position.revision)

    # Acts of both

    async def _install(self) -> str:
        return await self._p.node.install()

    async def _run_node(self) -> str:
        """Start the node, or wait for it. A node whose data vanished under it is stopped first."""
        p, node = self._p, self._p.node
        moved = node.process is Process.READY and node.address != p.state.now.adapter
        if node.process is not Process.NONE and (node.marker() is None or moved):
            await self._stop_publishing()
            await node.stop()
            p.life.admitted = None
            return ""
        if node.process is not Process.NONE:
            return f"The database node is starting: it is {node.phase}."
        await self._stop_publishing()
        state, everyone = p.state.now, p.everyone()
        if state.role is Role.SLAVE:
            assert p.life.admitted is not None
            group_id, generation = p.life.admitted
            everyone = list(self._admitted_members) or everyone
        else:
            group_id, generation = p.group.group_id, ring_generation_of(p)
        me = p.describe_self()
        joins_anew = state.role is Role.SLAVE and node.marker() is None
        # Only those that answer: Cassandra would wait half a minute for the others.
        others = await answering([m for m in everyone if m.server_id != p.server_id and m.host_id])
        if joins_anew and not others:
            raise DatabaseError(
                "No database node of the group can be reached.",
                remedy=f"Open port {me.storage_port} between the servers, and see whether the others run.",
                code="no-seeds",
            )
        await node.start(
            marker=Marker(group_id, generation),
            address=me.address,
            seeds=others if joins_anew else [*others, me.seed],
            trusted=[*[m.internode_certificate for m in everyone], me.internode_certificate],
        )
        return "The database node is starting."

    async def _stop(self) -> str:
        await self._stop_publishing()
        await self._p.node.stop()
        return ""

    async def _wipe(self) -> str:
        await self._stop()
        await self._p.node.wipe()
        return ""

    async def _stop_publishing(self) -> None:
        if self._publishing is not None:
            self._publishing.cancel()
            await asyncio.gather(self._publishing, return_exceptions=True)
        self._publishing, self._p.publisher = None, None

    # The Slave's acts

    _admitted_members: tuple[Member, ...] = ()

    async def _ask_admission(self) -> str:
        p, state = self._p, self._p.state.now
        if p.life.removed and not state.fresh:
            await self._stop()
            raise PeerError(p.life.removed, remedy="Apply the role Slave again to rejoin, or set it to Standalone.")
        if state.master is None:
            raise PeerError("No Master is entered.", remedy="Add the Master server to the list, then Apply.")
        asking = Asking(p.describe_self(), p.node.marker(), state.fresh)
        try:
            answer, sender_id, certificate = await p.links.ask_target(
                state.master, Message("admit", asking.to_json()), protocol=state.protocol, timeout_s=ADMIT_TIMEOUT_S
            )
        except PeerError as error:
            if error.code == "removed":
                p.life.removed = error.message
            if error.code in ("port", "timeout", "name", "role") and not state.fresh and p.follower.loaded:
                return await self._ask_vouching(asking, error)
            raise
        admitted = Admitted.from_json(answer.data)
        known = (state.master_id, state.master_group)
        if not state.fresh and state.master_id and (sender_id, admitted.group_id) != known:
            raise PeerError(
                "Another server, or the Master of another group, answers at the Master's address.",
                remedy="If that is meant, Apply the role Slave again; else correct the Master's address.",
                code="group",
            )
        p.state.update(master_id=sender_id, master_certificate=certificate, master_group=admitted.group_id)
        p.follower.follow(Following(sender_id, certificate, admitted.group_id))
        p.follower.master_is_at(Position.from_json(answer.data["position"]))
        p.life.confirmed_master = True
        if admitted.wipe or p.node.marker() != Marker(admitted.group_id, admitted.generation):
            await p.node.stop()
            await p.node.wipe()
        self._admitted_members = admitted.members
        p.life.removed, p.life.admitted = "", (admitted.group_id, admitted.generation)
        return ""

    async def _ask_vouching(self, asking: Asking, why: PeerError) -> str:
        """The Master is away: a member that it has confirmed since that member started may vouch for this server."""
        p = self._p
        for m in p.others():
            if m.server_id == p.state.now.master_id:
                continue
            try:
                answer = await p.links.ask(m, Message("vouch", asking.to_json()))
            except PeerError:
                continue
            admitted = Admitted.from_json(answer.data)
            if admitted.group_id == p.group.group_id:
                self._admitted_members = admitted.members
                p.life.admitted = (admitted.group_id, admitted.generation)
                return ""
        raise PeerError(
            f"{why.message} This server serves from its registry; its database node starts once the Master, or a server"
            " that the Master has confirmed, vouches for it.",
            remedy=why.remedy,
            code=why.code,
        )

    async def _back_up(self) -> str:
        p = self._p
        stamp = p.now().replace(":", "").replace("-", "")[:15]
        await p.group.backup(p.data_dir / "backups" / f"before-joining-{stamp}.db")
        p.state.update(backup_group=p.state.now.master_group)
        return ""

    async def _load_content(self) -> str:
        await self._p.follower.load()
        return ""

    async def _wait_in_step(self) -> str:
        p = self._p
        if not p.content.ok:
            return p.content.reason
        target = p.follower.target
        behind = target.revision - p.group.position.revision if target else 0
        if target is None:
            return "Waiting for the Master to say which revision it has."
        return p.follower.reason or f"Following the change log: {max(0, behind)} changes to go."

    async def _confirm(self) -> str:
        p = self._p
        master = p.find(p.state.now.master_id)
        if master is None:
            raise PeerError("The Master isn't a member of its own group.", code="group")
        await p.node.open_store(replication_factor=None)
        await p.links.ask(master, Message("joined", {"host_id": p.node.host_id}))
        return "Waiting for the Master's record that this server has joined."

    # Standalone's acts

    async def _say_farewell(self) -> str:
        """Best effort: a server can always become Standalone, also with all others dead."""
        p = self._p
        state = p.state.now
        if state.master is not None:
            try:
                await p.links.ask_target(
                    state.master, Message("leave"), protocol=state.protocol, timeout_s=FAREWELL_TIMEOUT_S
                )
            except HostwardError as error:
                log.warning("farewell-not-heard", server=state.master.host, reason=error.message)
        p.life.farewell_said = True
        return ""

    async def _own_history(self) -> str:
        p = self._p
        p.follower.follow(None)
        p.life.admitted, p.life.removed, p.life.caught_up = None, "", False
        epoch = p.group.position.epoch
        await p.group.rebase(group_id=p.new_id(), epoch=Epoch(epoch.number + 1, p.server_id))
        await p.group.commit("replication", forget_membership)
        p.state.update(
            master_id="", master_certificate="", master_group="", backup_group="", ring_formed="", master=None
        )
        return ""


async def answering(everyone: Sequence[Member]) -> list[str]:
    """Those members' seeds whose database port accepts connections."""

    async def answers(m: Member) -> bool:
        try:
            async with asyncio.timeout(SEED_TIMEOUT_S):
                _, writer = await asyncio.open_connection(m.address, m.storage_port)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    found = await asyncio.gather(*(answers(m) for m in everyone))
    return [m.seed for m, there in zip(everyone, found, strict=True) if there]


def ring_generation_of(p: Parts) -> int:
    with p.group.read() as reader:
        return ring_generation(reader)
