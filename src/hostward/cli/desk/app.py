"""The commands of `hostward client`."""

from __future__ import annotations

import typer

from hostward.cli.desk import logins, packages, sessions

app = typer.Typer(help="At a user's desk: your sessions in your emulator, your packages.", no_args_is_help=True)
logins.register(app)
sessions.register(app)
packages.register(app)
