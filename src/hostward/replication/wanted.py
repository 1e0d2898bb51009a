"""What Apply asks for (guide, 5.13.6 and 5.13.7)."""

from __future__ import annotations

from dataclasses import dataclass

from hostward.domain.replication import Role, Target
from hostward.trust.passphrase import Passphrase


@dataclass(frozen=True, slots=True)
class Wanted:
    """None leaves a setting as it is. `master_id`: the server that the Master must be, where a join code named it."""

    role: Role
    adapter: str | None = None
    protocol: str | None = None
    passphrase: Passphrase | None = None
    master: Target | None = None
    master_id: str = ""
    slaves: tuple[Target, ...] | None = None
