"""Jobs: what Apply set off, with named steps, kept in server.db so that it can be followed across restarts."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from hostward.domain.errors import NotFound
from hostward.registry.server import ServerRegistry

KEY = "jobs"
MAX_JOBS = 50
MAX_NOTICES = 20
PENDING, RUNNING, DONE, FAILED = "pending", "running", "done", "failed"


@dataclass(frozen=True, slots=True)
class JobStep:
    """One step. Times are ISO 8601 UTC, empty where it hasn't come to that; equal where nothing was left to do."""

    name: str
    state: str = PENDING
    started: str = ""
    ended: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """A transition under way or ended. `reason` is one sentence for the operator: what it waits for, or why it
    failed. `notices`: what couldn't be done, but needn't be."""

    id: str
    kind: str
    author: str
    state: str
    created: str
    reason: str
    steps: tuple[JobStep, ...]
    notices: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        done = sum(s.state == DONE for s in self.steps)
        value = asdict(self)
        value["steps"] = [asdict(s) for s in self.steps]
        value["progress_percent"] = 100 if self.state == DONE else 100 * done // max(1, len(self.steps))
        return value


class Jobs:
    """The newest MAX_JOBS jobs, oldest first; at most one is running."""

    def __init__(self, server: ServerRegistry, now: Callable[[], str]) -> None:
        self._server, self._now = server, now
        self._jobs: list[Job] = []
        for stored in server.get(KEY) or []:
            fields = {k: v for k, v in stored.items() if k != "progress_percent"}
            fields["steps"] = tuple(JobStep(**s) for s in stored["steps"])
            fields["notices"] = tuple(stored.get("notices", ()))
            self._jobs.append(Job(**fields))

    def all(self) -> list[Job]:
        return list(self._jobs)

    def get(self, job_id: str) -> Job:
        for job in self._jobs:
            if job.id == job_id:
                return job
        raise NotFound("There is no such job.", remedy="GET jobs lists those that are kept.")

    def last_took_s(self, kind: str) -> float | None:
        """How long the newest job of this kind took that went well; None where there is none."""
        done = next((j for j in reversed(self._jobs) if j.kind == kind and j.state == DONE), None)
        if done is None or not done.steps:
            return None
        ended = datetime.fromisoformat(done.steps[-1].ended)
        return (ended - datetime.fromisoformat(done.created)).total_seconds()

    @property
    def running(self) -> Job | None:
        return self._jobs[-1] if self._jobs and self._jobs[-1].state == RUNNING else None

    def start(self, kind: str, author: str, steps: list[str]) -> Job:
        """A new job; one that was running is ended as replaced."""
        if self.running:
            self._set(replace(self.running, state=FAILED, reason="Replaced by a newer Apply."))
        job = Job(uuid.uuid4().hex, kind, author, RUNNING, self._now(), "", tuple(JobStep(s) for s in steps))
        self._jobs = [*self._jobs[-MAX_JOBS + 1 :], job]
        self._save()
        return job

    def note(self, job_id: str, notice: str) -> None:
        """Add a notice to a job, running or ended."""
        for n, job in enumerate(self._jobs):
            if job.id == job_id and len(job.notices) < MAX_NOTICES:
                self._jobs[n] = replace(job, notices=(*job.notices, notice))
                self._save()

    def progress(self, current: int, reason: str) -> None:
        """The steps before `current` are done and that one is running, for `reason`. `current` equal to the number of
        steps ends the job. Written only when something changed."""
        job = self.running
        if job is None:
            return
        steps, now = [], self._now()
        for i, step in enumerate(job.steps):
            if i < current and step.state != DONE:
                steps.append(replace(step, state=DONE, started=step.started or now, ended=now, detail=""))
            elif i == current and (step.state != RUNNING or step.detail != reason):
                steps.append(replace(step, state=RUNNING, started=step.started or now, ended="", detail=reason))
            elif i > current and step.state != PENDING:
                steps.append(JobStep(step.name))
            else:
                steps.append(step)
        state = DONE if current >= len(job.steps) else RUNNING
        self._set(replace(job, steps=tuple(steps), state=state, reason=reason))

    def _set(self, job: Job) -> None:
        if job == self._jobs[-1]:
            return
        self._jobs[-1] = job
        self._save()

    def _save(self) -> None:
        self._server.put(KEY, [j.to_json() for j in self._jobs])
