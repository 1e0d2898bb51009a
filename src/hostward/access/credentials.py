"""The Credential Store of this server: in server.db, each secret locked with the server's own key."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hostward.domain.credentials import MAX_ENTRIES, Credential
from hostward.domain.errors import Conflict, NotFound
from hostward.domain.suggestions import did_you_mean, shown
from hostward.registry.server import ServerRegistry
from hostward.trust.vault import Vault

EACH = "credential:"


class Credentials:
    """`now` gives ISO 8601. Any thread."""

    def __init__(self, server: ServerRegistry, vault: Vault, now: Callable[[], str]) -> None:
        self._server, self._vault, self._now = server, vault, now

    def list(self) -> Sequence[Credential]:
        """By name."""
        kept = self._server.starting_with(EACH)
        return [Credential(name.removeprefix(EACH), v["user"], v["changed_at"]) for name, v in sorted(kept.items())]

    def put(self, name: str, user: str, secret: str) -> bool:
        """A new entry, or another user and secret of the one of that name; whether it is new. Raises Conflict."""
        new = self._server.get(EACH + name) is None
        if new and len(self.list()) >= MAX_ENTRIES:
            raise Conflict(f"There are {MAX_ENTRIES} entries already.", remedy="Delete one.", code="too-many")
        locked = self._vault.lock(secret, EACH + name)
        self._server.put(EACH + name, {"user": user, "secret": locked, "changed_at": self._now()})
        return new

    def delete(self, name: str) -> None:
        """Raises NotFound."""
        self._existing(name)
        self._server.delete(EACH + name)

    def secret_of(self, name: str) -> tuple[str, str]:
        """Its user and secret, for what needs them. Raises NotFound, TrustError."""
        found = self._existing(name)
        return found["user"], self._vault.unlock(found["secret"], EACH + name)

    def _existing(self, name: str) -> dict[str, str]:
        found: dict[str, str] | None = self._server.get(EACH + name)
        if found is None:
            hint = did_you_mean(name, [c.name for c in self.list()])
            raise NotFound(
                f"This server's Credential Store has no entry {shown(name)}.",
                remedy=f"{hint}Add it on this server: each server has its own.",
                code="no-credential",
            )
        return found
