"""Who uses the command line: `login`, `logout`, `password`, and `hostward token …`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from hostward.cli import secrets
from hostward.cli.logins import Logins, SavedLogin, login_file
from hostward.cli.options import Call, InsecureOption, Invocation, YesOption, client_command, is_set
from hostward.cli.pinning import certificate_to_pin, fingerprint_of
from hostward.cli.problems import Unreachable, UsageProblem

if TYPE_CHECKING:
    from hostward.cli.client import ApiClient

token_app = typer.Typer(help="Tokens for programs.", no_args_is_help=True)

PasswordFile = Annotated[
    Path | None, typer.Option("--password-file", metavar="FILE", help="Holds the password; - is standard input.")
]


def register(app: typer.Typer) -> None:
    """Add the commands that stand at the top of the tree."""
    app.command("login")(login)
    app.command("logout")(logout)
    client_command(app, "password")(password)


def login(
    ctx: typer.Context,
    url: Annotated[str | None, typer.Argument(metavar="URL", help="https://HOST:PORT/CONTEXT.")] = None,
    user: Annotated[str, typer.Option("--user", "-u")] = "admin",
    password_file: PasswordFile = None,
    fingerprint: Annotated[
        str | None, typer.Option("--fingerprint", metavar="SHA256", help="Confirms the server's certificate unasked.")
    ] = None,
    insecure: InsecureOption = False,
) -> None:
    """Log in; later commands need no --server and no token.

    A certificate that this machine doesn't trust is shown for confirmation, and from then on that one alone is
    trusted for this server."""
    from hostward.cli.client import ApiClient, pinned_context, server_url, trusting_context

    invocation = ctx.ensure_object(Invocation)
    named = url or invocation.server or os.environ.get("HOSTWARD_SERVER")
    if not named:
        raise UsageProblem("No server is named.", remedy="hostward login https://HOST:PORT/CONTEXT")
    address = server_url(named)
    insecure = insecure or invocation.insecure or is_set("HOSTWARD_INSECURE")
    certificate = None if insecure else certificate_to_pin(address, fingerprint)
    verify = trusting_context() if insecure else pinned_context(certificate) if certificate else None
    with ApiClient(address, verify=verify, pinned=certificate is not None) as api:
        api.check_encrypted()
        answer = _log_in(api, user, secrets.get(password_file, "Password", option="--password-file"))
    path = login_file()
    logins = Logins.load(path)
    logins.servers[address] = SavedLogin(
        user=user,
        token=str(answer["token"]),
        expires_at=answer.get("expires_at"),
        certificate=certificate,
        fingerprint=fingerprint_of(certificate) if certificate else None,
        insecure=insecure,
    )
    logins.current = address
    logins.save(path)
    print(f"Logged in to {address} as {user}, until {answer.get('expires_at')}.")


def logout(
    ctx: typer.Context,
    url: Annotated[str | None, typer.Argument(metavar="URL", help="The current server, unless given.")] = None,
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="End all logins of this account, in browsers too.")
    ] = False,
    tokens: Annotated[bool, typer.Option("--tokens", help="With --everywhere: its tokens for programs too.")] = False,
) -> None:
    """End the saved login."""
    from hostward.cli.client import server_url
    from hostward.cli.options import connect

    if tokens and not everywhere:
        raise UsageProblem("--tokens is for --everywhere.", remedy="hostward logout --everywhere --tokens")
    path = login_file()
    logins = Logins.load(path)
    named = url or ctx.ensure_object(Invocation).server or logins.current
    address = server_url(named) if named else ""
    saved = logins.servers.pop(address, None)
    if saved is None:
        print("No login is saved." if not address else f"No login is saved for {address}.")
        return
    from hostward.cli.problems import Refused

    try:
        with connect(Invocation(server=address, token=saved.token)) as api:
            if everywhere:
                api.delete(f"me/logins?tokens={str(tokens).lower()}")
            else:
                api.post("logout")
    except (Unreachable, Refused) as error:
        # The token ends by itself when it expires; forgetting it here must always be possible.
        typer.echo(f"The server could not be told: {error.message}", err=True)
    logins.current = None if logins.current == address else logins.current
    logins.save(path)
    print(f"Logged out of {address}.")


def password(
    call: Call,
    current_file: Annotated[Path | None, typer.Option("--current-password-file", metavar="FILE")] = None,
    new_file: Annotated[Path | None, typer.Option("--new-password-file", metavar="FILE")] = None,
) -> None:
    """Change your own password."""
    body = {
        "current": secrets.get(current_file, "Present password", option="--current-password-file"),
        "new": secrets.get(new_file, "New password", option="--new-password-file", twice=True),
    }
    call.show(call.api.put("me/password", body), "The password is changed.")


@client_command(token_app, "create")
def create_token(
    call: Call,
    name: Annotated[str, typer.Argument(help="What it is for.")],
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="How long it is valid.")] = 365,
) -> None:
    """Make a token for a program. It is shown this once."""
    answer = call.api.post("tokens", {"name": name, "days": days})
    call.show(answer, str(answer.get("token")))


@client_command(token_app, "list")
def list_tokens(call: Call) -> None:
    """List tokens and logins, without their secrets."""
    from hostward.cli.output import moment, table

    times = ("created_at", "expires_at", "last_used_at")
    answer = call.api.get("tokens")
    rows = [
        (t.get("id"), t.get("kind"), t.get("name"), *(moment(t.get(key)) for key in times))
        for t in answer.get("items") or []
    ]
    call.show(answer, table(("Id", "Kind", "Name", "Created", "Expires", "Last used"), rows))


@client_command(token_app, "delete")
def delete_token(call: Call, token_id: Annotated[str, typer.Argument(metavar="ID")], yes: YesOption = False) -> None:
    """Make a token invalid."""
    if not yes and os.isatty(0) and not typer.confirm(f"Delete token {token_id}?", err=True):
        raise typer.Exit(1)
    call.show(call.api.delete(f"tokens/{quote(token_id, safe='')}"), f"Token {token_id} is no longer valid.")


def _log_in(api: ApiClient, user: str, secret: str) -> dict[str, Any]:
    return dict(api.post("login", {"user": user, "password": secret}))
