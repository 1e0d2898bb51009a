"""`hostward session lock`, `unlock` and `locks`: Concurrency Locks, which say who edits a session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from hostward.cli.options import Call, client_command
from hostward.cli.sessions import Reference, find_session, session_path


def register(app: typer.Typer) -> None:
    """To the commands about sessions."""
    client_command(app, "lock")(lock)
    client_command(app, "unlock")(unlock)
    client_command(app, "locks")(locks)


def lock(
    call: Call,
    session: Reference,
    take_over: Annotated[bool, typer.Option("--take-over", help="Also where somebody else holds it.")] = False,
) -> None:
    """Lock a session, so that nobody else changes it while you do; again renews the lock.

    It ends with `unlock`, with your login, or when the Concurrency Lock Timeout is over."""
    found = find_session(call, session)
    answer = call.api.post(f"{session_path(found)}/lock", {"take_over": take_over})
    call.show(answer, f"Locked “{found['name']}” until {answer['lock']['times_out']}.")


def unlock(call: Call, session: Reference) -> None:
    """Release your lock of a session; somebody else's stays."""
    found = find_session(call, session)
    call.api.delete(f"{session_path(found)}/lock")
    call.show({"session": found["id"]}, f"You hold no lock of “{found['name']}”.")


def locks(call: Call) -> None:
    """List who edits which session, on all servers."""
    from hostward.cli.output import table

    answer = call.api.get("sessions/locks")
    rows = [_row(call, one) for one in answer["items"]]
    call.show(answer, table(("Session", "Edited by", "On", "Since", "Ends, unless renewed"), rows))


def _row(call: Call, one: Mapping[str, Any]) -> tuple[str, ...]:
    holder = f"{one['holder']} (you)" if one["yours"] else one["holder"]
    return _name(call, one["session"]), holder, one["server_name"], one["since"], one["times_out"]


def _name(call: Call, session_id: str) -> str:
    """Of one that may be deleted by now: then its id."""
    from hostward.cli.problems import Refused

    try:
        return str(call.api.get(f"sessions/{session_id}")["name"])
    except Refused:
        return session_id
