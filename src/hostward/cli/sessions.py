"""`hostward session …`: definitions of terminal sessions."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

import typer

from hostward.cli.change_requests import submitted_words
from hostward.cli.files import give_pieces, read_limited
from hostward.cli.options import (
    Call,
    PageOption,
    PerPageOption,
    SortOption,
    TakeOverOption,
    YesOption,
    client_command,
    over,
)
from hostward.cli.problems import MISTAKES_SHOWN, Refused
from hostward.domain.errors import NotFound

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer(help="Terminal sessions: list, create, edit, import, export.", no_args_is_help=True)

FIELDS = ("name", "type", "host", "port", "tls", "lu", "model", "code_page", "groups", "comment")
MAX_IMPORT_BYTES = 256 << 20
NAME_SEARCH_PAGES = 20
_PER_PAGE = 50

Reference = Annotated[str, typer.Argument(metavar="SESSION", help="The session's name or id.")]
TypeOption = Annotated[str | None, typer.Option("--type", help="IBM 3270, IBM 5250, VT or SSH.")]
HostOption = Annotated[str | None, typer.Option("--host", help="The host to connect to.")]
PortOption = Annotated[int | None, typer.Option("--port", min=1, max=65535)]
TlsOption = Annotated[bool | None, typer.Option("--tls/--no-tls")]
LuOption = Annotated[str | None, typer.Option("--lu", help="Logical unit or device name.")]
ModelOption = Annotated[str | None, typer.Option("--model", help="Terminal model, such as 3279-4-E.")]
CodePageOption = Annotated[str | None, typer.Option("--code-page")]
GroupsOption = Annotated[list[str] | None, typer.Option("--group", help="A group that uses it; repeatable.")]
CommentOption = Annotated[str | None, typer.Option("--comment")]
WordsArgument = Annotated[list[str] | None, typer.Argument(help="Words to find in any field.")]
AllOption = Annotated[bool, typer.Option("--all", help="All sessions, where neither words nor a type are given.")]


class Format(StrEnum):
    """A file's format."""

    csv = "csv"
    json = "json"
    x3270 = "x3270"
    putty = "putty"


@client_command(app, "list")
def list_sessions(
    call: Call,
    page: PageOption = 1,
    per_page: PerPageOption = _PER_PAGE,
    sort: SortOption = "name",
    type_: TypeOption = None,
) -> None:
    """List sessions, a page at a time."""
    _show_page(call, None, page, per_page, sort, type_)


@client_command(app, "search")
def search(
    call: Call,
    words: Annotated[list[str], typer.Argument(help="Words to find in any field.")],
    page: PageOption = 1,
    per_page: PerPageOption = _PER_PAGE,
    sort: SortOption = "name",
    type_: TypeOption = None,
) -> None:
    """Search sessions by words in any of their fields."""
    _show_page(call, " ".join(words), page, per_page, sort, type_)


@client_command(app, "show")
def show(call: Call, session: Reference) -> None:
    """Show one session."""
    found = find_session(call, session)
    call.show(found, _session_facts(found))


@client_command(app, "create")
def create(
    call: Call,
    name: Annotated[str, typer.Argument(help="The new session's name.")],
    type_: Annotated[str, typer.Option("--type", help="IBM 3270, IBM 5250, VT or SSH.")],
    host: Annotated[str, typer.Option("--host", help="The host to connect to.")],
    port: PortOption = None,
    tls: TlsOption = None,
    lu: LuOption = None,
    model: ModelOption = None,
    code_page: CodePageOption = None,
    group: GroupsOption = None,
    comment: CommentOption = None,
) -> None:
    """Create a session."""
    body = {"name": name} | _fields(type_, host, port, tls, lu, model, code_page, group, comment)
    _show_written(call, "Created", call.api.post("sessions", body, once=True))


@client_command(app, "edit")
def edit(
    call: Call,
    session: Reference,
    type_: TypeOption = None,
    host: HostOption = None,
    port: PortOption = None,
    tls: TlsOption = None,
    lu: LuOption = None,
    model: ModelOption = None,
    code_page: CodePageOption = None,
    group: GroupsOption = None,
    comment: CommentOption = None,
    take_over: TakeOverOption = False,
) -> None:
    """Change fields of a session; the others stay as they are. `--group ""` removes all groups."""
    changes = _fields(type_, host, port, tls, lu, model, code_page, group, comment)
    if not changes:
        raise typer.BadParameter("name at least one field to change, such as --port 992")
    found = find_session(call, session)
    answer = call.api.patch(over(session_path(found), take_over), changes, etag=found.get("etag"))
    _show_written(call, "Changed", answer)


@client_command(app, "rename")
def rename(
    call: Call,
    session: Reference,
    new_name: Annotated[str, typer.Argument(metavar="NEW_NAME")],
    take_over: TakeOverOption = False,
) -> None:
    """Give a session another name."""
    found = find_session(call, session)
    answer = call.api.patch(over(session_path(found), take_over), {"name": new_name}, etag=found.get("etag"))
    _show_written(call, "Renamed", answer)


@client_command(app, "copy")
def copy(call: Call, session: Reference, new_name: Annotated[str, typer.Argument(metavar="NEW_NAME")]) -> None:
    """Make a copy of a session under another name."""
    found = find_session(call, session)
    _show_written(call, "Copied", call.api.post(f"{session_path(found)}/copy", {"name": new_name}, once=True))


@client_command(app, "delete")
def delete(call: Call, session: Reference, yes: YesOption = False, take_over: TakeOverOption = False) -> None:
    """Delete a session."""
    found = find_session(call, session)
    if not yes and os.isatty(0) and not typer.confirm(f"Delete “{found['name']}”?", err=True):
        raise typer.Exit(1)
    _show_written(call, "Deleted", call.api.delete(over(session_path(found), take_over), etag=found.get("etag")))


@client_command(app, "delete-matching")
def delete_matching(
    call: Call,
    words: WordsArgument = None,
    type_: TypeOption = None,
    everything: AllOption = False,
    yes: YesOption = False,
    take_over: TakeOverOption = False,
) -> None:
    """Delete all sessions that `search` finds with the same words, as one change."""
    body = {"matching": _matching(words, type_, everything)}
    _show_changed(call, "Deleted", call.confirmed("POST", over("sessions/delete", take_over), body, yes=yes))


@client_command(app, "edit-matching")
def edit_matching(
    call: Call,
    words: WordsArgument = None,
    type_: TypeOption = None,
    everything: AllOption = False,
    host: HostOption = None,
    port: PortOption = None,
    tls: TlsOption = None,
    lu: LuOption = None,
    model: ModelOption = None,
    code_page: CodePageOption = None,
    group: GroupsOption = None,
    comment: CommentOption = None,
    yes: YesOption = False,
    take_over: TakeOverOption = False,
) -> None:
    """Change fields of all sessions that `search` finds with the same words, as one change of all or none. Here --type
    says which sessions."""
    fields = _fields(None, host, port, tls, lu, model, code_page, group, comment)
    if not fields:
        raise typer.BadParameter("name at least one field to change, such as --port 992")
    body = {"matching": _matching(words, type_, everything), "fields": fields}
    _show_changed(call, "Changed", call.confirmed("POST", over("sessions/edit", take_over), body, yes=yes))


@client_command(app, "import")
def import_sessions(
    call: Call,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            exists=True,
            dir_okay=False,
            allow_dash=True,
            help="CSV, JSON, PuTTY's .reg, x3270's profiles or a .zip of them; - is standard input.",
        ),
    ],
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Import the good rows and leave out the others.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check and count; change nothing.")] = False,
    format_: Annotated[Format | None, typer.Option("--format", help="Where the content doesn't show it.")] = None,
    take_over: TakeOverOption = False,
) -> None:
    """Import sessions from a file, or several profiles of x3270, as one change: all of them or none.

    Sessions are matched by name: new ones are added, different ones updated. A file with mistakes is refused as a
    whole, with a list of them, unless --skip-invalid is given."""
    from hostward.domain.inventory import one_file

    content = one_file([(file.name, read_limited(file, MAX_IMPORT_BYTES)) for file in files])
    kind = format_ or _format_of(files[0], content)
    content_type = "application/json" if kind is Format.json else "text/csv"
    params: dict[str, Any] = {"skip_invalid": skip_invalid, "dry_run": dry_run, "take_over": take_over}
    params |= {"format": kind.value} if kind else {}
    try:
        answer = call.api.upload("sessions/import", content, content_type, params)
    except Refused as refused:
        if refused.mistakes and not skip_invalid:
            refused.remedy = "Mend them and import the file again; or import the good rows only, with --skip-invalid."
        raise
    call.show(answer, *_import_words(answer, dry_run=dry_run))


@client_command(app, "export")
def export(
    call: Call,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", dir_okay=False, help="Standard output, unless given.")
    ] = None,
    format_: Annotated[Format | None, typer.Option("--format", help="Else by FILE's end, else csv.")] = None,
) -> None:
    """Export all sessions, as import takes them: CSV, JSON; or those of x3270 as a zip file of profiles, those of PuTTY
    as a registry file."""
    kind = format_ or (_BY_SUFFIX.get(file.suffix.lower()) if file else None) or Format.csv
    with call.api.download("sessions/export", {"format": kind.value}) as pieces:
        give_pieces(file, pieces)


def find_session(call: Call, reference: str) -> dict[str, Any]:
    """The session with this name, whatever its case, or this id. Raises NotFound with the nearest names."""
    near: list[str] = []
    for page in range(1, NAME_SEARCH_PAGES + 1):
        answer = call.api.get("sessions", {"q": reference, "page": page, "per_page": 500})
        items = answer.get("items") or []
        for item in items:
            if reference in (item["name"], item["id"]) or item["name"].casefold() == reference.casefold():
                return dict(item)
        near += [item["name"] for item in items[:3]]
        if page * 500 >= answer.get("total", 0):
            break
    return _by_id(call, reference, near)


def _by_id(call: Call, reference: str, near: list[str]) -> dict[str, Any]:
    try:
        return dict(call.api.get(f"sessions/{quote(reference, safe='')}"))
    except Refused as refused:
        if refused.status not in (404, 422):
            raise
        hint = f"Did you mean {', '.join(f'“{name}”' for name in near[:3])}? " if near else ""
        raise NotFound(
            f"There is no session “{reference}”.", remedy=f"{hint}`hostward session list` shows all."
        ) from refused


def session_path(session: Mapping[str, Any]) -> str:
    """Of the API."""
    return f"sessions/{quote(str(session['id']), safe='')}"


def _fields(
    type_: str | None,
    host: str | None,
    port: int | None,
    tls: bool | None,
    lu: str | None,
    model: str | None,
    code_page: str | None,
    groups: list[str] | None,
    comment: str | None,
) -> dict[str, Any]:
    """Those that were given."""
    values = {
        "type": type_,
        "host": host,
        "port": port,
        "tls": tls,
        "lu": lu,
        "model": model,
        "code_page": code_page,
        "groups": [g for g in groups if g] if groups else None,
        "comment": comment,
    }
    return {name: value for name, value in values.items() if value is not None}


def _show_page(call: Call, words: str | None, page: int, per_page: int, sort: str, type_: str | None) -> None:
    params = {"q": words, "type": type_, "page": page, "per_page": per_page, "sort": sort}
    answer = call.api.get("sessions", params)
    items, total = answer.get("items") or [], answer.get("total", 0)
    from hostward.cli.output import table

    columns = ("Name", "Type", "Host", "Port", "TLS", "Groups")
    rows = [(s["name"], s["type"], s["host"], s["port"], s["tls"], s["groups"]) for s in items]
    first = (page - 1) * per_page + 1
    count = f"{first:,} to {first + len(items) - 1:,} of {total:,}" if items else f"none of {total:,}"
    call.show(answer, table(columns, rows), f"\n{count}")


def _matching(words: list[str] | None, type_: str | None, everything: bool) -> dict[str, Any]:
    """What a search is, for the API."""
    if not (words or type_ or everything):
        raise typer.BadParameter("name words or a type; or give --all, for all sessions")
    return {"q": " ".join(words) if words else None, "type": type_}


def _show_changed(call: Call, verb: str, answer: Mapping[str, Any]) -> None:
    from hostward.cli.output import replicated_words

    if (submitted := submitted_words(answer)) is not None:
        call.show(answer, submitted)
        return
    call.show(answer, f"{verb} {answer['sessions']:,} sessions: {replicated_words(answer)}.")


def _session_facts(session: Mapping[str, Any]) -> RenderableType:
    from hostward.cli.output import facts

    labels = {"tls": "TLS", "lu": "LU", "code_page": "Code page"}
    named = [(labels.get(name, name.capitalize()), session.get(name)) for name in FIELDS]
    return facts([*named, ("Id", session.get("id")), ("Revision", session.get("revision"))])


def _show_written(call: Call, verb: str, answer: Mapping[str, Any]) -> None:
    from hostward.cli.output import replicated_words

    if (submitted := submitted_words(answer)) is not None:
        call.show(answer, submitted)
        return
    session = answer.get("session") or {}
    name = f" “{session['name']}”" if session.get("name") else ""
    call.show(answer, f"{verb}{name}: {replicated_words(answer)}.")


def _import_words(answer: Mapping[str, Any], *, dry_run: bool) -> Iterator[RenderableType | str]:
    from hostward.cli.output import mistakes_table, replicated_words

    if (submitted := submitted_words(answer)) is not None:
        yield submitted
        return
    counts = ", ".join(f"{answer.get(key, 0):,} {key}" for key in ("updated", "unchanged", "skipped"))
    imported = f"{answer.get('imported', 0):,} sessions"
    if dry_run:
        yield f"Would import {imported} ({counts}). Nothing was changed."
        yield from answer.get("locked") or []
    else:
        yield f"Imported {imported} ({counts}): {replicated_words(answer)}."
    mistakes = answer.get("mistakes") or []
    if mistakes:
        yield ""
        yield mistakes_table(mistakes[:MISTAKES_SHOWN])
        if len(mistakes) > MISTAKES_SHOWN:
            yield f"… and {len(mistakes) - MISTAKES_SHOWN:,} more; --json lists them all."
    notes = answer.get("notes") or []
    for note in notes[:MISTAKES_SHOWN]:
        yield f"Row {note['row']}: {note['problem']} {note['remedy']}"
    if len(notes) > MISTAKES_SHOWN:
        yield f"… and {len(notes) - MISTAKES_SHOWN:,} more that isn't carried; --json lists it all."


_BY_SUFFIX: Final = {
    **dict.fromkeys((".csv", ".txt"), Format.csv),
    **dict.fromkeys((".x3270", ".c3270", ".wc3270", ".s3270", ".zip"), Format.x3270),
    ".json": Format.json,
    ".reg": Format.putty,
}


def _format_of(file: Path, content: bytes) -> Format | None:
    """By the file's name, else by how its content begins; None: the server finds out."""
    if content[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"[", b"{")):
        return _BY_SUFFIX.get(file.suffix.lower(), Format.json)
    return _BY_SUFFIX.get(file.suffix.lower())
