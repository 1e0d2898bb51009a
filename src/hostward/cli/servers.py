"""Servers: `hostward serve` and `nodetool` on the machine itself, `health` and `server show` from anywhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from hostward.cli import secrets
from hostward.cli.options import Call, client_command

server_app = typer.Typer(help="The Administrative Server itself.", no_args_is_help=True)

DataDirOption = Annotated[
    Path, typer.Option("--data-dir", metavar="DIR", envvar="HOSTWARD_DATA_DIR", help="The server's data directory.")
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", envvar="HOSTWARD_CONFIG", exists=True, dir_okay=False, help="TOML."),
]


class Check(StrEnum):
    """A health check, as load balancers use them."""

    live = "live"
    ready = "ready"
    in_sync = "in-sync"
    master = "master"


def register(app: typer.Typer) -> None:
    """Add the commands that stand at the top of the tree."""
    app.command("serve")(serve)
    app.command("nodetool", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})(
        nodetool
    )
    client_command(app, "health")(health)


def serve(
    data_dir: DataDirOption,
    config: ConfigOption = None,
    admin_password_file: Annotated[
        Path | None,
        typer.Option(
            "--admin-password-file",
            metavar="FILE",
            help="The first administrator's password, for the first start; - is standard input.",
        ),
    ] = None,
    store_passphrase_file: Annotated[
        Path | None,
        typer.Option(
            "--store-passphrase-file",
            metavar="FILE",
            envvar="HOSTWARD_STORE_PASSPHRASE_FILE",
            help="The Credential Store's passphrase, where it has one; - is standard input.",
        ),
    ] = None,
) -> None:
    """Run an Administrative Server.

    It stops cleanly on Ctrl-C and SIGTERM."""
    password = secrets.from_file(admin_password_file) if admin_password_file is not None else None
    passphrase = secrets.from_file(store_passphrase_file) if store_passphrase_file is not None else None
    from hostward import main

    raise typer.Exit(main.serve(data_dir, config, password, passphrase))


def nodetool(
    data_dir: DataDirOption,
    arguments: Annotated[list[str] | None, typer.Argument(metavar="ARGS...", help="As Cassandra's nodetool.")] = None,
    config: ConfigOption = None,
) -> None:
    """Run Cassandra's nodetool on this server.

    For example: `hostward nodetool --data-dir DIR status`."""
    from hostward import main

    raise typer.Exit(main.nodetool(data_dir, config, list(arguments or ["help"])))


def health(
    call: Call,
    check: Annotated[Check | None, typer.Argument(help="All of them, unless given.")] = None,
    lag: Annotated[int | None, typer.Option("--lag", min=0, help="Changes that in-sync may lack.")] = None,
) -> None:
    """Show health as load balancers see it.

    The exit code is 1 if the check (without one: ready) says no."""
    from hostward.cli.output import table

    answers: dict[str, dict[str, Any]] = {}
    for one in [check] if check else list(Check):
        code, answer = call.api.probe(f"health/{one.value}", {"lag": lag if one is Check.in_sync else None})
        answers[one.value] = {**answer, "ok": code == 200}
    rows = [(name, answer["ok"], answer.get("reason") or answer.get("detail")) for name, answer in answers.items()]
    call.show(answers[check.value] if check else answers, table(("Check", "OK", "Reason"), rows))
    if not answers[check.value if check else Check.ready.value]["ok"]:
        raise typer.Exit(1)


@client_command(server_app, "show")
def show(call: Call) -> None:
    """Show name, version, ports, fingerprint and data directory."""
    from hostward.cli.output import facts

    answer = call.api.get("server")
    labels = {"server": "Server id", "http_port": "HTTP port", "https_port": "HTTPS port"}
    pairs = [(labels.get(k, k.replace("_", " ").capitalize()), v) for k, v in answer.items() if k != "certificate_pem"]
    call.show(answer, facts(pairs))
