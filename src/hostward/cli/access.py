"""`hostward access …`: who may use which sessions, and why. `hostward my …`: what one may use oneself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from hostward.cli.change_requests import submitted_words
from hostward.cli.files import give_pieces
from hostward.cli.options import Call, PageOption, PerPageOption, SortOption, client_command
from hostward.cli.packages import find as find_package
from hostward.cli.people import find
from hostward.cli.sessions import find_session
from hostward.domain.suggestions import shown

app = typer.Typer(help="Assign Access: who may use which sessions and packages.", no_args_is_help=True)
own_app = typer.Typer(help="Your own sessions and packages.", no_args_is_help=True)

SESSION_COLUMNS: Final = ("Name", "Type", "Host", "Port")
SessionsArgument = Annotated[list[str] | None, typer.Argument(metavar="[SESSION…]", help="Sessions, by name or id.")]
PackagesOption = Annotated[list[str] | None, typer.Option("--package", help="A package; repeatable.")]
UsersOption = Annotated[list[str] | None, typer.Option("--user", help="A user; repeatable.")]
GroupsOption = Annotated[list[str] | None, typer.Option("--group", help="A user group; repeatable.")]
FoldersOption = Annotated[
    list[str] | None,
    typer.Option("--folder", metavar="FOLDER", help="A directory folder, DIRECTORY: ou=NAME,dc=…; repeatable."),
]
EveryoneOption = Annotated[bool, typer.Option("--everyone", help="All users.")]
UntilOption = Annotated[str, typer.Option("--until", help="A date, such as 2027-01-31; empty for always.")]
FavouritesOption = Annotated[bool, typer.Option("--favourites", help="Your favourites alone.")]


@client_command(app, "allow")
def allow(
    call: Call,
    sessions: SessionsArgument = None,
    package: PackagesOption = None,
    user: UsersOption = None,
    group: GroupsOption = None,
    folder: FoldersOption = None,
    everyone: EveryoneOption = False,
    until: UntilOption = "",
) -> None:
    """Give sessions and packages to users, groups, directory folders or everyone, as one change."""
    _assign(call, sessions, package, _to(user, group, folder, everyone), "allow", until)


@client_command(app, "deny")
def deny(
    call: Call,
    sessions: SessionsArgument = None,
    package: PackagesOption = None,
    user: UsersOption = None,
    group: GroupsOption = None,
    folder: FoldersOption = None,
    everyone: EveryoneOption = False,
    until: UntilOption = "",
) -> None:
    """Deny sessions and packages to users, groups, directory folders or everyone, whatever else gives them."""
    _assign(call, sessions, package, _to(user, group, folder, everyone), "deny", until)


@client_command(app, "remove")
def remove(
    call: Call,
    ids: Annotated[list[str], typer.Argument(metavar="ID…", help="Assignments; `hostward access list` shows ids.")],
) -> None:
    """Remove assignments."""
    _show_assigned(call, "Removed", call.api.post("assignments/remove", {"ids": ids}))


@client_command(app, "list")
def list_assignments(
    call: Call,
    words: Annotated[list[str] | None, typer.Argument(help="Parts of the names: of what, and of who has it.")] = None,
    session: Annotated[str | None, typer.Option("--session", help="Only those of this session.")] = None,
    package: Annotated[str | None, typer.Option("--package", help="Only those of this package.")] = None,
    user: Annotated[str | None, typer.Option("--user", help="Only those to this user.")] = None,
    group: Annotated[str | None, typer.Option("--group", help="Only those to this group.")] = None,
    folder: Annotated[str | None, typer.Option("--folder", help="Only those to this directory folder.")] = None,
    everyone: EveryoneOption = False,
    sort: SortOption = "-revision",
    page: PageOption = 1,
    per_page: PerPageOption = 50,
) -> None:
    """List assignments, those that changed last first. They can be sorted by revision, what, to, effect and until."""
    from hostward.cli.output import table

    params = {
        "session": find_session(call, session)["id"] if session else None,
        "package": find_package(call, package)["id"] if package else None,
        "user": find(call, "users", user)["id"] if user else None,
        "group": find(call, "user-groups", group)["id"] if group else None,
        "folder": folder,
        "everyone": everyone,
        "q": " ".join(words or []),
        "sort": sort,
        "page": page,
        "per_page": per_page,
    }
    answer = call.api.get("assignments", params)
    items = answer.get("items") or []
    rows = [(_what(a["of"]), _who(a["to"]), a["effect"], _until(a), a["revision"], a["id"]) for a in items]
    columns = ("What", "To", "Effect", "Until", "Revision", "Id")
    call.show(answer, table(columns, rows), f"\n{len(items):,} of {answer.get('total', 0):,}")


@client_command(app, "folders")
def list_folders(call: Call) -> None:
    """List the directory folders that hold users."""
    from hostward.cli.output import table

    answer = call.api.get("assignments/folders")
    rows = [(folder["name"], folder["users"]) for folder in answer["items"]]
    call.show(answer, table(("Folder", "Users"), rows))


@client_command(app, "of")
def list_usable(
    call: Call,
    user: Annotated[str, typer.Argument(metavar="USER", help="The user's name or id.")],
    words: Annotated[list[str] | None, typer.Argument(help="Words to find.")] = None,
    page: PageOption = 1,
    per_page: PerPageOption = 50,
) -> None:
    """What a user may use."""
    path = f"users/{find(call, 'users', user)['id']}/sessions"
    show_usable(call, path, words, page, per_page)


@client_command(app, "why")
def why(
    call: Call,
    user: Annotated[str, typer.Argument(metavar="USER", help="The user's name or id.")],
    session: Annotated[str | None, typer.Argument(metavar="[SESSION]", help="The session's name or id.")] = None,
    package: Annotated[str | None, typer.Option("--package", help="A package instead, by name or id.")] = None,
) -> None:
    """Why a user may use a session or package, or may not."""
    if (session is None) == (package is None):
        raise typer.BadParameter("name a session, or a package with --package")
    path = f"users/{find(call, 'users', user)['id']}/"
    path += f"packages/{find_package(call, package)['id']}" if package else ""
    path += f"sessions/{find_session(call, session)['id']}" if session else ""
    answer = call.api.get(path)
    lines = [f"{answer['user']} {'may' if answer['allowed'] else 'may not'} use “{answer['of']['name']}”."]
    if answer["disabled"]:
        lines.append(f"{answer['user']} is disabled, and can't log in.")
    if not answer["because"]:
        lines.append("Nothing gives it.")
    for ground in answer["because"]:
        until = f", until {ground['until']}" if ground["until"] else ""
        lines.append(f"  - {ground['effect']}: {_who(ground['to'])}, by {ground['by']}{until}")
    call.show(answer, "\n".join(lines))


@client_command(own_app, "sessions")
def own_sessions(
    call: Call,
    words: Annotated[list[str] | None, typer.Argument(help="Words to find.")] = None,
    favourites: FavouritesOption = False,
    page: PageOption = 1,
    per_page: PerPageOption = 50,
) -> None:
    """The sessions that you may use; a * marks your favourites."""
    show_own(call, words, page, per_page, favourites=favourites)


@client_command(own_app, "favourites")
def own_favourites(
    call: Call,
    add: Annotated[list[str] | None, typer.Option("--add", metavar="SESSION", help="By name; repeatable.")] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", metavar="SESSION", help="The same.")] = None,
) -> None:
    """Show your favourites, or change them."""
    from hostward.cli.output import table

    given = {"add": add or [], "remove": remove or []}
    answer = call.api.patch("me/favourites", given) if add or remove else call.api.get("me/favourites")
    rows = [(s["name"], s["type"], s["host"], s["port"]) for s in answer.get("items") or []]
    ignored = [f"You have no session {shown(name)}." for name in answer.get("ignored") or []]
    call.show(answer, table(SESSION_COLUMNS, rows), *ignored)
    if ignored:
        raise typer.Exit(1)


@client_command(own_app, "launch-file")
def own_launch_file(
    call: Call,
    session: Annotated[str, typer.Argument(metavar="SESSION", help="The session's name.")],
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", dir_okay=False, help="Standard output, unless given.")
    ] = None,
    program: Annotated[str | None, typer.Option("--program", help="x3270, putty, openssh, …")] = None,
) -> None:
    """The file with which an emulator opens one of your sessions."""
    answer = call.api.get("me/sessions", {"q": session, "per_page": 500})
    named = {s["name"].casefold(): s["id"] for s in answer.get("items") or []}
    id_ = quote(named.get(session.casefold(), session), safe="")
    with call.api.download(f"me/sessions/{id_}/launch", {"program": program}) as pieces:
        give_pieces(file, pieces)


def _to(
    users: list[str] | None, groups: list[str] | None, folders: list[str] | None, everyone: bool
) -> list[dict[str, str]]:
    found = [{"kind": "user", "name": name} for name in users or []]
    found += [{"kind": "user-group", "name": name} for name in groups or []]
    found += [{"kind": "directory-folder", "name": name} for name in folders or []]
    found += [{"kind": "everyone"}] if everyone else []
    if not found:
        raise typer.BadParameter("say to whom: --user, --group, --folder or --everyone")
    return found


def _assign(
    call: Call,
    sessions: list[str] | None,
    packages: list[str] | None,
    to: list[dict[str, str]],
    effect: str,
    until: str,
) -> None:
    if not sessions and not packages:
        raise typer.BadParameter("name at least one session, or a package with --package")
    body = {"to": to, "sessions": sessions or [], "packages": packages or [], "effect": effect, "until": until}
    _show_assigned(call, "Assigned" if effect == "allow" else "Denied", call.api.post("assignments", body, once=True))


def _show_assigned(call: Call, verb: str, answer: Mapping[str, Any]) -> None:
    from hostward.cli.output import replicated_words

    if (submitted := submitted_words(answer)) is not None:
        call.show(answer, submitted)
        return
    call.show(answer, f"{verb}: {answer['assignments']:,} assignments; {replicated_words(answer)}.")


def show_usable(call: Call, path: str, words: list[str] | None, page: int, per_page: int) -> None:
    """One page of the sessions that somebody may use."""
    from hostward.cli.output import table

    answer = call.api.get(path, {"q": " ".join(words or []), "page": page, "per_page": per_page})
    items = answer.get("items") or []
    rows = [(s["name"], s["type"], s["host"], s["port"]) for s in items]
    call.show(answer, table(SESSION_COLUMNS, rows), f"\n{len(items):,} of {answer.get('total', 0):,}")


def show_own(call: Call, words: list[str] | None, page: int, per_page: int, *, favourites: bool) -> None:
    """One page of the sessions that the user may use, or of the favourites among them."""
    from hostward.cli.output import table

    order = "only" if favourites else None
    params = {"q": " ".join(words or []), "favourites": order, "page": page, "per_page": per_page}
    answer = call.api.get("me/sessions", params)
    items = answer.get("items") or []
    rows = [("*" if s.get("favourite") else "", s["name"], s["type"], s["host"], s["port"]) for s in items]
    columns = ("", *SESSION_COLUMNS)
    call.show(answer, table(columns, rows), f"\n{len(items):,} of {answer.get('total', 0):,}")


def _what(of: Mapping[str, Any]) -> str:
    return f"{'package ' if of['kind'] == 'package' else ''}{of['name'] or '(gone)'}"


def _until(assignment: Mapping[str, Any]) -> str:
    return f"{assignment['until']}{' (over)' if assignment['over'] else ''}"


def _who(subject: Mapping[str, Any]) -> str:
    if subject["kind"] == "everyone":
        return "everyone"
    noun = {"user-group": "group", "directory-folder": "folder"}.get(subject["kind"], "user")
    return f"{noun} {subject['name'] or '(gone)'}"
