"""The coordinator: one loop that compares the wanted state with what it observes and works on the next goal.

Each pass makes a whole new picture, decides in goals.decide(), carries out one act, and leaves one sentence for the
operator. Acts are idempotent. A new Apply interrupts an act that is under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Protocol

import structlog

from hostward.domain.errors import HostwardError
from hostward.replication.failpoints import die_at
from hostward.replication.goals import Decision, Goal, Observed, decide
from hostward.replication.jobs import Jobs
from hostward.replication.loops import woken

PASS_EVERY_S = 1.0
ACT_TIMEOUT_S = 1_800.0

log = structlog.get_logger()


class Acts(Protocol):
    """What the coordinator needs of the server: eyes and hands."""

    async def observe(self) -> Observed:
        """A new picture. Never raises for what is only away."""
        ...

    async def act(self, goal: Goal) -> str:
        """Work on the goal; answers what it now waits for ("" for nothing). Raises HostwardError with the reason why it
        can't be done yet; it is tried again on the next pass."""
        ...

    async def maintain(self) -> str:
        """What is to be done while all goals are met; answers a sentence for the operator ("" for nothing)."""
        ...


@dataclass(frozen=True, slots=True)
class Pass:
    """What the last pass found. `blocked`: the act failed, and is being tried again."""

    decision: Decision
    reason: str
    remedy: str = ""
    code: str = ""
    blocked: bool = False

    @property
    def settled(self) -> bool:
        return self.decision.goal is None


class Coordinator:
    """Runs for the life of the server. `last` is None until the first pass has ended."""

    def __init__(self, acts: Acts, jobs: Jobs) -> None:
        self._acts, self._jobs = acts, jobs
        self._wake = asyncio.Event()
        self._interrupt = asyncio.Event()
        self.last: Pass | None = None

    def wake(self) -> None:
        """Something may have changed: look again soon."""
        self._wake.set()

    def interrupt(self) -> None:
        """The wanted state has changed: leave what is being done, and look again."""
        self.last = None
        self._interrupt.set()
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled. No error ends it: whatever a pass raises becomes its reason."""
        while True:
            self._interrupt.clear()
            try:
                again = await self._pass()
            except HostwardError as error:
                again = False
                self.last = self._failed(error.message, error.remedy, error.code)
            except Exception as error:
                again = False
                log.exception("pass-failed")
                self.last = self._failed(f"An unexpected error: {type(error).__name__}: {error}.", "", "internal")
            await woken(self._wake, 0.0 if again else PASS_EVERY_S)

    def _failed(self, reason: str, remedy: str, code: str) -> Pass:
        decision = self.last.decision if self.last else Decision(None, 0, reason)
        return Pass(decision, reason, remedy, code, blocked=True)

    async def _pass(self) -> bool:
        """One pass; true where the next should follow at once."""
        observed = await self._acts.observe()
        if self._interrupt.is_set():  # what was seen is of the state before Apply
            return True
        decision = decide(observed)
        if decision.goal is None:
            reason = await self._interruptible(self._acts.maintain())
            if reason is not None:
                self._settle(Pass(decision, reason))
            return False
        before = self.last
        if before is None or before.decision.goal != decision.goal:
            log.info("goal", goal=decision.goal.name, role=observed.wanted.value)
            die_at(decision.goal.name)
            self._settle(Pass(decision, decision.waiting))
        try:
            waiting = await self._interruptible(self._acts.act(decision.goal))
        except HostwardError as error:
            self._settle(Pass(decision, error.message, error.remedy, error.code, blocked=True))
            return False
        if waiting is None:
            return True
        if waiting:
            self._settle(Pass(decision, waiting))
        # An act that says it is done, yet leaves its goal unmet, must not spin.
        return not waiting and (before is None or before.decision.goal != decision.goal)

    def _settle(self, outcome: Pass) -> None:
        if outcome.reason and (self.last is None or self.last.reason != outcome.reason):
            log.info("coordinator", reason=outcome.reason)
        self.last = outcome
        self._jobs.progress(outcome.decision.index, f"{outcome.reason} {outcome.remedy}".strip())

    async def _interruptible(self, act: Coroutine[None, None, str]) -> str | None:
        """The act's answer, or None where a new Apply came in between."""
        task = asyncio.create_task(act)
        stop = asyncio.create_task(self._interrupt.wait())
        try:
            await asyncio.wait({task, stop}, timeout=ACT_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
            return await task if task.done() and not self._interrupt.is_set() else None
        finally:
            for t in (task, stop):
                t.cancel()
            await asyncio.gather(task, stop, return_exceptions=True)
