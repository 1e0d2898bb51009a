"""The emulators that a desk starts: which are there, how each is started, and what its file may say.

A file comes from a server, and some of what these programs read is a command to run (OpenSSH's ProxyCommand). So a line
that Hostward's own files don't have is refused, whoever sent it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from hostward.domain.errors import InvalidInput
from hostward.domain.launching import EMULATORS, Program, emulators_of
from hostward.domain.launching.names import plain
from hostward.domain.suggestions import did_you_mean, listed, shown

Which = Callable[[str], str | None]
"""The path of a program, None where it isn't installed (shutil.which)."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A session as a server gives it to who may use it."""

    id: str
    name: str
    type: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the emulator would show something."""

    display: bool
    terminal: bool


@dataclass(frozen=True, slots=True)
class Kind:
    """A program as a desk starts it. `window`: it opens its own and is left to itself; else it takes the terminal.
    `unasked`: it may be chosen where none is named. `line` is what each line of its file is like, `None` where its file
    isn't used."""

    executable: str
    packages: str
    window: bool
    unasked: bool
    line: Callable[[str], Any] | None


_PROFILE = re.compile(
    r"!([^\\]|\\.)*|[xcsw]+3270\.(hostname|port|verifyHostCert|model|codePage): [^\\\x00-\x1f]+"
).fullmatch
_SSH = re.compile(
    r"#[^\x00-\x1f]*|Host [A-Za-z0-9._-]+|    (HostName|Port|User) [^\s\"'%$`\\-][^\s\"'%$`\\]*"
).fullmatch
_TN5250 = re.compile(
    r"[A-Za-z0-9._-]+ \{|\}|  (host|env\.DEVNAME|env\.TERM|map) = [^\x00-\x1f]+|  \+ssl_verify_server"
).fullmatch
_PUTTY_TLS: Final = "ProxyTelnetCommand".encode("utf-16-le")
_HOST = re.compile(r"[A-Za-z0-9_.:\[\]][A-Za-z0-9_.:\[\]-]{0,254}").fullmatch

KINDS: Final = {
    Program.X3270: Kind("x3270", "apt install x3270, dnf install x3270-x11, brew install x3270", True, True, _PROFILE),
    Program.C3270: Kind("c3270", "apt install c3270, dnf install x3270-text", False, True, _PROFILE),
    Program.WC3270: Kind("wc3270", "https://x3270.miraheze.org", False, True, _PROFILE),
    Program.S3270: Kind("s3270", "apt install s3270", False, False, _PROFILE),
    Program.TN5250: Kind("tn5250", "apt install tn5250", False, True, _TN5250),
    Program.OPENSSH: Kind("ssh", "apt install openssh-client, dnf install openssh-clients", False, True, _SSH),
    Program.TELNET: Kind("telnet", "apt install telnet, dnf install telnet", False, True, None),
    Program.PUTTY: Kind("putty", "https://www.putty.org, apt install putty, brew install putty", True, True, None),
}
ALIASES: Final = {"ssh": Program.OPENSSH}


@dataclass(frozen=True, slots=True)
class Chosen:
    """An installed emulator."""

    program: Program
    path: str

    @property
    def kind(self) -> Kind:
        return KINDS[self.program]


def choose(type_: str, named: str | None, which: Which, around: Surroundings) -> Chosen:
    """The emulator for a session of that type: the named one, else the first that is installed and has somewhere to
    show itself. Raises InvalidInput, code "no-emulator", with how to get one."""
    fit = [e.program for e in emulators_of(type_) if e.program in KINDS]
    if named is not None:
        fit = [_named(named, type_, fit)]
    found = [(program, path) for program in fit if (path := which(KINDS[program].executable))]
    shows = [
        Chosen(program, path)
        for program, path in found
        if named is not None or (KINDS[program].unasked and _has_place(KINDS[program], around))
    ]
    if shows:
        return shows[0]
    if found:
        there = listed(program.value for program, _ in found)
        raise InvalidInput(
            f"There is neither a window nor a terminal here for {there}.",
            remedy="Run this in a terminal or on a desktop, or name a program with --with.",
            code="no-emulator",
        )
    wanted = [program for program in fit if named is not None or KINDS[program].unasked]
    ways = "; ".join(f"{program.value}: {KINDS[program].packages}" for program in wanted)
    raise InvalidInput(
        f"No program for {type_} sessions is installed here: {listed(p.value for p in wanted)}.",
        remedy=f"Install one of them, or ask for it. {ways}.",
        code="no-emulator",
    )


def file_name(session: Opened, program: Program) -> str:
    """For the launch file: safe whatever the session is called, and the session's own."""
    extension = next(e.extension for e in EMULATORS if e.program is program)
    return f"{plain(session.name)}-{sha256(session.id.encode()).hexdigest()[:8]}{extension}"


def check_content(program: Program, content: bytes) -> str:
    """The file's text, which says nothing but what such files say; empty where it isn't used. Raises InvalidInput, code
    "launch-file", or "launch-program" where the session needs what only the file gives the program."""
    if program is Program.PUTTY and _PUTTY_TLS in content:
        raise InvalidInput(
            "The session has TLS, which PuTTY hasn't.",
            remedy="Open its file, which uses openssl: `hostward my launch-file NAME FILE --program putty`.",
            code="launch-program",
        )
    line_of = KINDS[program].line
    if line_of is None:
        return ""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise _unsafe(program, "it is no text") from error
    for line in text.removesuffix("\n").split("\n"):
        if not line_of(line.removesuffix("\r")):
            raise _unsafe(program, f"it has the line {shown(line)}")
    return text


def command(chosen: Chosen, session: Opened, file: Path, text: str, more: Sequence[str] = ()) -> list[str]:
    """What starts the emulator with the file, whose text was checked; `more` are the user's own options. Raises
    InvalidInput."""
    path, more = chosen.path, list(more)
    if chosen.program is Program.OPENSSH:
        return [path, "-F", str(file), *more, plain(session.name)]
    if chosen.program in (Program.TELNET, Program.PUTTY):
        if not _HOST(session.host):
            raise _unsafe(chosen.program, f"{shown(session.host)} is no host")
        if chosen.program is Program.TELNET:
            return [path, *more, session.host, str(session.port)]
        # Its file is for Windows' registry, which a desk leaves as it is.
        return [path, "-ssh" if session.type == "SSH" else "-telnet", "-P", str(session.port), *more, session.host]
    if chosen.program is Program.TN5250:
        # It reads its file at a fixed place, in the user's home; the same options are taken from the command line.
        options = [line.strip() for line in text.splitlines() if line.startswith("  ")]
        host = next((o.removeprefix("host = ") for o in options if o.startswith("host = ")), "")
        if not _HOST(host.removeprefix("ssl:")):
            raise _unsafe(chosen.program, f"{shown(host)} is no host")
        others = [o.replace(" = ", "=", 1) for o in options if not o.startswith("host = ")]
        return [path, *more, *others, host]
    return [path, *more, str(file)]


def _named(named: str, type_: str, fit: Sequence[Program]) -> Program:
    name = named.strip().casefold()
    program = ALIASES.get(name) or next((p for p in KINDS if p.value == name), None)
    if program is not None and program in fit:
        return program
    known = [p.value for p in fit]
    remedy = f"{did_you_mean(name, known)}Use {listed(known)}."
    raise InvalidInput(f"{shown(named)} isn't started for {type_} sessions.", remedy=remedy, code="launch-program")


def _has_place(kind: Kind, around: Surroundings) -> bool:
    return around.display if kind.window else around.terminal


def _unsafe(program: Program, why: str) -> InvalidInput:
    return InvalidInput(
        f"What the server sent for {program.value} isn't what Hostward makes: {why}. Nothing was started.",
        remedy="Tell your administrator; or this client is older than the server: update it.",
        code="launch-file",
    )
