"""Settings, each declared once: the API, the command line, the console and the documentation follow from it.

A replicated setting is an element of the registry, the same on every server of the group; one of this server alone is
kept in server.db. What nobody has set has its default, and no element.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol, TypeGuard

from hostward.domain.changes import Body
from hostward.domain.errors import InvalidInput, Mistake, NotFound
from hostward.domain.log_lines import LEVELS
from hostward.domain.panels import AUDIT, GENERAL, LOGGING, PACKAGES, REQUESTS, SERVER_CERTIFICATES, SITEMINDER
from hostward.domain.siteminder import MAX_AGENTS, USER_HEADER, check_agent_name, check_header, check_network
from hostward.domain.suggestions import did_you_mean, listed, shown
from hostward.domain.texts import Wrong, not_text

KIND: Final = "setting"
Value = str | int | list[str]


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
class Whole:
    """What a setting that is a whole number may be, from `least` to `most`; `usual` is the default."""

    usual: int
    least: int
    most: int
    unit: str


@dataclass(frozen=True, slots=True)
class Text:
    """What a setting that is text may be: `check` answers it as it is kept, or what is wrong with it. Where it may be
    `many`, it is a list of at most so many such texts, none by default."""

    check: Callable[[str], str | Wrong]
    usual: str = ""
    many: int = 0


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting's declaration: a choice, whose first is the default unless `usual` names another, a whole number, or
    text. `security`: a change of it that was made on a Slave is never implemented without an administrator of the
    Master. `panel`: the page of the console that has it."""

    name: str
    label: str
    help: str
    choices: tuple[Choice, ...] = ()
    usual: str = ""
    whole: Whole | None = None
    text: Text | None = None
    scope: Scope = Scope.REPLICATED
    security: bool = False
    panel: str = GENERAL

    @property
    def default(self) -> Value:
        if self.text:
            return [] if self.text.many else self.text.usual
        return self.whole.usual if self.whole else self.usual or self.choices[0].value

    def allows(self, value: object) -> TypeGuard[Value]:
        if self.text:
            return not isinstance(found := _as_text(self.text, value), Wrong) and found == value
        if self.whole:
            fine = isinstance(value, int) and not isinstance(value, bool)
            return fine and self.whole.least <= value <= self.whole.most  # type: ignore[operator]
        return value in [c.value for c in self.choices]

    def say(self, value: object) -> str:
        """A value for reading."""
        if isinstance(value, list):
            return ", ".join(map(str, value)) or "none"
        if self.whole:
            return f"{value} {self.whole.unit}"
        return next((c.label for c in self.choices if c.value == value), str(value))

    def check(self, value: object) -> Value:
        """The value, where it is allowed, as it is kept; a whole number may come as text, and a list as one text with
        blanks or commas between. Raises InvalidInput."""
        if self.text:
            found = _as_text(self.text, value)
            if isinstance(found, Wrong):
                raise self._invalid(found.problem, found.remedy)
            return found
        if self.whole and isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value):
            value = int(value)
        if self.allows(value):
            return value
        if self.whole:
            remedy = f"Enter a whole number of {self.whole.unit} from {self.whole.least:,} to {self.whole.most:,}."
            raise self._invalid(f"{shown(str(value))} can't be used for {self.name}.", remedy)
        values = [c.value for c in self.choices]
        hint = did_you_mean(value, values) if isinstance(value, str) else ""
        raise self._invalid(f"{shown(value)} is no choice of {self.name}.", f"{hint}Use {listed(values)}.")

    def _invalid(self, problem: str, remedy: str) -> InvalidInput:
        mistakes = [Mistake(self.name, problem, remedy)]
        return InvalidInput(problem, remedy=remedy, code="setting-invalid", mistakes=mistakes)


def _as_text(text: Text, value: object) -> str | list[str] | Wrong:
    """As it is kept, or what is wrong with it."""
    if not text.many:
        return text.check(value.strip()) if isinstance(value, str) else not_text(value)
    parts = re.split(r"[\s,;]+", value) if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        return Wrong(f"{shown(value)} is no list of texts.", "Write each as text, in quotation marks, within [ and ].")
    found: list[str] = []
    for part in parts:
        checked = text.check(part.strip()) if part.strip() else ""
        if isinstance(checked, Wrong):
            return checked
        found += [checked] if checked and checked not in found else []
    if len(found) > text.many:
        return Wrong(f"There are {len(found)} of them.", f"Use at most {text.many}.")
    return found


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
    panel=REQUESTS,
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
IDLE_TIMEOUT: Final = Setting(
    "console-idle-timeout",
    "Console idle timeout",
    "How long a login to the Administrative Console lasts without use. What a page does by itself is no use.",
    whole=Whole(30, 5, 720, "minutes"),
    security=True,
)
AUDIT_DAYS: Final = Setting(
    "audit-days",
    "Keep entries for",
    "How long entries of the audit log are kept on this server, those that other servers have sent too.",
    whole=Whole(365, 1, 3650, "days"),
    scope=Scope.SERVER,
    panel=AUDIT,
)
AUDIT_SIZE: Final = Setting(
    "audit-size",
    "Keep at most",
    "How much of each server's audit log is kept on this server; the oldest entries go first.",
    whole=Whole(200, 10, 10_000, "MB"),
    scope=Scope.SERVER,
    panel=AUDIT,
)
PACKAGE_BANDWIDTH: Final = Setting(
    "package-bandwidth",
    "Copying packages uses at most",
    "How fast this server fetches packages' files from the other servers; 0 for as fast as it goes.",
    whole=Whole(0, 0, 100_000, "Mbit/s"),
    scope=Scope.SERVER,
    panel=PACKAGES,
)
UNCONFIRMED_LOGINS: Final = Setting(
    "logins-without-confirmation",
    "Logins without confirmation",
    "How long a Slave that reaches no other server lets users in, counted from when it was last the same as another. "
    "Its own administrators always get in.",
    whole=Whole(24, 0, 8760, "hours"),
    security=True,
)
CONCURRENCY_LOCK_TIMEOUT: Final = Setting(
    "concurrency-lock-timeout",
    "Concurrency Lock Timeout",
    "How long a session stays locked for the administrator who edits it, counted from when they last typed.",
    whole=Whole(30, 1, 1440, "minutes"),
)
SITEMINDER_ON: Final = Setting(
    "siteminder",
    "SiteMinder authentication",
    "Whether users whom a web agent names in a header are logged in without a password. They must be users of the "
    "group.",
    (Choice("off", "Off"), Choice("on", "On")),
    security=True,
    panel=SITEMINDER,
)
SITEMINDER_HEADER: Final = Setting(
    "siteminder-user-header",
    "User header",
    "The header in which a web agent names the user.",
    text=Text(check_header, USER_HEADER),
    security=True,
    panel=SITEMINDER,
)
SITEMINDER_AGENTS: Final = Setting(
    "siteminder-agents",
    "Web agents",
    "The IP addresses, or networks, from which the header is believed; without any, from nobody. A web agent connects "
    "by HTTPS, and takes the header out of what its own visitors send.",
    text=Text(check_network, many=MAX_AGENTS),
    security=True,
    panel=SITEMINDER,
)
WEB_AGENT_NAME: Final = Setting(
    "web-agent-name",
    "Web Agent name",
    "The name that the web agent of this server must give in the header SM_AGENTNAME; empty where it needn't.",
    text=Text(check_agent_name),
    scope=Scope.SERVER,
    security=True,
    panel=SITEMINDER,
)
LOG_LEVEL: Final = Setting(
    "log-level",
    "Level",
    "What is written to the log: what is at least so grave. Debug also has every request, and every message of another "
    "server. Secrets are in none.",
    tuple(Choice(value, label) for value, label in LEVELS.items()),
    usual="info",
    scope=Scope.SERVER,
    panel=LOGGING,
)
LOG_SIZE: Final = Setting(
    "log-size",
    "Size of a file",
    "When the log is as large as this, a new file is begun.",
    whole=Whole(10, 1, 1000, "MB"),
    scope=Scope.SERVER,
    panel=LOGGING,
)
LOG_FILES: Final = Setting(
    "log-files",
    "Older files",
    "How many are kept beside the one that is written; the oldest go first.",
    whole=Whole(5, 1, 100, "files"),
    scope=Scope.SERVER,
    panel=LOGGING,
)
CERTIFICATE_WARNING: Final = Setting(
    "certificate-warning",
    "Warn before a certificate expires",
    "How long before: this server's own certificate, the one for browsers, and those that it trusts.",
    whole=Whole(60, 1, 365, "days"),
    scope=Scope.SERVER,
    panel=SERVER_CERTIFICATES,
)

SETTINGS: Final[Mapping[str, Setting]] = {
    s.name: s
    for s in (
        CHANGE_REQUESTS,
        FORCED_PROMOTION,
        CONCURRENCY_LOCK_TIMEOUT,
        IDLE_TIMEOUT,
        UNCONFIRMED_LOGINS,
        AUDIT_DAYS,
        AUDIT_SIZE,
        PACKAGE_BANDWIDTH,
        SITEMINDER_ON,
        SITEMINDER_HEADER,
        SITEMINDER_AGENTS,
        WEB_AGENT_NAME,
        LOG_LEVEL,
        LOG_SIZE,
        LOG_FILES,
        CERTIFICATE_WARNING,
    )
}
OWN_PREFIX: Final = "setting:"
"""What a setting of this server alone is called in server.db, with its name."""


class Values(Protocol):
    """What is needed of server.db."""

    def get(self, name: str, /) -> Any | None: ...


def own_value(values: Values, setting: Setting) -> Value:
    """The value of a setting of this server alone; its default where it was never set, or to what this version doesn't
    know."""
    value = values.get(OWN_PREFIX + setting.name)
    return value if setting.allows(value) else setting.default


def own_number(values: Values, setting: Setting) -> int:
    """The value of one that is a whole number."""
    found = own_value(values, setting)
    assert isinstance(found, int), f"{setting.name} is declared as a whole number"
    return found


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


def body_of(value: Value) -> Body:
    """A replicated setting's element."""
    return {"value": value}


def replicated_value(elements: Elements, setting: Setting) -> Value:
    """A replicated setting's value; its default where it was never set, or to what this version doesn't know."""
    found = elements.get(KIND, setting.name)
    value = found.json().get("value") if found else None
    return value if setting.allows(value) else setting.default


def replicated_number(elements: Elements, setting: Setting) -> int:
    """The value of one that is a whole number."""
    found = replicated_value(elements, setting)
    assert isinstance(found, int), f"{setting.name} is declared as a whole number"
    return found
