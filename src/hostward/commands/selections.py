"""Many sessions at once, chosen one by one or by a search: edit, delete. Each is one change, of all of them or none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hostward.commands.replication import confirm
from hostward.commands.services import Actor, Services
from hostward.commands.writing import Submitted, write
from hostward.domain.changes import Delete, Operation, Put, canonical
from hostward.domain.errors import Conflict, InvalidInput, Mistake
from hostward.domain.replicated import Replicated
from hostward.domain.sessions import BULK, DECLARED, KIND, validate_fields
from hostward.domain.suggestions import listed, shown
from hostward.registry.group import Element, Reader

MAX_NAMED: Final = 5
MAX_MISTAKES: Final = 100
MAX_IDS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Selection:
    """Those with the `ids`; or, where that is None, all that match `q` and `type`. `expected`: how many the caller
    takes them to be; where there are more or fewer, nothing is done."""

    ids: tuple[str, ...] | None = None
    q: str | None = None
    type: str | None = None
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """How many sessions were changed or deleted, in which revision, and who has it."""

    sessions: int
    revision: int
    replicated: Replicated


Decided = tuple[Sequence[Operation], int]
"""What to do, and to how many sessions."""


async def delete_sessions(
    services: Services, actor: Actor, selection: Selection, *, confirmed: bool
) -> Changed | Submitted:
    """Raises ConfirmationRequired, Conflict "selection-changed"."""

    def decide(reader: Reader) -> Decided:
        chosen = _chosen(reader, selection)
        return [Delete(KIND, element.id) for element in chosen], len(chosen)

    if not confirmed:
        chosen = await asyncio.to_thread(_look, services, selection)
        what = _counted(len(chosen))
        confirm(False, f"Deleting {what}", [_named(chosen), "Whoever uses them can't open them any more."])
    return await _write(services, actor, "sessions-deleted", decide)


async def edit_sessions(
    services: Services, actor: Actor, selection: Selection, fields: Mapping[str, Any], *, confirmed: bool
) -> Changed | Submitted:
    """Set these fields in all of them; the others stay. Raises ConfirmationRequired, Conflict "selection-changed",
    InvalidInput with a Mistake for what doesn't go with one of the sessions."""
    names = [f.name for f in BULK]
    if not fields or not set(fields) <= set(names):
        raise InvalidInput(
            "No field is given." if not fields else "Not every field can be set in many sessions at once.",
            remedy=f"Use {listed(names)}.",
        )

    def decide(reader: Reader) -> Decided:
        operations: list[Operation] = []
        mistakes: list[Mistake] = []
        chosen = _chosen(reader, selection)
        for element in chosen:
            before = element.json()
            try:
                body = canonical(validate_fields({**before, **fields}))
            except InvalidInput as error:
                mistakes += [_in_session(m, before["name"]) for m in error.mistakes]
                if len(mistakes) >= MAX_MISTAKES:
                    break
                continue
            if body != element.body:
                operations.append(Put(KIND, element.id, body))
        if mistakes:
            raise InvalidInput(
                "The fields don't go with every session that is chosen; nothing was changed.",
                remedy="Choose the others alone, or other values.",
                code="session-invalid",
                mistakes=mistakes,
            )
        return operations, len(operations)

    if not confirmed:
        count = (await asyncio.to_thread(_decided_now, services, decide))[1]
        chosen = await asyncio.to_thread(_look, services, selection)
        labels = {f.name: f.label for f in DECLARED}
        set_to = [f"{labels[name]} becomes {_value(value)}." for name, value in fields.items()]
        already = len(chosen) - count
        same = [f"{_counted(already)} {'has' if already == 1 else 'have'} these values already."] if already else []
        confirm(False, f"Changing {_counted(count)}", [*set_to, _named(chosen), *same])
    return await _write(services, actor, "sessions-edited", decide)


async def _write(
    services: Services, actor: Actor, act: str, decide: Callable[[Reader], Decided]
) -> Changed | Submitted:
    operations, count, revision = await asyncio.to_thread(_decided_now, services, decide)

    def decided(reader: Reader) -> Sequence[Operation]:
        nonlocal operations, count
        # Decided beforehand, so that other writes don't wait for it; again only if one came in between.
        if reader.position().revision != revision:
            operations, count = decide(reader)
        return operations

    done = await write(services, actor, act, decided, all_servers=True, sessions=count)
    if isinstance(done, Submitted):
        return done
    return Changed(count, done.committed.revision, done.replicated)


def _decided_now(services: Services, decide: Callable[[Reader], Decided]) -> tuple[Sequence[Operation], int, int]:
    with services.group.read() as reader:
        return *decide(reader), reader.position().revision


def _look(services: Services, selection: Selection) -> list[Element]:
    with services.group.read() as reader:
        return _chosen(reader, selection)


def _chosen(reader: Reader, selection: Selection) -> list[Element]:
    """Raises Conflict where they aren't what the caller has seen, InvalidInput where there are none."""
    ids = selection.ids
    if ids is None:
        ids = tuple(reader.matching_sessions(selection.q, selection.type))
    found = [e for e in (reader.get(KIND, i) for i in dict.fromkeys(ids)) if e is not None]
    expected = len(set(ids)) if selection.expected is None else selection.expected
    if len(found) != expected:
        raise Conflict(
            f"{expected:,} sessions were chosen, and now there are {len(found):,} of them; nothing was changed.",
            remedy="Look at the list again, and choose anew.",
            code="selection-changed",
        )
    if not found:
        raise InvalidInput("No session is chosen.", remedy="Choose at least one.")
    return found


def _counted(count: int) -> str:
    return "1 session" if count == 1 else f"{count:,} sessions"


def _named(chosen: Sequence[Element]) -> str:
    names = [shown(e.json()["name"]) for e in chosen[:MAX_NAMED]]
    more = len(chosen) - len(names)
    return ", ".join(names) + (f" and {more:,} more." if more else ".")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    return shown(str(value)) if value not in ("", None) else "empty"


def _in_session(mistake: Mistake, name: str) -> Mistake:
    return Mistake(mistake.field, f"{shown(name)}: {mistake.problem}", mistake.remedy)
