"""The answering side of the servers' conversation: who may say what, and what is answered.

Only servers whose certificate is in Trusted Certificates get this far, with the right passphrase. A message proves a
server, not a person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

import structlog

from hostward.domain.changes import GENESIS_HASH, Epoch, Position, pack, unpack
from hostward.domain.errors import HostwardError, PeerError
from hostward.domain.replication import Role
from hostward.replication.audit_copies import answer_audit
from hostward.replication.changelog.acknowledgements import MAX_BATCH_BYTES, MAX_BATCH_CHANGES
from hostward.replication.changelog.snapshots import sign_snapshot
from hostward.replication.group.described import check_described
from hostward.replication.group.members import RING, Member
from hostward.replication.group.membership import Asking
from hostward.replication.keys.passphrase_change import PassphraseChanges
from hostward.replication.keys.rotation import RENEWED, Rotation
from hostward.replication.masters.claims import Claims, Told
from hostward.replication.parts import Parts
from hostward.replication.peers.messages import Message, error_message
from hostward.replication.peers.try_back import reach
from hostward.trust.identity import fingerprint

NOT_REACHED = ("name", "port", "timeout", "context", "certificate")
REMOVED_WORDS = "This server was removed from the group by its Master."

MAX_POINTS = 1_000

log = structlog.get_logger()


class Conversation:
    """Answers messages. `changed` wakes the coordinator; `database_status` is this server's own; `guesses` are the
    wrong passwords given here; `settled` says whether this server knows what has become of the group since it started.
    By type of message, who answers what the other parts ask each other: `from_slaves`, who look themselves at who asks,
    and `from_members`, whom any member may ask."""

    def __init__(
        self,
        parts: Parts,
        claims: Claims,
        passphrases: PassphraseChanges,
        rotation: Rotation,
        *,
        changed: Callable[[], None],
        database_status: Callable[[], str],
        guesses: Callable[[], list[list[Any]]],
        settled: Callable[[], bool],
        from_slaves: Mapping[str, Callable[[str, Message], Awaitable[Message]]],
        from_members: Mapping[str, Callable[[Message], Awaitable[Message]]],
    ) -> None:
        self._p, self._claims, self._passphrases, self._rotation = parts, claims, passphrases, rotation
        self._changed, self._database_status, self._guesses = changed, database_status, guesses
        self._settled = settled
        self._answers: dict[str, Callable[[str, Message], Awaitable[Message]]] = {
            "status": self._status,
            "check": self._check,
            "try-back": self._try_back,
            "nudge": self._nudge,
            "changes": self._changes,
            "known": self._known,
            "epochs": self._epochs,
            "snapshot": self._snapshot,
            "admit": self._admit,
            "vouch": self._vouch,
            "joined": self._joined,
            "leave": self._leave,
            "removed": self._removed,
            "passphrase": self._passphrase,
            "audit": self._audit,
            RENEWED: self._renewed,
            **from_slaves,
            **{act: self._for_members(answer) for act, answer in from_members.items()},
        }

    def _for_members(self, answer: Callable[[Message], Awaitable[Message]]) -> Callable[..., Awaitable[Message]]:
        async def answered(sender: str, message: Message) -> Message:
            self._require_member(sender)
            return await answer(message)

        return answered

    async def answer(self, sender: str, message: Message) -> Message:
        """The answer for a server id that has proved itself. Never raises for what the other side says."""
        log.debug("peer-message", act=message.act, server=sender)
        handler = self._answers.get(message.act)
        if handler is None:
            return error_message(PeerError("This version doesn't know that request.", code="version"))
        try:
            return await handler(sender, message)
        except HostwardError as error:
            if error.code not in ("busy", "queue", "role"):
                log.info("peer-refused", act=message.act, server=sender, reason=error.message)
            return error_message(error)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            return error_message(PeerError(f"The message isn't understood: {error}.", code="version"))

    def own_status(self) -> dict[str, Any]:
        """What this server says of itself to the members."""
        p = self._p
        return {
            "position": p.group.position.to_json(),
            "group": p.group.group_id,
            "content_ok": p.content.ok,
            "role": p.state.now.role.value,
            "master": p.state.now.master_id,
            "master_silent_s": self._claims.contacts.silent_s(p.state.now.master_id),
            "database_status": self._database_status(),
            "server_name": p.describe_self().name,
            "version": p.version,
            "time": p.now(),
            "database": p.node.summary(),
            "guesses": self._guesses(),
        }

    async def _status(self, sender: str, message: Message) -> Message:
        self._require_member(sender, early=True)
        return Message("ok", {**self.own_status(), "records": self._records_after(message.data.get("epoch"))})

    def _records_after(self, epoch: str | None) -> list[dict[str, Any]]:
        """What the asking server may not know of yet; one that doesn't say where it is asks for nothing."""
        return self._claims.known(Epoch.parse(epoch)) if epoch else []

    async def _epochs(self, sender: str, message: Message) -> Message:
        self._require_member(sender, early=True)
        self._claims.hear(message.data["records"], Told(sender))
        return Message("ok")

    async def _check(self, sender: str, message: Message) -> Message:
        """Test Connection: what a trusted server may know before it is a member."""
        p = self._p
        if message.data.get("protocol") != p.state.now.protocol and p.state.now.role is not Role.STANDALONE:
            raise PeerError(
                f"The other server's Global protocol is {p.state.now.protocol.upper()}.",
                remedy="Choose the same Global protocol on both.",
                code="protocol",
            )
        me = p.describe_self()
        return Message(
            "ok",
            {
                "server": p.server_id,
                "server_name": me.name,
                "version": p.version,
                "role": p.state.now.role.value,
                "group": p.group.group_id,
                "master_group": "" if p.state.now.removed else p.state.now.master_group,
                "master_id": p.state.now.master_id,
                "master": asdict(p.state.now.master) if p.state.now.master and not p.state.now.removed else None,
                "database": p.node.summary(),
            },
        )

    async def _try_back(self, sender: str, message: Message) -> Message:
        """Whether this Master reaches the server that asks, at its own address and its adapter."""
        p, them = self._p, Member.from_json(message.data["member"])
        check_described(them, sender)
        if p.state.now.role is not Role.MASTER:
            raise PeerError("Only a Master tries back.", code="role")
        try:
            _, found, _ = await p.links.ask_target(
                them.target, Message("check", {"protocol": them.protocol}), protocol=them.protocol
            )
        except PeerError as error:
            if error.code not in NOT_REACHED:  # it has answered: another passphrase counts there only after Apply
                return await self._try_database_port(message, them)
            raise PeerError(
                f"The Master can't reach this server at {them.host}:{them.port}. There: {error.message}",
                remedy="Correct this server's host_name, or open that port for the Master.",
                code="try-back",
            ) from error
        if found != sender:
            raise PeerError(
                f"Another server answers the Master at {them.host}:{them.port}.",
                remedy="Correct this server's host_name.",
                code="try-back",
            )
        return await self._try_database_port(message, them)

    async def _try_database_port(self, message: Message, them: Member) -> Message:
        if message.data["word"]:
            await reach(them.address, them.storage_port, str(message.data["word"]))
        return Message("ok")

    async def _nudge(self, sender: str, message: Message) -> Message:
        """Changes of the Master. Another server's are not taken; one that was the Master learns here that there is
        another epoch, before it answers its own client."""
        p = self._p
        position = Position.from_json(message.data["position"])
        records = self._claims.known(position.epoch)
        following = p.follower.following if p.state.now.role is Role.SLAVE else None
        if following is not None and sender == following.master:
            mine = await p.follower.nudged(position, unpack(message.blob))
            p.life.confirmed_master = True
            return Message("ok", {"position": mine.to_json(), "records": records})
        if records:
            self._require_member(sender, early=True)
            return Message("ok", {"position": p.group.position.to_json(), "records": records})
        if following is None:
            raise PeerError("This server isn't a Slave.", code="role")
        raise PeerError("Only this server's Master may send changes.", code="role")

    async def _changes(self, sender: str, message: Message) -> Message:
        p = self._p
        self._require_member(sender)
        after = Position.from_json(message.data["after"])
        mine = p.group.position
        kept = None
        if self._knows(after.revision, after.hash) is not False:
            kept = p.group.changes_after(after.revision, max_bytes=MAX_BATCH_BYTES, max_count=MAX_BATCH_CHANGES)
        return Message("ok", {"kept": kept is not None, "position": mine.to_json()}, pack(kept or []))

    async def _known(self, sender: str, message: Message) -> Message:
        """Of which revisions and hashes this server's history consists; null for what it no longer holds."""
        self._require_member(sender, early=True)
        points = message.data["points"][:MAX_POINTS]
        known = [self._knows(int(revision), bytes.fromhex(hash_)) for revision, hash_ in points]
        return Message("ok", {"known": known, "position": self._p.group.position.to_json()})

    def _knows(self, revision: int, hash_: bytes) -> bool | None:
        """Whether that revision of this server's history has that hash, whatever the epoch."""
        mine = self._p.group.position
        if revision >= mine.revision:
            return revision == mine.revision and hash_ == mine.hash
        if revision == 0:
            return hash_ == GENESIS_HASH
        here = self._p.group.change(revision)
        return None if here is None else here.hash == hash_

    async def _snapshot(self, sender: str, message: Message) -> Message:
        p = self._p
        if not p.content.ok:
            raise PeerError("This server's own content is being healed.", code="busy")
        self._require_member(sender)
        content = await asyncio.to_thread(p.group.snapshot)
        return Message("ok", {"revision": content.position.revision}, sign_snapshot(content, p.identity).to_bytes())

    async def _admit(self, sender: str, message: Message) -> Message:
        p = self._p
        if p.state.now.role is not Role.MASTER:
            raise PeerError(
                f"The server at that address isn't a Master; its role is {p.state.now.role.value.capitalize()}.",
                remedy="Configure the Master server first, or enter the address of the one that is.",
                code="role",
            )
        asking = Asking.from_json(message.data)
        check_described(asking.member, sender)
        if not p.store.trusted(fingerprint(asking.member.certificate)):
            # The other members will trust what this entry says: it must be what was proved here.
            raise PeerError("A server can only name the certificate that it is trusted by.", code="certificate")
        if not p.life.caught_up or p.node.store() is None:
            raise PeerError("The Master's database isn't Up yet.", code="busy")
        try:
            ring = await p.node.ring()
            if ring is None:
                raise PeerError("The Master's database doesn't answer at the moment.", code="busy")
            admitted = await p.membership.admit(asking, ring)
        finally:
            self._changed()
        return Message("ok", {**admitted.to_json(), "position": p.group.position.to_json()})

    async def _vouch(self, sender: str, message: Message) -> Message:
        p = self._p
        if not p.life.confirmed_master or p.state.now.removed:
            raise PeerError("This server hasn't been confirmed by the Master since it started.", code="busy")
        asking = Asking.from_json(message.data)
        check_described(asking.member, sender)
        return Message("ok", p.membership.vouch(asking).to_json())

    async def _joined(self, sender: str, message: Message) -> Message:
        await self._p.membership.joined(sender, str(message.data["host_id"]), await self._p.node.ring() or [])
        self._changed()
        return Message("ok")

    async def _leave(self, sender: str, message: Message) -> Message:
        if self._p.state.now.role is Role.MASTER:
            await self._p.membership.remove(sender, f"server {sender}", left=True)
            self._changed()
        return Message("ok")

    async def _removed(self, sender: str, message: Message) -> Message:
        p = self._p
        if sender != p.state.now.master_id:
            raise PeerError("Only this server's Master may remove it.", code="role")
        if message.data.get("server") != p.server_id:
            raise PeerError("Another server was meant to be removed.", code="role")
        if p.asks_to_join:
            raise PeerError("This server is about to join anew.", code="busy")
        p.life.admitted, p.life.asks_again_at = None, asyncio.get_running_loop().time() + 1.0
        p.state.update(fresh=False, removed=p.state.now.removed or REMOVED_WORDS)
        self._changed()
        return Message("ok")

    async def _passphrase(self, sender: str, message: Message) -> Message:
        await self._passphrases.receive(sender, message.data)
        return Message("ok")

    async def _audit(self, sender: str, message: Message) -> Message:
        """The Master keeps a copy of every server's audit log, a Slave one of its Master's: for nobody else."""
        self._require_member(sender)
        state = self._p.state.now
        if state.role is not Role.MASTER and sender != state.master_id:
            raise PeerError("A Slave gives its audit log to its Master alone.", code="role")
        return await asyncio.to_thread(answer_audit, self._p.auditor, message)

    async def _renewed(self, sender: str, message: Message) -> Message:
        await self._rotation.told(sender, message.data["statements"])
        return Message("ok")

    def _require_member(self, sender: str, *, early: bool = False) -> Member:
        """`early`: also before this server knows who was removed while it was away. Raises PeerError."""
        p = self._p
        if p.state.now.role is Role.STANDALONE:
            raise PeerError("This server is Standalone: it belongs to no group.", code="left")
        found = p.find(sender)
        if found is None and sender != p.state.now.master_id:
            with p.group.read() as reader:
                known_ring = reader.get(RING, "ring") is not None
            raise PeerError(
                "The asking server isn't a member of this group.", code="removed" if known_ring else "group"
            )
        if not early and sender != p.state.now.master_id and not self._settled():
            raise PeerError(
                "This server has just started, and doesn't know yet who has been removed from the group meanwhile.",
                remedy="Ask again in a few seconds.",
                code="busy",
            )
        return found or p.describe_self()
