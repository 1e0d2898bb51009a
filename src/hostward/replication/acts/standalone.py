"""Acts of a server that becomes Standalone."""

from __future__ import annotations

import structlog

from hostward.domain.changes import Epoch
from hostward.domain.errors import HostwardError
from hostward.replication.group.members import forget_membership
from hostward.replication.parts import Parts
from hostward.replication.peers.messages import Message

FAREWELL_TIMEOUT_S = 5.0

log = structlog.get_logger()


class StandaloneActs:
    """See goals.STANDALONE."""

    def __init__(self, parts: Parts) -> None:
        self._p = parts

    async def say_farewell(self) -> str:
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

    async def own_history(self) -> str:
        p = self._p
        p.follower.follow(None)
        p.life.admitted, p.life.caught_up = None, False
        epoch = p.group.position.epoch
        await p.group.hold(None)
        await p.group.rebase(group_id=p.new_id(), epoch=Epoch(epoch.number + 1, p.server_id))
        await p.group.commit("replication", forget_membership)
        p.state.update(
            master_id="", master_certificate="", master_group="", backup_group="", ring_to_form="", master=None,
            earlier=(), passphrase_id="", passphrase_author="", removed="", epochs=(), refused=(),
        )  # fmt: skip
        return ""
