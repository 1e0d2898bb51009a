"""What each format's writer gives."""

from __future__ import annotations

from dataclasses import dataclass

from hostward.domain.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Written:
    """See LaunchFile."""

    content: bytes
    command: str = ""
    notes: tuple[str, ...] = ()


def cant(problem: str, remedy: str) -> InvalidInput:
    """The program can't be told what the session needs."""
    return InvalidInput(problem, remedy=remedy, code="launch-not-possible")


def bracketed(host: str) -> str:
    """An IPv6 address in brackets, anything else as it is."""
    return f"[{host}]" if ":" in host else host
