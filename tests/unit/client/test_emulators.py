"""Which emulator a desk starts, how, and which files from a server it doesn't open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.domain.strategies import bodies

from hostward.client.emulators import KINDS, Chosen, Opened, Surroundings, check_content, choose, command, file_name
from hostward.domain.changes import Body
from hostward.domain.errors import InvalidInput
from hostward.domain.launching import Program, emulators_of, launch_file

pytestmark = pytest.mark.feature("R26")

DESK, TERMINAL, NEITHER = Surroundings(True, True), Surroundings(False, True), Surroundings(False, False)
SESSION = Opened("0123", "Göteborg; $(id)/../x", "IBM 3270", "tso.example.com", 992)
ALL = ("x3270", "c3270", "s3270", "tn5250", "ssh", "telnet")


def with_installed(*names: str) -> Any:
    return lambda executable: f"/usr/bin/{executable}" if executable in names else None


@pytest.mark.parametrize(
    ("type_", "named", "installed", "around", "program"),
    [
        ("IBM 3270", None, ALL, DESK, "x3270"),
        ("IBM 3270", None, ALL, TERMINAL, "c3270"),
        ("IBM 3270", "s3270", ALL, NEITHER, "s3270"),
        ("IBM 3270", "X3270", ALL, NEITHER, "x3270"),
        ("IBM 5250", None, ALL, TERMINAL, "tn5250"),
        ("SSH", None, ALL, TERMINAL, "openssh"),
        ("SSH", "ssh", ALL, NEITHER, "openssh"),
        ("VT", None, ALL, TERMINAL, "telnet"),
        ("VT", None, ("putty",), DESK, "putty"),
        ("SSH", None, ("ssh", "putty"), Surroundings(True, False), "putty"),
    ],
)
def test_the_first_that_is_installed_and_can_be_seen_is_chosen(
    type_: str, named: str | None, installed: tuple[str, ...], around: Surroundings, program: str
) -> None:
    chosen = choose(type_, named, with_installed(*installed), around)
    assert (chosen.program.value, chosen.path) == (program, f"/usr/bin/{chosen.kind.executable}")


@pytest.mark.parametrize(
    ("type_", "named", "installed", "around", "told"),
    [
        ("IBM 3270", None, ("ssh",), DESK, ("x3270", "apt install x3270", "brew install x3270")),
        ("IBM 3270", None, ("s3270",), NEITHER, ("neither a window nor a terminal", "--with")),
        ("IBM 3270", "s3270", (), DESK, ("apt install s3270",)),
        ("IBM 3270", "xw3270", ALL, DESK, ("isn't started for IBM 3270", "x3270")),
        ("SSH", "x3270", ALL, DESK, ("isn't started for SSH", "openssh")),
        ("IBM 3270", "putty", ALL, DESK, ("isn't started for IBM 3270",)),
    ],
)
def test_what_is_missing_is_said_with_how_to_get_it(
    type_: str, named: str | None, installed: tuple[str, ...], around: Surroundings, told: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidInput) as refused:
        choose(type_, named, with_installed(*installed), around)
    for words in told:
        assert words in str(refused.value)


@given(bodies(), st.sampled_from(["", "anna", "a.b+c@d-e"]))
def test_every_file_that_hostward_makes_is_opened(body: Body, user: str) -> None:
    for emulator in emulators_of(body["type"]):
        if emulator.program not in KINDS:
            continue
        try:
            file = launch_file(body, emulator.program, user)
        except InvalidInput:
            continue
        if emulator.program is Program.PUTTY and body["tls"]:
            with pytest.raises(InvalidInput, match="TLS"):
                check_content(emulator.program, file.content)
            continue
        text = check_content(emulator.program, file.content)
        session = Opened("id", body["name"], body["type"], body["host"], body["port"])
        argv = command(Chosen(emulator.program, "/usr/bin/x"), session, Path("/state/f"), text, ["-v"])
        assert argv[:1] == ["/usr/bin/x"]
        assert all("\n" not in part and "\0" not in part for part in argv)


@pytest.mark.feature("A5")
@pytest.mark.parametrize(
    ("program", "line"),
    [
        (Program.OPENSSH, "    ProxyCommand sh -c id"),
        (Program.OPENSSH, "    LocalCommand id"),
        (Program.OPENSSH, "Include /tmp/x"),
        (Program.OPENSSH, "Match exec id"),
        (Program.OPENSSH, "    HostName -oProxyCommand=id"),
        (Program.OPENSSH, "    HostName a\r    ProxyCommand id"),
        (Program.OPENSSH, "    IdentityFile ~/.ssh/id_rsa"),
        (Program.OPENSSH, "\tProxyCommand id"),
        (Program.X3270, "x3270.printer.command: sh -c id"),
        (Program.X3270, "x3270.httpd: 0.0.0.0:80"),
        (Program.X3270, "*scriptPort: 4444"),
        (Program.X3270, "x3270.loginMacro: Execute(id)"),
        (Program.X3270, "! a remark that goes on\\"),
        (Program.X3270, "x3270.hostname: a\\"),
        (Program.X3270, "x3270.verifyHostCert: true\\"),
        (Program.TN5250, "  ssl_ca_file = /tmp/x"),
        (Program.TN5250, "  -ssl_verify_server"),
        (Program.TN5250, "  outputcommand = id"),
        (Program.TN5250, ""),
    ],
)
def test_a_file_from_a_server_that_was_broken_into_runs_nothing(program: Program, line: str) -> None:
    type_ = {Program.OPENSSH: "SSH", Program.X3270: "IBM 3270", Program.TN5250: "IBM 5250"}[program]
    session = {"name": "a", "type": type_, "host": "h", "port": 22, "tls": False, "lu": "", "model": ""}
    content = launch_file(session | {"code_page": "", "groups": [], "comment": ""}, program).content
    assert check_content(program, content)
    with pytest.raises(InvalidInput) as refused:
        check_content(program, content + line.encode() + b"\n")
    assert refused.value.code == "launch-file"
    with pytest.raises(InvalidInput):
        check_content(program, line.encode() + b"\n" + content)


@pytest.mark.feature("A7")
def test_no_name_or_host_becomes_an_option_or_a_path() -> None:
    for program in KINDS:
        name = file_name(SESSION, program)
        assert "/" not in name
        assert not name.startswith((".", "-"))
    assert file_name(SESSION, Program.X3270) != file_name(
        Opened("9", SESSION.name, SESSION.type, "h", 1), Program.X3270
    )
    for host in ("-l root", "-oProxyCommand=id", "a b", "", "a;id", "a\nb"):
        evil = Opened("1", "a", "VT", host, 23)
        with pytest.raises(InvalidInput):
            command(Chosen(Program.TELNET, "/usr/bin/telnet"), evil, Path("/f"), "", [])
        with pytest.raises(InvalidInput):
            command(Chosen(Program.PUTTY, "/usr/bin/putty"), evil, Path("/f"), "", [])
        if "\n" in host:
            continue  # that is another line of the file, which is looked at before
        with pytest.raises(InvalidInput):
            command(Chosen(Program.TN5250, "/usr/bin/tn5250"), evil, Path("/f"), f"a {{\n  host = {host}\n}}\n", [])


def test_the_users_own_options_stand_where_the_program_takes_them() -> None:
    def of(program: Program, text: str = "") -> list[str]:
        return command(Chosen(program, "/p"), SESSION, Path("/f"), text, ["-A", "b"])

    assert of(Program.X3270) == ["/p", "-A", "b", "/f"]
    assert of(Program.OPENSSH) == ["/p", "-F", "/f", "-A", "b", "Goteborg-id-..-x"]
    assert of(Program.TELNET) == ["/p", "-A", "b", "tso.example.com", "992"]
    assert of(Program.PUTTY) == ["/p", "-telnet", "-P", "992", "-A", "b", "tso.example.com"]
    text = "a {\n  host = ssl:[::1]:992\n  +ssl_verify_server\n  map = 37\n}\n"
    assert of(Program.TN5250, text) == ["/p", "-A", "b", "+ssl_verify_server", "map=37", "ssl:[::1]:992"]
