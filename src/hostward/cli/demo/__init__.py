"""`hostward demo`: a replication group of three servers on this machine, to look at and to try out.

It is formed through the same public REST API that an administrator uses. Ctrl-C stops it, unless it is detached;
started again in the same directory, it goes on with its data.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hostward.cli.options import Invocation, JsonOption

app = typer.Typer(help="Three servers on this machine, to try out.", no_args_is_help=False)

DirOption = Annotated[Path, typer.Option("--dir", metavar="DIR", file_okay=False, help="Where it keeps everything.")]
DEFAULT_DIR = Path("demo")


@app.callback(invoke_without_command=True)
def demo(
    ctx: typer.Context,
    directory: DirOption = DEFAULT_DIR,
    detach: Annotated[bool, typer.Option("--detach", help="Leave the servers running.")] = False,
    restart: Annotated[
        bool, typer.Option("--restart/--no-restart", help="While it is watched, start again a server that has died.")
    ] = True,
    address: Annotated[
        str | None,
        typer.Option("--address", metavar="ADDRESS", help="First of three consecutive loopback addresses (127.0.0.2)."),
    ] = None,
) -> None:
    """Start three servers on this machine as a replication group, with example sessions.

    A directory used before starts again with its data."""
    if ctx.invoked_subcommand is not None:
        return
    from hostward.cli.demo.running import run

    raise typer.Exit(run(directory.resolve(), address, detach=detach, restart=restart))


@app.command("stop")
def stop(directory: DirOption = DEFAULT_DIR) -> None:
    """Stop the demo's servers; their data stays."""
    from hostward.cli.demo.running import stop_all

    raise typer.Exit(stop_all(directory.resolve()))


@app.command("status")
def status(ctx: typer.Context, directory: DirOption = DEFAULT_DIR, as_json: JsonOption = False) -> None:
    """Show the demo's servers: addresses, roles, logins, and whether they run."""
    from hostward.cli.demo.running import show_status

    ctx.ensure_object(Invocation).take(None, None, False, as_json)
    raise typer.Exit(show_status(directory.resolve(), as_json=ctx.ensure_object(Invocation).as_json))
