"""`hostward audit …`: who did what, on which server."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hostward.cli.files import give_pieces
from hostward.cli.options import Call, client_command

app = typer.Typer(help="The audit log: who did what, from where, when, and what came of it.", no_args_is_help=True)

ServerFilter = Annotated[str, typer.Option("--of", metavar="SERVER", help="Of that server alone: its name or id.")]
UserFilter = Annotated[str, typer.Option("--user", metavar="USER", help="Of that user alone.")]
ActFilter = Annotated[str, typer.Option("--act", metavar="ACT", help="One act alone, such as logged-in.")]
OutcomeFilter = Annotated[str, typer.Option("--outcome", metavar="OUTCOME", help="done, submitted or refused.")]
FromFilter = Annotated[str, typer.Option("--from", metavar="MOMENT", help="Since a day or a moment (UTC).")]
ToFilter = Annotated[str, typer.Option("--to", metavar="MOMENT", help="Until a day or a moment (UTC).")]


class Format(StrEnum):
    """What an export is written as."""

    csv = "csv"
    jsonl = "jsonl"


@client_command(app, "list")
def list_entries(
    call: Call,
    of: ServerFilter = "",
    user: UserFilter = "",
    act: ActFilter = "",
    outcome: OutcomeFilter = "",
    from_: FromFilter = "",
    to: ToFilter = "",
    before: Annotated[str, typer.Option("--before", metavar="PLACE", help="Older than the page before.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=500)] = 50,
) -> None:
    """List entries, the newest first."""
    from hostward.cli.output import table

    wanted = {"server": of, "user": user, "act": act, "outcome": outcome, "from": from_, "to": to, "before": before}
    answer = call.api.get("audit", {k: v for k, v in wanted.items() if v} | {"limit": limit})
    rows = [
        (
            e["at"][:19].replace("T", " "), e["server_name"], e["user"], e["address"],
            e["what"] + (f" ({e['times']} times)" if e["times"] > 1 else ""),
            e["outcome"], e["revision"], e["reason"] or ", ".join(f"{k} {v}" for k, v in e["about"].items()),
        )
        for e in answer["items"]
    ]  # fmt: skip
    more = [f"\nOlder ones: --before {answer['next']}"] if answer["next"] else []
    call.show(
        answer, table(("When (UTC)", "Server", "User", "From", "What", "Outcome", "Revision", "More"), rows), *more
    )


@client_command(app, "export")
def export(
    call: Call,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", dir_okay=False, help="Standard output, unless given.")
    ] = None,
    format_: Annotated[Format | None, typer.Option("--format", help="csv, unless FILE ends in .jsonl.")] = None,
    of: ServerFilter = "",
    user: UserFilter = "",
    act: ActFilter = "",
    outcome: OutcomeFilter = "",
    from_: FromFilter = "",
    to: ToFilter = "",
) -> None:
    """Export entries as CSV or JSON lines."""
    kind = format_ or (Format.jsonl if file and file.suffix.lower() == ".jsonl" else Format.csv)
    wanted = {"server": of, "user": user, "act": act, "outcome": outcome, "from": from_, "to": to}
    given = {k: v for k, v in wanted.items() if v} | {"format": kind.value}
    with call.api.download("audit/export", given) as pieces:
        give_pieces(file, pieces)


@client_command(app, "verify")
def verify(call: Call) -> None:
    """Look at every entry: whether any was altered, taken out or put in. The exit code is 1 if so."""
    answer = call.api.get("audit/verify")
    words = [f"{t['server_name']}, {t['code']} at entry {t['number']}: {t['text']}" for t in answer["troubles"]]
    whole = f"{answer['entries']:,} entries of {answer['logs']} logs were looked at"
    call.show(answer, f"{whole}{': all of them are as they were written' if answer['ok'] else ''}.", *words)
    if not answer["ok"]:
        raise typer.Exit(1)
