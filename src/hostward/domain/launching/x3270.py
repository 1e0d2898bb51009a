"""Profiles of the x3270 family: X resources, one a line, each with the program's name before it.

Read as the programs read them (x3270's `read_resource_file` and host name syntax): a backslash at a line's end goes on
with the next line, also in a comment; `!` begins a comment; the address is `L:LU@host:port=accept`, where brackets keep
: and @ from meaning anything."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Any, Final

from hostward.domain.errors import Mistake
from hostward.domain.launching.names import file_stem
from hostward.domain.launching.remarks import UNSAID, read_remarks, remarks
from hostward.domain.launching.writing import Written, bracketed
from hostward.domain.sessions import Session, session_from_body
from hostward.domain.suggestions import shown

PROGRAMS: Final = ("x3270", "c3270", "wc3270", "s3270")
SUFFIXES: Final = tuple(f".{program}" for program in PROGRAMS)
MAX_NAMED: Final = 8

_PREFIXES: Final = "aclnpsbyt"
KNOWN_CODE_PAGES: Final = frozenset(
    f"{number:03}"
    for number in (
        *(37, 273, 275, 277, 278, 280, 284, 285, 297, 424, 500, 803, 870, 871, 875, 880, 930, 933, 935, 937, 939, 1026),
        *(1047, 1123, *range(1140, 1150), 1158, 1160, 1364, 1388, 1390, 1399),
    )
)
"""Those of its version 4.5; older ones know fewer."""
_NAMES: Final = """
bracket= oldibm= us=037 us-intl=037 us-euro=1140 uk=285 uk-euro=1146 belgian=500 belgian-euro=1148
brazilian=275 finnish=278 finnish-euro=1143 french=297 french-euro=1147 german=273 german-euro=1141
greek=875 hebrew=424 hebrew-old=803 icelandic=871 icelandic-euro=1149 italian=280 italian-euro=1144
norwegian=277 norwegian-euro=1142 polish=870 russian=880 slovenian=870 spanish=284 spanish-euro=1145
swedish=278 swedish-euro=1143 thai=1160 turkish=1026 ukrainian=1123 ukrainian-euro=1158 korean=933
japanese-kana=930 japanese-latin=939 simplified-chinese=935 traditional-chinese=937 chinese-gb18030=1388
japanese-kana-extended=1390 japanese-latin-extended=1399 korean-euro=1364
"""
_CHARACTER_SETS: Final = dict(pair.split("=") for pair in _NAMES.split())
"""The names that it has for code pages."""

_RESOURCE = re.compile(rf"(?:(?:{'|'.join(PROGRAMS)})[.*]|\*)([A-Za-z0-9_.]+)\s*:\s*(.*)", re.DOTALL).fullmatch
_ADDRESS = re.compile(
    rf"(?P<prefixes>(?:[{_PREFIXES}]:)*)"
    r"(?:(?P<lu>\[[^\[\]]*\]|[^@:=\[\]]+)@)?"
    rf"(?P<more>(?:[{_PREFIXES}]:)*)"
    r"(?P<host>\[[^\[\]]*\]|[^@:=\[\]]+)"
    r"(?::(?P<port>[^@:=\[\]]+))?"
    r"(?:=(?P<accept>.+))?",
    re.IGNORECASE,
).fullmatch


def write(program: str, session: Session, file_name: str, user: str) -> Written:
    """See files.launch_file."""
    notes = []
    if session.code_page and session.code_page not in KNOWN_CODE_PAGES:
        notes.append(f"{program} 4.5 doesn't know the code page {session.code_page}: it says so, and goes on without.")
    if session.tls:
        notes.append("The host's certificate is checked with the system's authorities; add caFile for another one.")
    content = _profile(program, session, remarks(session.body(), "name"))
    if program == "wc3270":
        return Written(content.replace("\n", "\r\n").encode(), notes=tuple(notes))
    return Written(content.encode(), f"{program} {quote('./' + file_name)}", tuple(notes))


def profile(body: Mapping[str, Any]) -> tuple[str, str]:
    """A file's name and content with all of the session, for reading it again."""
    session = session_from_body(body)
    return file_stem(session.name) + SUFFIXES[0], _profile(
        PROGRAMS[0], session, remarks(body, "name", "groups", "comment")
    )


def _profile(program: str, session: Session, comments: Sequence[str]) -> str:
    resources = {"hostname": _address(session)}
    if _like_a_prefix(session.host):
        resources["port"] = str(session.port)
    if session.tls:
        resources["verifyHostCert"] = "true"
    if session.model:
        resources["model"] = session.model
    if session.code_page:
        resources["codePage"] = f"cp{session.code_page}"
    lines = [*(f"! {comment}" for comment in comments), *(f"{program}.{n}: {v}" for n, v in resources.items())]
    return "\n".join(lines) + "\n"


def _address(session: Session) -> str:
    lu = f"[{session.lu}]" if "@" in session.lu else session.lu
    port = "" if _like_a_prefix(session.host) else f":{session.port}"
    return f"{'L:' if session.tls else ''}{f'{lu}@' if lu else ''}{bracketed(session.host)}{port}"


def _like_a_prefix(host: str) -> bool:
    """With a port after it, the host `L` would be taken for the prefix that means TLS."""
    return host.lower() in _PREFIXES


@dataclass(frozen=True, slots=True)
class ReadProfile:
    """A session's fields as the profile has them, unchecked, without those that it doesn't say; and what of it a
    session has no place for."""

    fields: Mapping[str, Any]
    notes: tuple[Mistake, ...]


def read_profile(text: str, file_stem: str) -> ReadProfile | Mistake:
    """A profile of any of the programs. The session's name is in a remark, or else the file's, each _ of it a blank."""
    comments: list[str] = []
    resources: dict[str, str] = {}
    for line in _lines(text):
        if line.startswith("!"):
            comments.append(line[1:])
            continue
        found = _RESOURCE(line)
        if found is None:
            return Mistake("", f"The line {shown(line)} is no resource.", "Write x3270.NAME: VALUE, or remove it.")
        resources[found[1]] = found[2]
    address = resources.pop("hostname", "")
    split = _ADDRESS(address)
    if split is None:
        right = "Write x3270.hostname: L:LU@host:port; L: is for TLS."
        said = f"{shown(address)} is no address." if address else "There is no hostname."
        return Mistake("host", said, right)
    prefixes = (split["prefixes"] + split["more"]).lower().replace(":", "")
    usual_port = resources.pop("port", "") or "23"
    kept = read_remarks(comments)
    fields: dict[str, Any] = {
        "name": kept.get("name", file_stem.replace("_", " ").strip()),
        "type": "IBM 3270",
        "host": split["host"].strip("[]"),
        "port": split["port"] or ("23" if usual_port == "telnet" else usual_port),
        "tls": "l" in prefixes,
        "lu": (split["lu"] or "").strip("[]"),
        "model": _model(resources.pop("model", "")),
        "code_page": _code_page(resources.pop("codePage", "") or resources.pop("charset", "")),
        **{field: kept[field] for field in UNSAID if field in kept},
    }
    return ReadProfile(fields, tuple(_notes(prefixes, split["accept"] or "", resources)))


def _lines(text: str) -> Iterator[str]:
    """As x3270 sees them: those that a backslash draws together are one."""
    before = ""
    for line in text.split("\n"):
        whole = before + line.removesuffix("\r")
        trailing = len(whole) - len(whole.rstrip("\\"))
        if trailing % 2:
            before = whole[:-1]
            continue
        before = ""
        if whole.strip():
            yield whole.strip()
    if before.strip():
        yield before.strip()


def _model(text: str) -> str:
    """`4` and IBM-3279-4-E are ways to write 3279-4-E."""
    bare = text.strip().upper().removeprefix("IBM-")
    return f"3279-{bare}-E" if bare in ("2", "3", "4", "5") else bare


def _code_page(text: str) -> str:
    bare = text.strip().lower()
    if bare in _CHARACTER_SETS:
        return _CHARACTER_SETS[bare]
    number = bare.removeprefix("cp")
    return number.zfill(3) if number.isdigit() else text


def _notes(prefixes: str, accept: str, resources: Mapping[str, str]) -> Iterator[Mistake]:
    other = sorted(set(prefixes) - {"l"})
    if "y" in other:
        yield Mistake("tls", "Y: isn't carried: the host's certificate is checked.", "Trust its authority instead.")
        other.remove("y")
    if other:
        named = ", ".join(f"{prefix.upper()}:" for prefix in other)
        yield Mistake("host", f"{named} before the host isn't carried.", "Set it in the emulator.")
    if accept:
        yield Mistake("host", f"The name to accept, {shown(accept)}, isn't carried.", "Use that name as the host.")
    usual = {"oversize": ("", "0x0"), "verifyHostCert": ("", "true")}
    unknown = [name for name, value in resources.items() if value.strip().lower() not in usual.get(name, ())]
    if unknown:
        more = f" and {len(unknown) - MAX_NAMED} others" if len(unknown) > MAX_NAMED else ""
        named = ", ".join(name[:40] for name in unknown[:MAX_NAMED])
        yield Mistake("", f"Not carried: {named}{more}.", "Set them in the emulator.")
