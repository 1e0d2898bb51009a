"""A user's favourites, changed on a Slave: the Master makes the change.

The Slave's word that the user wants it is enough: who misuses it sets stars that nobody wanted, and no more of them
than the Master lets one server change (access.own_pace).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from hostward.domain.errors import Unavailable
from hostward.domain.favourites import MAX_FAVOURITES, MAX_ID, Marking
from hostward.replication.parts import Parts
from hostward.replication.peers.messages import Message
from hostward.replication.people.to_master import ToMaster

ASK_TIMEOUT_S: Final = 10.0
MAX_TEXT: Final = 1024

Change = Callable[[str, Marking, str], Awaitable[int]]
"""Makes the change of a user's favourites, by the user's id, that the server of that id asks for. The revision. Raises
HostwardError."""


async def _nobody(user_id: str, marking: Marking, server: str) -> int:
    raise Unavailable("This server is starting.", remedy="Try again in a few seconds.")


class OwnFavourites:
    """`change` is set by who can make it."""

    def __init__(self, parts: Parts) -> None:
        self._to_master = ToMaster(parts)
        self.change: Change = _nobody

    async def ask(self, user_id: str, marking: Marking) -> int:
        """On a Slave: the revision in which the Master made the change, once it is here too (or hasn't come for a
        while). Raises Unavailable, PeerError."""
        away = Unavailable(
            "The Master doesn't answer, and favourites are kept there.",
            remedy="Try again later; nothing was changed.",
            code="master-away",
        )
        data = {"user": user_id, "add": sorted(marking.add), "remove": sorted(marking.remove)}
        return await self._to_master.ask(Message("own-favourites", data), away, ASK_TIMEOUT_S)

    async def answer(self, sender: str, message: Message) -> Message:
        """The Master's side. Raises PeerError, and what `change` raises."""
        self._to_master.asked_by(sender)
        add, remove = (_ids(message.data[key]) for key in ("add", "remove"))
        revision = await self.change(str(message.data["user"])[:MAX_TEXT], Marking(add, remove), sender)
        return Message("ok", {"revision": revision})


def _ids(value: object) -> frozenset[str]:
    """Of a message. Raises ValueError, TypeError for what a Slave doesn't send."""
    if not isinstance(value, list) or len(value) > 2 * MAX_FAVOURITES:
        raise ValueError("these aren't a few sessions")
    return frozenset(str(id_)[:MAX_ID] for id_ in value)
