"""`hostward client sessions` and `launch`."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

import typer

from hostward.cli.accounts import PasswordFile
from hostward.cli.desk.servers import Servers, servers_of
from hostward.cli.options import Call, Invocation, JsonOption
from hostward.client.emulators import Opened, Surroundings, check_content, choose, command, file_name
from hostward.client.private import private_dir, state_dir, write_private
from hostward.domain.errors import HostwardError, NotFound

if TYPE_CHECKING:
    from hostward.cli.client import ApiClient

MAX_FILE_BYTES: Final = 64 << 10
BEGINS_S: Final = 1.0
"""How long it is watched whether a program with a window stays."""
MAX_SAID: Final = 500


def register(app: typer.Typer) -> None:
    app.command("sessions")(list_sessions)
    app.command("launch")(launch)


def list_sessions(
    ctx: typer.Context,
    words: Annotated[list[str] | None, typer.Argument(help="Words to find.")] = None,
    favourites: Annotated[bool, typer.Option("--favourites", help="Your favourites alone.")] = False,
    page: Annotated[int, typer.Option("--page", min=1)] = 1,
    per_page: Annotated[int, typer.Option("--per-page", min=1, max=500)] = 50,
    password_file: PasswordFile = None,
    as_json: JsonOption = False,
) -> None:
    """The sessions that you may use; a * marks your favourites."""
    from hostward.cli.access import show_own

    invocation = ctx.ensure_object(Invocation)
    invocation.take(None, None, False, as_json)

    def show(api: ApiClient) -> None:
        show_own(Call(api, invocation.as_json), words, page, per_page, favourites=favourites)

    servers_of(invocation, password_file).ask(show)


def launch(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The session's name.")],
    more: Annotated[
        list[str] | None, typer.Argument(metavar="[-- OPTION…]", help="The emulator's own options, after --.")
    ] = None,
    program: Annotated[
        str | None, typer.Option("--with", metavar="PROGRAM", help="x3270, c3270, s3270, tn5250, ssh, telnet, putty.")
    ] = None,
    print_only: Annotated[
        bool, typer.Option("--print", help="Write the file, and show what would be started.")
    ] = False,
    password_file: PasswordFile = None,
) -> None:
    """Open a session in an emulator that is installed here."""
    servers = servers_of(ctx.ensure_object(Invocation), password_file)
    session = _session(servers, name)
    chosen = choose(session.type, program, shutil.which, Surroundings(True, True) if print_only else _around())
    content = servers.ask(lambda api: _launch_file(api, session.id, chosen.program.value))
    text = check_content(chosen.program, content)
    file = private_dir(private_dir(state_dir()) / "launch") / file_name(session, chosen.program)
    write_private(file, content)
    argv = command(chosen, session, file, text, more or ())
    if print_only:
        print(shlex.join(argv))
    elif chosen.kind.window:
        _start(argv, file.with_suffix(".log"))
        print(f"{chosen.program.value} shows “{session.name}”.")
    else:
        _become(argv)


def _session(servers: Servers, name: str) -> Opened:
    """The one of that name, in whatever case. Raises what the server says of one that isn't there for this user."""

    def find(api: ApiClient) -> Opened:
        answer = api.get("me/sessions", {"q": name, "per_page": 500})
        items: list[dict[str, Any]] = answer.get("items") or []
        exact = [s for s in items if s["name"] == name] or [s for s in items if s["name"].casefold() == name.casefold()]
        if exact:
            s = exact[0]
            return Opened(str(s["id"]), str(s["name"]), str(s["type"]), str(s["host"]), int(s["port"]))
        _launch_file(api, name, None)
        raise NotFound("Sessions are opened by their names.", remedy="`hostward client sessions` shows them.")

    return servers.ask(find)


def _launch_file(api: ApiClient, session_id: str, program: str | None) -> bytes:
    with api.download(f"me/sessions/{quote(session_id, safe='')}/launch", {"program": program}) as pieces:
        content = b""
        for piece in pieces:
            content += piece
            if len(content) > MAX_FILE_BYTES:
                raise HostwardError("The server sent more than any launch file has. Nothing was started.")
    return content


def _around() -> Surroundings:
    display = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return Surroundings(display or sys.platform == "darwin", os.isatty(0) and os.isatty(1))


def _start(argv: list[str], log: Path) -> None:
    """A program with a window of its own, which goes on when this ends. Raises HostwardError where it ends at once."""
    write_private(log, "")
    with log.open("ab") as out:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    try:
        ended = process.wait(BEGINS_S)
    except subprocess.TimeoutExpired:
        process.returncode = 0  # it is left to itself
        return
    if ended:
        said = log.read_text(errors="replace").strip()[:MAX_SAID]
        raise HostwardError(f"{argv[0]} ended with {ended}: {said or 'it said nothing'}", remedy=f"See {log}.")


def _become(argv: list[str]) -> None:
    """The program has the terminal, its signals and its exit code, as if it had been started by hand."""
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name != "posix":
        raise typer.Exit(subprocess.call(argv))
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, which would be inherited
    os.execv(argv[0], argv)  # noqa: S606
