"""Changing the passphrase of a running group: handed by the Master to each member, inside an envelope.

The Master keeps the new passphrase and the one before, records the change in the group's registry, and hands the new
one to every member that hasn't confirmed it, as often as needed: also to one that was away. While the change isn't
settled, each server that knows both accepts both, and speaks the one that the other side knows. It is settled when all
members have confirmed, or are no members any more; then all forget the old one.

    begin ─► server.db: new + earlier ─► group.db: confirmed = [Master] ─► hand over, one by one ─► settled
              a crash here is resumed from passphrase_author               a crash here: handed over again
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import structlog

from hostward.domain.changes import Operation, Put, canonical
from hostward.domain.errors import Conflict, HostwardError, PeerError
from hostward.domain.replication import Role
from hostward.registry.group import Reader
from hostward.replication.group.members import PASSPHRASE, Elements, Member, members
from hostward.replication.parts import Parts
from hostward.replication.peers.messages import Message
from hostward.trust.passphrase import Passphrase, passphrase_key

EVERY_S = 1.0
HAND_OVER_TIMEOUT_S = 5.0
MAX_EARLIER = 3
"""How many changes may be under way at once: each keeps one more passphrase that is accepted."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PassphraseChange:
    """The newest change of the passphrase, as the group's registry has it: not the passphrase. `confirmed` are the ids
    of the servers that have the new one; `started` is ISO 8601 UTC."""

    id: str
    author: str
    started: str
    confirmed: tuple[str, ...]
    settled: bool = False

    def confirmed_by(self, more: set[str], *, of: set[str]) -> PassphraseChange:
        """The change once these servers have it too: settled where no member lacks it, whoever was removed."""
        confirmed = (set(self.confirmed) | more) & of
        return replace(self, confirmed=tuple(sorted(confirmed)), settled=confirmed == of)

    def put(self) -> Put:
        return Put(PASSPHRASE, "newest", canonical(asdict(self)))


def newest_change(elements: Elements) -> PassphraseChange | None:
    found = elements.get(PASSPHRASE, "newest")
    if found is None:
        return None
    body = found.json()
    return PassphraseChange(**body | {"confirmed": tuple(body["confirmed"])})


class PassphraseChanges:
    """One for a server: the Master begins and hands over, the others receive, all forget."""

    def __init__(self, parts: Parts) -> None:
        self._p = parts

    # What an administrator sees

    def under_way(self) -> dict[str, Any] | None:
        """The change that isn't settled yet, with the names of the servers that haven't confirmed it; None without."""
        change, waiting = self._waiting()
        if change is None or change.settled:
            return None
        return {"started": change.started, "author": change.author, "waiting_for": [m.name for m in waiting]}

    def is_waiting_for(self, server_id: str) -> bool:
        """Whether that server hasn't confirmed the new passphrase yet."""
        change, waiting = self._waiting()
        return change is not None and not change.settled and any(m.server_id == server_id for m in waiting)

    def consequences(self) -> list[str]:
        """What beginning a change would do, in sentences. Raises Conflict where it can't be begun."""
        self._check_possible()
        others = self._p.others()
        away = [m.name for m in others if self._p.views.of(m.server_id).silent]
        said = [
            f"The new passphrase is handed to the {len(others)} other servers, in messages that only they can open.",
            "Until all of them have confirmed it, the old one is accepted as well. Nothing stops meanwhile.",
            "A server that is to join the group from now on needs the new one.",
        ]
        if away:
            said.append(f"{', '.join(away)} can't be reached now and will get it when it answers again.")
        return said

    async def begin(self, new: Passphrase, author: str) -> None:
        """Change it, on the Master. Raises Conflict."""
        p = self._p
        self._check_possible()
        if new == p.state.now.secret:
            raise Conflict("That is the group's passphrase already.", remedy="Choose another one.", code="same")
        await asyncio.to_thread(passphrase_key, new)
        state = p.state.now
        p.state.update(
            passphrase=new.reveal(),
            earlier=_earlier(new, state.secrets),
            passphrase_id=p.new_id(),
            passphrase_author=author,
            passphrase_lost=False,
        )
        log.info("passphrase-changed", author=author)
        await self.step()

    def _check_possible(self) -> None:
        state = self._p.state.now
        if state.role is not Role.MASTER:
            raise Conflict(
                "The passphrase of a running group is changed on its Master.",
                remedy="Open the Master. A single server's is changed with Apply (replication set --passphrase).",
                code="slave" if state.role is Role.SLAVE else "standalone",
            )
        if len(state.earlier) >= MAX_EARLIER:
            waiting = (self.under_way() or {}).get("waiting_for", [])
            raise Conflict(
                f"{MAX_EARLIER} changes of the passphrase wait for {', '.join(waiting)}.",
                remedy="Start those servers, or remove them from the group; then change it again.",
                code="passphrase-changing",
            )

    # What the servers do

    async def run(self) -> None:
        """Until cancelled: hand over what isn't confirmed, forget what is settled."""
        while True:
            try:
                await self.step()
            except HostwardError as error:
                log.info("passphrase-change-waits", reason=error.message)
            await asyncio.sleep(EVERY_S)

    async def step(self) -> None:
        """Whatever can be done now; levels, not edges: a crash anywhere is resumed by the next step."""
        p, state = self._p, self._p.state.now
        if state.role is Role.MASTER and p.life.caught_up:
            if state.passphrase_author:
                await self._announce()
            await self._hand_over()
        change, _ = self._waiting()
        if change is not None and change.settled and change.id == state.passphrase_id and state.earlier:
            p.state.update(earlier=())
            log.info("passphrase-settled")

    async def receive(self, sender: str, data: dict[str, Any]) -> None:
        """The Master's hand-over, on a Slave. Raises PeerError, InvalidInput."""
        p = self._p
        if p.state.now.role is not Role.SLAVE or sender != p.state.now.master_id:
            raise PeerError("Only this server's Master may change its passphrase.", code="role")
        new, change_id = Passphrase(str(data["passphrase"])), str(data["id"])
        await asyncio.to_thread(passphrase_key, new)
        state = p.state.now
        if state.passphrase_id == change_id:
            return
        p.state.update(
            passphrase=new.reveal(),
            earlier=_earlier(new, state.secrets),
            passphrase_id=change_id,
            passphrase_lost=False,
        )
        log.info("passphrase-received", server=sender)

    async def _announce(self) -> None:
        p, state = self._p, self._p.state.now
        change = PassphraseChange(state.passphrase_id, state.passphrase_author, p.now(), (p.server_id,))

        def decide(reader: Reader) -> Sequence[Operation]:
            there = newest_change(reader)
            return [] if there is not None and there.id == change.id else [change.put()]

        await p.group.commit(state.passphrase_author, decide)
        p.state.update(passphrase_author="")

    async def _hand_over(self) -> None:
        p, state = self._p, self._p.state.now
        change, waiting = self._waiting()
        if change is None or change.settled:
            return
        if change.id != state.passphrase_id:
            if p.server_id in change.confirmed:  # it had the passphrase, and Apply has set another since
                await p.group.commit("replication", lambda _: [replace(change, settled=True).put()])
            # Else this server became Master without having got the passphrase: a new change will end this one.
            return
        message = Message("passphrase", {"id": change.id, "passphrase": state.passphrase})

        async def hand(them: Member) -> str:
            try:
                await p.links.ask(them, message, timeout_s=HAND_OVER_TIMEOUT_S)
            except HostwardError as error:
                log.info("passphrase-not-handed-over", server=them.name, reason=error.message)
                return ""
            return them.server_id

        reached = [m for m in waiting if m.server_id != p.server_id and not p.views.of(m.server_id).silent]
        have = {h for h in await asyncio.gather(*map(hand, reached)) if h}

        def decide(reader: Reader) -> Sequence[Operation]:
            there, ids = newest_change(reader), {m.server_id for m in members(reader)}
            if there is None or there.id != change.id:
                return []
            now = there.confirmed_by(have, of=ids)
            return [now.put()] if now != there else []

        await p.group.commit(change.author, decide)

    def _waiting(self) -> tuple[PassphraseChange | None, list[Member]]:
        """The newest change, and the members that haven't confirmed it."""
        with self._p.group.read() as reader:
            change, everyone = newest_change(reader), members(reader)
        return change, [m for m in everyone if change is not None and m.server_id not in change.confirmed]


def _earlier(new: Passphrase, known: Sequence[Passphrase]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(k.reveal() for k in known if k != new))[:MAX_EARLIER]
