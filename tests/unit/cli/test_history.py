"""`hostward history`, `undo` and `restore`: what is asked of the server, and what a person reads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.cli.conftest import answering
from tests.unit.cli.test_command_line import run

pytestmark = pytest.mark.feature("R30")

KEPT = {"newest": 9, "oldest": 4, "restorable_from": 3}
LISTED: dict[str, Any] = {
    "revision": 7, "time": "2026-01-01T10:00:00Z", "author": "eve", "summary": "Change session “one”: port",
    "elements": 1, "records": ["change request"],
}  # fmt: skip
FIELD = {"field": "port", "before": 992, "after": 2323}
CHANGE = LISTED | {
    "origin": "s2", "requests": ["abc"], "history": KEPT,
    "changes": [{"kind": "session", "id": "s", "label": "session “one”", "act": "change",
                 "fields": [FIELD], "later": 8}],
}  # fmt: skip
ITEM = {"revision": 7, "time": "2026-01-01T10:00:00Z", "author": "eve", "act": "change", "fields": [FIELD]}
PAST = {
    "id": "s", "name": "one", "exists": False, "complete": False, "items": [ITEM], "next_before": None,
    "history": KEPT,
}  # fmt: skip
REPLICATED = {"have": 2, "of": 2, "confirmed": True}
ASKED = {
    "detail": "Are you sure?", "code": "confirmation-required", "consequences": ["1 session is deleted: “two”."],
    "plan": "p1", "remedy": "Say yes.",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _fresh_consoles() -> None:
    from hostward.cli import output

    output.console.cache_clear()
    output.error_console.cache_clear()


def test_changes_are_listed_with_where_the_list_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    page = {"items": [LISTED], "history": KEPT}
    with answering((200, page | {"next_before": 7}), (200, page | {"next_before": None}), (200, CHANGE)) as server:
        command = ["history", "list", "--author", "eve", "--kind", "session", "--limit", "1"]
        assert run(*command, "--server", server.url) == 0
        assert run("history", "list", "--before", "7", "--server", server.url) == 0
        assert run("history", "show", "7", "--server", server.url) == 0
    assert server.asked[0].path.endswith("/changes?limit=1&author=eve&kind=session")
    assert server.asked[1].path.endswith("/changes?before=7&limit=50")
    out = capsys.readouterr().out
    for part in ("Change session “one”: port; change request", "--before 7", "begins with revision 4", "2323", "abc"):
        assert part in out
    assert "Changed again since: session “one” (revision 8)." in out


def test_a_deleted_sessions_history_is_found_by_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = (200, {"items": [], "total": 0})
    missing = (404, {"detail": "There is no session.", "code": "not-found", "remedy": ""})
    with answering(nothing, missing, (200, PAST)) as server:
        assert run("history", "list", "--session", "s", "--server", server.url) == 0
    assert server.asked[-1].path.endswith("/sessions/s/history?limit=50")
    out = capsys.readouterr().out
    assert "Session “one”, which is deleted; id s" in out
    assert "port: 992 → 2323" in out
    assert "begins with revision 4" in out
    with answering((200, {})) as server:
        assert run("history", "list", "--session", "s", "--author", "eve", "--server", server.url) == 2
    assert server.asked == []


def test_undo_and_restore_need_a_yes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    done = {"changed": True, "revision": 10, "replicated": REPLICATED}
    with answering((409, ASKED), (200, done)) as server:
        assert run("undo", "7", "--server", server.url) == 1
        assert run("undo", "7", "--yes", "--server", server.url) == 0
        assert run("restore", "7", "--yes", "--server", server.url) == 0
    assert [json.loads(a.body) for a in server.asked] == [{}, {"confirm": True}, {"revision": 7, "confirm": True}]
    assert [a.path.rpartition("/api/v1")[2] for a in server.asked] == ["/changes/7/undo"] * 2 + ["/restore"]
    shown = capsys.readouterr()
    assert "“two”" in shown.err
    assert "Undone revision 7: revision 10, on 2 of 2 servers." in shown.out
    assert "Restored all sessions and settings to revision 7" in shown.out
    # A person who says Yes says it to what was shown.
    monkeypatch.setattr("hostward.cli.options.confirm_settings_update", lambda refused: True)
    with answering((409, ASKED), (200, done)) as server:
        assert run("restore", "7", "--server", server.url) == 0
    assert json.loads(server.asked[1].body) == {"revision": 7, "confirm": True, "plan": "p1"}


def test_one_session_is_restored_also_on_a_slave(capsys: pytest.CaptureFixture[str]) -> None:
    found = (200, {"items": [{"id": "s", "name": "one"}], "total": 1})
    request = {"id": "abc", "summary": "Change session “one”: port"}
    written = {"session": {"name": "one"}, "revision": 10, "replicated": REPLICATED}
    with answering(found, (200, written), found, (202, {"request": request})) as server:
        assert run("restore", "7", "--session", "one", "--server", server.url) == 0
        assert run("restore", "7", "--session", "one", "--server", server.url) == 0
    assert server.asked[1].path.endswith("/sessions/s/restore")
    assert json.loads(server.asked[1].body) == {"revision": 7}
    out = capsys.readouterr().out
    assert "Restored “one” to what it was after revision 7: revision 10" in out
    assert "Submitted to the Master as request abc" in out
