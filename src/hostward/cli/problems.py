"""What can go wrong for a person at the command line, and with which exit code it ends.

0 done · 1 refused or failed · 2 used wrongly · 3 the server can't be reached
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from hostward.domain.errors import ConfirmationRequired, HostwardError, InvalidInput, fields_of

EXIT_REFUSED = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3
EXIT_INTERRUPTED = 130

MISTAKES_SHOWN = 200


class UsageProblem(HostwardError):
    """The command was given something that it can't work with, or lacks something."""

    code = "usage"


class Unreachable(HostwardError):
    """No answer came from the server: refused, unknown name, silent, or its certificate isn't trusted."""

    code = "unreachable"


class Refused(HostwardError):
    """The server answered with a problem. `problem` is its answer (RFC 9457), `status` the HTTP status."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        message = problem.get("detail") or problem.get("title") or f"The server refused with status {status}."
        super().__init__(str(message), remedy=str(problem.get("remedy") or ""), code=str(problem.get("code") or ""))
        self.status = status
        self.problem = dict(problem)

    @property
    def mistakes(self) -> list[dict[str, Any]]:
        """Each a mapping with row, field, problem and remedy."""
        return list(self.problem.get("mistakes") or [])

    @property
    def consequences(self) -> list[str]:
        """What a Yes to the "Settings update" confirmation would do."""
        return [str(line) for line in self.problem.get("consequences") or []]

    @property
    def plan(self) -> str:
        """Names what Yes would do; empty where the server doesn't say."""
        return str(self.problem.get("plan") or "")

    @property
    def holders(self) -> list[str]:
        """Who edits the sessions that are locked."""
        return [str(line) for line in self.problem.get("holders") or []]

    @property
    def conflicts(self) -> list[str]:
        """What stands against implementing a change request."""
        return [str(line) for line in self.problem.get("conflicts") or []]


def exit_code_of(error: HostwardError) -> int:
    """The process's exit code for an error."""
    if isinstance(error, UsageProblem):
        return EXIT_USAGE
    if isinstance(error, Unreachable):
        return EXIT_UNREACHABLE
    return EXIT_REFUSED


def show_error(error: HostwardError, *, as_json: bool) -> None:
    """Write an error to standard error: message, what is wrong in detail, and what to do next. As JSON it is one
    object with the same things."""
    if as_json:
        print(json.dumps({"error": _as_problem(error)}, ensure_ascii=False), file=sys.stderr)
        return
    from hostward.cli.output import error_console, mistakes_table, plain

    console = error_console()
    console.print(plain(f"Error: {error.message}"), style="bold red", soft_wrap=True)
    mistakes = _mistakes(error)
    if mistakes:
        console.print(mistakes_table(mistakes[:MISTAKES_SHOWN]))
        if len(mistakes) > MISTAKES_SHOWN:
            console.print(f"… and {len(mistakes) - MISTAKES_SHOWN} more; --json lists them all.")
    for line in _consequences(error):
        console.print(plain(f"  - {line}"), soft_wrap=True)
    if error.remedy:
        console.print(plain(f"What to do: {error.remedy}"), soft_wrap=True)


def _as_problem(error: HostwardError) -> dict[str, Any]:
    if isinstance(error, Refused):
        return {**error.problem, "status": error.status}
    return {"detail": error.message, **fields_of(error)}


def _mistakes(error: HostwardError) -> list[dict[str, Any]]:
    if isinstance(error, Refused):
        return error.mistakes
    if isinstance(error, InvalidInput):
        return [{"row": m.row, "field": m.field, "problem": m.problem, "remedy": m.remedy} for m in error.mistakes]
    return []


def _consequences(error: HostwardError) -> Sequence[str]:
    if isinstance(error, Refused):
        return [*error.consequences, *error.holders, *error.conflicts]
    return error.consequences if isinstance(error, ConfirmationRequired) else ()
