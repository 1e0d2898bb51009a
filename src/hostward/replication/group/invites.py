"""Invitations: the join codes that a Master has given out, in server.db.

Of each code's secret only a hash is kept. A code works once, for one server, for the role Slave, for at most
MAX_MINUTES; one that was used or has expired is remembered for a day, so that its holder can be told why.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from hostward.domain.errors import Conflict, InvalidInput, NotFound, PeerError
from hostward.domain.join_code import SECRET_BYTES
from hostward.domain.replication import Role
from hostward.registry.server import ServerRegistry

KEY = "invites"
MAX_MINUTES: Final = 30
MAX_OPEN: Final = 20
MAX_KEPT: Final = 100
REMEMBERED_S: Final = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Invite:
    """One code that was given out. Times are Unix seconds; the `used_…` are empty until a server has used it."""

    id: str
    secret_sha256: str
    role: str
    author: str
    created_s: float
    expires_s: float
    used_by: str = ""
    used_name: str = ""
    used_fingerprint: str = ""

    def is_open(self, now_s: float) -> bool:
        return not self.used_by and now_s < self.expires_s


class Invites:
    """One for a server. `clock` gives Unix seconds, `random` n random bytes."""

    def __init__(self, server: ServerRegistry, clock: Callable[[], float], random: Callable[[int], bytes]) -> None:
        self._server, self._clock, self._random = server, clock, random

    def all(self) -> list[Invite]:
        """Those that are remembered, the oldest first."""
        now_s = self._clock()
        stored: list[dict[str, Any]] = self._server.get(KEY) or []
        return [i for i in (Invite(**s) for s in stored) if now_s < i.expires_s + REMEMBERED_S]

    def make(self, author: str, minutes: int) -> tuple[Invite, bytes]:
        """A new invitation, and its secret, which is kept nowhere. Raises InvalidInput, Conflict."""
        if not 1 <= minutes <= MAX_MINUTES:
            raise InvalidInput(f"A join code is valid for 1 to {MAX_MINUTES} minutes.", remedy="Give another number.")
        now_s, known = self._clock(), self.all()
        if sum(i.is_open(now_s) for i in known) >= MAX_OPEN:
            raise Conflict(f"{MAX_OPEN} join codes are open, as many as there can be.", remedy="Revoke some of them.")
        secret = self._random(SECRET_BYTES)
        invite = Invite(
            self._random(4).hex(), _hash(secret), Role.SLAVE.value, author, now_s, now_s + minutes * 60
        )  # fmt: skip
        self._save([*known, invite])
        return invite, secret

    def revoke(self, invite_id: str) -> None:
        """The code no longer works. Raises NotFound."""
        known = self.all()
        if invite_id not in {i.id for i in known}:
            raise NotFound("There is no such invitation.", remedy="GET group/invites lists them.")
        self._save([i for i in known if i.id != invite_id])

    def find(self, secret: bytes, *, role: str, server_id: str, fingerprint: str) -> Invite | None:
        """The invitation with this secret, where that server may use it: an open one, or one that it has used itself,
        since it may never have heard the answer. None for a secret that nobody was given. Raises PeerError "join-code"
        with the reason: only who has the secret is told it."""
        now_s, known, wanted = self._clock(), self.all(), _hash(secret)
        found = next((i for i in known if hmac.compare_digest(i.secret_sha256, wanted)), None)
        if found is None:
            return None
        if role != found.role:
            raise _refused(f"The join code is for the role {found.role.capitalize()}, not for another.")
        if found.used_by:
            if (found.used_by, found.used_fingerprint) == (server_id, fingerprint):
                return found
            raise _refused(f"The join code was used already, by the server {found.used_name}.")
        if now_s >= found.expires_s:
            raise _refused("The join code has expired.")
        return found

    def burn(self, invite: Invite, *, server_id: str, fingerprint: str, name: str) -> None:
        """From now on it is that server's; durable when this returns."""
        burnt = replace(invite, used_by=server_id, used_name=name, used_fingerprint=fingerprint)
        self._save([burnt if i.id == invite.id else i for i in self.all()])

    def _save(self, invites: list[Invite]) -> None:
        self._server.put(KEY, [asdict(i) for i in invites[-MAX_KEPT:]])


def _hash(secret: bytes) -> str:
    # A plain hash: the secret is 128 random bits, which nobody guesses.
    return hashlib.sha256(b"hostward join secret\0" + secret).hexdigest()


def _refused(why: str) -> PeerError:
    return PeerError(why, remedy="Make a new one on the Master: hostward group invite.", code="join-code")
