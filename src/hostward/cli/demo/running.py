"""The demo's course: start or find the servers, form the group, tell where it is, watch it, stop it."""

from __future__ import annotations

import fcntl
import json
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from hostward.cli.demo.forming import (
    EXAMPLE_USER,
    Administrator,
    administrator,
    form,
    token_for,
    wait_until_live,
    wait_until_up,
)
from hostward.cli.demo.layout import (
    FIRST_ADDRESS,
    USER,
    DemoServer,
    address_in,
    demo_file,
    password_file,
    servers_in,
    stopping_file,
)
from hostward.cli.demo.processes import Started, check_ports, log_tail, record, recorded, start, stop
from hostward.cli.output import facts, print_json, show, table
from hostward.cli.progress import Progress
from hostward.cli.secrets import from_file
from hostward.client.private import write_private
from hostward.domain.errors import Conflict, HostwardError, InvalidInput, NotFound, Unavailable

WATCH_EVERY_S = 1.0
RESTART_PAUSE_S = 3.0

_Handler = Callable[[int, FrameType | None], None]


@dataclass(slots=True)
class Running:
    """The servers of one demo as this command knows them; `children` only those that it started itself."""

    directory: Path
    servers: Sequence[DemoServer]
    started: dict[str, Started] = field(default_factory=dict)
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def alive(self, server: DemoServer) -> bool:
        child = self.children.get(server.name)
        if child is not None:
            return child.poll() is None
        started = self.started.get(server.name)
        return started is not None and started.process() is not None

    def start(self, server: DemoServer) -> None:
        """Start it, and record that before anything can go wrong with it."""
        self.started[server.name], self.children[server.name] = start(server)
        record(self.directory, list(self.started.values()))

    def stop(self, progress: Progress, names: Sequence[str] | None = None) -> None:
        """Stop all of them, or those named."""
        chosen = [s for s in self.started.values() if names is None or s.name in names]
        if not chosen:
            return
        progress.step("Stopping the servers")
        with _undisturbed():
            for sentence in stop(chosen):
                progress.done(sentence)


def run(directory: Path, address: str | None, *, detach: bool, restart: bool) -> int:
    """Start or continue the demo; without `detach`, until Ctrl-C. The exit code."""
    before = address_in(directory)
    if before and address and address != before:
        raise Conflict(
            f"The demo in {directory} begins at the address {before}.",
            remedy="Leave --address out, or name another --dir.",
        )
    servers = servers_in(directory, address or before or FIRST_ADDRESS)
    _prepare(directory)
    with _lock(directory), Progress() as progress, _terminated_as_interrupt():
        running = Running(directory, servers, {s.name: s for s in recorded(directory)})
        missing = [s for s in servers if not running.alive(s)]
        try:
            _start(running, missing, progress)
            everyone = _form(running, progress)
            _write_demo_file(running, everyone)
        except (HostwardError, KeyboardInterrupt):
            # What ran before this command isn't its to end.
            running.stop(progress, [s.name for s in missing])
            raise
        _show_result(directory)
        if detach or not missing:
            show(f"The servers go on running. `hostward demo stop --dir {_short(directory)}` stops them.")
            return 0
        show("Ctrl-C stops everything.")
        _watch(running, progress, restart=restart)
        return 0


def stop_all(directory: Path) -> int:
    """Stop exactly the processes that were recorded. The exit code."""
    if address_in(directory) is None:
        raise NotFound(f"There is no demo in {directory}.", remedy="Name its directory with --dir.")
    started = recorded(directory)
    if not started:
        show("The demo isn't running.")
        return 0
    stopping_file(directory).touch()
    with Progress() as progress:
        progress.step("Stopping the servers")
        for sentence in stop(started):
            progress.done(sentence)
    record(directory, [])
    return 0


def show_status(directory: Path, *, as_json: bool) -> int:
    """Print what demo.json says, and which servers run. The exit code: 0 if all do."""
    content = _read_demo_file(directory)
    if content is None:
        raise NotFound(f"There is no demo in {directory}.", remedy="`hostward demo --dir DIR` starts one.")
    alive = {s.data_dir for s in recorded(directory) if s.process() is not None}
    entries = [{**s, "running": s["data_dir"] in alive} for s in content["servers"]]
    if as_json:
        print_json({"servers": entries})
    else:
        show(_servers_table(entries))
    return 0 if all(e["running"] for e in entries) else 1


def _prepare(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        directory.chmod(0o700)
    except OSError as error:
        raise InvalidInput(
            f"{directory} can't be used: {error.strerror}.", remedy="Name another directory with --dir."
        ) from error


@contextmanager
def _lock(directory: Path) -> Iterator[None]:
    """One demo command at a time in a directory; the lock ends with the process."""
    with (directory / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Conflict(
                f"Another `hostward demo` is at work in {directory}.",
                remedy=f"`hostward demo status --dir {directory}` shows it; Ctrl-C there stops it.",
            ) from error
        yield


@contextmanager
def _handling(numbers: Sequence[signal.Signals], handler: signal.Handlers | _Handler) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def _terminated_as_interrupt() -> AbstractContextManager[None]:
    """SIGTERM, and the terminal's closing, stop the demo just as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # SIGINT as well: a script that starts the demo in the background has it ignored.
    return _handling([signal.SIGINT, signal.SIGTERM, signal.SIGHUP], interrupt)


def _undisturbed() -> AbstractContextManager[None]:
    """A second Ctrl-C must not leave servers behind: stopping is bounded, and is finished."""
    return _handling([signal.SIGINT, signal.SIGTERM, signal.SIGHUP], signal.SIG_IGN)


def _start(running: Running, missing: Sequence[DemoServer], progress: Progress) -> None:
    if not missing:
        return
    stopping_file(running.directory).unlink(missing_ok=True)
    check_ports(missing)
    if not password_file(running.directory).exists():
        write_private(password_file(running.directory), secrets.token_urlsafe(12) + "\n")
    progress.step(f"Starting {', '.join(s.name for s in missing)}")
    for server in missing:
        write_private(server.config_file, server.config())
        running.start(server)
    for server in missing:
        try:
            wait_until_live(server, partial(running.alive, server))
        except Unavailable as error:
            raise Unavailable(
                f"{error.message} It said:\n{log_tail(server)}", remedy=f"All of it is in {server.log_file}."
            ) from error
        progress.done(f"{server.name} runs at {server.url} (pid {running.started[server.name].pid})")


def _form(running: Running, progress: Progress) -> list[Administrator]:
    password = from_file(password_file(running.directory))
    everyone = [administrator(server, password) for server in running.servers]
    for one in everyone:
        one.log_in()
    if demo_file(running.directory).exists():
        # It was a group once: what has been made of it since is the person's own doing, and stays.
        try:
            wait_until_up(everyone, progress)
        except Unavailable as error:
            progress.warn(error.message)
    else:
        form(everyone, progress)
    return everyone


def _write_demo_file(running: Running, everyone: Sequence[Administrator]) -> None:
    kept = {s["url"]: s.get("token") for s in (_read_demo_file(running.directory) or {"servers": []})["servers"]}
    entries = []
    for one in everyone:
        role = one.status()["role"]
        entries.append(
            {
                "url": one.server.url,
                "role": role,
                "data_dir": str(one.server.data_dir),
                "pid": running.started[one.server.name].pid,
                "token": token_for(one, kept.get(one.server.url)),
                "user": USER,
                "password": one.password,
            }
        )
        one.api.close()
    write_private(demo_file(running.directory), json.dumps({"servers": entries}, indent=2) + "\n")


def _read_demo_file(directory: Path) -> dict[str, Any] | None:
    path = demo_file(directory)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return dict(content) if content["servers"] is not None else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{path} can't be read ({error}).", remedy="Delete that file; it is made again.") from error


def _update_pid(running: Running, server: DemoServer) -> None:
    content = _read_demo_file(running.directory)
    if content is None:
        return
    for entry in content["servers"]:
        if entry["url"] == server.url:
            entry["pid"] = running.started[server.name].pid
    write_private(demo_file(running.directory), json.dumps(content, indent=2) + "\n")


def _show_result(directory: Path) -> None:
    content = _read_demo_file(directory)
    assert content is not None
    alive = {s.data_dir for s in recorded(directory) if s.process() is not None}
    show("", _servers_table([{**s, "running": s["data_dir"] in alive} for s in content["servers"]]), "")
    master = next((s for s in content["servers"] if s["role"] == "master"), content["servers"][0])
    pairs = [
        ("Log in", f"{master['user']} / {master['password']}  (all three)"),
        ("As a user", f"{EXAMPLE_USER}, with the same password: what Anna may open, on each of them"),
        ("For programs", f"{_short(demo_file(directory))} (addresses, tokens)"),
        ("Try", f"hostward login {master['url']}"),
        ("", "hostward replication nodes"),
    ]
    show(facts(pairs), "")


def _servers_table(entries: Sequence[dict[str, Any]]) -> Any:
    rows = [(Path(e["data_dir"]).name, e["role"], e["url"], e["pid"], e["running"]) for e in entries]
    return table(("Server", "Role", "Address", "Pid", "Runs"), rows)


def _watch(running: Running, progress: Progress, *, restart: bool) -> None:
    """Until Ctrl-C: say when a server has ended, and start it again if wished."""
    reported: set[str] = set()
    try:
        while True:
            time.sleep(WATCH_EVERY_S)
            for server in running.servers:
                if running.alive(server) or server.name in reported:
                    continue
                if stopping_file(running.directory).exists():
                    progress.done("Stopped by `hostward demo stop`")
                    return
                progress.warn(f"{server.name} has ended" + (", it is started again" if restart else ""))
                if not restart:
                    reported.add(server.name)
                    continue
                time.sleep(RESTART_PAUSE_S)
                if stopping_file(running.directory).exists():
                    return
                running.start(server)
                _update_pid(running, server)
    except KeyboardInterrupt:
        running.stop(progress)
        record(running.directory, [])


def _short(path: Path) -> str:
    """Relative to where the person is, if that is shorter."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
