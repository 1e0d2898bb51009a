"""Settings, each declared once: the API, the command line, the console and the documentation follow from it.

A replicated setting is an element of the registry, the same on every server of the group; one of this server alone is
kept in server.db. What nobody has set has its default, and no element.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from hostward.domain.changes import Body
from hostward.domain.errors import InvalidInput, Mistake, NotFound
from hostward.domain.suggestions import did_you_mean, listed, shown

KIND: Final = "setting"


class Scope(StrEnum):
    """Whose a setting is."""

    REPLICATED = "replicated"
    SERVER = "this server"


@dataclass(frozen=True, slots=True)
class Choice:
    """A value that a setting may have."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting's declaration; the first choice is the default. `security`: a change of it that was made on a Slave is
    never implemented without an administrator of the Master."""

    name: str
    label: str
    help: str
    choices: tuple[Choice, ...]
    scope: Scope = Scope.REPLICATED
    security: bool = False

    @property
    def default(self) -> str:
        return self.choices[0].value

    def check(self, value: object) -> str:
        """The value, where it is one of the choices. Raises InvalidInput."""
        values = [c.value for c in self.choices]
        if value in values:
            return str(value)
        hint = did_you_mean(value, values) if isinstance(value, str) else ""
        remedy = f"{hint}Use {listed(values)}."
        problem = f"{shown(value)} is no choice of {self.name}."
        raise InvalidInput(
            problem, remedy=remedy, code="setting-invalid", mistakes=[Mistake(self.name, problem, remedy)]
        )


CHANGE_REQUESTS: Final = Setting(
    "change-requests",
    "Changes made on a Slave",
    "What the Master does with a change that was submitted on a Slave. Changes to users, roles, trust, authentication "
    "and these policies always wait for an administrator.",
    (
        Choice("ask", "Ask an administrator"),
        Choice("automatic", "Implement automatically when nothing conflicts"),
    ),
    security=True,
)
FORCED_PROMOTION: Final = Setting(
    "forced-promotion",
    "When another Slave was promoted by force",
    "Whether a Slave that can't reach its Master follows a server that was made the Master without it.",
    (
        Choice("ask", "Ask an administrator"),
        Choice("follow", "Follow the new Master"),
    ),
    security=True,
)

SETTINGS: Final[Mapping[str, Setting]] = {s.name: s for s in (CHANGE_REQUESTS, FORCED_PROMOTION)}


class _Element(Protocol):
    def json(self) -> dict[str, Any]: ...


class Elements(Protocol):
    """What is needed of a registry's reader."""

    def get(self, kind: str, id_: str, /) -> _Element | None: ...


def declared(name: str) -> Setting:
    """Raises NotFound."""
    found = SETTINGS.get(name)
    if found is None:
        hint = did_you_mean(name, SETTINGS)
        raise NotFound(f"There is no setting {shown(name)}.", remedy=f"{hint}GET settings lists them.")
    return found


def body_of(value: str) -> Body:
    """A replicated setting's element."""
    return {"value": value}


def replicated_value(elements: Elements, setting: Setting) -> str:
    """A replicated setting's value; its default where it was never set, or to what this version doesn't know."""
    found = elements.get(KIND, setting.name)
    value = found.json().get("value") if found else None
    return value if value in [c.value for c in setting.choices] else setting.default
