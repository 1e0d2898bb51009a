"""`hostward search`: what is asked of the server, and what a person reads."""

from __future__ import annotations

import json

import pytest
from tests.unit.cli.conftest import answering
from tests.unit.cli.test_command_line import run

pytestmark = pytest.mark.feature("R24")

HIT = {"kind": "session", "id": "s1", "title": "Payroll", "detail": "VT, a.example.com:23", "path": "/sessions/s1"}


@pytest.fixture(autouse=True)
def _fresh_consoles() -> None:
    from hostward.cli import output

    output.console.cache_clear()
    output.error_console.cache_clear()


def test_all_words_are_asked_for_and_what_was_found_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with answering((200, {"items": [HIT], "more": ["session"]})) as server:
        assert run("search", "pay", "roll", "--each", "1", "--server", server.url) == 0
        (asked,) = server.asked
    assert asked.path == "/mss/api/v1/search?q=pay+roll&each=1"
    out = capsys.readouterr().out
    assert "Payroll" in out
    assert "VT, a.example.com:23" in out
    assert "There are more of: session." in out


def test_nothing_found_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with answering((200, {"items": [], "more": []})) as server:
        assert run("search", "nowhere", "--server", server.url) == 0
        assert run("search", "nowhere", "--json", "--server", server.url) == 0
    said, _, printed = capsys.readouterr().out.partition("\n")
    assert said == "Nothing has all of these words."
    assert json.loads(printed) == {"items": [], "more": []}
