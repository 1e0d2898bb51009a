"""`hostward credential …`: the Credential Store of one server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from hostward.cli import secrets
from hostward.cli.options import Call, YesOption, client_command

app = typer.Typer(help="This server's Credential Store; not replicated.", no_args_is_help=True)

PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", metavar="FILE", help="Asked for, unless given; - is standard input.")
]
EntryArgument = Annotated[str, typer.Argument(metavar="ENTRY", help="The entry's name.")]


@client_command(app, "list")
def list_credentials(call: Call) -> None:
    """List the entries, without their secrets."""
    from hostward.cli.output import moment, table

    answer = call.api.get("credentials")
    if answer["closed"]:
        typer.echo("The store is closed: give its passphrase with `hostward credential open`.", err=True)
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


@client_command(app, "open")
def open_store(call: Call, passphrase_file: PassphraseFile = None) -> None:
    """Open this server's store, once after each start, where it has a passphrase."""
    passphrase = secrets.get(passphrase_file, "Credential Store's passphrase", option="--passphrase-file")
    call.show(call.api.post("credential-store/open", {"passphrase": passphrase}), "Open until the server stops.")


@client_command(app, "set-passphrase")
def set_passphrase(call: Call, passphrase_file: PassphraseFile = None) -> None:
    """Protect this server's store with a passphrase, or with another; after each start it is needed again."""
    new = secrets.get(passphrase_file, "New passphrase", option="--passphrase-file", twice=True)
    call.show(call.api.put("credential-store/passphrase", {"passphrase": new}), "Set. Keep it: nothing else opens it.")


@client_command(app, "remove-passphrase")
def remove_passphrase(call: Call) -> None:
    """The server's own key alone opens the store again."""
    call.show(call.api.delete("credential-store/passphrase"), "Removed: the store is open from each start.")


@client_command(app, "reset")
def reset_store(call: Call, yes: YesOption = False) -> None:
    """Delete all entries of this server and the passphrase, for one that is lost."""
    call.show(call.confirmed("POST", "credential-store/reset", {}, yes=yes), "Emptied. Set the entries again.")
