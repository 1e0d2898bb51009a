"""`hostward replication change-passphrase`."""

from __future__ import annotations

import typer

from hostward.cli import secrets
from hostward.cli.options import Call, YesOption, client_command
from hostward.cli.replication import PassphraseFile


def register(app: typer.Typer) -> None:
    """Add the command to `hostward replication`."""

    @client_command(app, "change-passphrase")
    def change_passphrase(call: Call, passphrase_file: PassphraseFile = None, yes: YesOption = False) -> None:
        """On a Master: change the passphrase of the running group, on all its servers, without an outage."""
        new = secrets.get(passphrase_file, "New passphrase", option="--passphrase-file", twice=True)
        answer = call.confirmed("POST", "replication/passphrase", {"passphrase": new}, yes=yes)
        change = answer.get("passphrase_change")
        if change is None:
            call.show(answer, "Changed: every server has confirmed it.")
            return
        waiting = ", ".join(change["waiting_for"])
        call.show(answer, f"Changed. Not confirmed yet by {waiting}; the old one works until they have.")
