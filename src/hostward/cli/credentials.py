"""`hostward credential …`: the Credential Store of one server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from hostward.cli import secrets
from hostward.cli.options import Call, client_command

app = typer.Typer(help="This server's Credential Store; not replicated.", no_args_is_help=True)

EntryArgument = Annotated[str, typer.Argument(metavar="ENTRY", help="The entry's name.")]


@client_command(app, "list")
def list_credentials(call: Call) -> None:
    """List the entries, without their secrets."""
    from hostward.cli.output import moment, table

    answer = call.api.get("credentials")
    rows = [(c["name"], c["user"], c["used_by"], moment(c["changed_at"])) for c in answer["items"]]
    call.show(answer, table(("Name", "User", "Used by", "Since"), rows))


@client_command(app, "set")
def set_credential(
    call: Call,
    name: EntryArgument,
    user: Annotated[str, typer.Argument(metavar="USER", help="Such as a directory's bind DN.")],
    secret_file: Annotated[
        Path | None, typer.Option("--secret-file", metavar="FILE", help="Asked for, unless given.")
    ] = None,
) -> None:
    """Set an entry on this server alone; the secret is asked for, or read from a file."""
    secret = secrets.get(secret_file, "Secret", option="--secret-file")
    answer = call.api.put(f"credentials/{quote(name, safe='')}", {"user": user, "secret": secret})
    call.show(answer, f"Set “{name}” on this server.")


@client_command(app, "delete")
def delete_credential(call: Call, name: EntryArgument) -> None:
    """Delete an entry that nothing uses."""
    call.show(call.api.delete(f"credentials/{quote(name, safe='')}"), f"Deleted “{name}”.")
