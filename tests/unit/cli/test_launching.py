"""`hostward session launch-file`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.conftest import answering
from tests.unit.cli.test_command_line import run

from hostward.domain.inventory import parse

pytestmark = pytest.mark.feature("R26")

FOUND = {"items": [{"name": "TSO", "id": "1", "type": "IBM 3270"}], "total": 1}


def offer(format_: str, **more: Any) -> dict[str, Any]:
    given = {
        "format": format_,
        "label": format_,
        "file_name": f"TSO.{format_}",
        "command": f"{format_} ./TSO.{format_}",
    }
    return {**given, "media_type": "text/plain", "notes": ["One note."], "problem": "", **more}


@pytest.fixture(autouse=True)
def _wide_and_fresh_consoles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from hostward.cli import output

    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    output.console.cache_clear()
    output.error_console.cache_clear()


def test_the_usual_programs_file_is_written_with_what_starts_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering((200, FOUND), (200, {"items": [offer("x3270"), offer("c3270")]}), (200, {"a": 1})) as server:
        assert run("session", "launch-file", "TSO", "--server", server.url) == 0
    assert [asked.path.partition("/v1")[2] for asked in server.asked[1:]] == [
        "/sessions/1/launch-files",
        "/sessions/1/launch?format=x3270",
    ]
    assert (tmp_path / "TSO.x3270").read_bytes() == b'{"a": 1}'
    out = capsys.readouterr().out
    for part in ("Wrote TSO.x3270.", "x3270 ./TSO.x3270", "One note."):
        assert part in out


def test_another_program_file_and_user_may_be_given(tmp_path: Path) -> None:
    with answering((200, FOUND), (200, {"items": [offer("openssh"), offer("putty")]}), (200, {"a": 1})) as server:
        wanted = ["launch-file", "TSO", "my.reg", "--format", "putty", "--user", "jdoe"]
        assert run("session", *wanted, "--server", server.url) == 0
    assert server.asked[2].path.endswith("/sessions/1/launch?format=putty&user=jdoe")
    assert (tmp_path / "my.reg").exists()


def test_a_name_from_a_server_leads_to_no_other_directory(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    evil = offer("x3270", file_name="../../evil.x3270")
    with answering((200, FOUND), (200, {"items": [evil]}), (200, {"a": 1})) as server:
        assert run("session", "launch-file", "TSO", "--server", server.url) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["evil.x3270", "inner"]


def test_a_program_that_cant_open_it_is_refused_with_those_that_can(capsys: pytest.CaptureFixture[str]) -> None:
    items = [offer("putty"), offer("telnet", problem="telnet has no TLS.", file_name="")]
    for format_, said in (("telnet", "telnet has no TLS."), ("word", "“word” doesn't open such sessions.")):
        with answering((200, FOUND), (200, {"items": items})) as server:
            assert run("session", "launch-file", "TSO", "--format", format_, "--server", server.url) != 0
        error = capsys.readouterr().err
        assert said in error
        assert "putty, telnet" in error
        assert len(server.asked) == 2


def test_several_profiles_are_imported_as_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.x3270", "b.x3270"):
        (tmp_path / name).write_text("x3270.hostname: h\n")
    note = {"row": 1, "field": "", "problem": "Not carried: keymap.", "remedy": "Set it."}
    answer = {"imported": 2, "updated": 0, "unchanged": 0, "skipped": 0, "revision": 1, "mistakes": [], "notes": [note]}
    with answering((200, answer)) as server:
        assert run("session", "import", "a.x3270", "b.x3270", "--server", server.url) == 0
    (asked,) = server.asked
    assert "format=x3270" in asked.path
    assert [s["name"] for s in parse(asked.body).sessions] == ["a", "b"]
    assert "Row 1: Not carried: keymap." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "format_"), [("a.zip", "x3270"), ("a.reg", "putty"), ("a.json", "json"), ("a", "csv")]
)
def test_an_export_is_of_the_kind_that_its_files_name_says(name: str, format_: str) -> None:
    with answering((200, {"a": 1})) as server:
        assert run("session", "export", name, "--server", server.url) == 0
    assert server.asked[0].path.endswith(f"/sessions/export?format={format_}")
