"""What this server wants to be and what it must remember about it, in server.db: one record, one fsync."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from hostward.domain.replication import Role, Target
from hostward.registry.server import ServerRegistry
from hostward.trust.passphrase import DEFAULT_PASSPHRASE, Passphrase

KEY = "replication"


@dataclass(frozen=True, slots=True)
class State:
    """The wanted state, as Apply stored it, and the coordinator's memory.

    `fresh`: an Apply of the role Slave isn't carried out yet, so a removed server may join again.
    `master_id`, `master_certificate`, `master_group`: the Master as it last proved itself.
    `backup_group`: the group for whose joining this server's own configuration was kept.
    `ring_formed`: the newest "group/generation" of which this node has been a working part.
    """

    role: Role = Role.STANDALONE
    adapter: str = ""
    protocol: str = "https"
    passphrase: str = ""
    master: Target | None = None
    fresh: bool = False
    master_id: str = ""
    master_certificate: str = ""
    master_group: str = ""
    backup_group: str = ""
    ring_formed: str = ""

    @property
    def secret(self) -> Passphrase:
        return Passphrase(self.passphrase) if self.passphrase else DEFAULT_PASSPHRASE

    @property
    def passphrase_is_default(self) -> bool:
        return not self.passphrase or self.secret == DEFAULT_PASSPHRASE

    def __repr__(self) -> str:
        return f"State(role={self.role}, master={self.master}, fresh={self.fresh})"


class StateStore:
    """The one State, cached; every change is fsynced before `update` returns."""

    def __init__(self, server: ServerRegistry) -> None:
        self._server = server
        self._state = _from_json(server.get(KEY) or {})

    @property
    def now(self) -> State:
        return self._state

    def update(self, **fields: Any) -> State:
        changed = replace(self._state, **fields)
        if changed != self._state:
            value = asdict(changed)
            value["role"] = changed.role.value
            self._server.put(KEY, value)
            self._state = changed
        return changed


def _from_json(value: dict[str, Any]) -> State:
    fields = dict(value)
    if "role" in fields:
        fields["role"] = Role(fields["role"])
    if fields.get("master"):
        fields["master"] = Target(**fields["master"])
    return State(**fields)
