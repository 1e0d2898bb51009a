"""What an administrator may want of replication: roles, the other servers, and the settings of Apply."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hostward.domain.errors import InvalidInput, Mistake
from hostward.domain.sessions import check_host
from hostward.domain.suggestions import shown
from hostward.domain.texts import Wrong

MAX_CONTEXT: Final = 64
DEFAULT_CONTEXT: Final = "mss"
_SEGMENT = "[A-Za-z0-9_~-][A-Za-z0-9._~-]*"
_CONTEXT = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*").fullmatch


class Role(StrEnum):
    """What a server is in its group."""

    STANDALONE = "standalone"
    MASTER = "master"
    SLAVE = "slave"


def check_context(value: object) -> str | Wrong:
    """A servlet context, without slashes at its ends: the first part of every path that a server serves."""
    right = f"Write up to {MAX_CONTEXT} letters, digits, - or _, such as {DEFAULT_CONTEXT}."
    if not isinstance(value, str):
        return Wrong(f"{shown(value)} isn't text.", right)
    if len(value) <= MAX_CONTEXT and _CONTEXT(value):
        return value
    bare = value.strip("/ ")
    if bare != value and len(bare) <= MAX_CONTEXT and _CONTEXT(bare):
        return Wrong(f"{shown(value)} has slashes or blanks around it.", f"Write {shown(bare)}.")
    return Wrong(f"{shown(value)} is no servlet context.", right)


@dataclass(frozen=True, slots=True)
class Target:
    """Where another server is reached: host name or address, port, servlet context. Host names are kept in lower case,
    so that two ways to write one are equal. Raises InvalidInput with a mistake for each part that can't be used."""

    host: str
    port: int
    context: str = DEFAULT_CONTEXT

    def __post_init__(self) -> None:
        port: int | Wrong = self.port
        if isinstance(self.port, bool) or not isinstance(self.port, int) or not 0 < self.port < 65536:
            port = Wrong(f"{shown(self.port)} is no port.", "Write a number from 1 to 65535, such as 443.")
        checked = {"host": check_host(self.host), "port": port, "context": check_context(self.context)}
        mistakes = [Mistake(name, w.problem, w.remedy) for name, w in checked.items() if isinstance(w, Wrong)]
        if mistakes:
            raise InvalidInput(
                f"That is no server's address. {mistakes[0].problem}",
                remedy=mistakes[0].remedy,
                code="server-address",
                mistakes=mistakes,
            )
        object.__setattr__(self, "host", self.host.lower())


@dataclass(frozen=True, slots=True)
class Check:
    """One of Test Connection's checks. `ok` is None where it wasn't tried, because one before it failed. `remedy` says
    what to do where it is False."""

    name: str
    ok: bool | None
    detail: str = ""
    remedy: str = ""
