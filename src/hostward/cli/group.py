"""`hostward group …`: join codes. One command on the Master, one on the new server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from hostward.cli import secrets
from hostward.cli.options import Call, YesOption, client_command
from hostward.cli.replication import AdapterOption, PassphraseFile, PassphraseFlag, WaitOption, show_job

app = typer.Typer(help="Join a group with one command.", no_args_is_help=True)


@client_command(app, "invite")
def invite(
    call: Call,
    minutes: Annotated[int, typer.Option("--minutes", "-m", help="How long the code is valid; 30 at most.")] = 30,
) -> None:
    """On the Master: print a join code, for one new Slave."""
    answer = call.api.post("group/invite", {"minutes": minutes})
    words = (
        f"Valid once, for the role {answer['role'].capitalize()}, until {answer['expires_at']}.",
        "On the new server run `hostward group join`; it asks for the code:",
        "",
        str(answer["code"]),
    )
    call.show(answer, *words)


@client_command(app, "invites")
def invites(call: Call) -> None:
    """List the join codes that were given out."""
    from hostward.cli.output import moment, table

    answer = call.api.get("group/invites")
    rows = [
        (i["id"], i["state"] + (f" by {i['used_by']}" if i["used_by"] else ""), moment(i["expires_at"]), i["author"])
        for i in answer["items"]
    ]
    call.show(answer, table(("Id", "State", "Valid until (UTC)", "Made by"), rows))


@client_command(app, "revoke")
def revoke(call: Call, invite_id: Annotated[str, typer.Argument(metavar="ID", help="From `group invites`.")]) -> None:
    """Make a join code useless."""
    call.show(call.api.delete(f"group/invites/{quote(invite_id, safe='')}"), f"Join code {invite_id} is revoked.")


@client_command(app, "join")
def join(
    call: Call,
    code: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CODE",
            help="From `group invite`; blanks and hyphens don't matter. It is asked for where it isn't given: as an "
            "argument, others on this machine can see it, and the shell's history keeps it.",
        ),
    ] = None,
    code_file: Annotated[
        Path | None, typer.Option("--code-file", metavar="FILE", help="Holds the code; - is standard input.")
    ] = None,
    adapter: AdapterOption = None,
    passphrase: PassphraseFlag = False,
    passphrase_file: PassphraseFile = None,
    yes: YesOption = False,
    wait: WaitOption = False,
) -> None:
    """On a new server: certificates both ways, then become a Slave. Can be run again if it fails."""
    text = " ".join(code or ()) or secrets.get(code_file, "Join code", option="--code-file")
    body: dict[str, Any] = {"code": text}
    if adapter:
        body["adapter"] = adapter
    if passphrase or passphrase_file:
        body["passphrase"] = secrets.get(passphrase_file, "Passphrase", option="--passphrase-file")
    show_job(call, call.confirmed("POST", "group/join", body, yes=yes), wait=wait)
