"""A server that was taken over: answers the others at its own address, with its own key, whatever a test wants."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from tests.support.peer import Peer
from tests.support.server import HTTPS_PORT

from hostward.replication.peers.messages import Message


class Impostor:
    """Listens at `address` while it is entered. `answer` gets each request that it could open."""

    def __init__(self, address: str, peer: Peer, answer: Callable[[Message], Message]) -> None:
        self._peer, self._answer = peer, answer
        self.asked: list[str] = []
        self._server = ThreadingHTTPServer((address, HTTPS_PORT), self._handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(peer.identity.certificate_path, peer.identity.key_path)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        peer, answer, asked = self._peer, self._answer, self.asked

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 5.0

            def do_GET(self) -> None:
                self._send(200, json.dumps(peer.own_hello()).encode())

            def do_POST(self) -> None:
                envelope = self.rfile.read(int(self.headers["Content-Length"]))

                def noted(message: Message) -> Message:
                    asked.append(message.act)
                    return answer(message)

                reply = peer.reply(envelope, noted)
                self._send(200 if reply else 403, reply)

            def _send(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing on the terminal."""

        return Handler
