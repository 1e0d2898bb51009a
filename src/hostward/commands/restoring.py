"""Turning back: one change undone, or all sessions and settings as they were after a revision, each as a new change.

What would be done is a plan, with a tag. The confirmation may carry that tag; where something else has changed
meanwhile, the plan is another one, and nothing is done. Replication's own records are never turned back.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

import orjson

from hostward.commands.history import check_restorable, past_change
from hostward.commands.services import Actor, Services
from hostward.commands.writing import Beforehand, Done, Submitted, write
from hostward.domain.changes import Delete, Operation, Put, canonical, element_hash
from hostward.domain.errors import ConfirmationRequired, Conflict, InvalidInput, PreconditionFailed
from hostward.domain.history import TURNED_BACK, elements_of
from hostward.domain.requests import rules_of
from hostward.domain.sessions import KIND as SESSION
from hostward.domain.suggestions import shown
from hostward.registry.group import Reader

MAX_NAMED: Final = 10
_REMEDY: Final = "Look at the consequences, then send the request again with “confirm”: true, and the “plan” of this."
_STAYS: Final = "Members, certificates, passphrases and change requests stay as they are."
_UNDOABLE: Final = "It is one new change on every server of the group, and can itself be undone."


Step = tuple[Operation, bytes | None]
"""An operation that has an effect, and the element's present body; None where it isn't there."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done; `tag` names exactly that."""

    steps: Sequence[Step]
    tag: str

    @property
    def operations(self) -> list[Operation]:
        return [op for op, _ in self.steps]

    def those(self, *, there: bool, stay: bool) -> list[Step]:
        """The elements that are there now, or not, and will be or not; by kind and id."""
        return [step for step in self.steps if (step[1] is not None) == there and isinstance(step[0], Put) == stay]


async def undo_change(
    services: Services, actor: Actor, revision: int, *, confirmed: bool, plan: str = ""
) -> Done | Submitted:
    """Reverse what a change did to sessions and settings. Raises NotFound where it isn't kept, Conflict where there is
    nothing to turn back or a name was taken since, ConfirmationRequired with the consequences, PreconditionFailed where
    the plan is another one by now."""

    def reverse() -> list[Operation]:
        with services.group.read() as reader:
            past_change(reader, revision)
            return [_as_stored(op) for op in reader.past.reverse(revision) if op.kind in TURNED_BACK]

    operations = await asyncio.to_thread(reverse)
    if not operations:
        raise Conflict(
            f"Revision {revision:,} changed no session or setting: there is nothing to undo.",
            remedy="Replication's own records aren't turned back.",
            code="nothing-to-undo",
        )

    def plan_now(reader: Reader) -> Plan:
        past_change(reader, revision)  # the history may have been replaced since
        found = plan_of(reader, operations)
        _check_names(reader, found)
        return found

    def ask(reader: Reader, found: Plan) -> NoReturn:
        change = past_change(reader, revision)
        left = elements_of(change.counts) - len(operations)
        raise ConfirmationRequired(
            f"Undoing revision {revision:,}: are you sure?",
            remedy=_REMEDY,
            consequences=[
                *_consequences(found),
                *_changed_later(reader, operations, revision),
                *([f"{left:,} further elements stay as they are, users and groups among them."] if left else []),
                _UNDOABLE,
            ],
            plan=found.tag,
        )

    return await _turn_back(
        services, actor, "change-undone", plan_now, ask, confirmed=confirmed, plan=plan, turned_back=revision
    )


async def restore_all(
    services: Services, actor: Actor, revision: int, *, confirmed: bool, plan: str = ""
) -> Done | Submitted:
    """All sessions and settings as they were after that revision. Raises as undo_change."""
    then = _Then(revision)

    def read() -> None:
        with services.group.read() as reader:
            then.look(reader)

    await asyncio.to_thread(read)  # most of it, so that the commit has little left to read

    def plan_now(reader: Reader) -> Plan:
        then.look(reader)
        return plan_of(reader, then.operations.values())

    def ask(reader: Reader, found: Plan) -> NoReturn:
        changes = reader.position().revision - revision
        raise ConfirmationRequired(
            f"Restoring all sessions and settings to revision {revision:,}: are you sure?",
            remedy=_REMEDY,
            consequences=[
                *_consequences(found),
                f"The {changes:,} later change{'s' if changes > 1 else ''} stay in the history.",
                _STAYS,
                _UNDOABLE,
            ],
            plan=found.tag,
        )

    return await _turn_back(
        services, actor, "configuration-restored", plan_now, ask, confirmed=confirmed, plan=plan, turned_back=revision
    )


def plan_of(reader: Reader, operations: Iterable[Operation]) -> Plan:
    """What of the operations has an effect now."""
    steps: list[Step] = []
    tag = hashlib.sha256()
    for op in sorted(operations, key=lambda op: (op.kind, op.id)):
        now = reader.get(op.kind, op.id)
        wanted = element_hash(op.kind, op.id, op.body) if isinstance(op, Put) else None
        if (now.hash if now else None) == wanted:
            continue
        steps.append((op, now.body if now else None))
        tag.update(canonical([op.kind, op.id, now.hash.hex() if now else "", wanted.hex() if wanted else ""]))
    return Plan(steps, tag.hexdigest()[:32])


def session_as_it_was(reader: Reader, session_id: str, revision: int) -> Put:
    """What makes a session what it was after that revision. Raises NotFound where that isn't known, Conflict where it
    wasn't there, or another has its name now."""
    check_restorable(reader, revision)
    body = reader.past.body_after(SESSION, session_id, revision)
    if body is None:
        raise Conflict(
            f"There was no session with the id {shown(session_id)} after revision {revision:,}.",
            remedy="Choose another revision: GET sessions/{id}/history lists those in which it changed.",
            code="not-there-then",
        )
    op = _as_stored(Put(SESSION, session_id, body))
    assert isinstance(op, Put)
    _check_names(reader, plan_of(reader, [op]))
    return op


class _Then:
    """What each element that changed after a revision was at it, as operations; goes on where the registry does."""

    def __init__(self, revision: int) -> None:
        self._revision, self._looked = revision, revision
        self.operations: dict[tuple[str, str], Operation] = {}

    def look(self, reader: Reader) -> None:
        """Raises NotFound where the history doesn't reach back to the revision."""
        check_restorable(reader, self._revision)
        for op in reader.past.reverses_after(self._looked):
            name = op.kind, op.id
            if op.kind in TURNED_BACK and name not in self.operations:
                self.operations[name] = _as_stored(op)
        self._looked = reader.position().revision


async def _turn_back(
    services: Services,
    actor: Actor,
    act: str,
    plan_now: Callable[[Reader], Plan],
    ask: Callable[[Reader, Plan], NoReturn],
    *,
    confirmed: bool,
    plan: str,
    turned_back: int,
) -> Done | Submitted:
    def look(reader: Reader) -> Plan:
        found = plan_now(reader)
        if not found.steps:
            raise Conflict(
                "Everything is so already; nothing would change.",
                remedy="Choose another revision.",
                code="nothing-to-undo",
            )
        if not confirmed:
            ask(reader, found)
        return found

    planned = await Beforehand.look(services, look)

    def decide(reader: Reader) -> Sequence[Operation]:
        found = planned.at(reader)
        if plan and found.tag != plan:
            raise PreconditionFailed(
                "Something was changed since the consequences were shown; nothing was turned back.",
                remedy="Look at the consequences again.",
                current=found.tag,
            )
        return found.operations

    return await write(services, actor, act, decide, all_servers=True, turned_back=turned_back)


def _as_stored(op: Operation) -> Operation:
    """An element as this version stores it: another may have written it. Raises InvalidInput."""
    if isinstance(op, Delete):
        return op
    try:
        return Put(op.kind, op.id, canonical(rules_of(op.kind).check(orjson.loads(op.body))))
    except InvalidInput as error:
        what = f"{rules_of(op.kind).noun.capitalize()} {_name(op, None)}"
        raise InvalidInput(
            f"{what} can't be stored any more as it was: {error.message}", remedy=error.remedy
        ) from error


def _check_names(reader: Reader, plan: Plan) -> None:
    """Raises Conflict where another session has a name by now."""
    ours = {op.id for op, _ in plan.steps if op.kind == SESSION}
    for op, _ in plan.steps:
        if not isinstance(op, Put) or op.kind != SESSION:
            continue
        name = str(orjson.loads(op.body).get("name", ""))
        other = reader.find_session_by_name(name)
        if other is not None and other.id not in ours:
            raise Conflict(
                f"Another session is named {shown(name)} now.",
                remedy="Rename or delete that one first.",
                code="name-taken",
            )


def _consequences(plan: Plan) -> list[str]:
    found = []
    for there, stay, one, several in (
        (False, True, "comes back", "come back"),
        (True, True, "is changed back", "are changed back"),
        (True, False, "is deleted", "are deleted"),
    ):
        steps = plan.those(there=there, stay=stay)
        for noun in dict.fromkeys(rules_of(op.kind).noun for op, _ in steps):
            own = [step for step in steps if rules_of(step[0].kind).noun == noun]
            words = f"{len(own):,} {noun}{'s' if len(own) > 1 else ''} {several if len(own) > 1 else one}"
            found.append(f"{words}: {_named([_name(*step) for step in own[:MAX_NAMED]], len(own))}.")
    return found


def _named(first: Sequence[str], count: int) -> str:
    more = count - len(first)
    return ", ".join(first) + (f" and {more:,} more" if more > 0 else "")


def _changed_later(reader: Reader, operations: Sequence[Operation], revision: int) -> list[str]:
    """What was changed again since, and is lost by turning it back."""
    found = []
    for op in operations:
        later = reader.past.next_touched(op.kind, op.id, revision)
        if later is not None:
            found.append((op, later))
    if not found:
        return []
    first = [f"{_name(op, _body(reader, op))} (revision {later:,})" for op, later in found[:MAX_NAMED]]
    return [f"Changed again since, which is lost: {_named(first, len(found))}."]


def _body(reader: Reader, op: Operation) -> bytes | None:
    now = reader.get(op.kind, op.id)
    return now.body if now else None


def _name(op: Operation, now: bytes | None) -> str:
    """The element as a person knows it."""
    body = now if now is not None else op.body if isinstance(op, Put) else None
    name = orjson.loads(body).get("name") if body is not None else None
    return shown(name if isinstance(name, str) else op.id)
