"""What is asked of replication, as the API and the console's forms take it: checked in one place, mistakes by field."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, SecretStr

from hostward.domain.errors import InvalidInput, Mistake
from hostward.domain.replication import DEFAULT_CONTEXT, Role, Target
from hostward.http.requests import Strict
from hostward.replication.wanted import Wanted
from hostward.trust.passphrase import Passphrase

MAX_SLAVES: Final = 15


class TargetIn(Strict):
    host: str = Field(max_length=300)
    """The fully qualified host name or address."""
    port: int = Field(default=443, strict=True)
    context: str = Field(default=DEFAULT_CONTEXT, max_length=300)
    """The servlet context."""


class WantedIn(Strict):
    """Settings that aren't given stay as they are."""

    role: Role
    adapter: str | None = Field(default=None, max_length=300)
    """The Database Network Adapter: its address or name."""
    protocol: Literal["https", "http"] | None = None
    """Global protocol."""
    passphrase: SecretStr | None = None
    master: TargetIn | None = None
    slaves: list[TargetIn] | None = Field(default=None, max_length=MAX_SLAVES)
    """The whole list."""
    confirm: bool = Field(default=False, strict=True)
    """The "Settings update" confirmation."""


class TestIn(TargetIn):
    protocol: Literal["https", "http"] | None = None
    passphrase: SecretStr | None = None


class PassphraseIn(Strict):
    passphrase: SecretStr
    confirm: bool = Field(default=False, strict=True)


def wanted_of(given: WantedIn) -> Wanted:
    """Raises InvalidInput."""
    return Wanted(
        role=given.role,
        adapter=given.adapter,
        protocol=given.protocol,
        passphrase=passphrase_of(given.passphrase),
        master=target_of(given.master, "master") if given.master else None,
        slaves=_slaves(given.slaves) if given.slaves is not None else None,
    )


def target_of(given: TargetIn, place: str) -> Target:
    """Raises InvalidInput, its mistakes named as the caller knows them."""
    try:
        return Target(given.host, given.port, given.context)
    except InvalidInput as error:
        prefix = f"{place}." if place else ""
        mistakes = [Mistake(f"{prefix}{m.field}", m.problem, m.remedy) for m in error.mistakes]
        raise InvalidInput(error.message, remedy=error.remedy, code=error.code, mistakes=mistakes) from error


def _slaves(given: list[TargetIn]) -> tuple[Target, ...]:
    return tuple(target_of(one, f"slaves.{number}") for number, one in enumerate(given))


def passphrase_of(given: SecretStr | None) -> Passphrase | None:
    """Raises InvalidInput."""
    return Passphrase(given.get_secret_value()) if given is not None else None
