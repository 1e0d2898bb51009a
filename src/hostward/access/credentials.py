"""The Credential Store of this server: in server.db, each secret locked with the server's own key.

With a passphrase, the secrets are locked with a key of the store's, which only the server's key and the passphrase
together open: then a copy of the whole data directory gives nothing away, and the store is closed from a start until
the passphrase is given.
"""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from hostward.access.passwords import check_new
from hostward.domain.credentials import MAX_ENTRIES, Credential
from hostward.domain.errors import Conflict, InvalidInput, Mistake, NotFound, TrustError, Unavailable
from hostward.domain.suggestions import did_you_mean, shown
from hostward.registry.server import ServerRegistry
from hostward.trust.passphrase import key_of
from hostward.trust.vault import KEY_BYTES, Vault

EACH: Final = "credential:"
PROTECTION: Final = "credential-store"
_SALT_BYTES: Final = 16


class Credentials:
    """`vault` has the server's key; `now` gives ISO 8601. Any thread; what takes a passphrase takes a while."""

    def __init__(self, server: ServerRegistry, vault: Vault, now: Callable[[], str]) -> None:
        self._server, self._vault, self._now = server, vault, now
        self._lock = threading.Lock()
        self._open: Vault | None = None if self.has_passphrase else vault

    @property
    def has_passphrase(self) -> bool:
        return self._server.get(PROTECTION) is not None

    @property
    def closed(self) -> bool:
        """Whether the passphrase hasn't been given since the start."""
        return self._open is None

    def list(self) -> Sequence[Credential]:
        """By name."""
        kept = self._server.starting_with(EACH)
        return [Credential(name.removeprefix(EACH), v["user"], v["changed_at"]) for name, v in sorted(kept.items())]

    def put(self, name: str, user: str, secret: str) -> bool:
        """A new entry, or another user and secret of the one of that name; whether it is new. Raises Conflict,
        Unavailable."""
        with self._lock:
            new = self._server.get(EACH + name) is None
            if new and len(self.list()) >= MAX_ENTRIES:
                raise Conflict(f"There are {MAX_ENTRIES} entries already.", remedy="Delete one.", code="too-many")
            locked = self._opened().lock(secret, EACH + name)
            self._server.put(EACH + name, {"user": user, "secret": locked, "changed_at": self._now()})
        return new

    def delete(self, name: str) -> None:
        """Raises NotFound."""
        with self._lock:
            self._existing(name)
            self._server.delete(EACH + name)

    def secret_of(self, name: str) -> tuple[str, str]:
        """Its user and secret, for what needs them. Raises NotFound, TrustError, Unavailable."""
        with self._lock:
            found = self._existing(name)
            return found["user"], self._opened().unlock(found["secret"], EACH + name)

    # The passphrase

    def open(self, passphrase: str) -> None:
        """Give the passphrase, once for as long as the server runs. Raises InvalidInput where it isn't the one."""
        with self._lock:
            protection = self._server.get(PROTECTION)
            if protection is not None:
                self._open = self._by(passphrase, protection)

    def set_passphrase(self, passphrase: str) -> None:
        """The first one, or another. Raises InvalidInput for a poor one, Unavailable while the store is closed."""
        text, salt, key = check_new(passphrase, "", "passphrase"), os.urandom(_SALT_BYTES), os.urandom(KEY_BYTES)
        wrapped = self._vault.lock(Vault(key_of(text, salt)).lock(_text(key), PROTECTION), PROTECTION)
        self._lock_anew(Vault(key), {"salt": _text(salt), "key": wrapped})

    def remove_passphrase(self) -> None:
        """The server's key alone opens the store again. Raises Unavailable while it is closed."""
        self._lock_anew(self._vault, None)

    def reset(self) -> None:
        """Without any entry, and without a passphrase."""
        with self._lock:
            kept = self._server.starting_with(EACH)
            self._server.replace(**dict.fromkeys([*kept, PROTECTION]))
            self._open = self._vault

    def _lock_anew(self, vault: Vault, protection: dict[str, str] | None) -> None:
        """All secrets with another key, in one transaction with what opens it."""
        with self._lock:
            opened, changed = self._opened(), dict[str, Any]()
            for name, entry in self._server.starting_with(EACH).items():
                changed[name] = entry | {"secret": vault.lock(opened.unlock(entry["secret"], name), name)}
            self._server.replace(**changed, **{PROTECTION: protection})
            self._open = vault

    def _by(self, passphrase: str, protection: dict[str, str]) -> Vault:
        wrapped, salt = self._vault.unlock(protection["key"], PROTECTION), base64.b64decode(protection["salt"])
        try:
            key = Vault(key_of(passphrase, salt)).unlock(wrapped, PROTECTION)
        except TrustError as error:
            problem, remedy = "This isn't the Credential Store's passphrase on this server.", "Enter it again."
            mistakes = [Mistake("passphrase", problem, remedy)]
            raise InvalidInput(problem, remedy=remedy, code="wrong-passphrase", mistakes=mistakes) from error
        return Vault(base64.b64decode(key))

    def _opened(self) -> Vault:
        if self._open is None:
            raise Unavailable(
                "This server's Credential Store is closed: its passphrase hasn't been given since the start.",
                remedy="Open it: Configure Settings > Credential Store, or `hostward credential open`.",
                code="credential-store-closed",
            )
        return self._open

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


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
