"""Which programs open sessions of which type, and the file for each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, Final

from hostward.domain.errors import InvalidInput
from hostward.domain.launching import openssh, putty, telnet, tn5250, x3270
from hostward.domain.launching.names import file_stem, plain
from hostward.domain.launching.writing import Written
from hostward.domain.sessions import FIELDS, Session, check_fields, session_from_body
from hostward.domain.suggestions import listed, shown


class Program(StrEnum):
    """A program that opens sessions."""

    X3270 = "x3270"
    C3270 = "c3270"
    S3270 = "s3270"
    WC3270 = "wc3270"
    TN5250 = "tn5250"
    PUTTY = "putty"
    OPENSSH = "openssh"
    TELNET = "telnet"


@dataclass(frozen=True, slots=True)
class Emulator:
    """A program, the types of session that it speaks, and what its file is like."""

    program: Program
    label: str
    types: tuple[str, ...]
    extension: str
    media_type: str
    write: Callable[[Session, str, str], Written]
    """From the session, its file's name and the user's name at the host, which may be empty."""


_TEXT: Final = "text/plain; charset=utf-8"
_3270: Final = ("IBM 3270",)

EMULATORS: Final = (
    Emulator(Program.X3270, "x3270", _3270, ".x3270", _TEXT, partial(x3270.write, "x3270")),
    Emulator(Program.C3270, "c3270", _3270, ".c3270", _TEXT, partial(x3270.write, "c3270")),
    Emulator(Program.WC3270, "wc3270 (Windows)", _3270, ".wc3270", _TEXT, partial(x3270.write, "wc3270")),
    Emulator(Program.S3270, "s3270 (scripts)", _3270, ".s3270", _TEXT, partial(x3270.write, "s3270")),
    Emulator(Program.TN5250, "tn5250", ("IBM 5250",), ".tn5250rc", _TEXT, tn5250.write),
    Emulator(Program.OPENSSH, "OpenSSH", ("SSH",), ".ssh_config", _TEXT, openssh.write),
    Emulator(Program.PUTTY, "PuTTY (Windows)", ("VT", "SSH"), ".reg", "text/x-ms-regedit", putty.write),
    Emulator(Program.TELNET, "telnet", ("VT",), ".sh", "application/x-sh", telnet.write),
)
"""In the order in which they are offered."""


@dataclass(frozen=True, slots=True)
class LaunchFile:
    """A file as it is handed out. `command` starts the session where the file is in the present directory; it is empty
    where opening the file is all there is to do. `notes` say what the file doesn't carry, and what else is needed."""

    name: str
    plain_name: str
    media_type: str
    content: bytes
    command: str
    notes: tuple[str, ...]


_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}").fullmatch


def emulators_of(type_: str) -> tuple[Emulator, ...]:
    """Those that open sessions of this type, the usual one first."""
    return tuple(e for e in EMULATORS if type_ in e.types)


def check_user(user: str) -> None:
    """Raises InvalidInput where this can't be a user's name at a host, or could be something else; it may be empty."""
    if user and not _USER(user):
        raise InvalidInput(
            f"{shown(user)} can't be a user's name at the host.",
            remedy="Use at most 64 letters, digits and . _ - + @, beginning with a letter, digit or _.",
        )


def launch_file(body: Mapping[str, Any], program: Program, user: str = "") -> LaunchFile:
    """The file with which this program opens the session of this body; `user` is who logs in at an SSH host.

    Raises InvalidInput where the program has no such sessions, or can't be told something that the session needs."""
    checked = check_fields({name: body[name] for name in FIELDS})
    if not isinstance(checked, dict):
        raise InvalidInput("The session itself has mistakes.", remedy="Mend it, and try again.", mistakes=checked)
    session = session_from_body(checked)
    emulator = next(e for e in EMULATORS if e.program is program)
    if session.type not in emulator.types:
        can = listed(e.program.value for e in emulators_of(session.type))
        raise InvalidInput(
            f"{emulator.label} doesn't open {session.type.value} sessions.", remedy=f"Use {can}.", code="launch-program"
        )
    check_user(user)
    name = file_stem(session.name) + emulator.extension
    written = emulator.write(session, name, user)
    notes = list(written.notes)
    if user and session.type != "SSH":
        notes.append(f"The user name isn't carried: {session.type.value} hosts ask for it.")
    short = plain(session.name) + emulator.extension
    return LaunchFile(name, short, emulator.media_type, written.content, written.command, tuple(notes))
