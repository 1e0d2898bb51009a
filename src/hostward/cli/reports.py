"""`hostward report …`: what was opened, what nobody uses, who logs in, and who may use what."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from hostward.cli.files import write_pieces
from hostward.cli.options import Call, client_command

app = typer.Typer(help="Reports; each also as a CSV file.", no_args_is_help=True)

CsvOption = Annotated[
    Path | None, typer.Option("--csv", metavar="FILE", dir_okay=False, help="Write all of it to a CSV file.")
]
DaysOption = Annotated[
    int, typer.Option("--days", min=0, help="Only what wasn't used for so many days, or ever; 0 for all.")
]
AfterOption = Annotated[str, typer.Option("--after", metavar="PLACE", help="What comes after the page before.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=500)]


@client_command(app, "launches")
def launches(
    call: Call,
    from_: Annotated[str, typer.Option("--from", metavar="MOMENT", help="Since a day or a moment (UTC).")] = "",
    to: Annotated[str, typer.Option("--to", metavar="MOMENT", help="Until a day or a moment (UTC).")] = "",
    user: Annotated[str, typer.Option("--user", metavar="USER", help="By that user alone.")] = "",
    csv: CsvOption = None,
) -> None:
    """What was opened: by day or month, and what was opened most, by whom. The last 30 days, unless said."""
    from hostward.cli.output import table

    given = _given({"from": from_, "to": to, "user": user})
    if csv is not None:
        _write(call, "reports/launches", given, csv)
        return
    answer = call.api.get("reports/launches", given)
    spans = [(s["span"], s["launches"]) for s in answer["spans"] if s["launches"]]
    call.show(
        answer,
        f"{answer['total']:,} launches from {_short(answer['since'])} to {_short(answer['until'])} (UTC).\n",
        table(("When", "Launches"), spans),
        table(("Session", "Launches"), [(s["name"], s["launches"]) for s in answer["sessions"]]),
        table(("User", "Launches"), [(u["user"], u["launches"]) for u in answer["users"]]),
        *(f"Log of {r['server']}: {_short(r['since'])} to {_short(r['until'])}" for r in answer["reach"]),
    )


@client_command(app, "last-use")
def last_use(
    call: Call, days: DaysOption = 0, after: AfterOption = "", limit: LimitOption = 50, csv: CsvOption = None
) -> None:
    """When each session was last used, and by whom."""
    columns = ("Session", "Last used (UTC)", "By", "Times", "Users")
    _list(call, "reports/last-use", _given({"days": days}), after, limit, csv, columns, _use_row)


@client_command(app, "logins")
def logins(
    call: Call, days: DaysOption = 0, after: AfterOption = "", limit: LimitOption = 50, csv: CsvOption = None
) -> None:
    """When each user last logged in."""
    columns = ("User", "Full name", "Role", "Last login (UTC)", "Times", "Disabled")
    _list(call, "reports/logins", _given({"days": days}), after, limit, csv, columns, _login_row)


@client_command(app, "who-may")
def who_may(
    call: Call,
    user: Annotated[str, typer.Option("--user", metavar="USER", help="That user, by name or id.")] = "",
    group: Annotated[str, typer.Option("--group", metavar="GROUP", help="Those of that user group.")] = "",
    folder: Annotated[str, typer.Option("--folder", metavar="FOLDER", help="Those in a directory folder.")] = "",
    session: Annotated[str, typer.Option("--session", metavar="SESSION", help="That session.")] = "",
    after: AfterOption = "",
    limit: LimitOption = 50,
    csv: CsvOption = None,
) -> None:
    """Who may use which sessions."""
    given = _given({"user": user, "group": group, "folder": folder, "session": session})
    columns = ("User", "Full name", "Session", "Type", "Host")
    _list(call, "reports/who-may", given, after, limit, csv, columns, _may_row)


def _list(
    call: Call,
    path: str,
    given: dict[str, Any],
    after: str,
    limit: int,
    csv: Path | None,
    columns: tuple[str, ...],
    row: Any,
) -> None:
    from hostward.cli.output import table

    if csv is not None:
        _write(call, path, given, csv)
        return
    answer = call.api.get(path, given | _given({"after": after}) | {"limit": limit})
    more = [f"\nMore: --after '{answer['next']}'"] if answer["next"] else []
    known = [f"\nKnown since {_short(answer['known_since'])} (UTC)."] if "known_since" in answer else []
    call.show(answer, table(columns, [row(item) for item in answer["items"]]), *known, *more)


def _write(call: Call, path: str, given: dict[str, Any], file: Path) -> None:
    with call.api.download(f"{path}/csv", given) as pieces:
        write_pieces(file, pieces)


def _given(wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in wanted.items() if v}


def _use_row(item: Mapping[str, Any]) -> tuple[object, ...]:
    return item["name"], _short(item["last"]) or "never", item["by"], item["times"], item["users"]


def _login_row(item: Mapping[str, Any]) -> tuple[object, ...]:
    disabled = "yes" if item["disabled"] else ""
    return item["name"], item["full_name"], item["role"], _short(item["last"]) or "never", item["times"], disabled


def _may_row(item: Mapping[str, Any]) -> tuple[object, ...]:
    return item["user"], item["full_name"], item["session"], item["type"], item["host"]


def _short(moment: str) -> str:
    return moment[:16].replace("T", " ")
