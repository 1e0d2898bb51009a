"""The tree of commands."""

from __future__ import annotations

from typing import Annotated

import typer

from hostward import __version__
from hostward.cli import (
    access,
    accounts,
    audit,
    backups,
    certificates,
    change_requests,
    credentials,
    demo,
    desk,
    directories,
    doctor,
    group,
    history,
    jobs,
    launching,
    locks,
    logs,
    packages,
    passphrase,
    people,
    replication,
    reports,
    search,
    servers,
    sessions,
    settings,
)
from hostward.cli.options import InsecureOption, Invocation, JsonOption, ServerOption, TokenOption

app = typer.Typer(
    name="hostward",
    help="Hostward: terminal sessions, managed on one server and the same on every server of its group.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: it need not import rich, and comes at once
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"hostward {__version__}")
        raise typer.Exit


@app.callback()
def common(
    ctx: typer.Context,
    server: ServerOption = None,
    token: TokenOption = None,
    insecure: InsecureOption = False,
    as_json: JsonOption = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Hostward: terminal sessions, managed on one server and the same on every server of its group."""
    ctx.ensure_object(Invocation).take(server, token, insecure, as_json)


app.add_typer(sessions.app, name="session")
app.add_typer(change_requests.app, name="request")
app.add_typer(people.user_app, name="user")
app.add_typer(people.group_app, name="user-group")
app.add_typer(access.app, name="access")
app.add_typer(packages.app, name="package")
app.add_typer(access.own_app, name="my")
app.add_typer(directories.app, name="directory")
app.add_typer(credentials.app, name="credential")
app.add_typer(settings.app, name="settings")
app.add_typer(replication.app, name="replication")
app.add_typer(certificates.app, name="certificate")
app.add_typer(group.app, name="group")
app.add_typer(jobs.app, name="job")
app.add_typer(backups.app, name="backup")
app.add_typer(audit.app, name="audit")
app.add_typer(reports.app, name="report")
app.add_typer(accounts.token_app, name="token")
app.add_typer(servers.server_app, name="server")
app.add_typer(desk.app, name="client")
app.add_typer(demo.app, name="demo")
accounts.register(app)
passphrase.register(replication.app)
servers.register(app)
search.register(app)
doctor.register(app)
logs.register(app)
history.register(app)
locks.register(sessions.app)
launching.register(sessions.app)
packages.register_own(access.own_app)
