"""A client of the REST API that says clearly why something didn't work.

Requests that change nothing are tried again when the connection breaks; so are those that carry an Idempotency-Key,
because the server gives the first answer again. All others are sent once.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import ssl
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from hostward.cli.problems import Refused, Unreachable, UsageProblem
from hostward.domain.greeting import IDENTITY_NAME

API = "api/v1"
LONG_TIMEOUT_S = 600.0

Params = Mapping[str, str | int | bool | None]


def server_url(text: str) -> str:
    """A server's URL in one form: with scheme (https unless given) and servlet context (`mss` unless given), without
    a slash at the end. Raises UsageProblem if it is no such URL."""
    given = text.strip()
    try:
        url = httpx.URL(given if "://" in given else f"https://{given}")
        valid = url.scheme in ("http", "https") and bool(url.host) and not url.userinfo and not url.query
    except httpx.InvalidURL:
        valid = False
    if not valid:
        raise UsageProblem(
            f"“{given}” is not a server's URL.", remedy="Give it like https://server.example.com:443/mss."
        )
    path = url.path.strip("/") or "mss"
    return str(url.copy_with(raw_path=f"/{path}".encode(), fragment=None))


def pinned_context(certificate_pem: str) -> ssl.SSLContext:
    """Trust this one certificate and nothing else, whatever name the server is reached by."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a certificate issued by a CA can be pinned as well
    context.load_verify_locations(cadata=certificate_pem)
    return context


def _ask_for_its_own(request: httpx.Request) -> None:
    """Browsers may see another certificate than the one that was pinned."""
    request.extensions["sni_hostname"] = IDENTITY_NAME


def trusting_context() -> ssl.SSLContext:
    """Encrypt, but accept any certificate: what --insecure asks for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server may take to be reached and to answer, and the pauses before it is asked again."""

    connect_s: float = 10.0
    answer_s: float = 60.0
    again_after_s: tuple[float, ...] = (0.2, 0.8)


class ApiClient:
    """One server's REST API. `url` holds the servlet context. Answers are parsed JSON; a problem is raised as
    Refused, no answer as Unreachable."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        verify: ssl.SSLContext | None = None,
        pinned: bool = False,
        patience: Patience | None = None,
    ) -> None:
        self._patience = patience or Patience()
        self.url = server_url(url)
        self._pinned = pinned
        self._verify = verify
        self._client: httpx.Client | None = None
        self._headers = {"Accept": "application/json", "User-Agent": "hostward-cli"}
        self.use_token(token)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the connection. Safe to call twice."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def use_token(self, token: str | None) -> None:
        """Send this token with every request from now on. Raises UsageProblem where others could read it."""
        self._headers.pop("Authorization", None)
        if token:
            self.check_encrypted()
            self._headers["Authorization"] = f"Bearer {token}"

    def check_encrypted(self) -> None:
        """Return where a password or token can be sent without others reading it. Raises UsageProblem."""
        url = httpx.URL(self.url)
        if url.scheme != "https" and not _is_loopback(url.host):
            raise UsageProblem(
                f"Passwords and tokens aren't sent to {self.url}: over HTTP others can read them on their way.",
                remedy="Name the server's HTTPS address: https://HOST:PORT/CONTEXT.",
            )

    def get(self, path: str, params: Params | None = None) -> Any:
        """Read something."""
        return self._json("GET", path, params=params)

    def post(self, path: str, body: object | None = None, *, once: bool = False) -> Any:
        """Create something. With `once` it is created once, also when the answer is lost and it is sent again."""
        headers = {"Idempotency-Key": uuid.uuid4().hex} if once else {}
        return self._json("POST", path, json=body, headers=headers, repeatable=once)

    def put(self, path: str, body: object) -> Any:
        """Replace something."""
        return self._json("PUT", path, json=body)

    def patch(self, path: str, body: object, *, etag: str | None = None) -> Any:
        """Change fields of something; with `etag` only if nobody else has changed it since."""
        return self._json("PATCH", path, json=body, headers=if_match(etag))

    def delete(self, path: str, body: object | None = None, *, etag: str | None = None) -> Any:
        """Remove something."""
        return self._json("DELETE", path, json=body, headers=if_match(etag))

    def upload(self, path: str, content: bytes, content_type: str, params: Params) -> Any:
        """Send a file as the body, once for the server even when it is sent again."""
        headers = {"Content-Type": content_type, "Idempotency-Key": uuid.uuid4().hex}
        return self._json("POST", path, content=content, headers=headers, params=params, repeatable=True)

    def upload_file(self, path: str, file: Iterable[bytes], params: Params) -> Any:
        """Send a .zip file of any size as the body. It is sent once: whoever lost the answer sends it again."""
        headers = {**self._headers, "Content-Type": "application/zip", "Idempotency-Key": uuid.uuid4().hex}
        timeout = httpx.Timeout(LONG_TIMEOUT_S, connect=self._patience.connect_s)
        with self._explained("POST", path):
            response = self._http().request(
                "POST", self._address(path), params=_given(params), content=file, headers=headers, timeout=timeout
            )
        self._check(response)
        answer = _parsed(response)
        if answer is None:
            raise self._not_hostward(response)
        return answer

    def confirmed(self, method: str, path: str, body: Mapping[str, Any], confirm: Callable[[Refused], bool]) -> Any:
        """Send a request that the server wants confirmed ("Settings update"). `confirm` is asked once, with the
        consequences; a No raises that problem."""
        try:
            return self._json(method, path, json=dict(body))
        except Refused as refused:
            if refused.code != "confirmation-required" or not confirm(refused):
                raise
            plan = {"plan": refused.plan} if refused.plan else {}
        return self._json(method, path, json={**body, "confirm": True, **plan})

    def probe(self, path: str, params: Params | None = None) -> tuple[int, dict[str, Any]]:
        """A health check: status and answer, also when it says 503."""
        response = self._send("GET", path, params=_given(params))
        if response.status_code not in (200, 503):
            self._check(response)
        answer = _parsed(response)
        return response.status_code, answer if isinstance(answer, dict) else {}

    @contextmanager
    def download(self, path: str, params: Params) -> Iterator[Iterator[bytes]]:
        """Read something large piece by piece."""
        headers = {**self._headers, "Accept": "*/*"}
        request = self._http().build_request("GET", self._address(path), params=_given(params), headers=headers)
        with self._streamed(request, path) as response:
            yield response.iter_bytes()

    @contextmanager
    def resume(self, path: str, have: int, etag: str) -> Iterator[tuple[bool, Iterator[bytes]]]:
        """Read the rest of something large, after so many bytes of the one with that ETag; whether it is the rest, and
        not all of it from the beginning."""
        headers = {**self._headers, "Accept": "*/*"} | ({"Range": f"bytes={have}-", "If-Range": etag} if have else {})
        request = self._http().build_request("GET", self._address(path), headers=headers)
        with self._streamed(request, path) as response:
            yield response.status_code == 206, response.iter_bytes()

    def follow(self, path: str, body: object) -> Iterator[Any]:
        """Ask for something that is answered line by line; each line as soon as it is there."""
        request = self._http().build_request(
            "POST", self._address(path), params={"follow": "true"}, json=body, headers=self._headers
        )
        with self._streamed(request, path) as response:
            for line in response.iter_lines():
                yield json.loads(line)

    @contextmanager
    def _streamed(self, request: httpx.Request, path: str) -> Iterator[httpx.Response]:
        with self._explained(request.method, path):
            response = self._http().send(request, stream=True)
            try:
                if response.is_error:
                    response.read()
                self._check(response)
                yield response
            finally:
                response.close()

    def _json(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        json: object | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
    ) -> Any:
        response = self._send(
            method, path, params=_given(params), json=json, content=content, headers=headers, repeatable=repeatable
        )
        self._check(response)
        if response.status_code == 204 or not response.content:
            return {}
        answer = _parsed(response)
        if answer is None:
            raise self._not_hostward(response)
        return answer

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None,
        json: object | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
    ) -> httpx.Response:
        wait = self._patience
        pauses = list(wait.again_after_s) if method == "GET" or repeatable else []
        timeout = httpx.Timeout(LONG_TIMEOUT_S if content is not None else wait.answer_s, connect=wait.connect_s)
        all_headers = {**self._headers, **(headers or {})}
        while True:
            try:
                with self._explained(method, path):
                    if content is not None:
                        return self._http().request(
                            method,
                            self._address(path),
                            params=params,
                            content=content,
                            headers=all_headers,
                            timeout=timeout,
                        )
                    return self._http().request(
                        method, self._address(path), params=params, json=json, headers=all_headers, timeout=timeout
                    )
            except Unreachable as error:
                if error.code not in ("refused", "broken") or not pauses:
                    raise
                time.sleep(pauses.pop(0))

    def _http(self) -> httpx.Client:
        if self._client is None:
            verify: ssl.SSLContext | bool = self._verify if self._verify is not None else True
            # A proxy set for the outside world can't reach this machine's own addresses.
            own = _is_loopback(httpx.URL(self.url).host)
            timeout = httpx.Timeout(self._patience.answer_s, connect=self._patience.connect_s)
            hooks = {"request": [_ask_for_its_own]} if self._pinned else {}
            self._client = httpx.Client(verify=verify, trust_env=not own, timeout=timeout, event_hooks=hooks)
        return self._client

    def _address(self, path: str) -> str:
        return f"{self.url}/{API}/{path}"

    @contextmanager
    def _explained(self, method: str, path: str) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            raise unreachable(self.url, error, pinned=self._pinned, doing=f"{method} {path}") from error

    def _check(self, response: httpx.Response) -> None:
        if response.is_success:
            return
        problem = _parsed(response)
        if isinstance(problem, dict) and ("detail" in problem or "title" in problem):
            if response.status_code == 401 and not problem.get("remedy"):
                problem["remedy"] = f"Run `hostward login {self.url}`, or set HOSTWARD_TOKEN."
            raise Refused(response.status_code, problem)
        raise self._not_hostward(response)

    def _not_hostward(self, response: httpx.Response) -> Refused:
        moved = response.headers.get("location")
        context = httpx.URL(self.url).path
        return Refused(
            response.status_code,
            {
                "title": "Not an Administrative Server's answer",
                "detail": f"{self.url} answered {response.status_code} {response.reason_phrase}"
                + (f" (moved to {moved})" if moved else "")
                + ", but not as an Administrative Server does.",
                "code": "not-hostward",
                "remedy": f"Check host, port and servlet context (“{context.strip('/')}”) of the URL.",
            },
        )


def if_match(etag: str | None) -> dict[str, str]:
    """The header that makes a write conditional on what the caller has read."""
    if not etag:
        return {}
    return {"If-Match": etag if etag.startswith('"') else f'"{etag}"'}


def unreachable(url: str, error: Exception, *, pinned: bool, doing: str) -> Unreachable:
    """Why no answer came, as a person would say it, and what to do."""
    where = httpx.URL(url)
    port = where.port or (443 if where.scheme == "https" else 80)
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _untrusted(url, cause, pinned=pinned)
        if isinstance(cause, ssl.SSLError):
            return Unreachable(
                f"{where.host}:{port} doesn't speak TLS as expected ({cause.reason or cause}).",
                remedy="Check the port, and whether the URL should begin with http:// instead of https://.",
                code="tls",
            )
        if isinstance(cause, socket.gaierror):
            return Unreachable(
                f"The name {where.host} can't be resolved ({cause.strerror}).",
                remedy="Check its spelling, the DNS or /etc/hosts; or use the server's address.",
                code="name",
            )
        if isinstance(cause, ConnectionRefusedError):
            return Unreachable(
                f"Nothing listens at {where.host} port {port} (connection refused).",
                remedy="Check that the server runs (`hostward serve …`) and that the port is its HTTPS or HTTP port.",
                code="refused",
            )
    if isinstance(error, httpx.TimeoutException):
        return Unreachable(
            f"{where.host}:{port} didn't answer in time ({doing}).",
            remedy="Check the network, a firewall between, and the server's log; then try again.",
            code="timeout",
        )
    why = str(error).rstrip(".") or type(error).__name__
    hint = " An HTTPS port answers this way to http://." if where.scheme == "http" else ""
    return Unreachable(
        f"The connection to {where.host}:{port} broke ({doing}): {why}.{hint}",
        remedy="Look at what was done on the server before you send a change again.",
        code="broken",
    )


def _untrusted(url: str, cause: ssl.SSLCertVerificationError, *, pinned: bool) -> Unreachable:
    if pinned:
        return Unreachable(
            f"{url} shows another certificate than the one confirmed at login.",
            remedy=f"If it was replaced on purpose, run `hostward login {url}` again and compare the fingerprint.",
            code="certificate-changed",
        )
    return Unreachable(
        f"The certificate of {url} is not trusted here ({cause.verify_message}).",
        remedy=f"Run `hostward login {url}` to confirm and pin its fingerprint, or use --insecure for this command.",
        code="certificate",
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen = 0
    while error is not None and seen < 16:
        yield error
        error = error.__cause__ or error.__context__
        seen += 1


def _parsed(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _given(params: Params | None) -> dict[str, str | int] | None:
    """None, which leaves the path's own, where there are none."""
    if params is None:
        return None
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in params.items()
        if value is not None
    }


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
