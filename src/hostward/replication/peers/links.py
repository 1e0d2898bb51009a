"""The asking side of the servers' conversation: kept-open connections, envelopes, and what each failure means.

The other server's certificate is fetched from it (it is public), and used only if it is in this server's store
"Management and Security Server": with HTTP as with HTTPS.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from hostward.domain.errors import InvalidInput, PeerError, TrustError
from hostward.domain.greeting import IDENTITY_NAME
from hostward.domain.replication import Target
from hostward.replication.group.members import Member
from hostward.replication.peers.messages import MAX_BYTES, Message
from hostward.trust.certificates import CertificateStore
from hostward.trust.envelope import Opener, Sealer
from hostward.trust.identity import fingerprint, server_id_of
from hostward.trust.passphrase import Passphrase
from hostward.trust.tls import client_context, stranger_context

TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 3.0
HELLO_BYTES = 64 << 10
IN_THREAD_BYTES = 256 << 10
MAX_CONNECTIONS = 64
KEEP_ALIVE_S = 50.0


@dataclass(frozen=True, slots=True)
class Hello:
    """A server's public answer: its certificate (PEM), which life of it this is, and how it came by that certificate
    (trust.renewals; not looked at yet)."""

    certificate: str
    instance: str
    renewals: Any = ()


class Links:
    """One for a server. `other_passphrase` gives a Sealer and an Opener for another passphrase than the current one
    (Test Connection). `met` is asked about a certificate that isn't trusted, with its renewals: whether it is now."""

    def __init__(
        self,
        store: CertificateStore,
        sealer: Sealer,
        opener: Opener,
        other_passphrase: Callable[[Passphrase], tuple[Sealer, Opener]],
        group_id: Callable[[], str],
        met: Callable[[str, Any], bool],
    ) -> None:
        self._met = met
        self._store, self._sealer, self._opener = store, sealer, opener
        self._other_passphrase, self._group_id = other_passphrase, group_id
        self._hellos: dict[str, Hello] = {}
        self._keys: dict[str, bytes] = {}
        self._client: aiohttp.ClientSession | None = None
        self._stranger: aiohttp.ClientSession | None = None
        self._retired: list[aiohttp.ClientSession] = []
        self._trusted: list[str] = []

    async def ask(self, them: Member, message: Message, *, timeout_s: float = TIMEOUT_S) -> Message:
        """Say something to a member; answers its answer. Raises PeerError, also where it refuses."""
        url = _url(them.target, them.protocol)
        answer, _ = await self._converse(
            url, them.server_id, message, timeout_s, self._sealer, self._opener, self._group_id()
        )
        return _checked(answer)

    async def ask_target(
        self,
        target: Target,
        message: Message,
        *,
        protocol: str,
        passphrase: Passphrase | None = None,
        group: str = "",
        whose: str = "",
        timeout_s: float = TIMEOUT_S,
    ) -> tuple[Message, str, str]:
        """Say something to whatever server is at an address, or to that with the id `whose` alone, of that group or of
        any; answers its answer, its server id and its certificate. Raises PeerError."""
        sealer, opener = self._other_passphrase(passphrase) if passphrase else (self._sealer, self._opener)
        url = _url(target, protocol)
        answer, certificate = await self._converse(url, whose, message, timeout_s, sealer, opener, group)
        return _checked(answer), server_id_of(certificate), certificate

    async def greet_stranger(self, target: Target, protocol: str) -> Hello:
        """The public answer of whatever server is at an address, trusted or not: nothing private is sent. Raises
        PeerError."""
        return await self._hello(_url(target, protocol))

    async def post_to_stranger(
        self, target: Target, protocol: str, path: str, envelope: bytes, certificate: str
    ) -> bytes:
        """Send an envelope to a server that isn't in the store yet, but has this certificate (PEM); its answer. Raises
        PeerError: "join-code" where it is told nothing."""
        url = f"{_url(target, protocol)}{path}"
        async with _session(client_context([certificate])) as client:
            status, body = await self._request("POST", url, envelope, TIMEOUT_S, client)
        if status == 200:
            return body
        if status == 429:
            raise PeerError("The Master had too many wrong attempts.", remedy="Wait a minute.", code="busy")
        if status == 403:
            raise PeerError(
                "The Master doesn't know this join code: it was revoked, or is older than a day.",
                remedy="Make a new one on the Master: hostward group invite.",
                code="join-code",
            )
        raise _wrong_context(url)

    async def close(self) -> None:
        for client in (self._client, self._stranger, *self._retired):
            if client is not None:
                await client.close()
        self._client, self._stranger, self._retired = None, None, []

    async def _converse(
        self, url: str, whose: str, message: Message, timeout_s: float, sealer: Sealer, opener: Opener, group: str
    ) -> tuple[Message, str]:
        """One question and answer, with the greeting before it, in that time."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._with_each_key(url, whose, message, timeout_s, sealer, opener, group)
        except TimeoutError as error:
            raise _explained(error, url) from error

    async def _with_each_key(
        self, url: str, whose: str, message: Message, timeout_s: float, sealer: Sealer, opener: Opener, group: str
    ) -> tuple[Message, str]:
        """Proved with the passphrase that the other server knows: while it is being changed, there are several."""
        keys = list(sealer.keys())
        keys.sort(key=lambda key: key != self._keys.get(url))
        for number, key in enumerate(keys, 1):
            try:
                answer, certificate = await self._exchange(url, whose, message, timeout_s, sealer, opener, group, key)
            except PeerError as error:
                if error.code != "passphrase" or number == len(keys):
                    raise
                continue
            if not _refused(answer, "passphrase") or number == len(keys):
                self._keys[url] = key
                return answer, certificate
        raise AssertionError("unreachable")

    async def _exchange(
        self,
        url: str,
        whose: str,
        message: Message,
        timeout_s: float,
        sealer: Sealer,
        opener: Opener,
        group: str,
        key: bytes,
    ) -> tuple[Message, str]:
        """One question and answer; once more where the other server has a new life, or one of the two a new
        certificate, since it was last asked. `whose`: the id of the server that alone may read it, empty for any that
        is trusted."""
        body = message.to_bytes()
        for attempt in (1, 2):
            greeted_before = url in self._hellos
            hello = await self._hello_of(url, whose)
            nonce = sealer.new_nonce()

            def seal(hello: Hello = hello, nonce: str = nonce) -> bytes:
                return sealer.seal(
                    body, to=hello.certificate, nonce=nonce, to_instance=hello.instance, group=group, key=key
                )

            def open_(data: bytes, hello: Hello = hello, nonce: str = nonce) -> Message:
                opened = opener.open(data, group=self._group_id(), in_reply_to=nonce)
                if opened.claims.sender != server_id_of(hello.certificate):
                    raise TrustError("Another server has answered.", code="untrusted")
                answer = Message.from_bytes(opened.body)
                if opened.claims.group != group and answer.act != "error":
                    raise PeerError("The answer is of another group than the question.", code="group")
                return answer

            try:
                envelope = await asyncio.to_thread(seal) if len(body) > IN_THREAD_BYTES else seal()
            except InvalidInput as error:
                raise PeerError(error.message, code="peer") from error
            try:
                data = await self._post(url, envelope, timeout_s)
            except PeerError as error:
                if attempt == 1 and greeted_before and error.code in ("certificate", "certificate-there"):
                    continue
                raise
            try:
                answer = await asyncio.to_thread(open_, data) if len(data) > IN_THREAD_BYTES else open_(data)
            except TrustError as error:
                self._hellos.pop(url, None)
                raise PeerError(error.message, remedy=error.remedy, code=_open_code(error)) from error
            if _refused(answer, "instance") and attempt == 1:
                self._hellos.pop(url, None)
                continue
            return answer, hello.certificate
        raise AssertionError("unreachable")

    async def _hello(self, url: str) -> Hello:
        # Without looking at its TLS certificate, which may be a new one: the hello tells how it came to be.
        if self._stranger is None:
            self._stranger = _session(stranger_context())
        status, body = await self._request("GET", url, None, TIMEOUT_S, self._stranger)
        if status != 200:
            raise _wrong_context(url)
        try:
            value: dict[str, Any] = orjson.loads(body)
            hello = Hello(str(value["certificate"]), str(value["instance"]), value.get("renewals", []))
            fingerprint(hello.certificate)
        except (ValueError, KeyError, TypeError, TrustError) as error:
            raise _wrong_context(url) from error
        return hello

    async def _hello_of(self, url: str, whose: str) -> Hello:
        """Who answers there, before anything is sealed to it: another trusted server may have taken the address."""
        hello = self._hellos.get(url)
        if hello is None or whose not in ("", server_id_of(hello.certificate)):
            hello = await self._greet(url)
        if whose not in ("", server_id_of(hello.certificate)):
            raise PeerError(
                f"Another server answers at {url.split('/')[2]}. Nothing was told to it.",
                remedy="See which server has that address now.",
                code="certificate",
            )
        return hello

    async def _greet(self, url: str) -> Hello:
        hello = await self._hello(url)
        mark = fingerprint(hello.certificate)
        if not self._store.trusted(mark) and not self._met(hello.certificate, hello.renewals):
            raise _not_trusted(f"It has the SHA-256 fingerprint {mark}.")
        entry = self._store.find(mark)
        if entry is not None and entry.expired:
            raise PeerError(
                f"The other server's certificate expired on {entry.not_after:%Y-%m-%d}.",
                remedy="Renew it there: hostward certificate renew. This server then takes the new one over by itself.",
                code="certificate",
            )
        self._hellos[url] = hello
        return hello

    async def _post(self, url: str, envelope: bytes, timeout_s: float) -> bytes:
        status, body = await self._request("POST", url, envelope, timeout_s, self._open_client())
        if status == 403:
            self._hellos.pop(url, None)
            raise PeerError(
                "The other server doesn't trust this server's certificate.",
                remedy="Import this server's servletcontainer.cer into the other server's Trusted Certificates.",
                code="certificate-there",
            )
        if status == 503:
            raise PeerError("The other server is busy.", remedy="It is tried again.", code="busy")
        if status != 200:
            raise _wrong_context(url)
        return body

    async def _request(
        self, method: str, url: str, body: bytes | None, timeout_s: float, client: aiohttp.ClientSession
    ) -> tuple[int, bytes]:
        """The answer's status and body."""
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(CONNECT_TIMEOUT_S, timeout_s))
        limit = HELLO_BYTES if method == "GET" else MAX_BYTES + (1 << 20)
        try:
            async with client.request(
                method, url, data=body, timeout=timeout, allow_redirects=False, server_hostname=IDENTITY_NAME
            ) as response:
                parts, size = [], 0
                async for part in response.content.iter_any():
                    size += len(part)
                    if size > limit:
                        raise PeerError("The other server's answer is too large.", code="peer")
                    parts.append(part)
                return response.status, b"".join(parts)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._hellos.pop(url, None)
            raise _explained(error, url) from error

    def _open_client(self) -> aiohttp.ClientSession:
        """The kept-open connections; made anew where the Trusted Certificates have changed since."""
        trusted = self._store.pems()
        if self._client is None or trusted != self._trusted:
            if self._client is not None:
                self._retired.append(self._client)
            self._trusted = trusted
            self._client = _session(client_context(trusted))
        return self._client


def _session(context: ssl.SSLContext) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        ssl=context, limit=MAX_CONNECTIONS, keepalive_timeout=KEEP_ALIVE_S, use_dns_cache=False
    )
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, trust_env=False
    )


def _url(target: Target, protocol: str) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    return f"{protocol}://{host}:{target.port}/{target.context}/peer/"


def _refused(answer: Message, code: str) -> bool:
    return answer.act == "error" and answer.data.get("code") == code


def _checked(answer: Message) -> Message:
    if answer.act == "error":
        data = answer.data
        raise PeerError(
            str(data.get("message", "The other server refused.")),
            remedy=str(data.get("remedy", "")),
            code=str(data.get("code", "peer")),
        )
    return answer


def _open_code(error: TrustError) -> str:
    """The other side's answer couldn't be opened: its passphrase proof or clock is as wrong as ours would be there."""
    return error.code if error.code in ("passphrase", "clock", "group") else "certificate"


def _wrong_context(url: str) -> PeerError:
    context = url.split("/")[3]
    return PeerError(
        f"No Administrative Server answers under the servlet context {context}.",
        remedy="Enter the servlet context of the other server's set-up (mss by default), and its own port.",
        code="context",
    )


def _not_trusted(which: str) -> PeerError:
    return PeerError(
        f"The other server's certificate isn't in this server's Trusted Certificates. {which}".strip(),
        remedy="Import its servletcontainer.cer here: Configure Settings > Trusted Certificates > + Import.",
        code="certificate",
    )


def _explained(error: Exception, url: str) -> PeerError:
    """What a failed request means."""
    host = url.split("/")[2]
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, socket.gaierror):
        return PeerError(f"The name in {host} does not resolve.", remedy="Check the host name.", code="name")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _not_trusted("")
    if isinstance(cause, ssl.SSLError):
        return _other_protocol(f"The server at {host} doesn't speak HTTPS there.")
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError | aiohttp.ClientResponseError):
        return _other_protocol(f"The server at {host} doesn't speak HTTP there.")
    if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError):
        return PeerError(f"The server at {host} didn't answer in time.", remedy="See whether it runs.", code="timeout")
    return PeerError(
        f"Nothing accepts connections at {host}.", remedy="See whether that server runs, and its port.", code="port"
    )


def _other_protocol(message: str) -> PeerError:
    remedy = "Choose the same Global protocol on both servers, and the port that belongs to it."
    return PeerError(message, remedy=remedy, code="protocol")
