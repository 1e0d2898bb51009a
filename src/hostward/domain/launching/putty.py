"""PuTTY's saved sessions, as a file for the Windows registry.

PuTTY has no TLS: where a session needs it, OpenSSL's own client carries the connection, and checks the host's
certificate. Names are escaped as PuTTY escapes them, because it looks for nothing else."""

from __future__ import annotations

import re
from codecs import BOM_UTF16_LE
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from hostward.domain.errors import Mistake
from hostward.domain.launching.remarks import UNSAID, read_remarks, remarks
from hostward.domain.launching.writing import Written, bracketed
from hostward.domain.sessions import Session, SessionType, default_port, session_from_body
from hostward.domain.suggestions import shown

HEADERS: Final = ("Windows Registry Editor Version 5.00", "REGEDIT4")
SESSIONS: Final = r"HKEY_CURRENT_USER\Software\SimonTatham\PuTTY\Sessions"
MAX_KEY: Final = 255
"""Characters that a registry key's name may have."""
MAX_NAMED: Final = 8

_PROTOCOLS: Final[Mapping[str, str]] = {"ssh": SessionType.SSH.value, "telnet": SessionType.VT.value}
_TLS_COMMAND: Final = "openssl s_client -quiet -verify_return_error"
_OWN: Final = frozenset(
    {"Present", "HostName", "Protocol", "PortNumber", "ProxyMethod", "ProxyTelnetCommand", "ProxyLocalhost"}
)
_CONNECTION: Final = (
    *("UserName", "PublicKeyFile", "DetachedCertificate", "ProxyMethod", "ProxyHost", "ProxyTelnetCommand"),
    *("PortForwardings", "RemoteCommand", "SerialLine", "LogHost", "GSSCustom"),
)
"""What decides where and as whom PuTTY connects; all else is how it looks and behaves."""
_KEY = re.compile(r"\[-?HKEY_[^\]\\]+\\.*\\Sessions\\([^\\]+)\]\s*", re.IGNORECASE).fullmatch
_VALUE = re.compile(r'"((?:[^"\\]|\\.)*)"=(?:"((?:[^"\\]|\\.)*)"|dword:([0-9A-Fa-f]{1,8})|(.+))\s*').fullmatch


def write(session: Session, file_name: str, user: str) -> Written:
    """See files.launch_file."""
    notes = ["Open the file once: Windows adds the session to PuTTY's list, under its name."]
    if session.tls:
        notes.append("PuTTY has no TLS of its own: openssl, which must be installed, carries the connection.")
        command = ""
    else:
        protocol = "ssh" if session.type is SessionType.SSH else "telnet"
        command = f"putty -{protocol} {f'-l {user} ' if user else ''}-P {session.port} {session.host}"
    text = "".join(_pieces([(_section(session, user), remarks(session.body(), "name"))]))
    return Written(BOM_UTF16_LE + text.encode("utf-16-le"), command, tuple(notes))


def export(bodies: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """All of these sessions, which are of types that PuTTY has, for reading them again."""
    sections = ((_section(session_from_body(b), ""), remarks(b, "name", "tls", "groups", "comment")) for b in bodies)
    yield BOM_UTF16_LE
    for piece in _pieces(sections):
        yield piece.encode("utf-16-le")


def key_of(name: str) -> str:
    """The registry key of a session's name. One that is too long is cut, and ends in a part of the name's hash."""
    escaped = [_escaped(character, first=at == 0) for at, character in enumerate(name)]
    if sum(map(len, escaped)) <= MAX_KEY:
        return "".join(escaped)
    tail = f"~{sha256(name.encode()).hexdigest()[:8]}"
    key = ""
    for part in escaped:
        if len(key) + len(part) + len(tail) > MAX_KEY:
            break
        key += part
    return key + tail


def values_of(session: Session, user: str = "") -> dict[str, str | int]:
    """The values of a saved session, by PuTTY's names for them."""
    values: dict[str, str | int] = {
        "Present": 1,
        "HostName": session.host,
        "Protocol": "ssh" if session.type is SessionType.SSH else "telnet",
        "PortNumber": session.port,
    }
    if user:
        values["UserName"] = user
    if session.tls:
        kind = "ip" if ":" in session.host or session.host.replace(".", "").isdigit() else "hostname"
        address = f"{bracketed(session.host)}:{session.port}"
        command = f"{_TLS_COMMAND} -verify_{kind} {session.host} -connect {address}"
        values |= {"ProxyMethod": 5, "ProxyTelnetCommand": command, "ProxyLocalhost": 1}
    return values


def _section(session: Session, user: str) -> tuple[str, dict[str, str | int]]:
    return key_of(session.name), values_of(session, user)


def _pieces(sections: Iterable[tuple[tuple[str, Mapping[str, str | int]], list[str]]]) -> Iterator[str]:
    yield f"{HEADERS[0]}\r\n"
    for (key, values), comments in sections:
        lines = [rf"[{SESSIONS}\{key}]", *(f"; {comment}" for comment in comments)]
        for name, value in values.items():
            lines.append(f'"{name}"=dword:{value:08x}' if isinstance(value, int) else f'"{name}"="{_quoted(value)}"')
        yield "".join(f"{line}\r\n" for line in ["", *lines])


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _escaped(character: str, *, first: bool) -> str:
    if character in " \\*?%" or not " " < character <= "~" or (first and character == "."):
        return "".join(f"%{byte:02X}" for byte in character.encode())
    return character


@dataclass(slots=True)
class _Saved:
    """A key of the file while it is read."""

    line: int
    key: str
    comments: list[str] = field(default_factory=list)
    values: dict[str, str | int] = field(default_factory=dict)
    unreadable: str = ""


@dataclass(frozen=True, slots=True)
class ReadSession:
    """A session's fields as PuTTY has them, unchecked, without those that it doesn't say, or what is wrong; and what of
    it a session has no place for. `line` is where it begins in the file, `name` its name there."""

    line: int
    name: str
    fields: Mapping[str, Any] | Mistake
    notes: tuple[Mistake, ...] = ()


def read_sessions(text: str) -> Iterator[ReadSession]:
    """The saved sessions in a registry file; other keys are passed over, and the default settings too."""
    for saved in _saved(text):
        if saved.key.casefold() != "default%20settings":
            yield _read(saved)


def _saved(text: str) -> Iterator[_Saved]:
    now: _Saved | None = None
    for number, line in _lines(text):
        if line.startswith("["):
            if now is not None:
                yield now
            found = _KEY(line)
            now = _Saved(number, found[1]) if found and not line.startswith("[-") else None
        elif now is None or not line.strip():
            continue
        elif line.startswith(";"):
            now.comments.append(line[1:])
        elif (value := _VALUE(line)) is None:
            now.unreadable = now.unreadable or line
        elif value[3] is not None:
            now.values[_unquoted(value[1])] = int(value[3], 16)
        else:
            now.values[_unquoted(value[1])] = _unquoted(value[2] if value[2] is not None else value[4])
    if now is not None:
        yield now


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """With their numbers; a value that goes on after a backslash is one line."""
    before, begun = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        whole = line.removesuffix("\r")
        if before or (whole.endswith("\\") and not whole.startswith((";", "["))):
            begun, before = begun or number, before + whole.strip().removesuffix("\\")
            if whole.endswith("\\"):
                continue
            yield begun, before
            before, begun = "", 0
        else:
            yield number, whole
    if before:
        yield begun, before


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _read(saved: _Saved) -> ReadSession:
    if saved.unreadable:
        problem = f"The line {shown(saved.unreadable)} is no value."
        return ReadSession(saved.line, saved.key, Mistake("", problem, 'Write "NAME"="VALUE" or "NAME"=dword:NUMBER.'))
    try:
        name = unquote_to_bytes(saved.key).decode()
    except UnicodeDecodeError:
        problem = f"The name {shown(saved.key)} isn't UTF-8."
        remedy = "Write its letters outside a to z as UTF-8, such as %C3%B6."
        return ReadSession(saved.line, saved.key, Mistake("name", problem, remedy))
    protocol = str(saved.values.get("Protocol", "ssh"))
    if protocol not in _PROTOCOLS:
        problem = f"PuTTY's {shown(protocol)} sessions can't be imported."
        return ReadSession(saved.line, saved.key, Mistake("type", problem, "Import those of ssh and telnet."))
    kept = read_remarks(saved.comments)
    type_ = _PROTOCOLS[protocol]
    user, _, host = str(saved.values.get("HostName", "")).rpartition("@")
    port = saved.values.get("PortNumber") or default_port(type_, False)
    through = str(saved.values.get("ProxyTelnetCommand", "")).startswith(_TLS_COMMAND)
    tls = type_ == SessionType.VT and bool(kept.get("tls", through or port == 992))
    fields: dict[str, Any] = {
        "name": kept.get("name", name),
        "type": type_,
        "host": host.strip("[]"),
        "port": port,
        "tls": tls,
        "lu": "",
        "model": "",
        "code_page": "",
        **{field: kept[field] for field in UNSAID if field in kept},
    }
    notes = list(_notes(saved.values, user, through))
    if tls and not through:
        notes.append(
            Mistake("tls", "Port 992 is taken for one with TLS, which PuTTY hasn't.", "Turn TLS off if it isn't.")
        )
    return ReadSession(saved.line, name, fields, tuple(notes))


def _notes(values: Mapping[str, str | int], user: str, through: bool) -> Iterator[Mistake]:
    own = _OWN if through else _OWN - {"ProxyMethod", "ProxyTelnetCommand"}
    other = {n: v for n, v in values.items() if n not in own and (n, v) != ("TerminalType", "xterm")}
    named = [f"{name} ({str(other[name])[:40]})" for name in _CONNECTION if other.get(name)]
    if user:
        named.insert(0, f"the user name {shown(user)}")
    others = sum(name not in _CONNECTION for name in other)
    if others:
        named.append("1 setting of PuTTY itself" if others == 1 else f"{others} settings of PuTTY itself")
    if named:
        yield Mistake("", f"Not carried: {', '.join(named)}.", "Set it in PuTTY.")
