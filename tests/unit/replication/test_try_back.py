"""Trying back: the word is heard through an open port only, and from the server that says it."""

from __future__ import annotations

import asyncio
import socket

import pytest

from hostward.domain.errors import PeerError
from hostward.replication.peers.try_back import listening, reach

pytestmark = pytest.mark.anyio

HERE = "127.0.0.1"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        return int(probe.getsockname()[1])


@pytest.mark.feature("R4")
async def test_the_word_is_heard_while_the_port_is_open() -> None:
    port = free_port()
    async with listening(HERE, port) as word:
        await reach(HERE, port, word)
        with pytest.raises(PeerError) as refused:
            await reach(HERE, port, "0" * len(word))
        assert refused.value.code == "try-back"
    with pytest.raises(PeerError) as refused:
        await reach(HERE, port, word)
    assert f"{HERE}:{port}" in refused.value.message
    assert "Database Network Adapter" in refused.value.remedy


@pytest.mark.feature("R4")
async def test_a_port_that_the_node_itself_uses_cant_be_tried() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, HERE, 0)
    async with listening(HERE, server.sockets[0].getsockname()[1]) as word:
        assert word == ""
    server.close()
