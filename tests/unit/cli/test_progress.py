"""Following a job: each step is said once, and a silent server is borne for a while."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console
from tests.unit.cli.conftest import BREAK, answering

from hostward.cli import progress as module
from hostward.cli.client import ApiClient
from hostward.cli.problems import Unreachable
from hostward.cli.progress import Progress, follow_job


def job(state: str, *steps: tuple[str, str, str]) -> dict[str, Any]:
    shown = [{"name": name, "state": at, "detail": detail} for name, at, detail in steps]
    return {"id": "j", "kind": "k", "state": state, "steps": shown, "reason": "", "progress_percent": 50}


@pytest.fixture(autouse=True)
def _polls_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.01)


def test_each_step_is_shown_once_and_a_broken_connection_is_borne() -> None:
    answers: list[tuple[int, Any]] = [
        (200, job("running", ("Start the node", "running", "It starts."), ("Join", "pending", ""))),
        (503, {"detail": "Restarting.", "code": "unavailable"}),
        (BREAK, None),
        (200, job("running", ("Start the node", "done", ""), ("Join", "running", "30 %"))),
        (200, job("running", ("Start the node", "done", ""), ("Join", "running", "60 %"))),
        (200, job("done", ("Start the node", "done", ""), ("Join", "done", ""))),
    ]
    assert lines_of(answers) == ["… Start the node", "✓ Start the node", "… Join", "✓ Join"]


def test_a_step_that_had_nothing_to_do_is_not_shown() -> None:
    idle = {"name": "Begin a new epoch", "state": "done", "detail": "", "started": "12:00", "ended": "12:00"}
    quick = {"name": "Report to the Master", "state": "done", "detail": "", "started": "12:00", "ended": "12:01"}
    assert lines_of([(200, {**job("done"), "steps": [idle, quick]})]) == ["✓ Report to the Master"]


def lines_of(answers: list[tuple[int, Any]]) -> list[str]:
    out = io.StringIO()
    with (
        answering(*answers) as server,
        ApiClient(server.url) as api,
        Progress(Console(file=out, width=100, markup=False)) as progress,
    ):
        assert follow_job(api, "j", progress)["state"] == "done"
    return out.getvalue().splitlines()


def test_a_job_that_never_ends_is_left_to_the_server() -> None:
    with (
        answering((200, job("running", ("Join", "running", "")))) as server,
        ApiClient(server.url) as api,
        Progress(Console(file=io.StringIO())) as progress,
        pytest.raises(Unreachable) as caught,
    ):
        follow_job(api, "j", progress, deadline_s=0.05)
    assert "hostward job show j" in caught.value.remedy
