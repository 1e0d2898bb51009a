"""Progress of long work: a line for each finished step; on a terminal, a moving last line for the current one.

Everything goes to standard error, so that standard output holds the result alone.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.status import Status

from hostward.cli.output import error_console, plain
from hostward.cli.problems import Refused, Unreachable

if TYPE_CHECKING:
    from hostward.cli.client import ApiClient

POLL_S = 0.4
SILENT_AT_MOST_S = 120.0
JOB_DEADLINE_S = 1800.0


class Progress:
    """Use as a context. `step` begins something, `note` says more about it, `done` and `warn` leave a line."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or error_console()
        self._status: Status | None = None
        self._current = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def step(self, text: str) -> None:
        """What is being done now."""
        if text == self._current:
            return
        self._current = text
        if not self._console.is_terminal:
            self._console.print(plain(f"… {text}"), soft_wrap=True)
            return
        if self._status is None:
            self._status = self._console.status(plain(text))
            self._status.start()
        self._status.update(plain(text))

    def note(self, text: str) -> None:
        """A detail of the current step, such as a percentage; only a terminal shows it."""
        if self._status is not None:
            self._status.update(plain(f"{self._current} – {text}" if text else self._current))

    def done(self, text: str) -> None:
        """Something is finished."""
        self._line("✓", text, "green")

    def warn(self, text: str) -> None:
        """Something needs attention, but the work goes on."""
        self._line("!", text, "yellow")

    def failed(self, text: str) -> None:
        """Something went wrong."""
        self._line("✗", text, "red")

    def _line(self, mark: str, text: str, style: str) -> None:
        self._stop()
        self._console.print(plain(f"{mark} {text}"), style=style if self._console.is_terminal else "", soft_wrap=True)

    def _stop(self) -> None:
        self._current = ""
        if self._status is not None:
            self._status.stop()
            self._status = None


def follow_job(api: ApiClient, job_id: str, progress: Progress, *, deadline_s: float = JOB_DEADLINE_S) -> Any:
    """Show a job's steps until it is done or has failed, and give it back. Bears a server that is silent for up to two
    minutes, because jobs restart databases. Raises Unreachable after that, or when the deadline passes."""
    shown: dict[str, str] = {}
    deadline = time.monotonic() + deadline_s
    answered = time.monotonic()
    while True:
        try:
            job = api.get(f"jobs/{job_id}")
            answered = time.monotonic()
            _show_steps(job, shown, progress)
            if job.get("state") in ("done", "failed"):
                for notice in job.get("notices") or []:
                    progress.warn(str(notice))
                return job
        except (Unreachable, Refused) as error:
            temporary = isinstance(error, Unreachable) or error.status in (502, 503, 504)
            if not temporary or time.monotonic() - answered > SILENT_AT_MOST_S:
                raise
        if time.monotonic() > deadline:
            raise Unreachable(
                f"Job {job_id} isn't finished after {deadline_s:.0f} s; it goes on on the server.",
                remedy=f"Look at it with `hostward job show {job_id}`.",
                code="timeout",
            )
        time.sleep(POLL_S)


def _show_steps(job: Mapping[str, Any], shown: dict[str, str], progress: Progress) -> None:
    """Print what has changed since the last look; a step that had nothing to do is nothing to tell. `shown` keeps each
    step's last state, by its place and name."""
    for place, step in enumerate(job.get("steps") or []):
        name, state = str(step.get("name")), str(step.get("state"))
        detail = str(step.get("detail") or "")
        key = f"{place}:{name}"
        before, shown[key] = shown.get(key), state
        if state in ("running", "started"):
            progress.step(_words(name))
            percent = job.get("progress_percent")
            progress.note(f"{detail} ({percent:.0f} %)" if percent is not None else detail)
        elif state == "done" and before in (None, "pending") and step.get("started") == step.get("ended"):
            continue
        elif state != before and state in ("done", "failed"):
            words = f"{_words(name)}: {detail}" if detail else _words(name)
            (progress.done if state == "done" else progress.failed)(words)


def _words(name: str) -> str:
    return name.replace("-", " ").replace("_", " ")
