"""`hostward logs`: what a server and its database have logged; with --data-dir, also of one that doesn't run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from hostward.cli.files import give_pieces
from hostward.cli.options import InsecureOption, Invocation, JsonOption, ServerOption, TokenOption, connect
from hostward.domain.errors import InvalidInput

MAX_PAGE: Final = 500
LOOK_EVERY_S: Final = 1.0

Query = dict[str, str | int | bool | None]
Read = Callable[[Query], Mapping[str, Any]]


class Which(StrEnum):
    """The server's own, or its database's."""

    hostward = "hostward"
    database = "database"


class AtLeast(StrEnum):
    """How grave."""

    error = "error"
    warning = "warning"
    info = "info"
    debug = "debug"


def register(app: typer.Typer) -> None:
    """Add the command to the top of the tree."""
    app.command("logs")(logs)


def logs(
    ctx: typer.Context,
    log: Annotated[Which, typer.Option("--log", help="hostward, or its database's.")] = Which.hostward,
    level: Annotated[AtLeast, typer.Option("--level", help="At least so grave.")] = AtLeast.debug,
    text: Annotated[str, typer.Option("--text", metavar="WORDS", help="Each word is in the entry.")] = "",
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, max=10_000, help="The newest so many.")] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Then show what comes, until Ctrl C.")] = False,
    save: Annotated[
        Path | None,
        typer.Option("--save", metavar="FILE", dir_okay=False, help="Save the whole log, as it is, in this file."),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir", metavar="DIR", help="Read the files of a server on this machine, which need not run."
        ),
    ] = None,
    server: ServerOption = None,
    token: TokenOption = None,
    insecure: InsecureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a server or its database has logged, the newest last.

    Who did what is in `hostward audit`."""
    given = ctx.ensure_object(Invocation)
    given.take(server, token, insecure, as_json)
    query: Query = {"log": log.value, "level": level.value, "text": text}
    with _of_server(given) if data_dir is None else nullcontext(_Files(data_dir)) as source:
        if save is not None:
            with source.whole(log.value) as pieces:
                give_pieces(save, pieces)
            return
        items, since = _newest(source.read, query, lines)
        if given.as_json and not follow:
            from hostward.cli import output

            output.print_json({"items": items, "since": since})
            return
        _print(reversed(items), given.as_json)
        while follow:
            answer = source.read({**query, "after": since, "limit": MAX_PAGE})
            _print(reversed(answer["items"]), given.as_json)
            since = answer["since"]
            if len(answer["items"]) < MAX_PAGE:
                time.sleep(LOOK_EVERY_S)


def _newest(read: Read, query: Query, lines: int) -> tuple[list[Mapping[str, Any]], str]:
    """The newest entries, the newest first, and the place that they go on from."""
    items: list[Mapping[str, Any]] = []
    before = since = ""
    while True:
        answer = read({**query, "before": before, "limit": min(lines - len(items), MAX_PAGE)})
        items += answer["items"]
        before, since = answer["next"], since or answer["since"]
        if not before or len(items) >= lines:
            return items, since


def _print(entries: Iterator[Mapping[str, Any]], as_json: bool) -> None:
    """What they hold is harmless to a terminal already."""
    for entry in entries:
        if as_json:
            print(json.dumps(entry, ensure_ascii=False), flush=True)
            continue
        about = "".join(f" {name}={value}" for name, value in entry["about"].items())
        print(f"{entry['at'] or '-'} {entry['level'].upper()} {entry['event']}{about}", flush=True)
        for line in entry["trace"].splitlines():
            print(f"    {line}", flush=True)


class _Files:
    """A server's own files."""

    def __init__(self, data_dir: Path) -> None:
        if not (data_dir / "logs").is_dir():
            raise InvalidInput(
                f"{data_dir} is no data directory of a server.", remedy="Name it with --data-dir.", code="no-data-dir"
            )
        self._data_dir = data_dir.absolute()

    def read(self, query: Query) -> Mapping[str, Any]:
        from hostward.domain.log_lines import Wanted
        from hostward.logs.reading import later, log_of, newest

        log, wanted = log_of(str(query["log"])), Wanted.of(str(query["level"]), str(query["text"]))
        count = int(query["limit"] or 0)
        if after := str(query.get("after") or ""):
            found = later(self._data_dir, log, wanted, after=after, count=count)
        else:
            found = newest(self._data_dir, log, wanted, before=str(query.get("before") or ""), count=count)
        return {"items": [entry.to_json() for entry in found.items], "next": found.next, "since": found.since}

    def whole(self, log: str) -> AbstractContextManager[Iterator[bytes]]:
        from hostward.logs.reading import log_of, whole

        return nullcontext(whole(self._data_dir, log_of(log)))


class _OfServer:
    """A server's, by its API."""

    def __init__(self, api: Any) -> None:
        self._api = api

    def read(self, query: Query) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._api.get("logs", {k: v for k, v in query.items() if v})
        return found

    def whole(self, log: str) -> AbstractContextManager[Iterator[bytes]]:
        pieces: AbstractContextManager[Iterator[bytes]] = self._api.download("logs/download", {"log": log})
        return pieces


@contextmanager
def _of_server(given: Invocation) -> Iterator[_OfServer]:
    from hostward.cli.problems import Unreachable

    try:
        with connect(given) as api:
            yield _OfServer(api)
    except Unreachable as error:
        there = "On the server's own machine, `hostward logs --data-dir DIR` reads its files."
        raise Unreachable(error.message, remedy=f"{error.remedy} {there}".strip(), code=error.code) from error
