"""`hostward session launch-file`: what emulators open."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from hostward.cli.files import write_pieces
from hostward.cli.options import Call, client_command
from hostward.cli.sessions import Reference, find_session, session_path
from hostward.domain.errors import InvalidInput
from hostward.domain.suggestions import shown


def register(app: typer.Typer) -> None:
    """Among the commands of sessions."""
    client_command(app, "launch-file")(launch_file)


def launch_file(
    call: Call,
    session: Reference,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", dir_okay=False, allow_dash=True, help="Named after the session, unless given."),
    ] = None,
    format_: Annotated[
        str | None, typer.Option("--format", help="The program, such as x3270, putty or openssh; else the usual one.")
    ] = None,
    user: Annotated[str, typer.Option("--user", help="Who logs in at the host, for SSH sessions.")] = "",
) -> None:
    """Write the file with which an emulator opens a session; - is standard output."""
    path = session_path(find_session(call, session))
    params = {"user": user} if user else {}
    offers = call.api.get(f"{path}/launch-files", params)["items"]
    offer = _chosen(offers, format_)
    with call.api.download(f"{path}/launch", {"format": offer["format"], **params}) as pieces:
        if str(file) == "-":
            for piece in pieces:
                sys.stdout.buffer.write(piece)
            sys.stdout.flush()
            return
        written = file or Path(Path(offer["file_name"]).name)
        write_pieces(written, pieces)
    command = offer["command"]
    start = f"Start it with: {command}" if command and file is None else ""
    notes = [f"Note: {note}" for note in offer["notes"]]
    call.show({**offer, "file": str(written)}, *(t for t in (f"Wrote {written}.", start, *notes) if t))


def _chosen(offers: list[dict[str, Any]], format_: str | None) -> Mapping[str, Any]:
    """Raises InvalidInput where the program isn't among them, or can't open this session."""
    known = ", ".join(offer["format"] for offer in offers)
    offer = next((o for o in offers if o["format"] == (format_ or offers[0]["format"])), None)
    if offer is None:
        raise InvalidInput(f"{shown(format_)} doesn't open such sessions.", remedy=f"These do: {known}.")
    if offer["problem"]:
        raise InvalidInput(offer["problem"], remedy=f"Programs for such sessions: {known}.")
    return offer
