"""The group's servers as one: what is asked is asked of the next where one doesn't answer.

Each is tried in turn, the one that answered last first, within a few seconds. Where a server doesn't know the login,
the ticket makes one there; only where none of them takes it, the password is asked for.
"""

from __future__ import annotations

import ssl
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from hostward.cli import secrets
from hostward.cli.options import Invocation
from hostward.cli.problems import Refused, Unreachable, UsageProblem
from hostward.client.state import Desk, KnownServer, desk_file, load_desk, save_desk
from hostward.domain.errors import HostwardError

if TYPE_CHECKING:
    from hostward.cli.client import ApiClient

T = TypeVar("T")

CONNECT_S: Final = 3.0
ANSWER_S: Final = 10.0
ASK_AGAIN_S: Final = 600.0
"""After which a server is asked anew who the others are, and for a new ticket."""
NOT_NOW: Final = (502, 503, 504)


@dataclass(slots=True)
class Servers:
    """A login at a desk. `password` gives the password where it is needed; `now_s` the time in seconds since 1970."""

    desk: Desk
    path: Path
    password: Callable[[str], str]
    say: Callable[[str], None]
    now_s: Callable[[], float] = time.time
    _silent: list[tuple[KnownServer, HostwardError]] = field(default_factory=list)

    def ask(self, act: Callable[[ApiClient], T]) -> T:
        """What `act` gives on the first server that answers. It is begun anew on the next one, so it must change
        nothing that can't be done twice. Raises what a server says, and Unreachable where none says anything."""
        self._silent = []
        unknown: list[KnownServer] = []
        for server in self.desk.servers:
            try:
                return self._on(server, act)
            except _NotLoggedIn:
                unknown.append(server)
            except (Unreachable, Refused) as error:
                if not _means_elsewhere(error):
                    raise
                self._silent.append((server, error))
        if not unknown:
            raise self._nobody()
        secret = self.password(f"Password of {self.desk.user} at {unknown[0].name}")
        with client_of(self.desk, unknown[0]) as api:
            answer = api.post("login", {"user": self.desk.user, "password": secret, "desk": True})
        self._keep(replace(unknown[0], token=str(answer["token"])), str(answer.get("ticket") or ""))
        return self._on(self.desk.servers[0], act)

    def each_logged_in(self) -> list[KnownServer]:
        """The servers where this desk has a login of its own."""
        return [server for server in self.desk.servers if server.token]

    def _on(self, server: KnownServer, act: Callable[[ApiClient], T]) -> T:
        with client_of(self.desk, server) as api:
            if not server.token:
                server = self._carried(api, server)
            try:
                done = act(api)
            except Refused as error:
                if not _is_no_login(error):
                    raise
                server = self._carried(api, server)
                done = act(api)
            self._answered(api, server)
        return done

    def _carried(self, api: ApiClient, server: KnownServer) -> KnownServer:
        """The server, with a login there by the ticket. Raises _NotLoggedIn."""
        if not self.desk.ticket:
            raise _NotLoggedIn
        api.use_token(None)
        try:
            answer = api.post("login/exchange", {"ticket": self.desk.ticket})
        except Refused as error:
            if error.status in (401, 404, 422):  # not good there, or a server that doesn't know tickets
                raise _NotLoggedIn from error
            raise
        server = replace(server, token=str(answer["token"]))
        api.use_token(server.token)
        self._keep(server, str(answer.get("ticket") or ""))
        return server

    def _answered(self, api: ApiClient, server: KnownServer) -> None:
        for silent, error in self._silent:
            self.say(f"{silent.name} did not answer ({error.message.rstrip('.')}); using {server.name}.")
        if self.desk.servers[0] != server:
            self._keep(server, "")
        if self._silent or self.now_s() - self.desk.asked_at > ASK_AGAIN_S:
            self.learn(api)

    def learn(self, api: ApiClient) -> None:
        """Ask who the servers are, and for a new ticket. It can wait: what goes wrong with it is no matter now."""
        try:
            said = api.get("me/servers")
            self.desk = self.desk.taught(str(said["group"]), said["items"], self.now_s())
            ticket = str(api.post("me/ticket").get("ticket") or "")
            self.desk = replace(self.desk, ticket=ticket or self.desk.ticket)
        except HostwardError:
            return
        save_desk(self.desk, self.path)

    def _keep(self, server: KnownServer, ticket: str) -> None:
        self.desk = replace(self.desk.answered(server), ticket=ticket or self.desk.ticket)
        save_desk(self.desk, self.path)

    def _nobody(self) -> Unreachable:
        reasons = [f"{server.name}: {error.message}" for server, error in self._silent]
        last = self._silent[-1][1]
        if len(reasons) == 1:
            return Unreachable(last.message, remedy=last.remedy, code=last.code)
        return Unreachable(
            f"None of the {len(reasons)} servers answers. {' '.join(reasons)}",
            remedy="Check the network here, then ask your administrator.",
        )


class _NotLoggedIn(Exception):
    """The server neither knows the login nor takes the ticket."""


def servers_of(given: Invocation, password_file: Path | None = None) -> Servers:
    """The saved login. Raises UsageProblem where there is none."""
    path = desk_file()
    desk = load_desk(path)
    if given.server or given.token or given.insecure:
        raise UsageProblem(
            "--server, --token and --insecure aren't for `hostward client`, which knows its group's servers.",
            remedy="hostward client login URL [--ca FILE | --fingerprint SHA256]",
        )
    if desk is None or not desk.servers:
        raise UsageProblem("Nobody is logged in at this desk.", remedy="hostward client login URL")

    def password(what: str) -> str:
        return secrets.get(password_file, what, option="--password-file")

    return Servers(desk, path, password, lambda words: print(words, file=sys.stderr))


def client_of(desk: Desk, server: KnownServer) -> ApiClient:
    """A client that believes what the desk believes of that server, and doesn't wait for it long."""
    from hostward.cli.client import ApiClient, Patience, pinned_context

    verify: ssl.SSLContext | None = None
    if server.certificate:
        verify = pinned_context(server.certificate)
    elif desk.authority:
        verify = ssl.create_default_context(cadata=desk.authority)
    patience = Patience(CONNECT_S, ANSWER_S, ())
    return ApiClient(
        server.url, token=server.token or None, verify=verify, pinned=bool(server.certificate), patience=patience
    )


def _means_elsewhere(error: HostwardError) -> bool:
    """Whether another server may have an answer where this one has none."""
    return isinstance(error, Unreachable) or (
        isinstance(error, Refused) and (error.status in NOT_NOW or error.code == "not-hostward")
    )


def _is_no_login(error: Refused) -> bool:
    return error.status == 401 and error.code in ("token-invalid", "login-needed")
