"""`hostward session lock`, `unlock`, `locks`, and --take-over: what is asked of the server, what a person reads."""

from __future__ import annotations

import json

import pytest
from tests.unit.cli.conftest import answering
from tests.unit.cli.test_command_line import run

pytestmark = pytest.mark.feature("R22")

SESSION = {"id": "s", "name": "Payroll", "etag": "e"}
FOUND = (200, {"items": [SESSION], "total": 1})
LOCK = {
    "session": "s",
    "holder": "eve",
    "server": "2",
    "server_name": "south",
    "since": "2026-01-02T03:04:05Z",
    "times_out": "2026-01-02T03:34:05Z",
    "yours": False,
}
LOCKED = {
    "detail": "“Payroll” has been edited by eve on south for 3 minutes. Nothing was changed.",
    "code": "session-locked",
    "remedy": "Wait, or --take-over.",
    "holders": ["“Payroll” has been edited by eve on south for 3 minutes."],
}


@pytest.fixture(autouse=True)
def _fresh_consoles() -> None:
    from hostward.cli import output

    output.console.cache_clear()
    output.error_console.cache_clear()


def test_a_session_is_locked_and_released(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(FOUND, (200, {"lock": LOCK}), FOUND, (204, None)) as server:
        assert run("session", "lock", "Payroll", "--take-over", "--server", server.url) == 0
        assert run("session", "unlock", "Payroll", "--server", server.url) == 0
    assert [(a.method, a.path.rpartition("/api/v1")[2]) for a in server.asked[1::2]] == [
        ("POST", "/sessions/s/lock"),
        ("DELETE", "/sessions/s/lock"),
    ]
    assert json.loads(server.asked[1].body) == {"take_over": True}
    assert "Locked “Payroll” until 2026-01-02T03:34:05Z." in capsys.readouterr().out


def test_locks_are_listed_with_the_sessions_names(capsys: pytest.CaptureFixture[str]) -> None:
    with answering((200, {"items": [LOCK]}), (200, SESSION)) as server:
        assert run("session", "locks", "--server", server.url) == 0
    out = capsys.readouterr().out
    for text in ("Payroll", "eve", "south"):
        assert text in out


def test_who_edits_it_is_said_and_only_take_over_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(FOUND, (409, LOCKED)) as server:
        assert run("session", "edit", "Payroll", "--port", "992", "--server", server.url) == 1
    err = capsys.readouterr().err
    assert "  - “Payroll” has been edited by eve on south" in err
    assert "--take-over" in err
    written = (200, {"session": SESSION, "revision": 2, "replicated": {"have": 1, "of": 1, "confirmed": False}})
    for command in (("edit", "Payroll", "--port", "1"), ("rename", "Payroll", "Pay"), ("delete", "Payroll", "--yes")):
        with answering(FOUND, written) as server:
            assert run("session", *command, "--take-over", "--server", server.url) == 0
        assert server.asked[-1].path.endswith("/sessions/s?take_over=true")
