"""The other servers' audit logs: whoever is the Master keeps a checked copy of each, a Slave one of its Master's.

Asked is by points that this server has of the other's log, so a copy goes on where it stopped, whoever was away. A
server can only add to its own log: what it has sent stays, also where it says something else later, or was removed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from hostward.access.auditing import Auditor
from hostward.domain.audit import MAX_BODY_BYTES
from hostward.domain.errors import HostwardError, PeerError
from hostward.domain.replication import Role
from hostward.registry.audit import Piece, Points
from hostward.registry.audit_reading import Seal
from hostward.replication.group.members import JOINED, Member
from hostward.replication.parts import Parts
from hostward.replication.peers.messages import Message, understood

EVERY_S = 2.0
TIMEOUT_S = 10.0
MAX_COUNT = 500
MAX_BYTES = 1 << 20
MAX_PIECES = 20
"""In one pass; the next one goes on."""
MAX_ROUNDS = 16
MAX_POINTS = 256
MAX_DIGITS = 17
MAX_NUMBER = 10 ** (MAX_DIGITS - 1)
"""More than any log has, and no more than SQLite can hold."""

log = structlog.get_logger()


class AuditCopies:
    """One loop for a server."""

    def __init__(self, parts: Parts) -> None:
        self._p = parts
        self._said: dict[str, str] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.gather(*(self._follow(m) for m in self._whose()))
            await asyncio.sleep(EVERY_S)

    def _whose(self) -> Sequence[Member]:
        state = self._p.state.now
        if state.role is Role.STANDALONE or state.removed:
            return []
        joined = [m for m in self._p.others() if m.state == JOINED]
        return joined if state.role is Role.MASTER else [m for m in joined if m.server_id == state.master_id]

    async def _follow(self, them: Member) -> None:
        """Fetch what is new. What goes wrong is tried again; it is told once."""
        try:
            for _ in range(MAX_PIECES):
                if not await self._fetch(them):
                    break
        except HostwardError as error:
            if error.code == "audit" and self._said.get(them.server_id) != error.message:
                self._said[them.server_id] = error.message
                log.warning("audit-not-copied", server=them.name, reason=error.message)

    async def _fetch(self, them: Member) -> bool:
        """One piece; whether there may be more. Raises PeerError, RegistryError."""
        kept, id_ = self._p.auditor.log, them.server_id
        points = await asyncio.to_thread(kept.points, id_)
        piece, seal = await self._ask(them, points)
        if points is not None and piece.chain == points.chain:
            last, asked = max(points.hashes), points
            for _ in range(MAX_ROUNDS):  # where the two part is found by asking for what lies between
                high = min((n for n in asked.hashes if n > piece.after), default=last + 1)
                if piece.after >= last or high <= piece.after + 1:
                    break
                asked = await asyncio.to_thread(kept.points_between, id_, piece.after, high)
                piece, seal = await self._ask(them, asked)
            if piece.after < last and not piece.bodies:
                await asyncio.to_thread(kept.ends_earlier, id_, piece.after)
        added = await asyncio.to_thread(kept.take, id_, them.name, piece)
        await self._keep_seal(them, piece, seal)
        return added > 0

    async def _ask(self, them: Member, points: Points | None) -> tuple[Piece, bytes]:
        shown = {} if points is None else {str(n): h.hex() for n, h in points.hashes.items()}
        question = Message("audit", {"chain": points.chain if points else "", "points": shown})
        answer = await self._p.links.ask(them, question, timeout_s=TIMEOUT_S)
        with understood(them.name):
            data = answer.data
            after, base, hash_ = int(data["after"]), int(data["base"]), bytes.fromhex(data["after_hash"])
            if not 0 <= after < MAX_NUMBER or len(hash_) != 32:
                raise ValueError("that is no place in a log")
            piece = Piece(str(data["chain"])[:64], after, hash_, base, _unpacked(answer.blob))
            return piece, bytes.fromhex(data["seal"])

    async def _keep_seal(self, them: Member, piece: Piece, sealed: bytes) -> None:
        if not sealed:
            return
        try:
            seal = Seal.from_bytes(sealed)
            seal.check([them.certificate])
        except ValueError as error:
            raise PeerError(f"The signature of its audit log isn't good: {error}.", code="audit") from error
        if (seal.server, seal.chain) == (them.server_id, piece.chain):
            await asyncio.to_thread(self._p.auditor.log.sealed, them.server_id, seal.chain, sealed)


def answer_audit(auditor: Auditor, message: Message) -> Message:
    """What the asking server lacks of this one's log. Blocks: call it in a thread."""
    shown = message.data["points"]
    points = None
    if shown:
        hashes = {int(n): bytes.fromhex(h) for n, h in list(shown.items())[:MAX_POINTS] if len(n) < MAX_DIGITS}
        points = Points(str(message.data["chain"]), hashes)
    piece = auditor.log.piece(points, max_count=MAX_COUNT, max_bytes=MAX_BYTES)
    data = {
        "chain": piece.chain, "after": piece.after, "after_hash": piece.after_hash.hex(), "base": piece.base,
        "seal": auditor.log.own_seal.hex(),
    }  # fmt: skip
    return Message("ok", data, b"".join(len(body).to_bytes(4) + body for body in piece.bodies))


def _unpacked(blob: bytes) -> list[bytes]:
    """Raises ValueError."""
    found: list[bytes] = []
    at = 0
    while at < len(blob):
        size = int.from_bytes(blob[at : at + 4])
        body = blob[at + 4 : at + 4 + size]
        if size > MAX_BODY_BYTES or len(body) != size or len(found) >= MAX_COUNT:
            raise ValueError("the entries are cut, or too many")
        found.append(body)
        at += 4 + size
    return found
