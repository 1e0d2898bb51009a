"""`hostward backup …`: backups of the replicated configuration, kept on the server."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from hostward.cli.options import Call, YesOption, client_command

app = typer.Typer(help="Backups of the registry, kept on the server.", no_args_is_help=True)


@client_command(app, "list")
def list_backups(call: Call) -> None:
    """List backups, the newest first."""
    from hostward.cli.output import moment, table

    answer = call.api.get("backups")
    rows = [
        (b.get("name"), moment(b.get("created_at")), f"{b.get('size_bytes', 0):,}", b.get("reason"))
        for b in answer.get("items") or []
    ]
    call.show(answer, table(("Name", "Made (UTC)", "Bytes", "Why"), rows))


@client_command(app, "create")
def create(call: Call) -> None:
    """Make a backup now."""
    answer = call.api.post("backups")
    call.show(answer, f"Made backup {answer.get('name', '')}.")


@client_command(app, "restore")
def restore(
    call: Call,
    name: Annotated[str, typer.Argument(metavar="NAME", help="From `hostward backup list`.")],
    yes: YesOption = False,
) -> None:
    """Restore a backup as a new change; what is there now is kept as a backup first."""
    from hostward.cli.output import replicated_words

    answer = call.confirmed("POST", f"backups/{quote(name, safe='')}/restore", {}, yes=yes)
    where = f": {replicated_words(answer)}" if "revision" in answer else ""
    call.show(answer, f"Restored {name}{where}.")
