"""What a terminal session's definition may hold, and what is wrong with one that isn't good.

Each field has one check, used alike for the API's JSON and for the text of a spreadsheet's cells: it gives the value to
store, or says what is wrong and what would be right. Values are stored exactly as they were given, never trimmed or
changed; only text for a number, a yes or no, or a list of groups becomes what it stands for.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any, Final

from hostward.domain.changes import Body
from hostward.domain.errors import InvalidInput, Mistake
from hostward.domain.suggestions import did_you_mean, listed, shown
from hostward.domain.texts import UNSEEN, Wrong, check_comment, name_key, not_text, wrong_text

KIND: Final = "session"
MAX_NAME: Final = 128
MAX_HOST: Final = 253
MAX_LU: Final = 32
MAX_GROUPS: Final = 100


class SessionType(StrEnum):
    """What kind of host the session speaks to."""

    IBM_3270 = "IBM 3270"
    IBM_5250 = "IBM 5250"
    VT = "VT"
    SSH = "SSH"


TYPES: Final = tuple(t.value for t in SessionType)
_IBM: Final = (SessionType.IBM_3270.value, SessionType.IBM_5250.value)

MODELS: Final[Mapping[str, tuple[str, ...]]] = {
    # 3278: monochrome, 3279: colour; 2 to 5: screen sizes; E: extended attributes (RFC 2355, section 7.1.4).
    "IBM 3270": tuple(f"327{kind}-{size}{e}" for kind in "98" for size in "2345" for e in ("-E", "")),
    # RFC 4777, section 5.
    "IBM 5250": (
        *("3477-FC", "3477-FG", "3179-2", "3180-2", "3196-A1"),
        *("5251-11", "5291-1", "5292-2", "5555-B01", "5555-C01"),
    ),
}

# EBCDIC code pages of 3270 and 5250 hosts (IBM's CCSID registry); 1140 to 1149 are those with the euro.
CODE_PAGES: Final = tuple(
    f"{number:03}"
    for number in (
        *(37, *range(1140, 1150), 500, 273, 275, 277, 278, 280, 284, 285, 290, 297, 420, 423, 424, 803, 833, 836, 838),
        *(870, 871, 875, 880, 905, 918, 924, 930, 933, 935, 937, 939, 1025, 1026, 1027, 1047, 1097, 1112, 1122, 1123),
        *(1130, 1132, *range(1153, 1159), 1160, 1164, 1364, 1371, 1388, 1390, 1399),
    )
)


class Input(StrEnum):
    """How a field is entered."""

    TEXT = "text"
    LONG_TEXT = "long text"
    NUMBER = "number"
    SWITCH = "switch"
    CHOICE = "choice"
    SUGGESTED = "suggested"
    GROUPS = "groups"


@dataclass(frozen=True, slots=True)
class Field:
    """A field's declaration, for forms and tables. `types` are those whose sessions have it; `choices` are by type, the
    empty one left out."""

    name: str
    label: str
    help: str
    input: Input = Input.TEXT
    types: tuple[str, ...] = TYPES
    required: bool = False
    choices: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


DECLARED: Final = (
    Field("name", "Name", "What people see in their list. Unique, whatever the case.", required=True),
    Field("type", "Type", "", Input.CHOICE, required=True, choices=dict.fromkeys(TYPES, TYPES)),
    Field("host", "Host", "Its host name or IP address, such as tso1.example.com.", required=True),
    Field("port", "Port", "Empty for the usual one: 992 with TLS, 23 without, 22 for SSH.", Input.NUMBER),
    Field(
        "tls", "TLS", "The connection to the host is encrypted.", Input.SWITCH, tuple(t for t in TYPES if t != "SSH")
    ),
    Field("lu", "LU or device name", "Empty where the host assigns one.", types=_IBM),
    Field("model", "Terminal model", "Screen size and colours.", Input.CHOICE, _IBM, choices=MODELS),
    Field(
        "code_page",
        "Code page",
        "EBCDIC, such as 037, 500 or 1141.",
        Input.SUGGESTED,
        _IBM,
        choices=dict.fromkeys(_IBM, CODE_PAGES),
    ),
    Field("groups", "Groups", "Who uses it: user groups. Many can be pasted, one a line.", Input.GROUPS),
    Field("comment", "Comment", "For administrators.", Input.LONG_TEXT),
)
"""Every field, once: forms, files and the command line name them in this order."""
FIELDS: Final = tuple(f.name for f in DECLARED)
BULK: Final = tuple(f for f in DECLARED if f.name != "name")
"""What may be set in many sessions at once."""


@dataclass(frozen=True, slots=True)
class Session:
    """The definition of a terminal session. `lu`, `model`, `code_page` and `comment` are empty where there is none."""

    id: str
    name: str
    type: SessionType
    host: str
    port: int
    tls: bool
    lu: str
    model: str
    code_page: str
    groups: tuple[str, ...]
    comment: str

    def body(self) -> Body:
        """The element's body: every field but the id."""
        return {name: getattr(self, name) for name in FIELDS} | {"type": self.type.value, "groups": list(self.groups)}


def session_from_body(body: Mapping[str, Any], id: str = "") -> Session:
    """A session from its element's body, which was checked when it was written; other keys are ignored."""
    values = {name: body[name] for name in FIELDS}
    return Session(id=id, **(values | {"type": SessionType(body["type"]), "groups": tuple(body["groups"])}))


def default_port(type_: str, tls: bool) -> int:
    """The usual port: 22 for SSH, else 992 with TLS and 23 without."""
    return 22 if type_ == SessionType.SSH else 992 if tls else 23


def validate_fields(given: Mapping[str, Any]) -> Body:
    """The body of a session with these fields, or InvalidInput with one Mistake a field.

    name, type and host must be there. What is left out (or None) of the others is empty; `port` is the type's usual
    one; `tls` is on for a terminal without a port or with 992, and off for SSH, which encrypts by itself. To edit a
    session, give its old body with the changes merged in. Unknown fields are mistakes, `id` and `revision` too."""
    wanted = {name: value for name, value in given.items() if value is not None}
    if "tls" not in wanted:
        wanted["tls"] = wanted.get("type") != SessionType.SSH and str(wanted.get("port", 992)) == "992"
    if "port" not in wanted:
        wanted["port"] = default_port(wanted.get("type", ""), _tls(wanted["tls"]) is True)
    checked = check_fields(dict.fromkeys(FIELDS, "") | wanted)
    if isinstance(checked, dict):
        return checked
    raise InvalidInput(
        "The session has a mistake." if len(checked) == 1 else f"The session has {len(checked)} mistakes.",
        remedy=" ".join(f"{m.field}: {m.problem} {m.remedy}" for m in checked),
        code="session-invalid",
        mistakes=checked,
    )


def check_fields(given: Mapping[str, Any]) -> Body | tuple[Mistake, ...]:
    """The body of a session with all these fields, or what is wrong, at most one Mistake a field, without a row.
    Never raises, whatever the values are: it is what an import of 100,000 rows calls for each."""
    if given.keys() != _FIELD_SET:
        return _wrong_keys(given)
    body: Body = {}
    wrong: dict[str, Wrong] = {}
    for field, check in _CHECKS:
        value = check(given[field])
        if type(value) is Wrong:
            wrong[field] = value
        body[field] = value
    if "type" not in wrong:
        tls = body["tls"] is True
        for field, found in _combination(body["type"], tls, bool(body["lu"]), body["model"], bool(body["code_page"])):
            before = wrong.get(field)
            wrong[field] = Wrong(f"{before.problem} {found.problem}", found.remedy) if before else found
    if not wrong:
        body["groups"] = list(body["groups"])
        return body
    if "port" in wrong:
        wrong["port"] = Wrong(wrong["port"].problem, _port_remedy(body["type"], body["tls"]))
    return tuple(Mistake(field, w.problem, w.remedy) for field, w in wrong.items())


def _wrong_keys(given: Mapping[str, Any]) -> tuple[Mistake, ...]:
    unknown = [
        Mistake(str(key)[:MAX_NAME], f"There is no field {shown(key)}.", f"{did_you_mean(str(key), FIELDS)}Remove it.")
        for key in list(given)[:100]
        if key not in _FIELD_SET
    ]
    examples = {"type": '"IBM 3270"', "port": "992", "tls": "true", "groups": "[]"}
    empty = '""'
    missing = [
        Mistake(field, f"{field} is missing.", f'Add it, such as "{field}": {examples.get(field, empty)}.')
        for field in FIELDS
        if field not in given
    ]
    return (*missing, *unknown)


_NAME = re.compile(rf"(?!\.\.|\.\Z)(?!\s)[^/\\{UNSEEN}]{{1,{MAX_NAME}}}(?<!\s)").fullmatch
_GROUP = re.compile(rf"(?!\s)[^;{UNSEEN}]{{1,{MAX_NAME}}}(?<!\s)").fullmatch
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}").fullmatch
_LU = re.compile(rf"[A-Za-z0-9@#$][A-Za-z0-9@#$_.-]{{0,{MAX_LU - 1}}}").fullmatch
_PORT = re.compile("[1-9][0-9]{0,4}").fullmatch
_CACHED = 1 << 14


def check_host(value: object) -> str | Wrong:
    """A host name (RFC 1123) or an IPv4 or IPv6 address, without brackets, port or zone."""
    return _host(value) if type(value) is str else not_text(value)


@lru_cache(_CACHED)
def _host(text: str) -> str | Wrong:
    if len(text) <= MAX_HOST and _HOST(text) and not text.rpartition(".")[2].isdigit():
        return text
    try:
        IPv6Address(text) if ":" in text else IPv4Address(text)
    except AddressValueError:
        return _wrong_host(text)
    return text if "%" not in text else Wrong(f"{shown(text)} has a zone.", "Write the address without % and zone.")


def _wrong_host(text: str) -> Wrong:
    right = "Write a host name (letters, digits, - and .), such as tso1.example.com, or an IP address."
    if not text.strip():
        return Wrong("The host is empty.", right)
    if "\n" in text or "\r" in text:
        return Wrong(f"{shown(text)} has a line break.", right)
    if any(c.isspace() for c in text):
        return Wrong(f"{shown(text)} has blanks.", right)
    if len(text) > MAX_HOST:
        return Wrong(f"The host has {len(text)} characters, of which {MAX_HOST} at most are allowed.", right)
    if "://" in text:
        return Wrong(f"{shown(text)} is a URL.", "Write only its host name.")
    bare, _, port = text.rpartition(":")
    if port.isdigit() and not isinstance(check_host(bare.strip("[]")), Wrong):
        return Wrong(f"{shown(text)} has a port.", f"Write {shown(bare.strip('[]'))}, and {port} as the port.")
    if text.startswith("["):
        return Wrong(f"{shown(text)} has brackets.", "Write the IPv6 address without them.")
    if not text.isascii():
        try:
            return Wrong(f"{shown(text)} has letters outside a to z.", f"Write {shown(text.encode('idna').decode())}.")
        except UnicodeError:
            return Wrong(f"{shown(text)} has letters outside a to z.", right)
    return Wrong(f"{shown(text)} is neither a host name nor an IP address.", right)


def _name(value: object) -> str | Wrong:
    if type(value) is not str:
        return not_text(value)
    return value if _NAME(value) else _wrong_name(value)


def _wrong_name(text: str) -> Wrong:
    if not text.strip():
        return Wrong("The name is empty.", f"Give the session a name of 1 to {MAX_NAME} characters.")
    if len(text) > MAX_NAME:
        return Wrong(f"The name has {len(text)} characters.", f"Use at most {MAX_NAME} characters.")
    if "/" in text or "\\" in text or text.startswith("."):
        plain = re.sub(r"[/\\]+", "-", text.replace("..", "")).strip("-. ") or "a name"
        return Wrong(
            f"{shown(text)} looks like a path; names become file names.",
            f"Don't use / or \\, nor .. at its beginning: write {shown(plain)}, for example.",
        )
    return wrong_text(text)


def _type(value: object) -> str | Wrong:
    if isinstance(value, str) and value in TYPES:
        return str(value)
    remedy = f"Use {listed(TYPES)}."
    if value in ("", None):
        return Wrong("The type is empty.", remedy)
    return Wrong(f"{shown(value)} is no type of session.", f"{did_you_mean(str(value), TYPES)}{remedy}")


def _port(value: object) -> int | Wrong:
    if type(value) is str:
        number = int(value) if _PORT(value) else 0
        if not value.strip():
            return Wrong("The port is empty.", "")
    else:
        number = value if type(value) is int else 0
    return number if 1 <= number <= 65535 else Wrong(f"{shown(value)} is no port.", "")


def _port_remedy(type_: object, tls: object) -> str:
    if type_ not in TYPES or not isinstance(tls, bool):
        return "Write a number from 1 to 65535, such as 992, 23 or 22."
    with_tls = "" if type_ == SessionType.SSH else " with TLS" if tls else " without TLS"
    return f"Write a number from 1 to 65535; {default_port(str(type_), tls)} is usual for {type_}{with_tls}."


_YES_NO: Final = {"yes": True, "no": False, "true": True, "false": False}


def _tls(value: object) -> bool | Wrong:
    if type(value) is bool:
        return value
    found = _YES_NO.get(value.lower()) if type(value) is str else None
    if found is not None:
        return found
    return Wrong(
        "tls is empty." if value == "" else f"{shown(value)} is neither yes nor no.",
        "Write yes or no (in JSON true or false).",
    )


def _lu(value: object) -> str | Wrong:
    if type(value) is not str:
        return not_text(value)
    if not value or _LU(value):
        return value
    problem = "has blanks" if any(c.isspace() for c in value) else "isn't an LU or device name"
    return Wrong(
        f"{shown(value)} {problem}.",
        f"Use 1 to {MAX_LU} letters, digits or @ # $ _ . - without blanks, such as LU0815; or leave it empty.",
    )


def _model(value: object) -> str | Wrong:
    """Which models there are depends on the type."""
    return value if type(value) is str else not_text(value)


def _code_page(value: object) -> str | Wrong:
    if type(value) is str and (not value or value in CODE_PAGES):
        return value
    text = str(value).strip().lower().removeprefix("cp").removeprefix("ibm").strip("- ")
    if (number := text.zfill(3)) in CODE_PAGES:
        lost = " Excel drops the zero unless the column's format is Text." if text != number else ""
        return Wrong(f"{shown(value)} is no code page.", f"Write {shown(number)}.{lost}")
    return Wrong(
        f"{shown(value)} is no EBCDIC code page that is known.",
        f"{did_you_mean(text, CODE_PAGES)}Write its number, such as 037, 500 or 1141; or leave it empty.",
    )


def _groups(value: object) -> tuple[str, ...] | Wrong:
    if type(value) is str:
        return _group_names(tuple(value.split(";"))) if value else ()
    if isinstance(value, list | tuple) and set(map(type, value)) <= {str}:
        return _group_names(tuple(value))
    return Wrong(f"{shown(value)} isn't a list of groups.", "Write a list of names.")


@lru_cache(_CACHED)
def _group_names(names: tuple[str, ...]) -> tuple[str, ...] | Wrong:
    if len(names) > MAX_GROUPS:
        return Wrong(f"There are {len(names)} groups.", f"Name at most {MAX_GROUPS}.")
    for name in names:
        if not name.strip():
            return Wrong("A group's name is empty.", "Write the names with one ; between them and none at the end.")
        if ";" in name:
            return Wrong(f"The group {shown(name)} has a semicolon, which separates groups.", "Name each by itself.")
        if len(name) > MAX_NAME:
            return Wrong(f"The group {shown(name)} has {len(name)} characters.", f"Use at most {MAX_NAME}.")
        if not _GROUP(name):
            return wrong_text(name)
    if len({name_key(name) for name in names}) < len(names):
        return Wrong("A group is named twice.", "Name each group once.")
    return names


@lru_cache(_CACHED)
def _combination(type_: str, tls: bool, lu: bool, model: object, code_page: bool) -> tuple[tuple[str, Wrong], ...]:
    """What doesn't go with the type."""
    wrong: list[tuple[str, Wrong]] = []
    if type_ == SessionType.SSH and tls:
        wrong.append(("tls", Wrong("SSH encrypts by itself, without TLS.", "Write no.")))
    models = MODELS.get(type_, ())
    if type_ not in _IBM:
        given = {"lu": lu, "model": bool(model), "code_page": code_page}
        for name in (f.name for f in DECLARED if type_ not in f.types):
            if given.get(name):
                wrong.append((name, Wrong(f"{type_} sessions have no {name}.", f"Leave {name} empty.")))
    elif isinstance(model, str) and model and model not in models:
        usual = f"Use {listed(models)}; or leave it empty."
        wrong.append(
            ("model", Wrong(f"{shown(model)} is no model of {type_}.", f"{did_you_mean(model, models)}{usual}"))
        )
    return tuple(wrong)


_FIELD_SET: Final = frozenset(FIELDS)
_CHECKS: Final[tuple[tuple[str, Callable[[object], Any]], ...]] = (
    ("name", _name),
    ("type", _type),
    ("host", check_host),
    ("port", _port),
    ("tls", _tls),
    ("lu", _lu),
    ("model", _model),
    ("code_page", _code_page),
    ("groups", _groups),
    ("comment", check_comment),
)
