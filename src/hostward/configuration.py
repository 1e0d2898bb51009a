"""A server's configuration: a TOML file, and the environment, which goes before it.

    [server]                       HOSTWARD_SERVER_HTTPS_PORT=8443
    host_name = "one.example.com"
    https_port = 8443

Every setting is declared once below, with its default and what it is for. It holds what a server needs before its
registry is open; everything else is set in the product, and replicated. Nothing in it is secret.
"""

from __future__ import annotations

import os
import re
import socket
import tomllib
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from hostward.domain.errors import InvalidInput, Mistake
from hostward.domain.sessions import check_host
from hostward.domain.suggestions import did_you_mean, shown
from hostward.domain.texts import Wrong

ENVIRONMENT_PREFIX: Final = "HOSTWARD_"
MAX_FILE_BYTES: Final = 1 << 20
CODE: Final = "configuration"
_RESERVED_CONTEXTS: Final = ("api",)


def _wrong(problem: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError("wrong", "{problem}", {"problem": problem, "remedy": remedy})


def _number(low: int, high: int, zero: str = "") -> BeforeValidator:
    """A whole number, or its digits as the environment has them."""

    def check(value: object) -> int:
        given = int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value) else value
        if type(given) is int and (low <= given <= high or (zero and given == 0)):
            return given
        raise _wrong(f"{shown(value)} is no number from {low} to {high}", f"Write {low} to {high}{zero}.")

    return BeforeValidator(check)


def _text(check: Callable[[str], str]) -> BeforeValidator:
    def check_text(value: object) -> str:
        if not isinstance(value, str):
            raise _wrong(f"{shown(value)} isn't text", "Write it in quotation marks.")
        return check(value)

    return BeforeValidator(check_text)


def _host_name(value: str) -> str:
    found = check_host(value)
    if isinstance(found, Wrong):
        raise _wrong(found.problem.rstrip("."), found.remedy)
    return found


def _printable(value: str) -> str:
    if len(value) > 64 or not value.isprintable():
        raise _wrong(f"{shown(value)} isn't a name", "Use at most 64 characters, on one line.")
    return value


def _context(value: str) -> str:
    right = "Use 1 to 64 letters, digits, - or _, such as mss."
    if not re.fullmatch("[A-Za-z0-9_-]{1,64}", value):
        raise _wrong(f"{shown(value)} is no servlet context", right)
    if value.casefold() in _RESERVED_CONTEXTS:
        raise _wrong(f"{shown(value)} is a part of the server's own addresses", f"Choose another. {right}")
    return value


def _address(value: str) -> str:
    try:
        return str(ip_address(value))
    except ValueError:
        raise _wrong(f"{shown(value)} is no IP address", "Write an address of this machine.") from None


def _adapter(value: str) -> str:
    found = ip_address(_address(value))
    if found.is_unspecified or found.is_multicast:
        raise _wrong(f"{shown(value)} is no adapter's address", "Write the address at which the others reach this one.")
    return str(found)


def _loopback(value: str) -> str:
    found = _address(value)
    if not ip_address(found).is_loopback:
        raise _wrong(f"{shown(value)} is no loopback address", "Write one of 127.0.0.0/8, such as 127.0.0.1, or ::1.")
    return found


def _url(value: str) -> str:
    right = "Write the base address of a Maven repository's mirror: https://HOST/PATH."
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("https", "http") and isinstance(check_host(parts.hostname or ""), str)
        good = good and (parts.port is None or parts.port > 0) and value.isprintable() and not re.search(r"\s", value)
    except ValueError:
        good = False
    if not good:
        raise _wrong("This is no URL", right)
    if "@" in parts.netloc:
        raise _wrong("This URL has a user or password", f"Credentials don't belong in the configuration. {right}")
    return value


def _path(value: str) -> str:
    path = Path(value).expanduser()
    if not path.is_absolute() or "\0" in value:
        raise _wrong(f"{shown(value)} is no absolute path", "Write the whole path, from / on.")
    return str(path)


Port = Annotated[int, _number(1, 65535)]
PortOrOff = Annotated[int, _number(1, 65535, zero=", or 0 to turn it off")]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)


class ServerSettings(_Section):
    """[server]: where the Administrative Server listens, and what others call it."""

    name: Annotated[str, _text(_printable)] = ""
    """What people call this server; its host name where this is empty."""
    host_name: Annotated[str, _text(_host_name)] = "localhost"
    """The fully qualified name at which the others reach it; the machine's own name unless it is set."""
    listen: Annotated[str, _text(_address)] = "0.0.0.0"  # noqa: S104 (a server that others reach)
    """The address that it listens on."""
    http_port: PortOrOff = 80
    """The port for HTTP; 0 turns it off."""
    https_port: PortOrOff = 443
    """The port for HTTPS; 0 turns it off."""
    context: Annotated[str, _text(_context)] = "mss"
    """The servlet context: the first part of every path."""

    @model_validator(mode="after")
    def _ports(self) -> ServerSettings:
        if not self.http_port and not self.https_port:
            raise _wrong("http_port and https_port are both off", "Give one of them a port.")
        return self


class DatabaseSettings(_Section):
    """[database]: the replication database's node on this machine. Standalone needs none of it."""

    address: Annotated[str, _text(_adapter)] | None = None
    """The Database Network Adapter that is offered first; chosen in the product unless it is set."""
    storage_port: Port = 7000
    """The one port of the database that the other servers need to reach; the same on each of them."""
    cql_port: Port = 9042
    """For this server alone, on the loopback address."""
    management_port: Port = 8778
    """For this server alone, on the loopback address."""
    jmx_port: Port = 7199
    """For this server alone (nodetool), on 127.0.0.1."""
    loopback: Annotated[str, _text(_loopback)] = "127.0.0.1"
    """The loopback address of cql_port and management_port."""
    heap_mib: Annotated[int, _number(128, 65536)] = 192
    """The JVM's heap, MiB."""
    java: Annotated[Path, _text(_path)] | None = None
    """A Java 17 runtime's directory or its `java`; fetched on first need unless it is set."""
    maven_repository: Annotated[str, _text(_url)] | None = None
    """A mirror of the Maven repository that Cassandra is fetched from; the public one unless it is set."""
    runtime_dir: Annotated[Path, _text(_path)] | None = None
    """Where Java and Cassandra are kept, for all servers of this machine; in the user's cache unless it is set."""


class Configuration(_Section):
    """All settings of one server. It doesn't change while the server runs."""

    server: ServerSettings = ServerSettings()
    database: DatabaseSettings = DatabaseSettings()

    @model_validator(mode="after")
    def _ports_differ(self) -> Configuration:
        owner: dict[int, str] = {}
        for section in ("server", "database"):
            for key, value in getattr(self, section):
                if not key.endswith("_port") or not value:
                    continue
                if value in owner:
                    raise _wrong(f"{owner[value]} and [{section}] {key} are both {value}", "Give each its own port.")
                owner[value] = f"[{section}] {key}"
        return self


_SECTIONS: Final[Mapping[str, type[BaseModel]]] = {"server": ServerSettings, "database": DatabaseSettings}


def load_configuration(
    path: Path | None = None,
    environment: Mapping[str, str] | None = None,
    machine_name: Callable[[], str] = socket.gethostname,
) -> Configuration:
    """The settings in the file, if one is named, with those of the environment over them (os.environ unless given;
    empty variables count as not set).

    Raises InvalidInput (code "configuration") with a Mistake for each thing to mend, naming the line or the variable:
    unknown sections and keys with what was probably meant, wrong types and values, a file that can't be read."""
    text = _read(path) if path is not None else ""
    values = _parse(text, path)
    mistakes, variables = _overlay(values, os.environ if environment is None else environment)
    server = values.setdefault("server", {})
    if isinstance(server, dict) and "host_name" not in server:
        own = check_host(machine_name())
        server["host_name"] = "localhost" if isinstance(own, Wrong) else own
    try:
        configuration = Configuration.model_validate(values)
    except ValidationError as error:
        mistakes += _explain(error, values, text, path, variables)
    else:
        if not mistakes:
            return configuration
    several = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    raise InvalidInput(
        f"The configuration has {several}. " + " ".join(f"{m.field}: {m.problem} {m.remedy}" for m in mistakes),
        remedy="Mend it, and start the server again.",
        code=CODE,
        mistakes=mistakes,
    )


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) <= MAX_FILE_BYTES:
            return data.decode("utf-8-sig")
        problem = f"is larger than {MAX_FILE_BYTES >> 20} MiB"
    except OSError as error:
        problem = f"can't be read: {error.strerror}"
    except UnicodeDecodeError:
        problem = "isn't UTF-8"
    raise InvalidInput(
        f"The configuration file {path} {problem}.", remedy="Name a readable TOML file with --config.", code=CODE
    )


def _parse(text: str, path: Path | None) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(
            f"The configuration file {path} isn't TOML: {error}.",
            remedy='Write sections as [server], and settings as key = 1 or key = "text".',
            code=CODE,
        ) from error


def _overlay(values: dict[str, Any], environment: Mapping[str, str]) -> tuple[list[Mistake], dict[str, str]]:
    """Put the environment's settings over the file's. Returns what is unknown among them, and which variable each
    "section.key" came from."""
    mistakes, variables = [], {}
    for variable, value in sorted(environment.items()):
        for section, model in _SECTIONS.items():
            prefix = f"{ENVIRONMENT_PREFIX}{section.upper()}_"
            if not variable.startswith(prefix) or not value:
                continue
            key = variable.removeprefix(prefix).lower()
            table = values.setdefault(section, {})
            if key not in model.model_fields:
                known = [prefix + name.upper() for name in model.model_fields]
                remedy = f"{did_you_mean(variable, known)}Remove it from the environment, or mend its name."
                mistakes.append(Mistake(variable, f"[{section}] has no setting {shown(key)}.", remedy))
            elif isinstance(table, dict):
                table[key] = value
                variables[f"{section}.{key}"] = variable
    return mistakes, variables


def _explain(
    error: ValidationError, values: Mapping[str, Any], text: str, path: Path | None, variables: Mapping[str, str]
) -> Iterator[Mistake]:
    for found in error.errors(include_url=False, include_input=False):
        names = [str(part) for part in found["loc"] if isinstance(part, str)][:2]
        where = variables.get(".".join(names)) or _place(names, text, path)
        if found["type"] == "extra_forbidden":
            yield _unknown(where, names, values)
        elif found["type"] == "wrong":
            yield Mistake(where, f"{found['ctx']['problem']}.", found["ctx"]["remedy"])
        else:
            section = names[0] if names else ""
            yield Mistake(where, f"{section} isn't a section.", f"Write [{section}], and its settings below.")


def _place(names: list[str], text: str, path: Path | None) -> str:
    """`hostward.toml, line 3, [server] http_port`, as far as it is known."""
    setting = f"[{names[0]}] {' '.join(names[1:])}".strip() if names else ""
    line = _line_of(names, text) if names and path is not None else None
    return f"{path.name}, line {line}, {setting}" if path is not None and line else setting or "Ports"


def _line_of(names: list[str], text: str) -> int | None:
    """Where the setting or section stands in the file; None where it's written in another way than usual."""
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\s*([\w-]+)\s*\]", line):
            section = header[1]
            if names == [section]:
                return number
        elif (key := re.match(r"\s*[\"']?([\w-]+)[\"']?\s*=", line)) and (
            names == [section, key[1]] or (not section and names == [key[1]])
        ):
            return number
    return None


def _unknown(where: str, names: list[str], values: Mapping[str, Any]) -> Mistake:
    if len(names) == 2:
        section, key = names
        known: list[str] = list(_SECTIONS[section].model_fields)
        return Mistake(where, f"[{section}] has no setting {shown(key)}.", f"{did_you_mean(key, known)}Remove it.")
    name = names[0]
    for section, model in _SECTIONS.items():
        if name in model.model_fields and not isinstance(values.get(name), dict):
            return Mistake(where, f"{name} is in no section.", f"Write it below [{section}].")
    sections = " and ".join(f"[{section}]" for section in _SECTIONS)
    hint = did_you_mean(name, _SECTIONS)
    return Mistake(where, f"There is no section {shown(name)}.", f"{hint}There are {sections}.")
