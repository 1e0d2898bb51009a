"""`hostward logout`: which logins end."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.cli.conftest import answering
from tests.unit.cli.test_command_line import run

from hostward.cli.logins import Logins, SavedLogin, login_file

pytestmark = pytest.mark.feature("A10")


@pytest.fixture(autouse=True)
def _fresh_consoles() -> None:
    from hostward.cli import output

    output.console.cache_clear()
    output.error_console.cache_clear()


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ((), ("POST", "/mss/api/v1/logout")),
        (("--everywhere",), ("DELETE", "/mss/api/v1/me/logins?tokens=false")),
        (("--everywhere", "--tokens"), ("DELETE", "/mss/api/v1/me/logins?tokens=true")),
    ],
)
def test_the_server_ends_the_login_and_it_is_forgotten_here(given: tuple[str, ...], asked: tuple[str, str]) -> None:
    answer: Any = {"logins_ended": 1}
    with answering((200, answer)) as server:
        Logins(server.url, {server.url: SavedLogin("admin", "hw_secret", insecure=True)}).save(login_file())
        assert run("logout", *given) == 0
        assert [(a.method, a.path) for a in server.asked] == [asked]
    assert not Logins.load(login_file()).servers


def test_tokens_alone_are_not_ended_by_logging_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("logout", "--tokens") != 0
    assert "hostward logout --everywhere --tokens" in capsys.readouterr().err
