"""`hostward history`, `restore` and `undo`: what was changed, and turning it back as a new change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from hostward.cli.change_requests import submitted_words, value_words
from hostward.cli.options import Call, TakeOverOption, YesOption, client_command, over
from hostward.cli.problems import UsageProblem
from hostward.cli.sessions import find_session
from hostward.domain.errors import NotFound

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer(help="What was changed, by whom and when.", no_args_is_help=True)

Revision = Annotated[int, typer.Argument(metavar="REVISION", min=0, help="From `hostward history list`.")]
BeforeOption = Annotated[
    int | None, typer.Option("--before", min=1, metavar="REVISION", help="Only changes before it.")
]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=200, help="How many, at most.")]
SESSION_HELP = "The session's name, or its id where it was deleted."


def register(root: typer.Typer) -> None:
    """Add the commands that stand at the top of the tree."""
    root.add_typer(app, name="history")
    client_command(root, "undo")(undo)
    client_command(root, "restore")(restore)


@client_command(app, "list")
def list_changes(
    call: Call,
    session: Annotated[str | None, typer.Option("--session", metavar="SESSION", help=SESSION_HELP)] = None,
    author: Annotated[str | None, typer.Option("--author", help="Only changes of this administrator.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="session, setting, or a record such as member.")] = None,
    before: BeforeOption = None,
    limit: LimitOption = 50,
) -> None:
    """List changes, the newest first; with --session those of one session, with each difference."""
    page = {"before": before, "limit": limit}
    if session is not None and (author or kind):
        raise UsageProblem("--session is given with --author or --kind.", remedy="Use one of them.")
    if session is not None:
        past = call.api.get(f"sessions/{quote(_session_id(call, session), safe='')}/history", page)
        call.show(past, *_past(past))
        return
    answer = call.api.get("changes", {**page, "author": author, "kind": kind})
    call.show(answer, *_changes(answer))


@client_command(app, "show")
def show(call: Call, revision: Revision) -> None:
    """Show one change: each field before and after it."""
    answer = call.api.get(f"changes/{revision}")
    call.show(answer, *_change(answer))


def undo(call: Call, revision: Revision, yes: YesOption = False, take_over: TakeOverOption = False) -> None:
    """Undo one change: its effects on sessions and settings are reversed, as a new change."""
    answer = call.confirmed("POST", over(f"changes/{revision}/undo", take_over), {}, yes=yes)
    call.show(answer, _done(answer, f"Undone revision {revision}"))


def restore(
    call: Call,
    revision: Revision,
    session: Annotated[
        str | None, typer.Option("--session", metavar="SESSION", help=f"Only this one. {SESSION_HELP}")
    ] = None,
    yes: YesOption = False,
    take_over: TakeOverOption = False,
) -> None:
    """Bring back what was there after a revision, as a new change: all sessions and settings, or one session.

    A session that was deleted comes back with its id. `hostward backup restore` reaches further back."""
    if session is not None:
        path = f"sessions/{quote(_session_id(call, session), safe='')}/restore"
        answer = call.api.post(over(path, take_over), {"revision": revision})
        name = (answer.get("session") or {}).get("name", session)
        call.show(answer, _done(answer, f"Restored “{name}” to what it was after revision {revision}"))
        return
    answer = call.confirmed("POST", over("restore", take_over), {"revision": revision}, yes=yes)
    call.show(answer, _done(answer, f"Restored all sessions and settings to revision {revision}"))


def _session_id(call: Call, reference: str) -> str:
    """Of one that is there, by name or id; else it is taken for the id of one that was deleted."""
    try:
        return str(find_session(call, reference)["id"])
    except NotFound:
        return reference


def _done(answer: Mapping[str, Any], what: str) -> str:
    from hostward.cli.output import replicated_words

    return submitted_words(answer) or f"{what}: {replicated_words(answer)}."


def _changes(answer: Mapping[str, Any]) -> Iterator[RenderableType | str]:
    from hostward.cli.output import moment, table

    rows = [
        (c["revision"], moment(c["time"]), c["author"], "; ".join([c["summary"], *c["records"]]))
        for c in answer["items"]
    ]
    yield table(("Revision", "When (UTC)", "By", "What"), rows)
    yield from _reach(answer)


def _past(past: Mapping[str, Any]) -> Iterator[RenderableType | str]:
    from hostward.cli.output import moment, table

    gone = "" if past["exists"] else ", which is deleted"
    yield f"Session “{past['name']}”{gone}; id {past['id']}\n"
    rows = [
        (item["revision"], moment(item["time"]), item["author"], item["act"], _differences(item["fields"]))
        for item in past["items"]
    ]
    yield table(("Revision", "When (UTC)", "By", "Act", "What"), rows)
    if past["next_before"] is not None or not past["complete"]:
        yield from _reach(past)


def _change(change: Mapping[str, Any]) -> Iterator[RenderableType | str]:
    from hostward.cli.output import facts, moment, table

    yield facts(
        [
            ("Revision", change["revision"]),
            ("What", change["summary"]),
            ("By", change["author"]),
            ("When", f"{moment(change['time'])} UTC"),
            ("Change request", change["requests"]),
            ("Of replication", change["records"]),
        ]
    )
    rows = [
        (e["label"], f["field"], value_words(f["before"]), value_words(f["after"]))
        for e in change["changes"]
        for f in e["fields"]
    ]
    if rows:
        yield ""
        yield table(("Element", "Field", "Before", "After"), rows)
    if len(change["changes"]) < change["elements"]:
        yield f"… and {change['elements'] - len(change['changes']):,} more elements."
    later = [f"{e['label']} (revision {e['later']})" for e in change["changes"] if e["later"]]
    if later:
        yield f"Changed again since: {', '.join(later)}."


def _reach(answer: Mapping[str, Any]) -> Iterator[str]:
    """Where the list goes on, or why it ends."""
    if answer["next_before"] is not None:
        yield f"\nOlder ones: --before {answer['next_before']}"
        return
    oldest = answer["history"]["oldest"]
    if oldest is None:
        yield "\nNo changes are kept yet."
    elif oldest > 1:
        yield f"\nThe history begins with revision {oldest:,}. Backups may reach further back."


def _differences(fields: list[Mapping[str, Any]]) -> str:
    return "; ".join(
        f"{f['field']}: {value_words(f['before']) or '–'} → {value_words(f['after']) or '–'}" for f in fields
    )
