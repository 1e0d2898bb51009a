"""A client of a server's REST API, as an administrator's program would be: nothing of the product's own code."""

from __future__ import annotations

import ssl
import threading
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

USER = "admin"
PASSWORD = "correct horse battery"
TIMEOUT_S = 20.0
IMPORT_TIMEOUT_S = 90.0
LIMITS = httpx.Limits(max_connections=64, max_keepalive_connections=64)


class Refused(Exception):
    """The server answered with a problem."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('code')}: {problem.get('detail')} {problem.get('remedy')}")
        self.status = status
        self.problem = dict(problem)

    @property
    def code(self) -> str:
        return str(self.problem.get("code"))


class Api:
    """One administrator at one server; safe to use from many threads. It logs in on first need, and again where its
    login has ended. `certificate` is the server's own file; it may become another one."""

    def __init__(self, url: str, certificate: Path, user: str = USER, password: str = PASSWORD) -> None:
        self._user, self._password = user, password
        self.url = url
        self._certificate = certificate
        self._client: httpx.Client | None = None
        self._pinned = ""
        self._token = ""
        self._lock = threading.Lock()

    # JSON in, JSON out

    def get(self, path: str, **params: Any) -> Any:
        return self.send("GET", path, params=params).json()

    def post(self, path: str, body: object = None, *, headers: Mapping[str, str] | None = None) -> Any:
        response = self.send("POST", path, json=body if body is not None else {}, headers=headers)
        return response.json() if response.content else None

    def put(self, path: str, body: object, *, etag: str | None = None) -> Any:
        return self.send("PUT", path, json=body, headers=_if_match(etag)).json()

    def patch(self, path: str, body: object, *, etag: str | None = None) -> Any:
        return self.send("PATCH", path, json=body, headers=_if_match(etag)).json()

    def delete(self, path: str, *, etag: str | None = None, **params: Any) -> Any:
        response = self.send("DELETE", path, headers=_if_match(etag), params=params)
        return response.json() if response.content else None

    # What tests ask often

    def import_(self, content: bytes, *, key: str | None = None, **params: Any) -> Any:
        """Import an inventory; `key` is an idempotency key."""
        headers = {"Content-Type": "text/csv", **({"Idempotency-Key": key} if key else {})}
        return self.send(
            "POST", "sessions/import", content=content, params=params, headers=headers, timeout_s=IMPORT_TIMEOUT_S
        ).json()

    def export(self) -> list[dict[str, Any]]:
        """All sessions, by name."""
        found: list[dict[str, Any]] = self.get("sessions/export", format="json")
        return found

    def total(self) -> int:
        return int(self.get("sessions", per_page=1)["total"])

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get("replication")
        return found

    def nodes(self) -> list[dict[str, Any]]:
        """Details."""
        found: Sequence[dict[str, Any]] = self.get("replication/nodes")
        return list(found)

    def health(self, check: str, **params: Any) -> tuple[int, dict[str, Any]]:
        """A health check: no login, and 503 is an answer."""
        response = self._open().get(f"health/{check}", params=params)
        return response.status_code, response.json()

    def token(self) -> str:
        """A token for programs."""
        return str(self.post("tokens", {"name": f"tests {uuid.uuid4().hex}", "days": 1})["token"])

    # How

    def send(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        content: bytes | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> httpx.Response:
        """One request. Raises Refused for a problem, httpx.TransportError where no answer came."""
        for again in (True, False):
            token = self._token or self._log_in("")
            response = self._open().request(
                method,
                path,
                json=json,
                content=content,
                params=params,
                headers={"Authorization": f"Bearer {token}", **(headers or {})},
                timeout=timeout_s,
            )
            if response.status_code == 401 and again:
                self._log_in(token)
                continue
            break
        return _checked(response)

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _log_in(self, ended: str) -> str:
        with self._lock:
            if self._token == ended:
                answer = self._open_locked().post("login", json={"user": self._user, "password": self._password})
                self._token = str(_checked(answer).json()["token"])
            return self._token

    def _open(self) -> httpx.Client:
        with self._lock:
            return self._open_locked()

    def _open_locked(self) -> httpx.Client:
        now = self._certificate.read_text("ascii") if self._certificate.exists() else self._pinned
        if self._client is not None and now != self._pinned:
            self._client.close()
            self._client = None
        if self._client is None:
            self._pinned = now
            context = ssl.create_default_context(cadata=now)
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the certificate itself is the identity
            context.check_hostname = False
            self._client = httpx.Client(
                base_url=f"{self.url}/api/v1/", verify=context, timeout=TIMEOUT_S, limits=LIMITS, trust_env=False,
                event_hooks={"request": [_ask_for_its_own]},
            )  # fmt: skip
        return self._client


def _ask_for_its_own(request: httpx.Request) -> None:
    request.extensions["sni_hostname"] = "identity.hostward.invalid"  # browsers may see another certificate


def _checked(response: httpx.Response) -> httpx.Response:
    if response.status_code < 400:
        return response
    try:
        problem = response.json()
    except ValueError:
        problem = {"code": "no-problem", "detail": response.text[:500]}
    raise Refused(response.status_code, problem)


def _if_match(etag: str | None) -> dict[str, str]:
    return {"If-Match": f'"{etag}"'} if etag is not None else {}
