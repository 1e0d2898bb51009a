"""`hostward request …` and `hostward settings …`: what is asked of the server, and what a person reads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.cli.conftest import answering
from tests.unit.cli.test_command_line import run

REQUEST: dict[str, Any] = {
    "id": "abc", "summary": "Change session “one”: port", "state": "waiting", "author": "admin", "origin": "s2",
    "origin_name": "north", "submitted_at": "2026-01-01T10:00:00Z", "received_at": "2026-01-01T10:00:01Z",
    "class": "configuration", "elements": 1, "size_bytes": 100, "revision": 7, "set_aside": False, "replaces": "",
    "decided_by": "", "decided_at": "", "decided_revision": 0, "reason": "", "carrying": "", "not_carried_because": "",
}  # fmt: skip
CHANGE: dict[str, Any] = {
    "kind": "session", "id": "s", "label": "session “one”", "wanted": {"name": "one", "port": 24, "groups": []},
    "fields": [{"field": "port", "base": 23, "now": 25, "wanted": 24}],
}  # fmt: skip
CONFLICT = {"element": "session “one”", "code": "changed", "problem": "It was changed by somebody else."}
DETAIL = REQUEST | {"changes": [CHANGE], "conflicts": [CONFLICT]}
DECIDED = {"request": REQUEST, "revision": 8, "replicated": {"have": 2, "of": 2, "confirmed": True}}


@pytest.fixture(autouse=True)
def _fresh_consoles() -> None:
    from hostward.cli import output

    output.console.cache_clear()
    output.error_console.cache_clear()


@pytest.mark.feature("R11")
def test_list_and_show_say_who_says_what(capsys: pytest.CaptureFixture[str]) -> None:
    with answering((200, {"items": [REQUEST], "total": 1}), (200, DETAIL)) as server:
        assert run("request", "list", "--state", "waiting", "--server", server.url) == 0
        assert run("request", "show", "abc", "--server", server.url) == 0
    assert server.asked[0].path.endswith("/change-requests?state=waiting")
    out = capsys.readouterr().out
    for part in ("abc", "admin, says north", "23", "24", "25", "Conflict: session “one”: It was changed"):
        assert part in out


@pytest.mark.feature("R11")
def test_edit_sends_the_whole_element_with_the_fields_that_were_set(capsys: pytest.CaptureFixture[str]) -> None:
    with answering((200, DETAIL), (200, DECIDED)) as server:
        command = ["request", "edit", "abc", "--set", "port=26", "--set", 'groups=["g"]', "--set", "name=5"]
        assert run(*command, "--server", server.url) == 0
    sent = json.loads(server.asked[1].body)
    assert sent == {"elements": [{"kind": "session", "id": "s", "wanted": {"name": "5", "port": 26, "groups": ["g"]}}]}
    assert "Resubmitted: request abc" in capsys.readouterr().out
    with answering((200, DETAIL)) as server:
        assert run("request", "edit", "abc", "--set", "prot=26", "--server", server.url) == 2
    assert "name, port, groups" in capsys.readouterr().err


@pytest.mark.feature("R11")
def test_conflicts_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    problem = {"detail": "It can't be implemented.", "code": "request-conflicts", "conflicts": ["one: changed"]}
    with answering((409, problem | {"remedy": "Edit it."}), (200, DECIDED)) as server:
        assert run("request", "implement", "abc", "--server", server.url) == 1
        assert run("request", "implement", "abc", "--force", "--server", server.url) == 0
    assert [json.loads(a.body) for a in server.asked] == [{"force": False}, {"force": True}]
    shown = capsys.readouterr()
    assert "- one: changed" in shown.err
    assert "Implemented: request abc" in shown.out


@pytest.mark.feature("R11")
def test_what_a_slave_submits_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    submitted = {"request": REQUEST}
    with answering((202, submitted)) as server:
        assert run("settings", "set", "change-requests=automatic", "forced-promotion=", "--server", server.url) == 0
        assert run("session", "create", "one", "--type", "VT", "--host", "h", "--server", server.url) == 0
        assert run("request", "withdraw", "abc", "--server", server.url) == 0
    assert json.loads(server.asked[0].body) == {"change-requests": "automatic", "forced-promotion": None}
    out = capsys.readouterr().out
    assert out.count("Submitted to the Master as request abc: Change session “one”: port.") == 2
    assert "Withdrawn: request abc, Change session “one”: port: on its way to the Master." in out
