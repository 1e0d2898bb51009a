"""A gate in front of a server: the other servers reach it through here, so that a test can shut them out without a
firewall, while its own administrator still gets in directly.

It forwards TCP from the gate's address to the server's. Shut, it refuses new connections and breaks those there are.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
PIECE_BYTES = 1 << 16
CONNECT_TIMEOUT_S = 5.0


class _Loop:
    """One event loop in a thread of its own, for all gates."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="gates", daemon=True).start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)


_shared: list[_Loop] = []


def _loop() -> _Loop:
    if not _shared:
        _shared.append(_Loop())
    return _shared[0]


class Gate:
    """Open until it is shut. `ports` are forwarded unchanged from `address` to `behind`."""

    def __init__(self, address: str, behind: str, ports: tuple[int, ...]) -> None:
        self.address, self._behind, self._ports = address, behind, ports
        self._listening: list[socket.socket] = []
        self._open: dict[asyncio.Task[None], socket.socket] = {}
        self.bytes_per_s: float | None = None
        """How quick each connection is from the server, None for as quick as it comes."""
        self.open()

    def open(self) -> None:
        """Let the others in."""
        _loop().run(self._listen())

    def shut(self) -> None:
        """Refuse connections, and break those that there are."""
        _loop().run(self._close())

    async def _listen(self) -> None:
        # asyncio's own servers lose a connection that they are about to take when they are closed.
        for port in () if self._listening else self._ports:
            listener = socket.create_server((self.address, port), backlog=128)
            listener.setblocking(False)
            asyncio.get_running_loop().add_reader(listener, self._accept, listener, port)
            self._listening.append(listener)

    def _accept(self, listener: socket.socket, port: int) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            connection, _ = listener.accept()
            task = asyncio.ensure_future(self._forward(connection, port))
            self._open[task] = connection
            task.add_done_callback(lambda t: self._open.pop(t).close())

    async def _close(self) -> None:
        listening, self._listening = self._listening, []
        for listener in listening:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        ending = list(self._open)
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await asyncio.sleep(0)  # the loop closes their sockets

    async def _forward(self, connection: socket.socket, port: int) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            reader, writer = await asyncio.open_connection(sock=connection)
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    back_reader, back_writer = await asyncio.open_connection(self._behind, port)
                try:
                    await asyncio.gather(self._pump(reader, back_writer, True), self._pump(back_reader, writer, False))
                finally:
                    back_writer.transport.abort()
            finally:
                writer.transport.abort()

    def passed(self, piece: bytes, to_server: bool) -> Sequence[bytes] | None:
        """What is forwarded for what came; None breaks the connection."""
        return (piece,)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to_server: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(PIECE_BYTES):
                forwarded = self.passed(piece, to_server)
                if forwarded is None:
                    writer.transport.abort()
                    return
                for part in forwarded:
                    if self.bytes_per_s is not None and not to_server:
                        await asyncio.sleep(len(part) / self.bytes_per_s)
                    writer.write(part)
                    await writer.drain()
        with contextlib.suppress(OSError, RuntimeError):
            writer.write_eof()
