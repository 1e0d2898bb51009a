from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from hostward.domain.errors import PeerError, TrustError
from hostward.trust.identity import ServerIdentity, fingerprint
from hostward.trust.tls import ServerTls, client_context, fetch_certificate

MakeIdentity = Callable[..., ServerIdentity]
HOST = "127.0.0.1"


@asynccontextmanager
async def serving(context: ssl.SSLContext | None, answer: bytes = b"hello\n") -> AsyncIterator[int]:
    """A server that says `answer` to whoever connects (nothing if it is empty), and its port."""

    talks: set[asyncio.Task[None] | None] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.current_task())
        if answer:
            writer.write(answer)
        else:
            await reader.read()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(talk, HOST, 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*(task for task in talks if task), return_exceptions=True)


async def greeting(port: int, context: ssl.SSLContext) -> bytes:
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection(HOST, port, ssl=context)
        line = await reader.read()
        writer.transport.abort()
        return line


@pytest.mark.feature("R5")
def test_only_servers_with_a_trusted_certificate_are_talked_to(make_identity: MakeIdentity) -> None:
    one, two = make_identity("one"), make_identity("two")

    async def run() -> None:
        async with serving(ServerTls(one).context) as port:
            trusted = client_context([two.certificate_pem, one.certificate_pem])
            assert await greeting(port, trusted) == b"hello\n"  # by an address that isn't compared
            for others in ([two.certificate_pem], []):
                with pytest.raises(ssl.SSLCertVerificationError):
                    await greeting(port, client_context(others))

    asyncio.run(run())


def test_versions_before_tls_1_2_are_off(make_identity: MakeIdentity) -> None:
    identity = make_identity()
    for context in (ServerTls(identity).context, client_context([identity.certificate_pem])):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_reload_shows_the_new_certificate_to_new_connections(make_identity: MakeIdentity) -> None:
    one, two = make_identity("one"), make_identity("two")

    async def run() -> None:
        tls = ServerTls(one)
        async with serving(tls.context) as port:
            before = one.fingerprint
            assert fingerprint(await fetch_certificate(HOST, port, 5)) == before
            one.take(two.pair)
            tls.reload()
            assert fingerprint(await fetch_certificate(HOST, port, 5)) == two.fingerprint

    asyncio.run(run())


def test_files_that_can_not_be_used_are_named(make_identity: MakeIdentity) -> None:
    one, two = make_identity("one"), make_identity("two")
    for pair in (replace(one.pair, key_path=two.key_path), replace(one.pair, tls_path=one.key_path / "none")):
        with pytest.raises(TrustError, match=str(pair.tls_path)):
            ServerTls(ServerIdentity(one.server_id, pair))
    with pytest.raises(TrustError):
        client_context(["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"])


def refused(host: str, port: int, timeout_s: float = 5) -> str:
    async def run() -> PeerError:
        with pytest.raises(PeerError) as caught:
            await fetch_certificate(host, port, timeout_s)
        assert caught.value.remedy
        return caught.value

    return asyncio.run(run()).code


@pytest.mark.feature("R9")
def test_what_is_wrong_with_an_address_is_told_apart() -> None:
    async def run(answer: bytes, timeout_s: float) -> str:
        async with serving(None, answer) as port:
            with pytest.raises(PeerError) as caught:
                await fetch_certificate(HOST, port, timeout_s)
            return caught.value.code

    assert asyncio.run(run(b"HTTP/1.1 400 Bad Request\r\n\r\n", 5)) == "protocol"
    assert asyncio.run(run(b"", 0.05)) == "timeout"
    assert refused("nowhere.invalid", 443) == "name"
    assert refused("a..b", 443) == "name"
    assert refused(HOST, unused_port()) == "port"


def unused_port() -> int:
    async def run() -> int:
        async with serving(None) as port:
            return port

    return asyncio.run(run())
