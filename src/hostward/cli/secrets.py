"""Secrets that a person gives: typed unseen, or from a file; never as an argument."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

from hostward.cli.problems import UsageProblem
from hostward.domain.errors import InvalidInput

MAX_SECRET_BYTES = 4096


def from_file(path: Path) -> str:
    """The first line of a file; `-` is standard input. Raises InvalidInput if it is empty or can't be read."""
    try:
        if str(path) == "-":
            raw = sys.stdin.buffer.read(MAX_SECRET_BYTES + 1)
        else:
            with path.open("rb") as file:
                raw = file.read(MAX_SECRET_BYTES + 1)
        line = raw[:MAX_SECRET_BYTES].decode().splitlines()[:1]
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} can't be read: {error}.", remedy="Give a text file with the secret.") from error
    if not line or not line[0]:
        raise InvalidInput(f"{path} is empty.", remedy="Write the secret in its first line.")
    return line[0]


def ask(what: str, *, option: str, twice: bool = False) -> str:
    """Ask for a secret at the terminal, twice for a new one. Raises UsageProblem where nobody can be asked."""
    if not os.isatty(0):
        raise UsageProblem(
            f"{what} is needed, and there is no terminal to ask at.",
            remedy=f"Give {option} FILE (- is standard input).",
        )
    return str(typer.prompt(what, hide_input=True, confirmation_prompt=twice, err=True))


def get(file: Path | None, what: str, *, option: str, twice: bool = False) -> str:
    """From the file if one is given, else asked for."""
    return from_file(file) if file is not None else ask(what, option=option, twice=twice)
