"""`hostward audit`: what is asked of the server, what a person reads, and the exit code of what was altered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.conftest import answering
from tests.unit.cli.test_command_line import run

pytestmark = pytest.mark.feature("R24")

ENTRY: dict[str, Any] = {
    "at": "2026-01-01T10:00:00.000Z", "server": "s1", "server_name": "north", "number": 7, "user": "eve",
    "address": "192.0.2.9", "act": "logged-in", "what": "Logged in", "outcome": "refused", "reason": "Wrong password.",
    "revision": None, "request": "", "about": {}, "times": 31, "since": "2026-01-01T09:59:00.000Z",
}  # fmt: skip
TROUBLE = {"server": "s2", "server_name": "south", "code": "cut", "number": 4, "text": "Entries 4 to 5 are missing."}


@pytest.fixture(autouse=True)
def _wide_and_fresh_consoles(monkeypatch: pytest.MonkeyPatch) -> None:
    from hostward.cli import output

    monkeypatch.setenv("COLUMNS", "200")
    output.console.cache_clear()
    output.error_console.cache_clear()


def test_entries_are_listed_with_where_the_list_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    with answering((200, {"items": [ENTRY], "next": "2026~7"})) as server:
        wanted = ["--of", "north", "--user", "eve", "--outcome", "refused", "--from", "2026-01-01", "--limit", "1"]
        assert run("audit", "list", *wanted, "--server", server.url) == 0
    assert server.asked[0].path.endswith("/audit?server=north&user=eve&outcome=refused&from=2026-01-01&limit=1")
    out = capsys.readouterr().out
    for part in ("north", "eve", "192.0.2.9", "Logged in (31 times)", "Wrong password.", "--before 2026~7"):
        assert part in out


def test_an_export_is_of_the_kind_that_its_file_says(tmp_path: Path) -> None:
    with answering((200, {"a": 1}), (200, {"a": 1})) as server:
        assert run("audit", "export", str(tmp_path / "a.jsonl"), "--act", "promoted", "--server", server.url) == 0
        assert run("audit", "export", str(tmp_path / "a.csv"), "--server", server.url) == 0
    assert server.asked[0].path.endswith("/audit/export?act=promoted&format=jsonl")
    assert server.asked[1].path.endswith("/audit/export?format=csv")
    assert b'"a"' in (tmp_path / "a.csv").read_bytes()


def test_an_altered_log_is_named_and_is_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    whole = {"ok": True, "entries": 1200, "logs": 2, "troubles": []}
    with answering((200, whole), (200, whole | {"ok": False, "troubles": [TROUBLE]})) as server:
        assert run("audit", "verify", "--server", server.url) == 0
        assert run("audit", "verify", "--server", server.url) == 1
    out = capsys.readouterr().out
    assert "1,200 entries of 2 logs" in out
    assert "south, cut at entry 4: Entries 4 to 5 are missing." in out
