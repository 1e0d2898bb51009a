"""How old what a node has said of its ring may be."""

from __future__ import annotations

import pytest

from hostward.database.ring import RingPicture
from hostward.domain.errors import DatabaseError
from hostward.replication.ring.picture import FRESH_S, HALTED_S, LatestPicture

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R13")]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Node:
    """Answers with the time at which it was asked, after `takes_s`."""

    def __init__(self) -> None:
        self.now, self.takes_s = 100.0, 0.0

    def clock_s(self) -> float:
        return self.now

    async def ring(self) -> RingPicture:
        asked = self.now
        self.now += self.takes_s
        if self.takes_s < 0:
            raise DatabaseError("It doesn't answer.", remedy="Wait.")
        return RingPicture("NORMAL", True, "id", "10.0.0.1", (), int(asked * 1000), 0, "5.0")


async def seen_at(seen: LatestPicture, node: Node) -> float | None:
    """When the node was asked for what is shown."""
    picture = await seen.look(node.ring)
    return picture.heap_used_bytes / 1000 if picture else None


async def test_it_is_asked_again_after_a_moment_and_where_something_was_done() -> None:
    node = Node()
    seen = LatestPicture(node.clock_s)
    assert await seen_at(seen, node) == 100.0
    node.now += FRESH_S / 2
    assert await seen_at(seen, node) == 100.0
    node.now += FRESH_S
    assert await seen_at(seen, node) == pytest.approx(node.now)
    node.now += FRESH_S / 2
    seen.ask_again()
    assert await seen_at(seen, node) == pytest.approx(node.now)


async def test_a_slow_answer_counts_from_when_it_came() -> None:
    node = Node()
    seen = LatestPicture(node.clock_s)
    node.takes_s = HALTED_S / 2
    assert await seen_at(seen, node) == 100.0
    assert await seen_at(seen, node) == 100.0


async def test_an_answer_that_lay_unread_while_the_server_was_halted_is_no_news() -> None:
    node = Node()
    seen = LatestPicture(node.clock_s)
    node.takes_s = 40.0
    assert await seen_at(seen, node) == 100.0, "for who was waiting for it"
    node.takes_s = 0.0
    assert await seen_at(seen, node) == 140.0


async def test_no_answer_is_no_picture() -> None:
    node = Node()
    seen = LatestPicture(node.clock_s)
    await seen.look(node.ring)
    node.now += 1.0
    node.takes_s = -0.1
    assert await seen_at(seen, node) is None
    assert seen.picture is None
