"""`hostward directory …`: LDAP directories that check passwords."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from hostward.cli import secrets
from hostward.cli.change_requests import submitted_words
from hostward.cli.files import read_limited
from hostward.cli.options import Call, YesOption, client_command

app = typer.Typer(help="LDAP directories that check users' passwords.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="DIRECTORY", help="The directory's name.")]
MAX_PEM_BYTES = 64_000
SETTINGS = (
    "servers", "security", "certificates", "credential", "user_base", "user_filter", "name_attribute",
    "full_name_attribute", "group_base", "group_filter", "group_name_attribute", "timeout_s", "first_login",
)  # fmt: skip


@client_command(app, "list")
def list_directories(call: Call) -> None:
    """List directories."""
    from hostward.cli.output import table

    answer = call.api.get("directories")
    rows = [(d["name"], d["servers"], d["security"], d["user_base"]) for d in answer["items"]]
    call.show(answer, table(("Name", "Servers", "Security", "Users below"), rows))


@client_command(app, "show")
def show_directory(call: Call, name: NameArgument) -> None:
    """Show a directory's settings."""
    from hostward.cli.output import facts

    found = call.api.get(_path(name))
    call.show(found, facts([(key.replace("_", " ").capitalize(), found[key]) for key in ("name", *SETTINGS)]))


@client_command(app, "set")
def set_directory(
    call: Call,
    name: NameArgument,
    server: Annotated[list[str] | None, typer.Option("--ldap-server", help="HOST or HOST:PORT; repeatable.")] = None,
    security: Annotated[str | None, typer.Option("--security", help="ldaps, starttls or none.")] = None,
    certificates: Annotated[
        Path | None, typer.Option("--certificates", metavar="FILE", help="PEM; its servers' or their authority's.")
    ] = None,
    credential: Annotated[str | None, typer.Option("--credential", help="Entry of the Credential Store.")] = None,
    user_base: Annotated[str | None, typer.Option("--user-base", help="Such as ou=people,dc=example,dc=com.")] = None,
    user_filter: Annotated[str | None, typer.Option("--user-filter", help="With {user} in it.")] = None,
    name_attribute: Annotated[str | None, typer.Option("--name-attribute")] = None,
    full_name_attribute: Annotated[str | None, typer.Option("--full-name-attribute")] = None,
    group_base: Annotated[str | None, typer.Option("--group-base")] = None,
    group_filter: Annotated[str | None, typer.Option("--group-filter", help="With {dn} in it.")] = None,
    group_name_attribute: Annotated[str | None, typer.Option("--group-name-attribute")] = None,
    timeout: Annotated[int | None, typer.Option("--timeout", help="Seconds.")] = None,
    first_login: Annotated[
        bool | None,
        typer.Option("--first-login/--no-first-login", help="Users who log in for the first time are taken over."),
    ] = None,
) -> None:
    """Set up a directory; of one that is there, what isn't given stays."""
    given = {
        "servers": server, "security": security, "credential": credential, "user_base": user_base,
        "certificates": read_limited(certificates, MAX_PEM_BYTES).decode("ascii", "replace") if certificates else None,
        "user_filter": user_filter, "name_attribute": name_attribute, "full_name_attribute": full_name_attribute,
        "group_base": group_base, "group_filter": group_filter, "group_name_attribute": group_name_attribute,
        "timeout_s": timeout, "first_login": first_login,
    }  # fmt: skip
    known: list[dict[str, Any]] = call.api.get("directories")["items"]
    there = next((d for d in known if d["name"].casefold() == name.casefold()), {})
    body = {key: there[key] for key in SETTINGS if key in there} | {k: v for k, v in given.items() if v is not None}
    body = {"servers": [], "user_base": ""} | body
    _show_written(call, f"Set up the directory “{name}”", call.api.put(_path(name), body))


@client_command(app, "delete")
def delete_directory(call: Call, name: NameArgument, yes: YesOption = False) -> None:
    """Delete a directory that no user logs in by."""
    if not yes and os.isatty(0) and not typer.confirm(f"Delete the directory “{name}”?", err=True):
        raise typer.Exit(1)
    _show_written(call, f"Deleted “{name}”", call.api.delete(_path(name)))


@client_command(app, "test")
def try_login(
    call: Call,
    name: NameArgument,
    user: Annotated[str, typer.Argument(metavar="USER", help="Who would log in.")],
    password_file: Annotated[
        Path | None, typer.Option("--password-file", metavar="FILE", help="- asks for it; left out, it isn't tried.")
    ] = None,
) -> None:
    """Try a login step by step, on this server."""
    body = {"user": user}
    if password_file is not None:
        body["password"] = secrets.get(password_file, "Password", option="--password-file")
    found = call.api.post(f"{_path(name)}/test", body)
    lines = [f"{'✓' if step['ok'] else '✗'} {step['name']}: {step['said']}" for step in found["steps"]]
    call.show(found, "\n".join(lines))
    if not found["ok"]:
        raise typer.Exit(1)


@client_command(app, "sync")
def sync(
    call: Call,
    name: NameArgument,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look and count.")] = False,
    yes: YesOption = False,
) -> None:
    """Take the directory's users and their groups over, as one change; who isn't there any more is disabled."""
    from hostward.cli.output import replicated_words

    answer = call.confirmed("POST", f"{_path(name)}/sync?dry_run={str(dry_run).lower()}", {}, yes=yes)
    if (submitted := submitted_words(answer)) is not None:
        call.show(answer, submitted)
        return
    counts = f"{answer['created']:,} new, {answer['changed']:,} changed, {answer['unchanged']:,} unchanged"
    counts += f", {answer['disabled']:,} gone and disabled" if answer["disabled"] else ""
    call.show(answer, f"Would be: {counts}." if dry_run else f"{counts}; {replicated_words(answer)}.")


def _show_written(call: Call, words: str, answer: Mapping[str, Any]) -> None:
    from hostward.cli.output import replicated_words

    submitted = submitted_words(answer)
    call.show(answer, submitted if submitted is not None else f"{words}: {replicated_words(answer)}.")


def _path(name: str) -> str:
    return f"directories/{quote(name, safe='')}"
