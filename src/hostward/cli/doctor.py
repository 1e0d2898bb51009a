"""`hostward doctor`: every check of a server and its group; with --data-dir, also of one that doesn't start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from hostward.cli.options import InsecureOption, Invocation, JsonOption, ServerOption, TokenOption, connect
from hostward.cli.problems import Unreachable

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Look at the files of a server on this machine instead, which need not run.",
    ),
]
Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="With --data-dir: the server's configuration file.")
]


def register(app: typer.Typer) -> None:
    """Add the command to the top of the tree."""
    app.command("doctor")(doctor)


def doctor(
    ctx: typer.Context,
    data_dir: DataDir = None,
    config: Config = None,
    server: ServerOption = None,
    token: TokenOption = None,
    insecure: InsecureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run every check on a server and its group.

    Each finding has a code, a cause and a remedy. The exit code is 1 if there is an error or a warning."""
    from hostward.cli import output

    given = ctx.ensure_object(Invocation)
    given.take(server, token, insecure, as_json)
    answer = _ask(given) if data_dir is None else _look(data_dir, config)
    if given.as_json:
        output.print_json(answer)
    else:
        output.show(*_words(answer["findings"]))
    if not answer["ok"]:
        raise typer.Exit(1)


def _ask(given: Invocation) -> dict[str, Any]:
    try:
        with connect(given) as api:
            answer: dict[str, Any] = api.get("doctor")
            return answer
    except Unreachable as error:
        there = "On the server's own machine, `hostward doctor --data-dir DIR` says why it doesn't run."
        raise Unreachable(error.message, remedy=f"{error.remedy} {there}".strip(), code=error.code) from error


def _look(data_dir: Path, config: Path | None) -> dict[str, Any]:
    from hostward import main
    from hostward.domain.findings import Severity

    found = main.doctor(data_dir, config)
    ok = all(f.severity is Severity.NOTE for f in found)
    return {"ok": ok, "findings": [f.to_json() for f in found]}


def _words(findings: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not findings:
        yield "Nothing was found: everything is as it should be."
    for n, finding in enumerate(findings):
        yield f"{'' if n == 0 else chr(10)}{finding['severity'].upper()} {finding['code']}: {finding['subject']}"
        yield f"  {finding['cause']}"
        yield f"  What to do: {finding['remedy']}"
        act = finding["act"]
        if act:
            yield f"  {act['label']}: {act['command']}"
