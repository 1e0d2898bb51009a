"""A program that listens where a server is expected, and keeps all that it is sent."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

TIMEOUT_S = 5.0


class Listener:
    """Answers each connection with `answer`, once something came; over TLS where it has a certificate and key."""

    def __init__(
        self, address: str, port: int, answer: bytes = b"", *, certificate: Path | None = None, key: Path | None = None
    ) -> None:
        self._answer = answer
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate, key)
        self._socket = socket.create_server((address, port))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.connections = 0
        self.received: list[bytes] = []
        """What came, a piece for each connection; within TLS where that is spoken."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(TIMEOUT_S)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            with connection, contextlib.suppress(OSError):
                connection.settimeout(TIMEOUT_S)
                stream = self._context.wrap_socket(connection, server_side=True) if self._context else connection
                data = stream.recv(1 << 16)
                if data:
                    self.received.append(data)
                    stream.sendall(self._answer)
                stream.close()
