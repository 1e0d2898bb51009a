"""TLS between servers and for browsers. Between servers it is the outer layer only: who sent a message is proved by
the envelope inside, over HTTP just as over HTTPS.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable
from pathlib import Path

from hostward.domain.errors import PeerError, TrustError
from hostward.domain.greeting import IDENTITY_NAME
from hostward.trust.identity import ServerIdentity


class ServerTls:
    """What this server's HTTPS port shows: its own certificate, and to all who don't ask for that the one for browsers,
    where there is one. `context` is the port's. TLS 1.2 or later. Raises TrustError "certificate"."""

    def __init__(self, identity: ServerIdentity) -> None:
        self._identity = identity
        self._for_browsers: ssl.SSLContext | None = None
        self.context = _server_context()
        self.context.sni_callback = self._choose
        self.reload()

    def reload(self) -> None:
        """Read the own certificate and its key again: connections made from now on see them."""
        pair = self._identity.pair
        try:
            self.context.load_cert_chain(pair.tls_path, pair.key_path, password=_nobody)
        except (ssl.SSLError, OSError) as error:
            raise TrustError(
                f"TLS can't use {pair.tls_path} and its key: {error.strerror or error}.",
                remedy="Check that both files are there, readable and belong together.",
                code="certificate",
            ) from error

    def show(self, for_browsers: ssl.SSLContext | None) -> None:
        """What browsers see from now on: see `context_of`; None for the own certificate."""
        self._for_browsers = for_browsers

    def _choose(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        if self._for_browsers is not None and name != IDENTITY_NAME:
            connection.context = self._for_browsers


def context_of(file: Path) -> ssl.SSLContext:
    """For ServerTls.show: what is in this file (PEM: key, certificate, chain). Raises ssl.SSLError, OSError."""
    context = _server_context()
    context.load_cert_chain(file, password=_nobody)  # else it would be asked for at the terminal
    return context


def _nobody() -> str:
    return ""


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def client_context(trusted: Iterable[str]) -> ssl.SSLContext:
    """For connections to servers with one of these certificates (PEM). With none, every connection is refused.

    A certificate in the list is trusted as it is, self-signed or not (partial chain). The host name isn't compared:
    the certificate itself is the identity, and a server is also reached by addresses that aren't in it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    pems = "\n".join(trusted)
    if pems:
        try:
            context.load_verify_locations(cadata=pems)
        except ssl.SSLError as error:
            raise TrustError("A trusted certificate can't be used for TLS.", code="certificate") from error
    return context


def stranger_context() -> ssl.SSLContext:
    """For looking at a server before it is known whether to trust it: nothing that isn't public may be sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def fetch_certificate(host: str, port: int, timeout_s: float) -> bytes:
    """The certificate (DER) that the server at this address presents now to other servers, trusted or not; nothing is
    sent to it.

    Raises PeerError: code "name" (doesn't resolve), "port" (nothing listens, or no route), "protocol" (not TLS),
    "timeout"."""
    context = stranger_context()  # To look at it is the purpose; whether to trust it is the caller's question.
    where = f"{host}:{port}"
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(
                host, port, ssl=context, server_hostname=IDENTITY_NAME, limit=1 << 16
            )
    except TimeoutError as error:
        raise PeerError(
            f"{where} didn't answer within {timeout_s:g} s.",
            remedy="Check that the server runs, and that no firewall drops the connection.",
            code="timeout",
        ) from error
    except (socket.gaierror, UnicodeError) as error:
        raise PeerError(
            f"The name {host!r} can't be resolved.",
            remedy="Enter the fully qualified host name, and check that this machine's DNS knows it.",
            code="name",
        ) from error
    except (ssl.SSLError, ConnectionResetError, ConnectionAbortedError) as error:
        raise PeerError(
            f"{where} doesn't speak TLS ({error.strerror or error}).",
            remedy="Use that server's HTTPS port, or HTTP on both servers.",
            code="protocol",
        ) from error
    except OSError as error:
        raise PeerError(
            f"Nothing accepts connections at {where} ({error.strerror or error}).",
            remedy="Check the port, and that the server runs.",
            code="port",
        ) from error
    try:
        tls = writer.get_extra_info("ssl_object")
        der = tls.getpeercert(binary_form=True) if tls else None
    finally:
        writer.transport.abort()
    if not der:
        raise PeerError(f"{where} presented no certificate.", remedy="Use that server's HTTPS port.", code="protocol")
    return bytes(der)
