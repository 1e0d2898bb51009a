"""`hostward user …` and `hostward user-group …`: who may log in, and who belongs to what."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from hostward.cli import secrets
from hostward.cli.change_requests import submitted_words
from hostward.cli.files import give_pieces, read_limited
from hostward.cli.options import Call, PageOption, PerPageOption, SortOption, YesOption, client_command
from hostward.domain.errors import NotFound

user_app = typer.Typer(help="Users of the group, the same on every server.", no_args_is_help=True)
group_app = typer.Typer(help="User groups: who belongs to what.", no_args_is_help=True)

MAX_FILE_BYTES = 32 << 20

UserArgument = Annotated[str, typer.Argument(metavar="USER", help="The user's name or id.")]
GroupArgument = Annotated[str, typer.Argument(metavar="GROUP", help="The group's name or id.")]
FullNameOption = Annotated[str | None, typer.Option("--full-name")]
GroupsOption = Annotated[list[str] | None, typer.Option("--group", help="A group to belong to; repeatable.")]
RoleOption = Annotated[
    str | None, typer.Option("--role", help='administrator, sessions, "help desk", auditor; "" for none.')
]
DirectoryOption = Annotated[str | None, typer.Option("--directory", help='Checks the password; "" for none.')]
CommentOption = Annotated[str | None, typer.Option("--comment")]
InOption = Annotated[str | None, typer.Option("--in", help="Only those that belong to this group directly.")]
OfRoleOption = Annotated[str | None, typer.Option("--role", help='Only those with this role; "" for without one.')]
StateOption = Annotated[str | None, typer.Option("--state", help='enabled, disabled or "no password".')]
OfDirectoryOption = Annotated[
    str | None,
    typer.Option("--directory", help='Only those of this directory; "" for those with a password of the group\'s own.'),
]
AllOption = Annotated[bool, typer.Option("--all", help="All users, where neither words nor a filter are given.")]
WordsArgument = Annotated[list[str] | None, typer.Argument(help="Words to find.")]
PasswordFileOption = Annotated[Path | None, typer.Option("--password-file", metavar="FILE", help="- asks for it.")]


@client_command(user_app, "list")
def list_users(
    call: Call,
    words: WordsArgument = None,
    group: InOption = None,
    role: OfRoleOption = None,
    state: StateOption = None,
    directory: OfDirectoryOption = None,
    sort: SortOption = "name",
    page: PageOption = 1,
    per_page: PerPageOption = 50,
) -> None:
    """List users, a page at a time; with words, those that have them. Sorted by name, full_name or role."""
    those = _matching(call, words, group, role, state, directory)
    columns = {"Name": "name", "Full name": "full_name", "Role": "role", "Disabled": "disabled", "Groups": "groups"}
    _show_page(call, "users", those | {"sort": sort, "page": page, "per_page": per_page}, columns)


@client_command(user_app, "show")
def show_user(call: Call, user: UserArgument) -> None:
    """Show one user."""
    found = dict(call.api.get(_path("users", find(call, "users", user))))
    labels = {"full_name": "Full name", "by_way_of": "By way of", "password_changed_at": "Password since"}
    _show_facts(call, found, ("name", "full_name", "role", "disabled", "groups", "by_way_of", "comment",
                              "password_changed_at"), labels)  # fmt: skip


@client_command(user_app, "create")
def create_user(
    call: Call,
    name: Annotated[str, typer.Argument(help="What the user logs in with.")],
    full_name: FullNameOption = None,
    group: GroupsOption = None,
    role: RoleOption = None,
    comment: CommentOption = None,
    directory: DirectoryOption = None,
    password_file: PasswordFileOption = None,
    without_password: Annotated[bool, typer.Option("--without-password", help="Nobody can log in yet.")] = False,
) -> None:
    """Create a user. The password is asked for, or read from a file."""
    body = {"name": name} | _given(full_name, group, role, comment, directory)
    if not without_password and not directory:
        body["password"] = secrets.get(password_file, "Password", option="--password-file", twice=True)
    _show_written(call, "Created", "user", call.api.post("users", body, once=True))


@client_command(user_app, "edit")
def edit_user(
    call: Call,
    user: UserArgument,
    name: Annotated[str | None, typer.Option("--name", help="Another name to log in with.")] = None,
    full_name: FullNameOption = None,
    group: GroupsOption = None,
    role: RoleOption = None,
    disabled: Annotated[bool | None, typer.Option("--disable/--enable")] = None,
    comment: CommentOption = None,
    directory: DirectoryOption = None,
) -> None:
    """Change a user; what isn't given stays. `--group ""` removes all groups. Who is disabled is out everywhere."""
    changes = _given(full_name, group, role, comment, directory)
    changes |= {k: v for k, v in {"name": name, "disabled": disabled}.items() if v is not None}
    if not changes:
        raise typer.BadParameter("name at least one field to change, such as --disable")
    found = find(call, "users", user)
    _show_written(call, "Changed", "user", call.api.patch(_path("users", found), changes, etag=found.get("etag")))


@client_command(user_app, "delete")
def delete_user(call: Call, user: UserArgument, yes: YesOption = False) -> None:
    """Delete a user."""
    found = find(call, "users", user)
    _ask(yes, f"Delete the user “{found['name']}”?")
    _show_written(call, f"Deleted {found['name']}", "", call.api.delete(_path("users", found), etag=found.get("etag")))


@client_command(user_app, "edit-matching")
def edit_matching(
    call: Call,
    words: WordsArgument = None,
    group: InOption = None,
    role: OfRoleOption = None,
    state: StateOption = None,
    directory: OfDirectoryOption = None,
    everybody: AllOption = False,
    disabled: Annotated[bool | None, typer.Option("--disable/--enable")] = None,
    join: Annotated[list[str] | None, typer.Option("--join", help="A group to put them into; repeatable.")] = None,
    leave: Annotated[list[str] | None, typer.Option("--leave", help="A group to take them out of; repeatable.")] = None,
    yes: YesOption = False,
) -> None:
    """Disable or enable all users that `list` finds with the same words and filters, put them into groups or take them
    out: one change, of all or none. Who is disabled is out everywhere."""
    given: dict[str, Any] = {"disabled": disabled, "join": join, "leave": leave}
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise typer.BadParameter("say what to do with them, such as --disable")
    matching = _chosen(_matching(call, words, group, role, state, directory), everybody)
    _show_changed(call, "Changed", call.confirmed("POST", "users/edit", {"matching": matching} | changes, yes=yes))


@client_command(user_app, "delete-matching")
def delete_matching(
    call: Call,
    words: WordsArgument = None,
    group: InOption = None,
    role: OfRoleOption = None,
    state: StateOption = None,
    directory: OfDirectoryOption = None,
    everybody: AllOption = False,
    yes: YesOption = False,
) -> None:
    """Delete all users that `list` finds with the same words and filters, as one change."""
    matching = _chosen(_matching(call, words, group, role, state, directory), everybody)
    _show_changed(call, "Deleted", call.confirmed("POST", "users/delete", {"matching": matching}, yes=yes))


@client_command(user_app, "password")
def set_password(call: Call, user: UserArgument, password_file: PasswordFileOption = None) -> None:
    """Set a user's password. The user's logins end on every server."""
    path = _path("users", find(call, "users", user))
    body = {"password": secrets.get(password_file, "New password", option="--password-file", twice=True)}
    _show_written(call, "Set the password of", "user", call.api.put(f"{path}/password", body))


@client_command(user_app, "logout")
def log_out_user(call: Call, user: UserArgument) -> None:
    """Log a user out everywhere."""
    path = _path("users", find(call, "users", user))
    _show_written(call, "Logged out", "user", call.api.delete(f"{path}/logins"))


@client_command(user_app, "waits")
def show_waits(call: Call, user: UserArgument) -> None:
    """Show where a user has to wait after too many wrong passwords, on all servers."""
    from hostward.cli.output import moment, table

    answer = call.api.get(f"{_path('users', find(call, 'users', user))}/waits")
    rows = [(w["server"], w["address"] or "any", w["wrong"], moment(w["until"])) for w in answer["items"]]
    call.show(answer, table(("Server", "Address", "Wrong passwords", "Waits until"), rows), _silent(answer))


@client_command(user_app, "unlock")
def unlock_user(call: Call, user: UserArgument) -> None:
    """Forget a user's wrong passwords on all servers: there is no wait any more."""
    answer = call.api.delete(f"{_path('users', find(call, 'users', user))}/waits")
    call.show(answer, f"Unlocked on {', '.join(answer['servers'])}.", _silent(answer))


def _silent(answer: Mapping[str, Any]) -> str:
    return f"Not known of {', '.join(answer['silent'])}: no answer." if answer["silent"] else ""


@client_command(user_app, "import")
def import_users(
    call: Call,
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, allow_dash=True)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check and count; change nothing.")] = False,
) -> None:
    """Import users from a JSON file, as one change: all of them or none. - is standard input.

    A list of objects with login, and name, groups, role, disabled, comment where there are any. Users are matched by
    login; what the file doesn't name stays; groups that aren't there are made."""
    from hostward.cli.output import replicated_words

    content = read_limited(file, MAX_FILE_BYTES)
    answer = call.api.upload("users/import", content, "application/json", {"dry_run": dry_run})
    if (submitted := submitted_words(answer)) is not None:
        call.show(answer, submitted)
        return
    counts = f"{answer['created']:,} new, {answer['changed']:,} changed, {answer['unchanged']:,} unchanged"
    groups = f"{len(answer['groups_created']):,} new groups"
    end = "Nothing was changed." if dry_run else f"{replicated_words(answer)}."
    call.show(answer, f"{'Would import' if dry_run else 'Imported'} users: {counts}; {groups}. {end}")


@client_command(user_app, "export")
def export_users(
    call: Call,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", dir_okay=False, help="Standard output, unless given.")
    ] = None,
) -> None:
    """Export all users, as import takes them; without passwords."""
    with call.api.download("users/export", {}) as pieces:
        give_pieces(file, pieces)


@client_command(group_app, "list")
def list_groups(
    call: Call,
    words: WordsArgument = None,
    group: InOption = None,
    sort: SortOption = "name",
    page: PageOption = 1,
    per_page: PerPageOption = 50,
) -> None:
    """List user groups, a page at a time; with words, those that have them. Sorted by name or users."""
    those = _matching(call, words, group) | {"sort": sort, "page": page, "per_page": per_page}
    columns = {"Name": "name", "Users": "users", "Belongs to": "groups", "Comment": "comment"}
    _show_page(call, "user-groups", those, columns)


@client_command(group_app, "show")
def show_group(call: Call, group: GroupArgument) -> None:
    """Show one group."""
    found = dict(call.api.get(_path("user-groups", find(call, "user-groups", group))))
    labels = {"groups": "Belongs to", "subgroups": "Groups in it"}
    _show_facts(call, found, ("name", "groups", "users", "subgroups", "sessions", "comment"), labels)


@client_command(group_app, "create")
def create_group(
    call: Call,
    name: Annotated[str, typer.Argument(help="The new group's name.")],
    group: GroupsOption = None,
    comment: CommentOption = None,
) -> None:
    """Create a user group."""
    body = {"name": name} | _given(None, group, None, comment)
    _show_written(call, "Created", "group", call.api.post("user-groups", body, once=True))


@client_command(group_app, "edit")
def edit_group(
    call: Call,
    group_name: GroupArgument,
    name: Annotated[str | None, typer.Option("--name", help="Another name; sessions follow.")] = None,
    group: GroupsOption = None,
    comment: CommentOption = None,
) -> None:
    """Change a group; what isn't given stays. `--group ""` lets it belong to none."""
    changes = _given(None, group, None, comment) | ({"name": name} if name is not None else {})
    if not changes:
        raise typer.BadParameter("name at least one field to change, such as --name")
    found = find(call, "user-groups", group_name)
    answer = call.api.patch(_path("user-groups", found), changes, etag=found.get("etag"))
    _show_written(call, "Changed", "group", answer)


@client_command(group_app, "members")
def change_members(
    call: Call,
    group: GroupArgument,
    add: Annotated[list[str] | None, typer.Option("--add", help="A user who joins; repeatable.")] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", help="A user who leaves; repeatable.")] = None,
) -> None:
    """Add and remove members, all of them or none."""
    if not add and not remove:
        raise typer.BadParameter("name somebody, with --add or --remove")
    path = _path("user-groups", find(call, "user-groups", group))
    answer = call.api.post(f"{path}/members", {"add": add or [], "remove": remove or []})
    _show_written(call, "Changed the members of", "group", answer)


@client_command(group_app, "delete")
def delete_group(call: Call, group: GroupArgument, yes: YesOption = False) -> None:
    """Delete a group: nobody belongs to it any more, and no session names it."""
    found = find(call, "user-groups", group)
    details = call.api.get(_path("user-groups", found))
    _ask(yes, f"Delete “{found['name']}”, with {details['users']:,} users and {details['sessions']:,} sessions?")
    answer = call.api.delete(f"{_path('user-groups', found)}?confirm=true", etag=found.get("etag"))
    _show_written(call, f"Deleted {found['name']}", "", answer)


def find(call: Call, kind: str, reference: str) -> dict[str, Any]:
    """The user or group (`kind` is users or user-groups) with that name, whatever its case, or id. Raises NotFound."""
    answer = call.api.get(kind, {"q": reference, "per_page": 500})
    items = [dict(item) for item in answer.get("items") or []]
    for item in items:
        if reference == item["id"] or item["name"].casefold() == reference.casefold():
            return item
    near = ", ".join(f"“{item['name']}”" for item in items[:3])
    noun, command = ("user", "user") if kind == "users" else ("user group", "user-group")
    raise NotFound(
        f"There is no {noun} “{reference}”.",
        remedy=f"{f'Did you mean {near}? ' if near else ''}`hostward {command} list` shows all.",
    )


def _path(kind: str, item: Mapping[str, Any]) -> str:
    return f"{kind}/{quote(str(item['id']), safe='')}"


def _given(
    full_name: str | None,
    groups: list[str] | None,
    role: str | None,
    comment: str | None,
    directory: str | None = None,
) -> dict[str, Any]:
    values = {
        "full_name": full_name,
        "groups": [g for g in groups if g] if groups else None,
        "role": role,
        "comment": comment,
        "directory": directory,
    }
    return {name: value for name, value in values.items() if value is not None}


def _ask(yes: bool, question: str) -> None:
    if not yes and os.isatty(0) and not typer.confirm(question, err=True):
        raise typer.Exit(1)


def _matching(
    call: Call,
    words: list[str] | None,
    group: str | None,
    role: str | None = None,
    state: str | None = None,
    directory: str | None = None,
) -> dict[str, Any]:
    """What a search is, for the API."""
    of = find(call, "user-groups", group)["id"] if group else None
    values = {"q": " ".join(words) if words else None, "group": of}
    values |= {"role": role, "state": state, "directory": directory}
    return {name: value for name, value in values.items() if value is not None}


def _chosen(matching: dict[str, Any], everybody: bool) -> dict[str, Any]:
    if not (matching or everybody):
        raise typer.BadParameter("name words or a filter; or give --all, for all users")
    return matching


def _show_changed(call: Call, verb: str, answer: Mapping[str, Any]) -> None:
    from hostward.cli.output import replicated_words

    if (submitted := submitted_words(answer)) is not None:
        call.show(answer, submitted)
        return
    call.show(answer, f"{verb} {answer['users']:,} users: {replicated_words(answer)}.")


def _show_page(call: Call, kind: str, params: Mapping[str, Any], columns: Mapping[str, str]) -> None:
    from hostward.cli.output import table

    answer = call.api.get(kind, params)
    items, total = answer.get("items") or [], answer.get("total", 0)
    first = (params["page"] - 1) * params["per_page"] + 1
    count = f"{first:,} to {first + len(items) - 1:,} of {total:,}" if items else f"none of {total:,}"
    rows = [tuple(item[key] for key in columns.values()) for item in items]
    call.show(answer, table(tuple(columns), rows), f"\n{count}")


def _show_facts(call: Call, found: Mapping[str, Any], fields: tuple[str, ...], labels: Mapping[str, str]) -> None:
    from hostward.cli.output import facts

    named = [(labels.get(name, name.capitalize()), found.get(name)) for name in (*fields, "id", "revision")]
    call.show(found, facts(named))


def _show_written(call: Call, verb: str, noun: str, answer: Mapping[str, Any]) -> None:
    from hostward.cli.output import replicated_words

    if (submitted := submitted_words(answer)) is not None:
        call.show(answer, submitted)
        return
    name = f" “{answer[noun]['name']}”" if noun else ""
    call.show(answer, f"{verb}{name}: {replicated_words(answer)}.")
