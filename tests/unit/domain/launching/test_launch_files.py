"""Launch files, read as the emulators read them: what they say is the session, and nothing else."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.domain.strategies import bodies

from hostward.domain.changes import Body
from hostward.domain.errors import InvalidInput
from hostward.domain.launching import EMULATORS, Program, emulators_of, launch_file
from hostward.domain.launching.names import file_stem, plain
from hostward.domain.sessions import TYPES

pytestmark = pytest.mark.feature("R26")

SESSION: Body = {
    "name": "TSO PROD Göteborg 1",
    "type": "IBM 3270",
    "host": "tso1.example.com",
    "port": 992,
    "tls": True,
    "lu": "LU3538",
    "model": "3279-4-E",
    "code_page": "1147",
    "groups": ["Claims"],
    "comment": "needs LU pool\\",
}
SSH = SESSION | {"type": "SSH", "port": 2222, "tls": False, "lu": "", "model": "", "code_page": ""}
VT = SSH | {"type": "VT", "port": 23}
IBM_5250 = SESSION | {"type": "IBM 5250", "lu": "DSP01", "model": "3477-FC", "code_page": "037"}
HOSTILE_NAME = '-oProxyCommand=x; $(x) `x` "%COMSPEC%" !x'


def of_type(*types: str) -> st.SearchStrategy[Body]:
    return bodies().filter(lambda body: body["type"] in types)


def x_resources(content: bytes, buffer_bytes: int = 4096) -> dict[str, str]:
    """As x3270's read_resource_file does it: at most 4,095 bytes at once, and a backslash goes on with the next line,
    also in a comment."""
    found: dict[str, str] = {}
    held = b""
    for line in content.splitlines(keepends=True):
        while line:
            piece, line = line[: buffer_bytes - 1 - len(held)], line[buffer_bytes - 1 - len(held) :]
            held += piece.removesuffix(b"\n")
            if (len(held) - len(held.rstrip(b"\\"))) % 2:
                held = held[:-1]
                continue
            text, held = held.strip(), b""
            if text and not text.startswith(b"!"):
                name, _, value = text.decode().partition(":")
                found[name.strip()] = value.strip()
    return found


def split_address(text: str) -> tuple[bool, str, str, str]:
    """TLS, LU, host and port, as x3270's new_split_host finds them: a letter before an unquoted colon is a prefix."""
    characters: list[tuple[str, bool]] = []
    quoted = False
    for c in text:
        if c in "[]":
            quoted = c == "["
        else:
            characters.append((c, quoted and c in ":@"))
    prefixes = ""
    parts = [""]
    marks = [""]
    while len(characters) > 1 and characters[0][0] in "AaCcLlNnPpSsBbYyTt" and characters[1] == (":", False):
        prefixes += characters[0][0]
        characters = characters[2:]
    for at, (c, is_quoted) in enumerate(characters):
        if c in "@:=" and not is_quoted:
            marks.append(c)
            parts.append("")
            after = characters[at + 1 : at + 3]
            assert c != "@" or after[1:] != [(":", False)] or after[0][0] not in "AaCcLlNnPpSsBbYyTt", "a prefix"
        else:
            parts[-1] += c
    found = dict(zip(marks, parts, strict=True))
    assert prefixes in ("", "L")
    assert set(found) <= {"", "@", ":"}
    if "@" in found:
        return bool(prefixes), found[""], found["@"], found.get(":", "")
    return bool(prefixes), "", found[""], found.get(":", "")


@pytest.mark.parametrize("program", ["x3270", "c3270", "wc3270", "s3270"])
@given(body=of_type("IBM 3270"))
def test_a_profile_says_to_x3270_what_the_session_is(program: str, body: Body) -> None:
    resources = x_resources(launch_file(body, Program(program)).content)
    named = {name.removeprefix(f"{program}."): value for name, value in resources.items()}
    tls, lu, host, port = split_address(named.pop("hostname"))
    assert (tls, lu, host) == (body["tls"], body["lu"], body["host"])
    assert int(port or named.pop("port")) == body["port"]
    assert named == {
        **({"verifyHostCert": "true"} if body["tls"] else {}),
        **({"model": body["model"]} if body["model"] else {}),
        **({"codePage": f"cp{body['code_page']}"} if body["code_page"] else {}),
    }


def tn5250_options(content: bytes, buffer_bytes: int = 127) -> dict[str, str]:
    """As tn5250's tn5250_config_load does it: at most 126 bytes at once."""
    found: dict[str, str] = {}
    group = ""
    for line in content.decode().splitlines():
        assert len(line) < buffer_bytes - 1
        text = line.strip()
        assert "$loginname$" not in text
        if text.startswith(("+", "-")):
            found[f"{group}.{text[1:].strip()}"] = "1" if text[0] == "+" else "0"
        elif "=" in text:
            name, _, value = text.partition("=")
            found[f"{group}.{name.strip()}"] = value.strip()
        elif text.endswith("{"):
            group = text.split()[0].rstrip("{")
        else:
            assert text == "}"
    return {name.removeprefix(f"{group}."): value for name, value in found.items()}


@given(of_type("IBM 5250"))
def test_a_group_of_options_says_to_tn5250_what_the_session_is(body: Body) -> None:
    file = launch_file(body, Program.TN5250)
    options = tn5250_options(file.content)
    host = f"[{body['host']}]" if ":" in body["host"] else body["host"]
    assert options.pop("host") == f"{'ssl:' if body['tls'] else ''}{host}:{body['port']}"
    assert options.pop("ssl_verify_server", "") == ("1" if body["tls"] else "")
    assert options.pop("env.DEVNAME", "") == body["lu"]
    assert options.pop("env.TERM", "").removeprefix("IBM-") == body["model"]
    carried = options.pop("map", "")
    assert carried == (str(int(body["code_page"])) if carried else "")
    assert bool(carried) != any("code page" in note for note in file.notes) or not body["code_page"]
    assert options == {}


def test_what_tn5250_would_take_for_something_else_is_refused() -> None:
    with pytest.raises(InvalidInput, match="puts the user's name"):
        launch_file(IBM_5250 | {"lu": "$loginname$"}, Program.TN5250)
    with pytest.raises(InvalidInput, match="too long"):
        launch_file(IBM_5250 | {"host": ".".join(["a" * 60] * 3)}, Program.TN5250)


def ssh_says(file: Path, host: str) -> dict[str, str]:
    """OpenSSH's own answer."""
    done = subprocess.run(["ssh", "-G", "-F", str(file), host], capture_output=True, text=True, check=True, timeout=30)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


@pytest.mark.parametrize(
    ("changed", "user"),
    [({}, ""), ({}, "jdoe"), ({"host": "2001:db8::1", "port": 65535}, "j.doe@example"), ({"name": HOSTILE_NAME}, "")],
)
def test_openssh_understands_its_file(tmp_path: Path, changed: dict[str, Any], user: str) -> None:
    body = SSH | changed
    made = launch_file(body, Program.OPENSSH, user)
    path = tmp_path / made.name
    path.write_bytes(made.content)
    *command, host = shlex.split(made.command)
    assert command == ["ssh", "-F", made.name]
    said = ssh_says(path, host)
    assert (said["hostname"], int(said["port"])) == (body["host"], body["port"])
    assert said["user"] == user or not user
    assert said.get("proxycommand", "none") == "none"


@given(of_type("SSH"), st.from_regex(r"[a-z_][a-z0-9_.-]{0,20}", fullmatch=True))
def test_openssh_is_told_the_session_and_nothing_else(body: Body, user: str) -> None:
    lines = launch_file(body, Program.OPENSSH, user).content.decode().split("\n")
    remark, *rest = lines
    assert re.fullmatch(r'# @name ".*"', remark)
    assert rest == [
        f"Host {plain(body['name'])}",
        f"    HostName {body['host']}",
        f"    Port {body['port']}",
        f"    User {user}",
        "",
    ]


@pytest.mark.parametrize("user", ["-oProxyCommand=x", "a b", "a\nb", 'a"', "a;b", "%d", "$x", "a" * 65])
def test_a_user_name_that_could_be_something_else_is_refused(user: str) -> None:
    for program in (Program.OPENSSH, Program.PUTTY):
        with pytest.raises(InvalidInput, match="user's name"):
            launch_file(SSH, program, user)


@given(of_type("VT").filter(lambda body: not body["tls"]))
def test_telnets_script_runs_one_command(body: Body) -> None:
    first, *lines = launch_file(body, Program.TELNET).content.decode().split("\n")
    commands = [line for line in lines if line and not line.startswith("#")]
    assert first == "#!/bin/sh"
    assert [shlex.split(line) for line in commands] == [["exec", "telnet", body["host"], str(body["port"])]]


def test_telnet_is_not_used_where_a_session_needs_tls() -> None:
    with pytest.raises(InvalidInput, match="no TLS"):
        launch_file(VT | {"tls": True}, Program.TELNET)


def test_each_type_has_its_programs_and_no_other_ones() -> None:
    assert {t: [e.program.value for e in emulators_of(t)] for t in TYPES} == {
        "IBM 3270": ["x3270", "c3270", "wc3270", "s3270"],
        "IBM 5250": ["tn5250"],
        "VT": ["putty", "telnet"],
        "SSH": ["openssh", "putty"],
    }
    assert {e.program for e in EMULATORS} == set(Program)
    with pytest.raises(InvalidInput, match="PuTTY") as refused:
        launch_file(SESSION, Program.PUTTY)
    assert "x3270, c3270, wc3270 or s3270" in refused.value.remedy


@pytest.mark.parametrize("field", ["host", "lu", "model", "code_page", "name"])
def test_a_session_with_a_mistake_makes_no_file(field: str) -> None:
    """Whatever has put it into the registry."""
    with pytest.raises(InvalidInput, match="mistakes"):
        launch_file(SESSION | {field: "a\nx3270.hostname: evil.example.com"}, Program.X3270)


@given(bodies())
def test_groups_and_comments_are_not_handed_out(body: Body) -> None:
    secret = body | {"groups": ["Quite Secret"], "comment": "Quite Secret"}
    for emulator in emulators_of(body["type"]):
        if emulator.program is not Program.TELNET or not body["tls"]:
            content = launch_file(secret | {"name": "n"}, emulator.program).content
            assert b"Secret" not in content.replace(b"\0", b"")


@given(bodies())
def test_files_have_names_that_every_system_takes(body: Body) -> None:
    for emulator in emulators_of(body["type"]):
        if emulator.program is Program.TELNET and body["tls"]:
            continue
        file = launch_file(body, emulator.program)
        assert len(file.name.encode()) <= 255
        assert not re.search(r'[<>:"|?*/\\\x00-\x1f]', file.name)
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", file.plain_name)
        assert file.name.endswith(emulator.extension)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("con", "_con"),
        ("LPT1.x", "_LPT1.x"),
        (".profile", "_.profile"),
        ("-rf", "_-rf"),
        ("a:b?c", "a_b_c"),
        ("$(x)", "_(x)"),
        ("ends.", "ends"),
        ("TSO Göteborg", "TSO Göteborg"),
        ("ö" * 128, "ö" * 100),
    ],
)
def test_file_names_are_no_traps(name: str, stem: str) -> None:
    assert file_stem(name) == stem
    assert plain("Ω") == "session"
    assert plain("TSO PROD Göteborg (1)") == "TSO-PROD-Goteborg-1"
