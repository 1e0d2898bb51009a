"""What this server wants to be and what it must remember about it, in server.db: one record, one fsync."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import orjson
import structlog

from hostward.domain.epochs import EpochRecord
from hostward.domain.errors import TrustError
from hostward.domain.replication import Role, Target
from hostward.registry.server import ServerRegistry, read_value
from hostward.trust.passphrase import DEFAULT_PASSPHRASE, Passphrase
from hostward.trust.vault import Vault

KEY = "replication"
PASSPHRASES: Final = "passphrases"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class State:
    """The wanted state, as Apply stored it, and the coordinator's memory.

    `fresh`: an Apply of the role Slave isn't carried out yet, so a removed server may join again.
    `master_id`, `master_certificate`, `master_group`: the Master as it last proved itself.
    `pinned`: the server that the Master must be, by a join code, until the Apply of the role Slave is carried out.
    `backup_group`: the group for whose joining this server's own configuration was kept.
    `earlier`: passphrases that are accepted as well while a change of it is under way, the newest first.
    `passphrase_id`: the change that the passphrase came with, empty where Apply set it.
    `passphrase_author`: who began a change that isn't in the group's registry yet.
    `passphrase_lost`: the stored one couldn't be read, so that none is in use which others know.
    `removed`: the Master's word that this server isn't in the group any more, empty while it is.
    `ring_to_form`: the "group/generation" that this Master chose, until its node has formed that ring.
    `epochs`: the records (JSON) of the epochs that this server is about to enter, the last one naming its Master.
    `refused`: servers whose claim to be the Master was seen to be needless here.
    `adapter_name`: the adapter that `adapter` was an address of, so that a changed address is found again.
    `repair_due`: the replication factor was brought back, and the nodes don't all have all of the data yet.
    `healed`, `healed_at`: what this server last mended by itself without being asked, and when.
    """

    role: Role = Role.STANDALONE
    adapter: str = ""
    protocol: str = "https"
    passphrase: str = ""
    earlier: tuple[str, ...] = ()
    passphrase_id: str = ""
    passphrase_author: str = ""
    passphrase_lost: bool = False
    master: Target | None = None
    fresh: bool = False
    master_id: str = ""
    master_certificate: str = ""
    master_group: str = ""
    backup_group: str = ""
    ring_to_form: str = ""
    removed: str = ""
    epochs: tuple[dict[str, Any], ...] = ()
    refused: tuple[str, ...] = ()

    @property
    def coming(self) -> tuple[EpochRecord, ...]:
        """The epochs that this server is about to enter, in order."""
        return tuple(EpochRecord.from_json(value) for value in self.epochs)

    adapter_name: str = ""
    pinned: str = ""
    repair_due: bool = False
    healed: str = ""
    healed_at: str = ""

    @property
    def secret(self) -> Passphrase:
        return Passphrase(self.passphrase) if self.passphrase else DEFAULT_PASSPHRASE

    @property
    def secrets(self) -> list[Passphrase]:
        """All that other servers may know this one by, the newest first."""
        return [self.secret, *map(Passphrase, self.earlier)]

    @property
    def passphrase_is_default(self) -> bool:
        return not self.passphrase or self.secret == DEFAULT_PASSPHRASE

    def __repr__(self) -> str:
        return f"State(role={self.role}, master={self.master}, fresh={self.fresh})"


def settled_passphrase(text: str) -> dict[str, Any]:
    """The fields of a passphrase that stands alone, as Apply sets it."""
    return {
        "passphrase": text, "earlier": (), "passphrase_id": "", "passphrase_author": "", "passphrase_lost": False,
    }  # fmt: skip


def read_state(path: Path) -> State:
    """The State that is stored in a server.db, without its passphrases, for whoever only looks: also beside the server
    that has it open. Raises RegistryError."""
    return _without_passphrases(read_value(path, KEY) or {})


def _without_passphrases(value: dict[str, Any]) -> State:
    fields = {name: value[name] for name in value if name != PASSPHRASES}
    if "role" in fields:
        fields["role"] = Role(fields["role"])
    if fields.get("master"):
        fields["master"] = Target(**fields["master"])
    for name in ("epochs", "refused"):
        fields[name] = tuple(fields.get(name, ()))
    return State(**fields)


class StateStore:
    """The one State, cached; every change is fsynced before `update` returns. Passphrases are locked in the vault."""

    def __init__(self, server: ServerRegistry, vault: Vault) -> None:
        self._server, self._vault, self._unreadable = server, vault, ""
        stored = server.get(KEY) or {}
        self._state = self._from_json(stored)
        if stored and PASSPHRASES not in stored:  # by a version that kept it in clear
            server.put(KEY, self._to_json(self._state))

    @property
    def now(self) -> State:
        return self._state

    def update(self, **fields: Any) -> State:
        changed = replace(self._state, **fields)
        if changed != self._state:
            self._server.put(KEY, self._to_json(changed))
            self._state = changed
        return changed

    def _to_json(self, state: State) -> dict[str, Any]:
        value = asdict(state)
        value["role"] = state.role.value
        held = [value.pop("passphrase"), *value.pop("earlier")]
        value[PASSPHRASES] = self._vault.lock(orjson.dumps(held).decode(), KEY)
        if state.passphrase_lost:  # the right key may yet be put back
            value[PASSPHRASES] = self._unreadable
        return value

    def _from_json(self, value: dict[str, Any]) -> State:
        locked = value.get(PASSPHRASES)
        return replace(_without_passphrases(value), **({} if locked is None else self._unlocked(locked)))

    def _unlocked(self, locked: str) -> dict[str, Any]:
        """Where the key is lost, a passphrase that nobody has: the server still starts, and says what it needs."""
        try:
            passphrase, *earlier = orjson.loads(self._vault.unlock(locked, KEY))
        except TrustError as error:
            log.error("passphrase-lost", reason=error.message)
            self._unreadable = locked
            return settled_passphrase(secrets.token_hex(16)) | {"passphrase_lost": True}
        return {"passphrase": passphrase, "earlier": tuple(earlier), "passphrase_lost": False}
