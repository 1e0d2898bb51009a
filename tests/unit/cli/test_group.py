"""`hostward group …`: the join code's way from one terminal to the other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.cli.conftest import answering
from tests.unit.cli.test_command_line import run

CODE = "ABCDE-12345-FGHJK"


@pytest.fixture(autouse=True)
def _fresh_consoles() -> None:
    from hostward.cli import output

    output.console.cache_clear()
    output.error_console.cache_clear()


@pytest.mark.feature("R7")
def test_an_invitation_shows_no_command_that_holds_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever copied it would show the code in the process list, and leave it in the shell's history."""
    made = {"code": CODE, "role": "slave", "expires_at": "2026-01-01T10:00:00Z"}
    with answering((200, made)) as server:
        assert run("group", "invite", "--server", server.url) == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if CODE in line]
    assert line.strip() == CODE
    assert any("hostward group join" in line for line in lines)


@pytest.mark.feature("R7")
def test_the_code_comes_from_a_file_an_argument_or_is_asked_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "code"
    file.write_text(f"{CODE}\n")
    with answering((200, {"job": "j1"})) as server:
        for given in (["--code-file", str(file)], [CODE], CODE.split("-")):
            assert run("group", "join", *given, "--yes", "--server", server.url) == 0
    assert [json.loads(a.body)["code"] for a in server.asked] == [CODE, CODE, CODE.replace("-", " ")]
    with answering((200, {"job": "j1"})) as server:
        monkeypatch.setattr("os.isatty", lambda _: False)
        assert run("group", "join", "--yes", "--server", server.url) == 2
        assert "--code-file" in capsys.readouterr().err
        monkeypatch.setattr("os.isatty", lambda _: True)
        asked: list[tuple[str, bool]] = []

        def prompt(what: str, *, hide_input: bool, **_: object) -> str:
            asked.append((what, hide_input))
            return CODE

        monkeypatch.setattr("typer.prompt", prompt)
        assert run("group", "join", "--yes", "--server", server.url) == 0
    assert asked == [("Join code", True)]
    assert json.loads(server.asked[-1].body)["code"] == CODE
